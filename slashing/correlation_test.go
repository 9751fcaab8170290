package slashing_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/testenv"
	"tunic/slashing"
)

// stakes are bonds of one account each, kept by hand.
type stakes struct {
	now, then map[chain.NodeID]chain.Amount
	held      map[chain.NodeID]chain.Time
	burned    chain.Amount
	rewards   chain.Amount
}

func newStakes(of map[byte]chain.Amount) *stakes {
	s := &stakes{map[chain.NodeID]chain.Amount{}, map[chain.NodeID]chain.Amount{}, map[chain.NodeID]chain.Time{}, 0, 0}
	for n, x := range of {
		s.now[nodeOf(key(n))], s.then[nodeOf(key(n))] = x, x
	}
	return s
}

func (s *stakes) Bonded(n chain.NodeID) chain.Amount                 { return s.now[n] }
func (s *stakes) StakeAt(n chain.NodeID, _ chain.Epoch) chain.Amount { return s.then[n] }

func (s *stakes) Slash(n chain.NodeID, t slashing.Taking) slashing.Slashed {
	x := min(t.Amount, s.now[n])
	s.now[n] -= x
	s.held[n] = max(s.held[n], t.HoldUntil)
	out := slashing.Slashed{Total: x, OperatorLoss: x}
	if t.Reporter != nil {
		out.Reward = t.Share.Of(x)
	}
	out.Burned = x - out.Reward
	if x > 0 {
		out.Losses = []slashing.Loss{{Account: chain.Address{9}, Amount: x}}
	}
	s.burned += out.Burned
	s.rewards += out.Reward
	return out
}

func (s *stakes) total() (sum chain.Amount) {
	for _, x := range s.now {
		sum += x
	}
	return sum
}

// offences are punished in blocks; each is a node and an offence's number.
type punished struct {
	node, number byte
	at           chain.Time // since the start of the epoch after the offence
	vote         bool
}

// run punishes the offences, settles at each block and in the end, and gives what
// each node lost to correlation.
func run(t interface{ Fatal(...any) }, w world, of map[byte]chain.Amount, all []punished) (*stakes, map[byte]chain.Amount, []slashing.Record) {
	b := newStakes(of)
	supply := b.total()
	part, s := newReducer(&w.core)
	n := &nodes{}
	for k := range of {
		n.known = append(n.known, nodeOf(key(k)))
	}
	start := w.core.EpochStart(epoch + 1)
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b punished) int { return int(a.at) - int(b.at) })
	var settled []slashing.Record
	height := chain.Height(130)
	block := func(at chain.Time, txs []punished) {
		height++
		ctx := slashing.Context{Height: height, Time: start + at, Bonded: b.total()}
		settled = append(settled, s.Settle(ctx, b)...)
		for _, x := range txs {
			var p slashing.Proof
			var err error
			if x.vote {
				p, err = slashing.Assemble(slashing.DoubleVote, vote(w.domain(), x.node, chain.NodeID{x.number}, epoch, 0, 1).Encode(),
					vote(w.domain(), x.node, chain.NodeID{x.number}, epoch, 0, 2).Encode(), w.header, w.list)
			} else {
				d := func(v string) []byte {
					s := descriptor(w.domain(), x.node, v, epoch)
					return statement.Sign(w.domain(), key(x.node), s.Label, s.Sequence+statement.Sequence(x.number), s.Body).Encode()
				}
				p, err = slashing.Assemble(slashing.DoubleDescriptor, d("1"), d("2"), w.header, w.list)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Punish(p, chain.Address{1}, ctx, w.ledger(), b, n); err != nil && !is(err, slashing.ErrUnknownNode) && !is(err, slashing.ErrAlreadyPunished) {
				t.Fatal(err)
			}
		}
		part.Commit()
		if err := s.CheckAll(); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].at == all[i].at {
			j++
		}
		block(all[i].at, all[i:j])
		i = j
	}
	for due, ok := s.NextDue(); ok; due, ok = s.NextDue() {
		block(due-start, nil)
	}
	if b.total()+b.burned+b.rewards != supply {
		t.Fatal("units were made or lost")
	}
	lost := map[byte]chain.Amount{}
	for _, r := range settled {
		for k := range of {
			if nodeOf(key(k)) == r.Node {
				lost[k] += r.Correlation.Settled.Total
			}
		}
		if r.Correlation.Settled.Total > r.Correlation.Settled.Stake {
			t.Fatal("more than there was")
		}
	}
	return b, lost, settled
}

