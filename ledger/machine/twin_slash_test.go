package machine_test

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"

	"tunic/chain"
	"tunic/registry"
	"tunic/slashing"
)

// offence is something that a node did, with the proof.
type offence struct {
	kind    slashing.Kind
	node    string
	epoch   chain.Epoch // in which it was done; the list of the proof is of it too
	id      chain.Hash
	encoded []byte
	class   uint8 // of a lost message
}

func (o offence) String() string { return fmt.Sprint(o.kind, " of ", o.node, " in ", o.epoch) }

// twinRecord is a punished offence.
type twinRecord struct {
	offence
	taken   *big.Int
	at      chain.Time
	height  chain.Height
	due     chain.Time // when the correlation is counted out; 0: it was, or the kind has none
	bonded  *big.Int   // behind all when it was punished, and what others had lost before
	settled bool
}

// proof judges a proof that is valid by itself.
func (t *twin) proof(o offence, reporter string) string {
	b := t.bonds[o.node]
	switch {
	case t.nodes[o.node] == nil:
		return "unknown_node"
	case t.now > t.w.g.EpochStart(o.epoch+1)+chain.Time(t.prm.EvidenceAge):
		return "proof_expired"
	case slices.ContainsFunc(t.records, func(r *twinRecord) bool { return r.id == o.id }):
		return "already_punished"
	case b == nil || b.sum().Sign() == 0:
		return "unknown_node"
	}
	if o.kind == slashing.LostMessage {
		taken, prize := t.slash(o.node, t.lostShare(b.at(o.epoch), o.class), true)
		t.records = append(t.records, &twinRecord{offence: o, at: t.now, height: t.height, taken: taken})
		t.give(reporter, prize)
		t.emptied(o.node)
		return ""
	}
	_, prize := t.punish(o)
	t.give(reporter, prize)
	return ""
}

// punish does what an offence costs but for the reporter's prize, which is taken
// and given to nobody.
func (t *twin) punish(o offence) (*twinRecord, *big.Int) {
	b := t.bonds[o.node]
	share := map[slashing.Kind]uint64{slashing.DoubleDescriptor: uint64(t.prm.SlashDoubleDescriptor), slashing.DoubleVote: uint64(t.prm.SlashDoubleVote),
		slashing.KeyDisclosure: uint64(t.prm.SlashKeyDisclosure)}[o.kind]
	window := chain.Time(t.prm.CorrelationWindow)
	before := num(0)
	for _, r := range t.records {
		if r.bonded != nil && r.at+window > t.now && r.height < t.height {
			before = plus(before, r.taken)
		}
	}
	r := &twinRecord{offence: o, at: t.now, height: t.height, due: t.now + window, bonded: plus(t.bonded, before)}
	var prize *big.Int
	r.taken, prize = t.slash(o.node, bps(b.at(o.epoch), share), true)
	t.records = append(t.records, r)
	if b := t.bonds[o.node]; b != nil {
		b.held = max(b.held, r.due)
	}
	if n := t.nodes[o.node]; o.kind != slashing.DoubleVote && n.state != registry.Tombstoned {
		t.enter(n, registry.Tombstoned)
		n.listed = false
		t.lock(o.node)
	}
	t.emptied(o.node)
	return r, prize
}

// settleOffences takes what correlation costs from those whose window is over.
func (t *twin) settleOffences() {
	var due []*twinRecord
	for _, r := range t.records {
		if r.due != 0 && r.due <= t.now && !r.settled {
			due = append(due, r)
		}
	}
	slices.SortFunc(due, func(a, b *twinRecord) int {
		if a.due != b.due {
			return int(int64(a.due) - int64(b.due))
		}
		return bytes.Compare(a.id[:], b.id[:])
	})
	window := chain.Time(t.prm.CorrelationWindow)
	for _, r := range due {
		all := num(0)
		for _, o := range t.records {
			if o.bonded != nil && o.at+window > r.at && r.at+window > o.at {
				all = plus(all, o.taken)
			}
		}
		r.settled = true
		if b := t.bonds[r.node]; b != nil {
			_, _ = t.slash(r.node, least(b.sum(), times(new(big.Int).Mul(num(3), all), b.sum(), r.bonded)), false)
		}
		t.emptied(r.node)
	}
}

// emptied takes a node that serves with nothing at stake out of the lists to come.
func (t *twin) emptied(node string) {
	if b, n := t.bonds[node], t.nodes[node]; n.state == registry.Active && (b == nil || b.sum().Sign() == 0) {
		t.enter(n, registry.Decommissioned)
	}
}

// slash takes x from a bond, the operator's part first; of nobody's report all
// burns. It returns what was there to take, and the prize of who reported.
func (t *twin) slash(node string, x *big.Int, reported bool) (taken, prize *big.Int) {
	b := t.bonds[node]
	taken, prize = num(0), num(0)
	if x.Sign() == 0 || b.sum().Sign() == 0 {
		return taken, prize
	}
	t.settle(b)
	own := least(x, b.parts[0].stake)
	losses := []*big.Int{own}
	others := minus(b.sum(), b.parts[0].stake)
	rest := least(minus(x, own), others)
	left := rest
	for _, p := range b.parts[1:] {
		loss := num(0)
		if others.Sign() > 0 {
			loss = times(rest, p.stake, others)
		}
		losses, left = append(losses, loss), minus(left, loss)
	}
	for i := 1; i < len(losses) && left.Sign() > 0; i++ {
		if less(losses[i], b.parts[i].stake) {
			losses[i], left = plus(losses[i], num(1)), minus(left, num(1))
		}
	}
	for i, loss := range losses {
		b.parts[i].stake, taken = minus(b.parts[i].stake, loss), plus(taken, loss)
	}
	if reported {
		prize = bps(own, min(5_000, uint64(t.prm.ReporterShare)))
	}
	t.burned = plus(t.burned, minus(taken, prize))
	t.note(b)
	if b.sum().Sign() == 0 {
		t.earn(node, false)
	}
	t.reap(node)
	return taken, prize
}

// report is a statement that carries a proof: the operator gets the prize.
func (t *twin) report(node string, o offence) string {
	n := t.nodes[node]
	switch {
	case n == nil:
		return registry.CodeUnknownNode
	case n.state == registry.Tombstoned:
		return registry.CodeTombstoned
	case n.state == registry.Left || n.state == registry.Deregistered:
		return registry.CodeNotServing
	}
	return t.proof(o, n.operator)
}

func (t *twin) offencesAgree() error {
	s := t.w.m.Slashing()
	if got := len(s.All()); got != len(t.records)+t.verdicts {
		return fmt.Errorf("%d offences, twin %d and %d verdicts", got, len(t.records), t.verdicts)
	}
	for _, r := range t.records {
		got, _ := s.Record(r.id)
		bonded := num(0) // nothing correlates
		if r.bonded != nil {
			bonded = r.bonded
		}
		if num(uint64(got.Total)).Cmp(r.taken) != 0 || num(uint64(got.Correlation.Bonded)).Cmp(bonded) != 0 || (got.Correlation.Settled != nil) != r.settled {
			return fmt.Errorf("%s: took %d of %d, %+v; twin took %s of %s, settled: %t", r, uint64(got.Total), uint64(got.Correlation.Bonded),
				got.Correlation.Settled, r.taken, r.bonded, r.settled)
		}
	}
	return nil
}
