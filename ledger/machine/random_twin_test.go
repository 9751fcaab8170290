package machine_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/slashing"
	"tunic/staking"
)

var twinTxs = flag.Int("twin", 8000, "random transactions of TestTwin (make twin: 100,000)")

// worldTxs is how many of them one network sees: a node id lives once, so that
// a network wears out.
const worldTxs = 1000

// TestTwin holds the machine against the twin: networks of random transactions
// of all kinds, most of them such as somebody would send, some refused for each
// reason there is; the same codes for each, and the same accounts, stakes,
// rewards, lives and lists after every block, with every invariant of the
// machine. Seeds are 1, 2 and so on.
func TestTwin(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	t.Run("networks", func(t *testing.T) {
		for seed := 1; seed <= max(1, *twinTxs/worldTxs); seed++ {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				g := newDice(t, uint64(seed))
				for g.made < worldTxs {
					g.block()
				}
				for what, n := range g.twin.ends {
					g.seen[what] += n
				}
				for _, r := range g.twin.records {
					if r.kind == slashing.LostMessage {
						g.seen["lost message"]++
						continue
					}
					g.seen[map[bool]string{true: "correlation settled", false: "correlation pending"}[r.settled]]++
				}
				mu.Lock()
				defer mu.Unlock()
				for what, n := range g.seen {
					seen[what] += n
				}
			})
		}
	})
	t.Logf("%v", seen)
	// What never happens is not tested.
	for _, what := range []string{
		"transfer", "fund", "register", "contribute", "unlock", "withdraw", "descriptor", "heartbeat", "commitment", "vote", "proof", "report",
		"commit", "commit deposit_too_small", "commit commit_exists", "commit insufficient_balance", "commit lapsed", "commit opened",
		"reveal", "reveal already_punished", "reveal proof_expired", "reveal wrong_reporter", "older commit won",
		"transfer nonce_gap", "transfer nonce_used", "transfer expired", "transfer fee_too_low", "contribute fully_staked",
		"withdraw nothing_due", "heartbeat too_soon", "vote not_in_quorum", "vote already_voted", "proof already_punished", "correlation settled",
		"challenge", "challenge already_challenged", "challenge too_many_challenges", "challenge promise_over", "challenge deposit_too_low", "challenge unknown_node",
		"answer", "answer not_drawn", "answer wrong_answer", "answer no_such_challenge", "lost message",
		"to decommissioned", "to deregistered", "to left", "to tombstoned", "to active", "spared", "back without votes",
	} {
		if seen[what] == 0 {
			t.Errorf("of %d transactions none was: %s", *twinTxs, what)
		}
	}
}

// dice makes the transactions of one network.
type dice struct {
	*rand.Rand
	t     *testing.T
	seed  uint64
	w     *world
	twin  *twin
	names []string // accounts with a balance
	nodes []string // registered or not

	offences []offence
	items    []item
	tellings []telling // commits that were sent
	revealed []opening
	old      []move // statements that were sent
	made     int
	seen     map[string]int
	story    []string // of this block
}

// move is one transaction: its bytes, and what the twin makes of it.
type move struct {
	what  string
	tx    []byte
	judge func() string
}

// kinds is the table of what happens, how often, and who makes it. A new kind
// of transaction is an entry here, a rule in the twin, and a line in TestTwin.
var twinKinds = []struct {
	weight int
	make   func(*dice) []move
}{
	{20, (*dice).transfers},
	{1, (*dice).funds},
	{5, (*dice).registers},
	{16, (*dice).contributes},
	{1, (*dice).unlocks},
	{6, (*dice).withdraws},
	{10, (*dice).rounds},
	{6, (*dice).statements},
	{2, (*dice).repeats},
	{12, (*dice).votes},
	{3, (*dice).proofs},
	{4, (*dice).challenges},
	{4, (*dice).answers},
	{2, (*dice).losses},
	{4, (*dice).commits},
	{7, (*dice).reveals},
}

