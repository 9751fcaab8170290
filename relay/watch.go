package relay

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/durable"
	"tunic/slashing"
)

const (
	maxKnown   = 1 << 14 // descriptors remembered, and as many votes
	maxHeard   = 32      // of these, heard from one node and not seen in a block
	maxPairs   = 64      // equivocations waiting for a list that names the node
	pairEpochs = 8       // for how many epochs they wait
	maxReports = 1 << 12 // offences remembered as reported
	maxProofs  = 64      // reports on their way into a block
	maxOfNode  = 4       // offences of one node that are reported; one removes it
)

// statementKey is what an honest node signs only once: a sequence, and of votes
// a sequence and subject.
type statementKey struct {
	node, subject chain.NodeID
	seq           statement.Sequence
}

func keyFor(s statement.Statement) statementKey {
	k := statementKey{node: s.Node, seq: s.Sequence}
	if s.Label == statement.LabelVote {
		if v, err := statement.DecodeVote(s.Body); err == nil {
			k.subject = v.Subject
		}
	}
	return k
}

// seen is a remembered statement. Those of blocks are verified only where it
// matters: when another under the same sequence turns up.
type seen struct {
	encoded  []byte
	verified bool
	block    bool // it stood in a block
}

// pair is two statements of one node under one key.
type pair struct {
	node          chain.NodeID
	first, second []byte
	epochs        int // waited
}

// watch remembers the descriptors, or the votes, that were seen on links and in
// blocks and finds two that contradict each other: an offence of its kind. The owner of the state owns it. By what it says on links a
// node can push out neither what others said nor what stood in blocks.
type watch struct {
	kind     slashing.Kind
	known    map[statementKey]seen
	order    []statementKey       // of arrival, to forget the oldest
	heard    map[chain.NodeID]int // of those that are known, not from a block
	pairs    []pair
	reported map[chain.Hash]bool  // by offence id
	charged  map[chain.NodeID]int // offences reported
}

func newWatch(kind slashing.Kind) *watch {
	return &watch{
		kind:  kind,
		known: make(map[statementKey]seen), heard: make(map[chain.NodeID]int),
		reported: make(map[chain.Hash]bool), charged: make(map[chain.NodeID]int),
	}
}

func (w *watch) reset() { *w = *newWatch(w.kind) }

// observe notes a statement of the domain's fork; verified says whether its
// signature is, as that of one heard on a link must be. encoded is kept, and
// nobody changes it.
func (w *watch) observe(d statement.Domain, s statement.Statement, encoded []byte, verified bool) {
	k := keyFor(s)
	old, known := w.known[k]
	if !known {
		w.remember(k, seen{encoded, verified, !verified})
		return
	}
	former, err := statement.Decode(old.encoded)
	if err != nil || bytes.Equal(former.Body, s.Body) {
		if !verified && !old.block {
			w.known[k] = seen{old.encoded, old.verified, true}
			w.unheard(k.node)
		}
		return // the same content, maybe signed twice
	}
	if !verified && s.Verify(d) != nil {
		return
	}
	if !old.verified && former.Verify(d) != nil {
		w.known[k] = seen{encoded, true, old.block} // the former was never the node's
		return
	}
	w.known[k] = seen{old.encoded, true, old.block}
	waiting := w.charged[s.Node]
	for _, p := range w.pairs {
		if bytes.Equal(p.first, old.encoded) {
			return
		}
		if p.node == s.Node {
			waiting++
		}
	}
	if len(w.pairs) < maxPairs && waiting < maxOfNode {
		w.pairs = append(w.pairs, pair{node: s.Node, first: old.encoded, second: encoded})
	}
}

// remember adds a descriptor, and forgets an older one where there is no room.
func (w *watch) remember(k statementKey, d seen) {
	switch {
	case !d.block && w.heard[k.node] >= maxHeard:
		w.forget(slices.IndexFunc(w.order, func(o statementKey) bool { return o.node == k.node && !w.known[o].block }))
	case len(w.order) >= maxKnown:
		w.forget(0)
	}
	if !d.block {
		w.heard[k.node]++
	}
	w.known[k] = d
	w.order = append(w.order, k)
}

func (w *watch) forget(i int) {
	k := w.order[i]
	if !w.known[k].block {
		w.unheard(k.node)
	}
	delete(w.known, k)
	if i == 0 {
		w.order = w.order[1:]
	} else {
		w.order = slices.Delete(w.order, i, i+1)
	}
}

func (w *watch) unheard(id chain.NodeID) {
	if w.heard[id]--; w.heard[id] <= 0 {
		delete(w.heard, id)
	}
}

