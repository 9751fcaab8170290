package comet_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/merkle"
	"tunic/ledger/light"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/slashing"
)

// proves reports an offence of a relay, of each kind, or one that was reported.
func (d *driver) proves() {
	r := d.relay()
	if r == nil {
		return
	}
	sealed := d.all[0].Head()
	var p slashing.Proof
	var err error
	d.view(func(m *machine.Machine) {
		if m.Head().Height != sealed.Header.Height {
			err = errors.New("the head has moved")
			return
		}
		e := sealed.Header.DirEpoch
		two := func(l statement.Label, seq statement.Sequence, a, b []byte) (x [2][]byte) {
			for i, body := range [][]byte{a, b} {
				x[i] = statement.Sign(statement.Domain{Genesis: d.g.Hash()}, named(r.name), l, seq, body).Encode()
			}
			return x
		}
		switch d.IntN(4) {
		case 0:
			x := two(statement.LabelDescriptor, d.next(r.name, e), d.descriptor(e, 1), d.descriptor(e, 2))
			p, err = slashing.Assemble(slashing.DoubleDescriptor, x[0], x[1], sealed, m.List())
		case 1, 2:
			vote := func(score chain.Permille) []byte {
				return statement.Vote{Subject: chain.NodeID{1}, Epoch: e, Score: score}.Encode()
			}
			x := two(statement.LabelVote, statement.NewSequence(e, 0), vote(1), vote(2))
			p, err = slashing.Assemble(slashing.DoubleVote, x[0], x[1], sealed, m.List())
		default:
			x := two(statement.LabelHeartbeat, d.next(r.name, e), statement.Heartbeat{Version: "old"}.Encode(), nil)
			p, err = slashing.AssembleSoftware(x[0], sealed, m.List(), slashing.InForce{Header: sealed, Proof: m.Prove(light.PartParams, []byte{1, 1})})
		}
	})
	if err != nil {
		return // it is not listed, or versions are free
	}
	d.show(p.Encode())
}

// show submits a proof, or publishes it as a report, and sometimes an old one too.
func (d *driver) show(proof []byte) {
	d.shown = append(d.shown, proof)
	if d.IntN(3) == 0 {
		proof = d.shown[max(0, len(d.shown)-1-d.IntN(5))]
	}
	if r := d.relay(); d.IntN(4) == 0 {
		d.publish(r.name, statement.LabelProof, d.next(r.name, d.all[0].Head().Header.DirEpoch), proof)
		return
	}
	for range 1 + d.IntN(2) { // of two accounts in one block the second is too late
		d.say(d.account(), func(h chain.Head) chain.Tx {
			return slashing.SubmitProofType.Unsigned(slashing.SubmitProof{Head: h, Proof: proof})
		})
	}
}

// promises makes a relay promise to keep an item, and challenges it.
func (d *driver) promises() {
	r := d.relay()
	if r == nil {
		return
	}
	p := promise{node: r.name, content: make([]byte, 5*statement.ChunkSize), token: [32]byte{byte(d.IntN(256)), byte(len(r.kept))}}
	for i := range p.content {
		p.content[i] = byte(d.IntN(256))
	}
	a := statement.AnswerOf(p.content, 0)
	path := make([]merkle.Hash, len(a.Path))
	for i := range path {
		path[i] = merkle.Hash(a.Path[i])
	}
	root, err := merkle.RootFromPath(merkle.Leaf(a.Chunk[:]), 0, 5, path)
	if err != nil {
		d.t.Fatal(err)
	}
	x := statement.Receipt{Chunks: chain.Hash(root), Class: 5, Until: d.all[0].Head().Header.Time + 5000, Deleter: statement.DeleterOf(p.token)}
	p.receipt = statement.Sign(d.all[0].Statements(), named(r.name), statement.LabelReceipt, 0, x.Encode())
	r.kept = append(r.kept, p)
	d.say(d.account(), func(h chain.Head) chain.Tx {
		return slashing.ChallengeType.Unsigned(slashing.OpenChallenge{Head: h, Receipt: p.receipt.Encode(), Deposit: slashing.LeastChallenge(&d.g.Params)})
	})
}