func newDice(t *testing.T, seed uint64) *dice {
	g := &dice{Rand: rand.New(rand.NewPCG(seed, 7)), t: t, seed: seed, names: []string{"a", "b", "c", "d", "e", "f", "g", "h"}, seen: map[string]int{}}
	for i := range 24 {
		g.nodes = append(g.nodes, fmt.Sprint("n", i))
	}
	g.w = newWorld(t, g.names...)
	g.twin = newTwin(g.w, g.names)
	g.apply(g.w.at(0)+100, func(do func(...move)) {
		for i, who := range g.names {
			do(g.register(g.nodes[i], who, g.w.g.Params.StakingRequirement))
		}
	})
	return g
}

func one[T any](g *dice, of ...T) T { return of[g.IntN(len(of))] }

// chance is true in n of a hundred cases.
func (g *dice) chance(n int) bool { return g.IntN(100) < n }

// block makes some moves at one moment.
func (g *dice) block() {
	now := g.w.m.Head().Time + chain.Time(one(g, 0, 200, 500, 1000, 1000, 2000, 2000, 3000, 4000, 10_000))
	if g.chance(1) {
		now += chain.Time(one(g, 30_000, 100_000, 700_000)) // the time of credits, locks and unlocking
	}
	g.apply(now, func(do func(...move)) {
		weights := 0
		for _, k := range twinKinds {
			weights += k.weight
		}
		for range g.IntN(5) {
			at := g.IntN(weights)
			for _, k := range twinKinds {
				if at -= k.weight; at < 0 {
					do(k.make(g)...)
					break
				}
			}
		}
	})
}

// apply lets the twin go through a block and then the machine. Each move that
// moves does is made when the twin has judged those before it.
func (g *dice) apply(now chain.Time, moves func(do func(...move))) {
	g.twin.begin(now)
	g.story = nil
	var txs [][]byte
	var codes []string
	moves(func(all ...move) {
		for _, m := range all {
			code := m.judge()
			txs, codes = append(txs, m.tx), append(codes, code)
			g.story = append(g.story, strings.TrimSpace(m.what+" "+code))
			g.seen[strings.TrimSpace(strings.Fields(m.what)[0]+" "+code)]++
		}
	})
	g.twin.end()
	g.made += len(txs)
	out, err := g.w.m.Apply(machine.Input{Height: g.w.m.Head().Height + 1, Time: now, Proposer: nodeID("sealer"), Txs: g.w.m.PrepareAll(txs)})
	if err == nil {
		g.w.remember(out.Header)
		if err = g.w.m.Check(); err == nil {
			err = g.twin.agrees(out, codes)
		}
	}
	if err != nil {
		g.t.Fatalf("network %d, block %d of epoch %d at +%d ms: %v\n%s", g.seed, g.twin.height, g.twin.epoch, now-g.w.g.Time, err, strings.Join(g.story, "\n"))
	}
	for _, e := range out.Events {
		g.seen["to "+e.To.String()]++
	}
}

func (g *dice) somebody() string {
	if g.chance(4) {
		return "nobody"
	}
	return one(g, g.names...)
}

// node is mostly one that is known.
func (g *dice) node() string {
	for range 3 {
		if n := one(g, g.nodes...); g.twin.nodes[n] != nil {
			return n
		}
	}
	return one(g, g.nodes...)
}

// head is what from would put in front, or something that is refused.
func (g *dice) head(from string) head {
	h := head{from, g.twin.nonce[from], g.w.g.Params.MinFee + chain.Amount(g.IntN(3)), g.twin.height + 10}
	switch g.IntN(40) {
	case 0:
		h.nonce++
	case 1:
		h.nonce -= min(1, h.nonce)
	case 2:
		h.fee = g.w.g.Params.MinFee - 1
	case 3:
		h.until = g.twin.height - 1
	}
	return h
}

func (h head) chain() chain.Head {
	return chain.Head{Nonce: h.nonce, Fee: h.fee, ValidUntil: h.until}
}

// signed is a move of an account.
func (g *dice) signed(what, from string, tx func(chain.Head) chain.Tx, do func() string) move {
	h := g.head(from)
	return move{what + " by " + from, g.w.sign(from, tx(h.chain())), func() string { return g.twin.account(h, do) }}
}

