package machine_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/testenv"
	"tunic/ledger/machine"
)

// changes are what members of the council propose at random.
var changes = []func(*genesis.Params){
	func(p *genesis.Params) { p.MinFee += 100 },
	func(p *genesis.Params) { p.BlockReward = 3 },
	func(p *genesis.Params) { p.ParamsDelay = 1 },
	func(p *genesis.Params) { p.Versions = []string{"tunic/1"} },
	func(p *genesis.Params) { p.QuorumVotes = 1 },
	func(p *genesis.Params) { p.UnlockDelay++ },
	func(*genesis.Params) {},
}

// Random transactions of all kinds, most of them refused for some reason: every
// invariant holds after each block, refused ones change nothing, transfers and
// fees agree with a naive twin, and a machine loaded from the rows goes on alike.
func TestRandom(t *testing.T) {
	testenv.Check(t, func(rt *rapid.T) {
		names := []string{"a", "b", "c", "d"}
		w := newCouncil(t, names...)
		twin := map[string]chain.Amount{"nobody": 0}
		nonce := map[string]uint64{}
		for _, n := range names {
			twin[n] = 10_000 * tun
		}
		council := []string{"k1", "k2", "k3"}
		names = append(names, council...)
		for _, n := range council {
			twin[n] = 10_000 * tun
		}
		everybody := append(names, "nobody")
		nodes := []string{"n", "m"}
		amounts := []chain.Amount{0, 1, 500 * tun, 1000 * tun, 1500 * tun, 2000 * tun, 9_999 * tun, 1 << 63}
		now := w.at(0)
		for range rapid.IntRange(1, 12).Draw(rt, "blocks") {
			now += chain.Time(rapid.SampledFrom([]uint64{0, 1000, 5000, 10_000, 35_000, 700_000}).Draw(rt, "wait"))
			var txs [][]byte
			type act struct {
				kind, from, to string
				x              chain.Amount
				fee            chain.Amount
			}
			var acts []act
			count := map[string]int{}
			for range rapid.IntRange(0, 6).Draw(rt, "txs") {
				a := act{
					kind: rapid.SampledFrom([]string{"transfer", "transfer", "register", "contribute", "unlock", "withdraw", "heartbeat", "descriptor", "proof", "change", "change", "commit"}).Draw(rt, "kind"),
					from: rapid.SampledFrom(everybody).Draw(rt, "from"), to: rapid.SampledFrom(everybody).Draw(rt, "to"),
					x: rapid.SampledFrom(amounts).Draw(rt, "amount"), fee: w.m.InForce().Params.MinFee,
				}
				node := rapid.SampledFrom(nodes).Draw(rt, "node")
				after := count[a.from]
				epoch := w.g.EpochAt(now) + chain.Epoch(rapid.IntRange(0, 1).Draw(rt, "ahead"))
				var tx []byte
				switch a.kind {
				case "transfer":
					tx = w.transfer(a.from, a.to, a.x, after)
				case "register":
					tx = w.register(node, a.from, a.x, after)
				case "contribute":
					tx = w.contribute(node, a.from, a.x, after)
				case "unlock":
					tx = w.unlock(node, a.from, after)
				case "withdraw":
					tx = w.withdraw(node, a.from, after)
				case "heartbeat":
					tx = publish(w.heartbeat(node, w.next(node, epoch)))
				case "descriptor":
					tx = publish(w.descriptor(node, w.next(node, epoch), 0))
				case "change":
					a.from = rapid.SampledFrom([]string{"k1", "k2", "k3", "k1", "k2", "k3", "a"}).Draw(rt, "member")
					number := w.m.InForce().Number + rapid.SampledFrom([]uint32{1, 1, 1, 1, 1, 1, 0, 2}).Draw(rt, "number")
					at, change := epoch+rapid.SampledFrom([]chain.Epoch{2, 3, 2, 3, 0}).Draw(rt, "delay"), rapid.SampledFrom(changes).Draw(rt, "change")
					if open := w.m.Approvals(); len(open) > 0 && rapid.Bool().Draw(rt, "follow") {
						at, change = open[0].Epoch, func(p *genesis.Params) { *p = open[0].Params }
					}
					tx = w.change(a.from, number, at, count[a.from], change)
				case "commit":
					tx = w.commit(telling{who: a.from, node: node, key: statement.KeyIdentity, epoch: epoch, salt: [32]byte{byte(a.x)}}, after)
				case "proof":
					if _, listed := w.m.List().Find(nodeID(node)); !listed {
						continue
					}
					tx = w.submitProof(a.from, w.equivocation(node).Encode(), after)
				}
				count[a.from]++ // a refused one leaves a gap: the next is refused too
				txs, acts = append(txs, tx), append(acts, a)
			}
			supply, inForce := w.m.Supply(), w.m.InForce()
			scheduled, pending := w.m.Scheduled()
			before := map[string]chain.Amount{}
			for _, n := range everybody {
				before[n] = w.m.Account(address(n)).Balance
			}
			out := w.block(now, txs...)
			due := pending && w.g.EpochAt(now) >= scheduled.Epoch && out.List != nil
			if f := w.m.InForce(); due != (f.Number == inForce.Number+1) || !due && !cmp.Equal(f, inForce) || due && !cmp.Equal(f.Params, scheduled.Params) {
				rt.Fatalf("in force is number %d after %d, scheduled %+v", f.Number, inForce.Number, scheduled)
			}
			burned := chain.Amount(0)
			moved := false
			for i, r := range out.Results {
				a := acts[i]
				if r.Code != "" {
					continue
				}
				if a.kind == "heartbeat" || a.kind == "descriptor" {
					continue
				}
				nonce[a.from]++
				burned += a.fee
				twin[a.from] -= a.fee
				if a.kind == "transfer" {
					if twin[a.from] < a.x {
						rt.Fatalf("a transfer above the balance was applied")
					}
					twin[a.from] -= a.x
					twin[a.to] += a.x
				} else {
					moved = true // stakes, rewards and slashes move balances too
				}
			}
			for _, n := range everybody {
				acc := w.m.Account(address(n))
				if acc.Nonce != nonce[n] {
					rt.Fatalf("nonce of %s is %d, twin %d", n, acc.Nonce, nonce[n])
				}
				if !moved && acc.Balance != twin[n] {
					rt.Fatalf("balance of %s is %d, twin %d", n, acc.Balance, twin[n])
				}
				twin[n] = acc.Balance
			}
			if got := w.m.Supply().Burned; got < supply.Burned+burned {
				rt.Fatalf("burned %d after %d, fees %d", got, supply.Burned, burned)
			}
		}
		reload(w, rt.Fatalf)
	})
}

