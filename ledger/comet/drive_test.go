package comet_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/ethereum/go-ethereum/crypto"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/slashing"
	"tunic/staking"
)

// driver gives a running network of four validators transactions of every kind,
// as accounts, relays, the council and dishonest validators would.
type driver struct {
	*rand.Rand
	t   *testing.T
	g   genesis.Genesis
	all []*validator

	seq    map[string]uint32
	relays []*relay
	made   int // relays so far
	seats  int // validators beside those of genesis so far
	seat   seat
	tells  []tell
	shown  [][]byte // proofs that were sent
	joined []string // registered with half of their stake
}

// relay is one whose keys the driver has.
type relay struct {
	name, operator string
	keyed          chain.Epoch // of its last descriptor
	kept           []promise
}

// promise is an item that a relay keeps, or not.
type promise struct {
	node    string
	content []byte
	token   [32]byte
	receipt statement.Statement
}

// tell is a disclosure that was committed to.
type tell struct {
	who, node string
	epoch     chain.Epoch
	salt      [32]byte
	done      bool
}

// seat is a validator that nobody runs: there is one at a time, so that the other
// four are more than two thirds.
type seat struct {
	node, operator string
	since          chain.Height // of its validate; 0: none yet
	voted          bool         // evidence against it was given
	leaves         bool
}

var accounts = []string{"a", "b", "c", "d", "e", "f", "g", "h"}

// driven is the genesis of a network for a driver: epochs of two seconds, and all
// else as much shorter.
func driven(t testing.TB) (genesis.Genesis, []ed25519.PrivateKey) {
	g, keys := network(t, 4)
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	const ms = chain.Duration(1)
	p.BlockInterval, p.EpochLength, p.HeartbeatEvery, p.HeartbeatValid = 500*ms, 2000*ms, 300*ms, 5000*ms
	p.ReceiptHorizon, p.ChallengeWindow, p.EvidenceAge, p.CorrelationWindow = 6000*ms, 3000*ms, 8000*ms, 4000*ms
	p.UnlockDelay, p.DeregisterLock = 13_000*ms, 14_000*ms
	p.CreditStart, p.CreditMost, p.CreditLeast = 2000*ms, 3000*ms, 1000*ms
	p.VersionGrace, p.ParamsDelay = 2000*ms, 1
	g.Profile, g.Params, g.RewardPool = genesis.Dev, p, 1_000_000*chain.TUN
	names := slices.Clone(accounts)
	for _, k := range []string{"k1", "k2", "k3"} {
		g.Council = append(g.Council, address(k))
		names = append(names, k)
	}
	g.CouncilMin = 2
	slices.SortFunc(g.Council, func(a, b chain.Address) int { return bytes.Compare(a[:], b[:]) })
	for _, name := range names {
		g.Allocations = append(g.Allocations, genesis.Allocation{Address: address(name), Balance: 1_000_000 * chain.TUN})
	}
	slices.SortFunc(g.Allocations, func(a, b genesis.Allocation) int { return bytes.Compare(a.Address[:], b.Address[:]) })
	if err := g.Validate(); err != nil {
		t.Fatal(err)
	}
	return g, keys
}

func named(name string) ed25519.PrivateKey {
	s := sha256.Sum256([]byte("driver " + name))
	return ed25519.NewKeyFromSeed(s[:])
}

func idOf(name string) chain.NodeID { return chain.NodeID(named(name)[32:]) }

// view reads the state of one validator's head.
func (d *driver) view(f func(*machine.Machine)) { d.all[0].View(f) }

// sent notes what became of a submission: a refusal is an answer like any other.
func (d *driver) sent(err error) {
	if no := (*chain.Refusal)(nil); err != nil && !errors.As(err, &no) {
		d.t.Fatal(err)
	}
}

// say submits a transaction of an account, always to the same validator.
func (d *driver) say(who string, tx func(chain.Head) chain.Tx) {
	home := d.all[int(who[len(who)-1])%len(d.all)]
	var fee chain.Amount
	home.View(func(m *machine.Machine) { fee = m.InForce().Params.MinFee })
	h := chain.Head{Nonce: home.NextNonce(address(who)), Fee: fee, ValidUntil: home.Head().Header.Height + 20}
	switch d.IntN(40) {
	case 0:
		h.Nonce++
	case 1:
		h.Fee--
	case 2:
		h.ValidUntil = home.Head().Header.Height + 3
	}
	x := tx(h)
	s, ok := machine.SchemaOf(x.Kind)
	if !ok {
		d.t.Fatalf("no schema of kind %d", x.Kind)
	}
	digest, err := home.Domain().Digest(s, x.Payload)
	if err != nil {
		d.t.Fatal(err)
	}
	sig, err := crypto.Sign(digest[:], accountKey(who))
	if err != nil {
		d.t.Fatal(err)
	}
	x.Sig = [65]byte(sig)
	_, err = home.Submit(d.t.Context(), x.Encode())
	d.sent(err)
}