// answers lets relays answer, wrongly at times, and reports what lapsed.
func (d *driver) answers() {
	for _, r := range d.relays {
		for i := len(r.kept) - 1; i >= 0; i-- {
			p := r.kept[i]
			id := slashing.ChallengeID(d.g.Hash(), p.receipt)
			var c slashing.Challenge
			var open bool
			var lost slashing.Proof
			err := errors.New("not lapsed")
			sealed := d.all[0].Head()
			d.view(func(m *machine.Machine) {
				if c, open = m.Slashing().Challenge(id); open && c.Lapsed != nil && m.Head().Height == sealed.Header.Height {
					lost, err = slashing.AssembleLost(sealed, m.Prove(light.PartOffences, slashing.ChallengeKey(id)))
				}
			})
			if err == nil {
				d.show(lost.Encode())
				r.kept = slices.Delete(r.kept, i, i+1)
				continue
			}
			if !open || c.Drawn == 0 || d.IntN(3) > 0 {
				continue
			}
			a := statement.AnswerOf(p.content, (c.Chunk+uint8(d.IntN(4)/3))%5)
			if d.IntN(4) == 0 {
				a = statement.Answer{Token: &p.token}
			}
			a.Challenge, a.Height = c.ID, c.Height
			if byte(i)%2 == p.token[0]%2 { // the others stay silent
				d.publish(r.name, statement.LabelAnswer, 0, a.Encode())
			}
		}
	}
}

// tellsKeys commits to a disclosure of a relay's identity key, and opens those that
// are ready.
func (d *driver) tellsKeys() {
	sealed := d.all[0].Head()
	for i := range d.tells {
		x := &d.tells[i]
		if x.done {
			continue
		}
		var p slashing.Proof
		err := errors.New("the head has moved")
		key := slashing.CommitKey{Epoch: x.epoch, Account: address(x.who), Hash: slashing.Commitment(d.g.Hash(), idOf(x.node), statement.KeyIdentity, 0, address(x.who), x.salt)}
		d.view(func(m *machine.Machine) {
			if m.Head().Height != sealed.Header.Height {
				return
			}
			o := slashing.Opening{Key: statement.KeyIdentity, Reporter: address(x.who), Salt: x.salt, Committed: x.epoch, Commit: m.Prove(light.PartOffences, key.Key())}
			var msg statement.Disclosure
			if msg, err = slashing.Disclosing(sealed, m.List(), idOf(x.node), o); err == nil {
				o.Sig = statement.Domain{Genesis: d.g.Hash()}.DiscloseIdentity(named(x.node), msg)
				p, err = slashing.AssembleDisclosure(sealed, m.List(), idOf(x.node), o)
			}
		})
		if err == nil {
			x.done = true
			d.say(x.who, func(h chain.Head) chain.Tx {
				return slashing.SubmitProofType.Unsigned(slashing.SubmitProof{Head: h, Proof: p.Encode()})
			})
		}
	}
	if r := d.relay(); r != nil && d.IntN(2) == 0 {
		x := tell{who: d.account(), node: r.name, epoch: sealed.Header.DirEpoch, salt: [32]byte{byte(len(d.tells)), 7}}
		d.tells = append(d.tells, x)
		if len(d.tells) > 12 {
			d.tells = d.tells[1:]
		}
		d.say(x.who, func(h chain.Head) chain.Tx {
			return slashing.CommitDisclosureType.Unsigned(slashing.CommitDisclosure{Head: h, Deposit: slashing.LeastDeposit(&d.g.Params),
				Commitment: slashing.Commitment(d.g.Hash(), idOf(x.node), statement.KeyIdentity, 0, address(x.who), x.salt)})
		})
	}
}

// changes makes two members of the council agree on other parameters.
func (d *driver) changes() {
	var number uint32
	var epoch chain.Epoch
	var p genesis.Params
	d.view(func(m *machine.Machine) {
		f := m.InForce()
		number, epoch, p = f.Number+1, m.Head().DirEpoch+3, f.Params
	})
	switch d.IntN(3) {
	case 0:
		p.BlockReward++
	case 1:
		p.Versions = []string{"tunic/1"}
	default:
		p.MinFee = 1000 + chain.Amount(d.IntN(5))
	}
	for _, who := range []string{"k1", "k2", "k3", "a"}[:2+d.IntN(3)] {
		d.say(who, func(h chain.Head) chain.Tx {
			return machine.ChangeParamsType.Unsigned(machine.ChangeParams{Head: h, Number: number, Epoch: epoch, Params: p.Encode()})
		})
	}
}