// Random votes, silence, offences and departures in a network that judges: every
// invariant holds after each block, and a machine loaded from the rows goes on
// alike.
func TestRandomJudgement(t *testing.T) {
	operators := []string{"a", "b", "c", "d", "e", "f"}
	nodes := []string{"n", "m", "o", "p", "q", "r"}
	testenv.Check(t, func(rt *rapid.T) {
		w := newWorld(t, operators...)
		var txs [][]byte
		for i, n := range nodes {
			txs = append(txs, w.acts([]string{"join", n, operators[i]}, map[string]int{})...)
		}
		w.ok(w.at(0)+1000, txs...)
		w.ok(w.at(1))
		for range rapid.IntRange(1, 8).Draw(rt, "blocks") {
			e := w.m.Head().DirEpoch
			count := map[string]int{}
			txs = nil
			for i, n := range nodes {
				if rapid.IntRange(0, 3).Draw(rt, "silent") > 0 {
					txs = append(txs, publish(w.heartbeat(n, w.next(n, e+1))))
				}
				switch rapid.IntRange(0, 20).Draw(rt, "other") {
				case 0:
					txs = append(txs, w.unlock(n, operators[i], 0))
				case 1:
					txs = append(txs, w.withdraw(n, operators[i], 0))
				case 2:
					if _, listed := w.m.List().Find(nodeID(n)); listed {
						txs = append(txs, w.submitProof(operators[i], w.equivocation(n).Encode(), 0))
					}
				case 3:
					txs = append(txs, publish(w.commitment(n, e)))
				}
				why := rapid.SampledFrom([]string{"0", "1", "2", "3", "8"}).Draw(rt, "why")
				score := rapid.SampledFrom([]string{"0", "930", "1000"}).Draw(rt, "score")
				txs = append(txs, w.acts([]string{"votes", n, why, score, "n", "m", "o", "p", "q", "r"}, count)...)
			}
			w.block(w.m.Head().Time+1, txs...)
			w.block(w.at(e+1) + chain.Time(rapid.SampledFrom([]int{0, 1, 9_999, 10_000, 30_000}).Draw(rt, "late")))
		}
		reload(w, rt.Fatalf)
	})
}

// reload loads the machine from its rows and lets both go on for one block.
func reload(w *world, fail func(string, ...any)) {
	rows := rowsOf(w.m)
	twin, err := machine.Load(w.g.Core, w.g.Hash(), w.m.Head(), rows, w.m.List(), indexOf(w.headers))
	if err != nil {
		fail("load: %v", err)
		return
	}
	seq := statement.NewSequence(w.m.Head().DirEpoch+1, 1<<19)
	txs := [][]byte{publish(w.heartbeat("n", seq)), publish(w.descriptor("n", seq, 0))}
	for _, m := range []*machine.Machine{w.m, twin} {
		if _, err := m.Apply(machine.Input{Height: m.Head().Height + 1, Time: w.m.Head().Time, Txs: m.PrepareAll(txs), Fork: m.Fork()}); err != nil {
			fail("apply: %v", err)
		}
	}
	if a, b := fmt.Sprintf("%+v", w.m.Head()), fmt.Sprintf("%+v", twin.Head()); a != b {
		fail("after a load the machines part:\n%s\n%s", a, b)
	}
}