func (g *dice) amount() chain.Amount {
	return one(g, 0, 1, 1234567, 7*tun, 200*tun, 500*tun, 1000*tun, 1500*tun, 2000*tun, 2001*tun, 9_999*tun, 1<<63)
}

func (g *dice) transfers() []move {
	from, to, x := g.somebody(), g.somebody(), one(g, g.amount(), 1, 5*tun, chain.Amount(g.Uint64N(uint64(300*tun))))
	return []move{g.signed(fmt.Sprint("transfer ", x, " to ", to), from, func(h chain.Head) chain.Tx {
		return machine.TransferType.Unsigned(machine.Transfer{Head: h, To: address(to), Amount: x})
	}, func() string { return g.twin.transfer(from, to, x) })}
}

func (g *dice) funds() []move {
	to, x, h := g.somebody(), one(g, 0, 1, tun, 1<<62), g.twin.height+chain.Height(g.IntN(8)/7)
	return []move{{fmt.Sprint("fund ", to, " ", x), machine.Dev{Op: machine.DevFund, Height: h, To: address(to), Amount: x}.Tx().Encode(),
		func() string { return g.twin.fund(h, to, x) }}}
}

func (g *dice) register(node, who string, x chain.Amount) move {
	fee := one(g, 0, 1, 1000, 3333, 10_000, 10_001)
	if x == g.w.g.Params.StakingRequirement {
		fee = min(fee, 10_000)
	}
	return g.signed(fmt.Sprint("register ", node, " ", x, " fee ", fee), who, func(h chain.Head) chain.Tx {
		r := g.w.registration(node, who, chain.BasisPoints(fee), x, 0)
		r.Head = h
		return registry.RegisterType.Unsigned(r)
	}, func() string { return g.twin.register(node, who, uint64(fee), x) })
}

func (g *dice) registers() []move {
	return []move{g.register(one(g, g.nodes...), g.somebody(), one(g, g.amount(), 500*tun, 500*tun, 700*tun, 700*tun, 1999*tun, 2000*tun))}
}

func (g *dice) contributes() []move {
	node, who, x := g.node(), g.somebody(), g.amount()
	for range 6 { // most bonds need nothing
		if b := g.twin.bonds[node]; b == nil || b.closed() || !less(b.sum(), num(uint64(g.w.g.Params.StakingRequirement))) {
			node = g.node()
		}
	}
	if b := g.twin.bonds[node]; b != nil && g.chance(70) {
		missing := g.w.g.Params.StakingRequirement - chain.Amount(b.sum().Uint64())
		x = one(g, missing, missing, missing/2+1, missing/3, missing+1, chain.Amount(up(num(uint64(missing)), num(9)).Uint64()))
	}
	return []move{g.signed(fmt.Sprint("contribute ", x, " to ", node), who, func(h chain.Head) chain.Tx {
		return staking.ContributeType.Unsigned(staking.Contribute{Head: h, Node: nodeID(node), Amount: x})
	}, func() string { return g.twin.contribute(node, who, x) })}
}

// insider is mostly one who has a part in the bond.
func (g *dice) insider(node string) string {
	if b := g.twin.bonds[node]; b != nil && g.chance(80) {
		return one(g, b.parts...).who
	}
	return g.somebody()
}

func (g *dice) unlocks() []move {
	node := g.node()
	who := g.insider(node)
	return []move{g.signed("unlock "+node, who, func(h chain.Head) chain.Tx {
		return staking.RequestUnlockType.Unsigned(staking.RequestUnlock{Head: h, Node: nodeID(node)})
	}, func() string { return g.twin.unlock(node, who) })}
}

func (g *dice) withdraws() []move {
	node := g.node()
	who := g.insider(node)
	return []move{g.signed("withdraw from "+node, who, func(h chain.Head) chain.Tx {
		return staking.WithdrawType.Unsigned(staking.Withdraw{Head: h, Node: nodeID(node)})
	}, func() string { return g.twin.withdraw(node, who) })}
}