// The further loss in a few cases, by hand. Six nodes of 2,000 each; 5 % are 100.
func TestCorrelation(t *testing.T) {
	w := newWorld()
	window := chain.Time(w.core.Params.CorrelationWindow)
	all := map[byte]chain.Amount{1: 2000, 2: 2000, 3: 2000, 4: 2000, 5: 2000, 6: 2000}
	one := func(n byte, at chain.Time) punished { return punished{node: n, at: at} }
	for name, c := range map[string]struct {
		of   map[byte]chain.Amount
		acts []punished
		want map[byte]chain.Amount
	}{
		"alone":                    {all, []punished{one(1, 0)}, map[byte]chain.Amount{1: 47}},                                                                                                                                                                                  // 1,900 * 300 / 12,000
		"two in a block":           {all, []punished{one(1, 0), one(2, 0)}, map[byte]chain.Amount{1: 95, 2: 95}},                                                                                                                                                                // 1,900 * 600 / 12,000
		"two within the window":    {all, []punished{one(1, 0), one(2, window-1)}, map[byte]chain.Amount{1: 95, 2: 95}},                                                                                                                                                         // D = 11,900 + 100
		"two a window apart":       {all, []punished{one(1, 0), one(2, window)}, map[byte]chain.Amount{1: 47, 2: 47}},                                                                                                                                                           // neither counts the other
		"a chain of three":         {all, []punished{one(1, 0), one(2, window-1), one(3, window)}, map[byte]chain.Amount{1: 95, 2: 142, 3: 95}},                                                                                                                                 // 1 and 3 do not meet
		"a double-vote":            {all, []punished{{node: 1, vote: true}}, map[byte]chain.Amount{1: 19}},                                                                                                                                                                      // 1,960 * 120 / 12,000
		"all that there is":        {map[byte]chain.Amount{1: 2000, 2: 100}, []punished{one(1, 0), {node: 2, vote: true}, {node: 1, number: 1}, {node: 1, number: 2}, {node: 1, number: 3}, {node: 1, number: 4}, {node: 1, number: 5}}, map[byte]chain.Amount{1: 1399, 2: 84}}, // 3 * 602 / 2,100
		"three quarters of a pair": {map[byte]chain.Amount{1: 2000, 2: 2000}, []punished{one(1, 0), one(2, 5)}, map[byte]chain.Amount{1: 285, 2: 285}},
	} {
		_, got, _ := run(t, w, c.of, c.acts)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// The record tells what was taken and why; what is left is held until then; each
// is settled once.
func TestSettlement(t *testing.T) {
	w := newWorld()
	b, _, settled := run(t, w, map[byte]chain.Amount{1: 2000, 2: 2000}, []punished{{node: 1}, {node: 2, at: 7}})
	start, window := w.core.EpochStart(epoch+1), chain.Time(w.core.Params.CorrelationWindow)
	if len(settled) != 2 {
		t.Fatalf("%d settled", len(settled))
	}
	c := settled[1].Correlation
	if c.Due != start+7+window || c.Bonded != 4000 || c.Before != 100 || c.Settled.Sum != 200 || c.Settled.Stake != 1900 || c.Settled.Total != 285 ||
		c.Settled.Reward != 0 || c.Settled.Burned != 285 || c.Settled.Time != c.Due || c.Fraction() != 150_000 {
		t.Errorf("%+v %+v", c, c.Settled)
	}
	if b.held[nodeOf(key(1))] != start+window {
		t.Errorf("held until %d", b.held[nodeOf(key(1))])
	}
}

// The same offences in any order within one window cost the same, never more than
// there is; no unit appears or is lost.
func TestCorrelationIgnoresOrder(t *testing.T) {
	w := newWorld()
	window := int(w.core.Params.CorrelationWindow)
	testenv.Check(t, func(rt *rapid.T) {
		of := map[byte]chain.Amount{}
		for n := byte(1); n <= 6; n++ {
			of[n] = chain.Amount(rapid.Uint64Range(1000, 1<<50).Draw(rt, fmt.Sprint("stake ", n)))
		}
		// One offence a node: how often a node is punished before nothing is left
		// must not depend on what others did.
		var acts []punished
		for _, n := range rapid.Permutation([]byte{1, 2, 3, 4, 5, 6}).Draw(rt, "nodes")[:rapid.IntRange(1, 6).Draw(rt, "offenders")] {
			acts = append(acts, punished{node: n, number: 7, vote: rapid.Bool().Draw(rt, "vote")})
		}
		times := rapid.SliceOfN(rapid.IntRange(0, window-1), len(acts), len(acts)).Draw(rt, "times")
		in := func(order []int) []punished {
			out := slices.Clone(acts)
			for i, at := range order {
				out[i].at = chain.Time(at)
			}
			return out
		}
		b, first, _ := run(rt, w, of, in(times))
		c, second, _ := run(rt, w, of, in(rapid.Permutation(times).Draw(rt, "other order")))
		if !cmp.Equal(first, second) || !cmp.Equal(b.now, c.now) {
			rt.Fatalf("losses depend on the order: %v, %v", first, second)
		}
	})
}