// begin starts an epoch.
func (w *watch) begin() {
	kept := w.pairs[:0]
	for _, p := range w.pairs {
		if p.epochs++; p.epochs <= pairEpochs {
			kept = append(kept, p)
		}
	}
	w.pairs = kept
	if len(w.reported) > maxReports {
		clear(w.reported) // reporting again does no harm
		clear(w.charged)
	}
}

// hear takes what a peer's Hello brought. Its only error is ErrTwoHeads.
func (o *owner) hear(ctx context.Context, rep report) error {
	if rep.header != nil {
		if c := o.heads.claim(*rep.header); c != nil {
			return o.halt(c)
		}
	}
	if d := rep.descriptor; d != nil && d.Fork == o.head.Fork && d.Node != o.id {
		// Whoever is not listed cannot be proven to be a node, and could fill
		// the memory.
		if _, listed := o.view.Load().find(d.Node); listed {
			o.watch.observe(o.domain(), *d, bytes.Clone(rep.encoded), true) // out of the whole greeting
			o.report(ctx)
		}
	}
	for _, v := range rep.votes {
		// Votes of another epoch than about this one are proven by no list.
		if e := v.Sequence.Epoch(); v.Fork == o.head.Fork && v.Node != o.id && e <= o.head.DirEpoch+1 && e+keptLists > o.head.DirEpoch {
			o.ballots.observe(o.domain(), v, v.Encode(), true)
			o.report(ctx)
		}
	}
	return nil
}

// report assembles a proof for each equivocation seen, writes it to the folder
// and publishes it. A pair of a node that no list at hand names waits.
func (o *owner) report(ctx context.Context) {
	o.reportOf(ctx, o.watch)
	o.reportOf(ctx, o.ballots)
	o.forgetProofs()
}

func (o *owner) reportOf(ctx context.Context, w *watch) {
	waiting := w.pairs[:0]
	for _, p := range w.pairs {
		proof, ok := o.assemble(w.kind, p)
		if !ok {
			waiting = append(waiting, p)
			continue
		}
		id := proof.ID()
		if w.reported[id] {
			continue
		}
		w.reported[id] = true
		w.charged[p.node]++
		encoded := proof.Encode()
		if o.cfg.Dir != "" {
			if err := o.saveProof(id, encoded); err != nil {
				o.log.Error("cannot save a proof; it is submitted all the same", "offence", id, "error", err)
			}
		}
		o.log.Warn("a node signed two statements that contradict each other; reporting it", "kind", proof.Kind.String(), "offence", id)
		if len(o.proofs) >= maxProofs {
			o.log.Error("too many reports wait; the proof file is kept", "offence", id)
			continue
		}
		s, err := o.sign(statement.LabelProof, max(o.head.DirEpoch, o.syncEpoch+1), encoded, 0)
		if err != nil {
			o.log.Error("cannot sign a report; the proof file is kept", "offence", id, "error", err)
			continue
		}
		o.proofs = append(o.proofs, s)
		o.offer(ctx, s)
	}
	w.pairs = waiting
}

func (o *owner) saveProof(id chain.Hash, encoded []byte) error {
	dir := filepath.Join(o.cfg.Dir, proofFolder)
	if err := durable.MkdirAll(dir); err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, id.String()+".proof"), encoded, 0o644)
}

func (o *owner) assemble(kind slashing.Kind, p pair) (slashing.Proof, bool) {
	for e, list := range o.lists {
		if proof, err := slashing.Assemble(kind, p.first, p.second, o.listed[e], list); err == nil {
			return proof, true
		}
	}
	return slashing.Proof{}, false
}

// proofSigned is how often a report is signed, each time for a later epoch,
// before the proof is left to the file.
const proofSigned = 4

// renew signs a report again whose epoch has passed without a block taking it.
func (o *owner) renew(s *outgoing) {
	target := max(o.head.DirEpoch, o.syncEpoch+1)
	if s.done || s.signed >= proofSigned || !s.stale && s.Sequence.Epoch() >= o.head.DirEpoch {
		return
	}
	skip := uint32(0)
	if s.stale {
		skip = 1 << 14
	}
	fresh, err := o.sign(statement.LabelProof, target, s.Body, skip)
	if err != nil {
		o.log.Error("cannot sign a report", "error", err)
		return
	}
	fresh.signed = s.signed + 1
	*s = *fresh
}

func (o *owner) forgetProofs() {
	kept := o.proofs[:0]
	for _, s := range o.proofs {
		if !s.done && (s.signed < proofSigned || s.Sequence.Epoch() >= o.head.DirEpoch) {
			kept = append(kept, s)
		}
	}
	o.proofs = kept
}