// sits moves the validator that nobody runs on: it registers and validates, then
// votes twice or resigns, and its operator takes the stake away.
func (d *driver) sits() {
	x := &d.seat
	seals, state := false, registry.State(0)
	known := false
	d.view(func(m *machine.Machine) {
		if x.node != "" {
			seals = slices.Contains(m.Registry().Validators(), idOf(x.node))
			if n, ok := m.Registry().Node(idOf(x.node)); ok {
				known, state = true, n.State
			}
		}
	})
	validate := func(h chain.Head) chain.Tx {
		return registry.ValidateType.Unsigned(registry.Validate{Head: h, Node: idOf(x.node)})
	}
	head := d.all[0].Head().Header.Height
	switch {
	case x.node == "" || known && !seals && x.since > 0 && (state != registry.Registered && state != registry.Active || x.leaves && head > x.since+20):
		*x = seat{node: fmt.Sprint("seat ", d.seats), operator: accounts[d.seats%len(accounts)]}
		d.seats++
		d.register(x.node, x.operator, d.g.Params.StakingRequirement)
		d.say(x.operator, validate)
	case !known: // the registration was refused, or waits
		if d.IntN(10) == 0 {
			x.node = ""
		}
	case !seals && !x.leaves && (x.since == 0 || head > x.since+20): // it may not have been carried out
		d.say(x.operator, validate)
		x.since = head
	case seals && !x.voted:
		if x.since == 0 {
			x.since = head
		}
		x.voted = d.double(x.node) || d.IntN(30) == 0
	case seals && !x.leaves && d.IntN(4) == 0:
		x.leaves = true
		if d.seats%4 == 3 {
			d.unlock(x.operator, x.node)
			return
		}
		d.say(x.operator, func(h chain.Head) chain.Tx {
			return registry.ResignType.Unsigned(registry.Resign{Head: h, Node: idOf(x.node)})
		})
	}
}

// double gives CometBFT two votes of a validator for one height, unless it is not
// among those that decide yet.
func (d *driver) double(name string) bool {
	if d.seats%2 == 1 {
		return true // this one is honest
	}
	v0 := d.all[d.IntN(len(d.all))]
	n, height := v0.node.Engine(), v0.Head().Header.Height
	nodes, err := v0.ValidatorsAt(height)
	if err != nil {
		d.t.Fatal(err)
	}
	var all []*types.Validator
	for _, id := range nodes {
		all = append(all, types.NewValidator(cmted25519.PubKey(id[:]), 1))
	}
	set := types.NewValidatorSet(all)
	key := cmted25519.PrivKey(named(name))
	at, v := set.GetByAddress(key.PubKey().Address())
	meta := n.BlockStore().LoadBlockMeta(int64(height))
	if v == nil || meta == nil {
		return false
	}
	vote := func(to byte) *types.Vote {
		id := types.BlockID{Hash: bytes.Repeat([]byte{to}, 32), PartSetHeader: types.PartSetHeader{Total: 1, Hash: bytes.Repeat([]byte{to}, 32)}}
		x := &types.Vote{Type: cmtproto.PrecommitType, Height: meta.Header.Height, BlockID: id, Timestamp: meta.Header.Time,
			ValidatorAddress: v.Address, ValidatorIndex: at}
		p := x.ToProto()
		sig, err := key.Sign(types.VoteSignBytes(meta.Header.ChainID, p))
		if err != nil {
			d.t.Fatal(err)
		}
		x.Signature = sig
		return x
	}
	ev, err := types.NewDuplicateVoteEvidence(vote(1), vote(2), meta.Header.Time, set)
	if err != nil {
		d.t.Fatal(err)
	}
	return n.EvidencePool().AddEvidence(ev) == nil
}

func (d *driver) others() {
	r := d.relay()
	if r == nil {
		return
	}
	switch d.IntN(6) {
	case 0:
		d.unlock(r.operator, r.name)
	case 1:
		d.contribute(d.account(), r.name, chain.Amount(d.IntN(3))*chain.TUN)
	case 2:
		// Not by its operator: two validators that nobody runs stop four.
		d.say("k1", func(h chain.Head) chain.Tx {
			return registry.ValidateType.Unsigned(registry.Validate{Head: h, Node: idOf(r.name)})
		})
	default:
		d.withdraw(r.operator, fmt.Sprint("relay ", d.IntN(d.made)))
	}
}

// joinsIn pays what relays lack, once their registration is there.
func (d *driver) joinsIn() {
	d.joined = slices.DeleteFunc(d.joined, func(name string) (done bool) {
		d.view(func(m *machine.Machine) { _, done = m.Staking().Bond(idOf(name)) })
		if done {
			for range 2 {
				d.contribute(d.account(), name, d.g.Params.StakingRequirement/4)
			}
		}
		return done
	})
}

func (d *driver) transfers() {
	for range 1 + d.IntN(4) {
		x := []chain.Amount{1, chain.TUN, chain.Amount(d.IntN(1 << 40)), 0, 1 << 62}[min(d.IntN(20), 4)]
		d.say(d.account(), func(h chain.Head) chain.Tx {
			return machine.TransferType.Unsigned(machine.Transfer{Head: h, To: address(d.account()), Amount: x})
		})
	}
}