func (d *driver) publish(name string, l statement.Label, seq statement.Sequence, body []byte) statement.Statement {
	st := statement.Sign(d.all[0].Statements(), named(name), l, seq, body)
	_, err := d.all[d.IntN(len(d.all))].Publish(d.t.Context(), st.Encode())
	d.sent(err)
	return st
}

func (d *driver) next(name string, e chain.Epoch) statement.Sequence {
	d.seq[name]++
	return statement.NewSequence(e, d.seq[name])
}

func (d *driver) account() string { return accounts[d.IntN(len(accounts))] }

func (d *driver) relay() *relay {
	if len(d.relays) == 0 {
		return nil
	}
	return d.relays[d.IntN(len(d.relays))]
}

func vrfOf(name string) beacon.Key { return beacon.NewKey(sha256.Sum256([]byte("vrf " + name))) }

func (d *driver) register(name, operator string, x chain.Amount) {
	vrf, hash := vrfOf(name), d.g.Hash()
	sig := statement.Domain{Genesis: hash}.SignRaw(named(name), statement.LabelRegistration, statement.RegistrationBody(address(operator), vrf.Public()))
	proof := vrf.Prove(beacon.RegistrationAlpha(hash, address(operator)))
	d.say(operator, func(h chain.Head) chain.Tx {
		return registry.RegisterType.Unsigned(registry.Register{Head: h, Node: idOf(name), VRFKey: vrf.Public(), FeeBps: 1000, Amount: x, NodeSignature: sig[:], VRFProof: proof[:]})
	})
}

func (d *driver) contribute(who, node string, x chain.Amount) {
	d.say(who, func(h chain.Head) chain.Tx {
		return staking.ContributeType.Unsigned(staking.Contribute{Head: h, Node: idOf(node), Amount: x})
	})
}

func (d *driver) unlock(who, node string) {
	d.say(who, func(h chain.Head) chain.Tx {
		return staking.RequestUnlockType.Unsigned(staking.RequestUnlock{Head: h, Node: idOf(node)})
	})
}

func (d *driver) withdraw(who, node string) {
	d.say(who, func(h chain.Head) chain.Tx {
		return staking.WithdrawType.Unsigned(staking.Withdraw{Head: h, Node: idOf(node)})
	})
}

// joins makes a relay, of one owner or of three.
func (d *driver) joins() {
	if len(d.relays) >= 14 {
		d.relays = d.relays[1:] // forgotten: it falls silent
	}
	r := &relay{name: fmt.Sprint("relay ", d.made), operator: accounts[d.made%len(accounts)]}
	d.made++
	whole := d.g.Params.StakingRequirement
	if d.made%3 > 0 {
		d.register(r.name, r.operator, whole)
	} else {
		d.register(r.name, r.operator, whole/2)
		d.joined = append(d.joined, r.name)
	}
	d.relays = append(d.relays, r)
}

// rounds is what relays do in an epoch.
func (d *driver) rounds() {
	epoch := d.all[0].Head().Header.DirEpoch
	for _, r := range d.relays {
		if d.IntN(10) == 0 {
			continue
		}
		e := epoch + chain.Epoch(d.IntN(2))
		if r.keyed == 0 || r.keyed+10 < e {
			d.publish(r.name, statement.LabelDescriptor, d.next(r.name, e), d.descriptor(e, 0))
			r.keyed = max(e, 1)
		}
		body := statement.Heartbeat{Version: "tunic/1", Height: d.all[0].Head().Header.Height, VRF: vrfOf(r.name).Prove(beacon.EpochAlpha(d.g.Hash(), e))}
		d.publish(r.name, statement.LabelHeartbeat, d.next(r.name, e), body.Encode())
		if d.IntN(3) == 0 {
			c := statement.Commitment{Epoch: epoch, Depth: d.g.Params.ProbeDepth, Root: chain.Hash{byte(epoch), 1}}
			d.publish(r.name, statement.LabelCommitment, d.next(r.name, epoch), c.Encode())
		}
	}
}

func (d *driver) descriptor(e chain.Epoch, variant byte) []byte {
	return statement.Descriptor{Version: "tunic/1", Endpoints: []string{"127.0.0.1:4000"},
		Keys: []statement.OnionKey{{First: e, Last: e + 20, Key: [32]byte{1, variant}}}}.Encode()
}