// say is a move of a node that speaks for itself.
func (g *dice) say(node string, st statement.Statement) move {
	m := move{fmt.Sprint(strings.TrimPrefix(st.Label.String(), "probe "), " of ", node, " under ", uint64(st.Sequence)), publish(st), func() string { return g.twin.publish(node, st) }}
	g.old = append(g.old, m)
	return m
}

// rounds is what relays do in an epoch, most of them.
func (g *dice) rounds() (all []move) {
	for _, node := range g.nodes {
		n := g.twin.nodes[node]
		if n == nil || n.state > registry.Decommissioned || g.chance(15) {
			continue
		}
		e := g.twin.epoch + chain.Epoch(g.IntN(2))
		if d, ok := n.last[statement.LabelDescriptor]; !ok || d.st.Sequence.Epoch()+10 < e {
			all = append(all, g.say(node, g.w.descriptor(node, g.w.next(node, e), realKey)))
		}
		all = append(all, g.say(node, g.w.heartbeat(node, g.w.next(node, e))))
	}
	return all
}

func (g *dice) statements() []move {
	node, e := g.node(), g.twin.epoch+chain.Epoch(g.IntN(3))
	switch g.IntN(3) {
	case 0:
		return []move{g.say(node, g.w.descriptor(node, g.w.next(node, e), byte(g.IntN(2))))}
	case 1:
		return []move{g.say(node, g.w.heartbeat(node, g.w.next(node, e)))}
	}
	return []move{g.say(node, g.w.commitment(node, g.twin.epoch+chain.Epoch(g.IntN(8)/7)))}
}

// repeats sends a statement again.
func (g *dice) repeats() []move {
	if len(g.old) == 0 {
		return nil
	}
	return []move{g.old[len(g.old)-1-g.IntN(min(len(g.old), 40))]}
}

// votes is a quorum, most of it of one mind, on one node.
func (g *dice) votes() (all []move) {
	subject, e := g.node(), g.w.m.Head().DirEpoch
	if g.twin.first && g.chance(90) {
		return nil // its beacon is not known yet
	}
	why := one(g, 0, 0, statement.ReasonAbsent, statement.ReasonLoss, statement.ReasonLoss|statement.ReasonVersion, statement.ReasonVersion)
	voters := g.w.voters(subject, g.nodes...)
	if g.chance(20) || len(voters) == 0 {
		voters = append(voters, g.node())
	}
	for _, voter := range voters {
		if g.chance(7) {
			continue
		}
		v := twinVote{voter, subject, why, chain.Permille(g.IntN(1001))}
		if g.chance(5) {
			v.why ^= statement.ReasonAbsent
		}
		all = append(all, move{fmt.Sprint("vote of ", voter, " on ", subject, ": ", v.why), publish(g.w.vote(voter, subject, v.why, v.score)),
			func() string { return g.twin.vote(v, e) }})
	}
	return all
}

// proofs reports an equivocation, an old one again or a new one.
func (g *dice) proofs() []move {
	if len(g.offences) == 0 || g.chance(60) {
		node := g.node()
		if _, listed := g.w.m.List().Find(nodeID(node)); !listed {
			return nil
		}
		p := g.w.equivocation(node)
		if g.chance(60) {
			p = g.w.doubleVote(node, one(g, g.nodes...))
		}
		g.offences = append(g.offences, offence{p.Kind, node, g.w.m.Head().DirEpoch, p.ID(), p.Encode(), 0})
	}
	o, who := g.offences[len(g.offences)-1-g.IntN(min(3, len(g.offences)))], g.somebody()
	if g.chance(30) {
		node := g.node()
		st := statement.Sign(g.w.domain(), nodeKey(node), statement.LabelProof, g.w.next(node, g.twin.epoch), o.encoded)
		return []move{{"report of " + o.String() + " by " + node, publish(st), func() string { return g.twin.report(node, o) }}}
	}
	return []move{g.signed("proof of "+o.String(), who, func(h chain.Head) chain.Tx {
		return slashing.SubmitProofType.Unsigned(slashing.SubmitProof{Head: h, Proof: o.encoded})
	}, func() string { return g.twin.proof(o, who) })}
}
