package relay

import (
	"bytes"
	"context"
	"path/filepath"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/durable"
	"tunic/slashing"
)

const (
	maxKnown   = 1 << 14 // descriptors remembered
	maxPairs   = 64      // equivocations waiting for a list that names the node
	pairEpochs = 8       // for how many epochs they wait
	maxReports = 1 << 12 // offences remembered as reported
	maxProofs  = 64      // reports on their way into a block
)

type descriptorKey struct {
	node chain.NodeID
	seq  statement.Sequence
}

// seen is a remembered descriptor. Those of blocks are verified only where it
// matters: when another under the same sequence turns up.
type seen struct {
	encoded  []byte
	verified bool
}

// pair is two descriptors of one node under one sequence.
type pair struct {
	first, second []byte
	epochs        int // waited
}

// watch remembers the descriptors seen on links and in blocks and finds two
// under one sequence. The owner of the state owns it.
type watch struct {
	known    map[descriptorKey]seen
	order    []descriptorKey // of arrival, to forget the oldest
	pairs    []pair
	reported map[chain.Hash]bool // by offence id
}

func newWatch() *watch {
	return &watch{known: make(map[descriptorKey]seen), reported: make(map[chain.Hash]bool)}
}

func (w *watch) reset() { *w = *newWatch() }

// observe notes a descriptor of the domain's fork; verified says whether its
// signature is.
func (w *watch) observe(d statement.Domain, s statement.Statement, encoded []byte, verified bool) {
	k := descriptorKey{s.Node, s.Sequence}
	old, known := w.known[k]
	if !known {
		if len(w.order) >= maxKnown {
			delete(w.known, w.order[0])
			w.order = w.order[1:]
		}
		w.known[k] = seen{bytes.Clone(encoded), verified}
		w.order = append(w.order, k)
		return
	}
	former, err := statement.Decode(old.encoded)
	if err != nil || bytes.Equal(former.Body, s.Body) {
		return // the same content, maybe signed twice
	}
	if !verified && s.Verify(d) != nil {
		return
	}
	if !old.verified && former.Verify(d) != nil {
		w.known[k] = seen{bytes.Clone(encoded), true} // the former was never the node's
		return
	}
	w.known[k] = seen{old.encoded, true}
	for _, p := range w.pairs {
		if bytes.Equal(p.first, old.encoded) {
			return
		}
	}
	if len(w.pairs) < maxPairs {
		w.pairs = append(w.pairs, pair{first: old.encoded, second: bytes.Clone(encoded)})
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
			o.watch.observe(o.domain(), *d, rep.encoded, true)
			o.report(ctx)
		}
	}
	return nil
}

// report assembles a proof for each equivocation seen, writes it to the folder
// and publishes it. A pair of a node that no list at hand names waits.
func (o *owner) report(ctx context.Context) {
	waiting := o.watch.pairs[:0]
	for _, p := range o.watch.pairs {
		proof, ok := o.assemble(p)
		if !ok {
			waiting = append(waiting, p)
			continue
		}
		id := proof.ID()
		if o.watch.reported[id] {
			continue
		}
		o.watch.reported[id] = true
		encoded := proof.Encode()
		if o.cfg.Dir != "" {
			if err := o.saveProof(id, encoded); err != nil {
				o.log.Error("cannot save a proof; it is submitted all the same", "offence", id, "error", err)
			}
		}
		o.log.Warn("a node signed two descriptors under one sequence; reporting it", "kind", proof.Kind.String(), "offence", id)
		s, err := o.sign(statement.LabelProof, max(o.head.DirEpoch, o.syncEpoch+1), encoded, 0)
		if err != nil || len(o.proofs) >= maxProofs {
			o.log.Error("cannot sign a report; the proof file is kept", "offence", id, "error", err)
			continue
		}
		o.proofs = append(o.proofs, s)
		o.offer(ctx, s)
	}
	o.watch.pairs = waiting
	o.forgetProofs()
}

func (o *owner) saveProof(id chain.Hash, encoded []byte) error {
	dir := filepath.Join(o.cfg.Dir, proofFolder)
	if err := durable.MkdirAll(dir); err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, id.String()+".proof"), encoded, 0o644)
}

func (o *owner) assemble(p pair) (slashing.Proof, bool) {
	for e, list := range o.lists {
		if proof, err := slashing.Assemble(slashing.DoubleDescriptor, p.first, p.second, o.listed[e], list); err == nil {
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