// votes is a quorum on one relay.
func (d *driver) votes() {
	r := d.relay()
	if r == nil {
		return
	}
	var voters []string
	var head chain.Header
	d.view(func(m *machine.Machine) {
		head = m.Head()
		for _, at := range m.List().Quorum(head.Beacon, idOf(r.name), int(d.g.Params.QuorumSize)) {
			for _, x := range d.relays {
				if idOf(x.name) == at && x != r {
					voters = append(voters, x.name)
				}
			}
		}
	})
	why := []statement.Reasons{0, 0, 0, statement.ReasonAbsent, statement.ReasonLoss}[d.IntN(5)]
	if d.IntN(5) == 0 {
		voters = append(voters, d.relay().name) // who may have no vote
	}
	for _, v := range voters {
		x := statement.Vote{Subject: idOf(r.name), Epoch: head.DirEpoch, Reasons: why, Score: chain.Permille(900 + d.IntN(101))}
		d.publish(v, statement.LabelVote, statement.NewSequence(x.Epoch, 0), x.Encode())
	}
}

// drive goes on until every validator shows height.
func (d *driver) drive(height chain.Height) {
	ctx, stop := context.WithTimeout(d.t.Context(), 40*time.Minute)
	defer stop()
	var last chain.Height
	var round chain.Epoch
	for range 6 {
		d.joins()
	}
	for {
		head := d.all[0].Head().Header
		if head.Height >= height {
			break
		}
		if head.Height == last {
			select {
			case <-ctx.Done():
				d.t.Fatalf("height %d of %d", head.Height, height)
			case <-time.After(5 * time.Millisecond):
			}
			continue
		}
		last = head.Height
		if head.DirEpoch != round || head.Height%4 == 0 {
			round = head.DirEpoch
			d.rounds()
		}
		d.transfers()
		d.joinsIn()
		d.sits()
		for _, x := range []struct {
			one int
			do  func()
		}{{3, d.votes}, {4, d.proves}, {4, d.promises}, {2, d.answers}, {6, d.tellsKeys}, {20, d.changes}, {3, d.others}, {6, d.joins}} {
			if d.IntN(x.one) == 0 {
				x.do()
			}
		}
	}
	for _, v := range d.all {
		v.await(d.t, height)
	}
}

// junk is a validator's application that proposes, beside what it should, what
// only a dishonest one would: all of it can be decoded, none of it applies.
type junk struct {
	abci.Application
	g     genesis.Genesis
	count int
}

func (j *junk) PrepareProposal(ctx context.Context, r *abci.RequestPrepareProposal) (*abci.ResponsePrepareProposal, error) {
	out, err := j.Application.PrepareProposal(ctx, r)
	if err != nil {
		return nil, err
	}
	j.count++
	transfer := machine.TransferType.Unsigned(machine.Transfer{Head: chain.Head{Nonce: 1 << 40, Fee: 1000, ValidUntil: 1 << 40}, To: address("a"), Amount: 1})
	unsigned := transfer.Encode()
	transfer.Sig = [65]byte{1, 2, 3}
	all := [][]byte{
		machine.MisbehaviourTx(slashing.Conclusion{Fault: slashing.DuplicateVote, Node: j.g.Sealers[0], Height: 1, Power: 1, Total: 4}).Encode(),
		unsigned, transfer.Encode(),
		machine.Dev{Op: machine.DevFund, Height: chain.Height(r.Height), To: address("a"), Amount: 1}.Tx().Encode(),
		chain.Tx{Kind: chain.KindPublish, Payload: []byte("no statement")}.Encode(),
	}
	if len(out.Txs) > 0 {
		all = append(all, out.Txs[0]) // twice
	}
	tx := all[j.count%len(all)]
	if _, err := chain.DecodeTx(tx); err == nil {
		out.Txs = append(out.Txs, tx)
	}
	return out, nil
}

// kindOf is what a transaction is, in words.
func kindOf(tx []byte) string {
	x, err := chain.DecodeTx(tx)
	if err != nil {
		return "malformed"
	}
	switch x.Kind {
	case chain.KindPublish:
		st, err := statement.Decode(x.Payload)
		if err != nil {
			return "malformed statement"
		}
		return strings.TrimPrefix(st.Label.String(), "probe ")
	case chain.KindMisbehaviour:
		return "misbehaviour"
	case chain.KindDev:
		return "dev"
	}
	if s, ok := machine.SchemaOf(x.Kind); ok {
		return s.Name
	}
	return "unknown"
}
