package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"

	"tunic/chain"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/registry/directory"
	"tunic/slashing"
)

// Bounds of what outcomes are made of: blocks back from the head, and entries
// (transactions, steps of nodes and the like) of them together. The newest block
// counts even where it has more.
const (
	maxTraces  = 1024
	maxEntries = 1 << 17
)

// Outcome is what a block did, as it stands in the state after it. It is the same
// whenever it is read.
type Outcome struct {
	chain.SealedHeader
	Epoch   *EpochStart       // of the first block of an epoch
	Params  uint32            // number of the parameters that came into force; 0 for none
	Nodes   []registry.Event  // by node, those of one in their order
	Slashes []slashing.Record // ascending by offence
	Txs     []TxOutcome       // in the block's order, statements included
}

// EpochStart says who was listed anew.
type EpochStart struct {
	Listed       int
	Joined, Left []chain.NodeID // beside the list before; ascending
}

// TxOutcome is what became of one transaction.
type TxOutcome struct {
	ID     chain.Hash
	Kind   chain.Kind
	Code   string        // empty: applied
	Sender chain.Address // zero where no account signed
}

// traces keeps of the newest blocks what their outcomes need beside the database
// and the state. It fills when the first outcome is asked for.
type traces struct {
	recovering sync.Mutex // held while senders of an old block are recovered; before mu

	mu      sync.Mutex
	begun   bool
	first   chain.Height // of kept[0]; the next block's where nothing is kept
	kept    []trace
	entries int
	list    *directory.List // of the newest block; nil where it must be read
}

// trace is of one block.
type trace struct {
	epoch   *EpochStart
	params  uint32
	nodes   []registry.Event
	slashes []chain.Hash
	senders []chain.Address // one for each transaction; nil: not recovered yet
	entries int
}

func (t *trace) weigh(h chain.Header) {
	t.entries = 1 + int(h.TxCount) + len(t.nodes) + len(t.slashes)
	if t.epoch != nil {
		t.entries += len(t.epoch.Joined) + len(t.epoch.Left)
	}
}

func (t *traces) trim() {
	for len(t.kept) > maxTraces || t.entries > maxEntries && len(t.kept) > 1 {
		t.entries -= t.kept[0].entries
		t.kept[0] = trace{}
		t.kept = t.kept[1:]
		t.first++
	}
}

// cut forgets the blocks from h on.
func (t *traces) cut(h chain.Height) {
	for len(t.kept) > 0 && t.first+chain.Height(len(t.kept)) > h {
		last := len(t.kept) - 1
		t.entries -= t.kept[last].entries
		t.kept = t.kept[:last]
	}
	t.first, t.list = min(t.first, h), nil
}

// trace notes a block that has become the head; mu is held.
func (l *Ledger) trace(out *machine.Output, txs []machine.Prepared) {
	t, h := &l.traces, out.Header
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.begun {
		return
	}
	if h.Height != t.first+chain.Height(len(t.kept)) {
		t.cut(h.Height)
	}
	x := trace{senders: make([]chain.Address, len(txs)), slashes: newRecords(out, l.machine), nodes: slices.Clone(out.Events)}
	for i := range txs {
		x.senders[i] = txs[i].Sender
	}
	slices.SortStableFunc(x.nodes, func(a, b registry.Event) int { return bytes.Compare(a.Node[:], b.Node[:]) })
	var err error
	if out.List != nil {
		x.params = l.broughtIn(h)
		x.epoch, err = l.epochStart(out.List, t.list, h.Height)
	}
	t.list = l.machine.List()
	if err != nil { // the list before is not kept: the window begins behind this block
		if !errors.Is(err, ErrNotFound) {
			l.log.Error("outcomes begin anew", "height", h.Height, "error", err)
		}
		t.kept, t.entries, t.first = nil, 0, h.Height+1
		return
	}
	x.weigh(h)
	t.kept, t.entries = append(t.kept, x), t.entries+x.entries
	t.trim()
}

// newRecords are the offences that a block punished, ascending.
func newRecords(out *machine.Output, m *machine.Machine) []chain.Hash {
	var ids []chain.Hash
	prefix := slashing.RecordKey(chain.Hash{})[:1]
	for _, c := range out.Changes[machine.PartOffences] {
		id, ok := bytes.CutPrefix(c.Key, prefix)
		if !ok || len(id) != len(chain.Hash{}) {
			continue
		}
		if r, ok := m.Slashing().Record(chain.Hash(id)); ok && r.At == out.Header.Height {
			ids = append(ids, r.ID)
		}
	}
	slices.SortFunc(ids, func(a, b chain.Hash) int { return bytes.Compare(a[:], b[:]) })
	return ids
}

// broughtIn is the number of the parameters that came into force with the first
// block of an epoch, 0 for none; mu is held.
func (l *Ledger) broughtIn(h chain.Header) uint32 {
	if f := l.machine.InForce(); f.Since == h.DirEpoch {
		return f.Number
	}
	return 0
}

// epochStart compares a list that was frozen at h with the one before, which is
// read where it is nil; ErrNotFound where it is not kept. mu is held.
func (l *Ledger) epochStart(list, before *directory.List, h chain.Height) (*EpochStart, error) {
	if before == nil {
		before = machine.EmptyList()
		if h > 1 {
			parent, err := l.db.header(h - 1)
			if err != nil {
				return nil, err
			}
			if e := parent.Header.DirEpoch; e > 0 {
				if before, _, err = l.db.list(e); err != nil {
					return nil, err
				}
			}
		}
	}
	return newEpochStart(list, before), nil
}

func newEpochStart(list, before *directory.List) *EpochStart {
	d := directory.Diff(before, list)
	out := &EpochStart{Listed: len(list.Entries)}
	for i := range d.Added {
		out.Joined = append(out.Joined, d.Added[i].Node)
	}
	for _, i := range d.Removed {
		out.Left = append(out.Left, before.Entries[i].Node)
	}
	return out
}

// OutcomesFrom is the first block whose outcome can be read: of the last 1,024,
// and fewer where they did much, or where this process did not see them sealed
// and a list before one of them is not kept any more.
func (l *Ledger) OutcomesFrom() (chain.Height, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	l.traces.mu.Lock()
	defer l.traces.mu.Unlock()
	if err := l.beginTraces(); err != nil {
		return 0, err
	}
	return max(l.traces.first, l.db.first), nil
}

// beginTraces fills the traces out of database and state, once; mu (for reading)
// and that of the traces are held.
func (l *Ledger) beginTraces() error {
	t := &l.traces
	if t.begun {
		return nil
	}
	head := l.head.Header
	headers, err := l.recent(head.Height)
	if err != nil {
		return err
	}
	kept := make([]trace, len(headers)) // newest first, as headers
	n := 0
	inForce := l.machine.InForce()
	var list *directory.List // as last read: of the epoch that begins at or above headers[n]
	read := func(e chain.Epoch) (*directory.List, error) {
		switch {
		case e == 0:
			return machine.EmptyList(), nil
		case e == head.DirEpoch:
			return l.machine.List(), nil
		case list != nil && list.Epoch == e:
			return list, nil
		}
		x, _, err := l.db.list(e)
		return x, err
	}
	for n < len(headers) && n < maxTraces {
		h, x := headers[n], &kept[n]
		if before := h.Height == 1 || n+1 < len(headers); !before {
			break // read for its successor's sake
		}
		begins := h.DirEpoch > 0 && (h.Height == 1 || headers[n+1].DirEpoch != h.DirEpoch)
		if begins {
			before := machine.EmptyList()
			if list, err = read(h.DirEpoch); err == nil && h.Height > 1 {
				before, err = read(headers[n+1].DirEpoch)
			}
			if err == nil {
				x.epoch, list = newEpochStart(list, before), before
			}
			if errors.Is(err, ErrNotFound) {
				break
			}
			if err != nil {
				return err
			}
			x.params = l.broughtIn(h)
		}
		n++
		// When those before came into force is not in the state.
		if begins && inForce.Number > 1 && inForce.Since == h.DirEpoch {
			break
		}
	}
	kept, headers = kept[:n], headers[:n]
	slices.Reverse(kept)
	slices.Reverse(headers)
	first := head.Height + 1 - chain.Height(n)
	for e := range l.machine.Registry().Events() {
		if e.Height >= first {
			x := &kept[e.Height-first]
			x.nodes = append(x.nodes, e)
		}
	}
	for _, r := range l.machine.Slashing().All() {
		if r.At >= first {
			x := &kept[r.At-first]
			x.slashes = append(x.slashes, r.ID)
		}
	}
	for i := range kept {
		kept[i].weigh(headers[i])
		t.entries += kept[i].entries
	}
	t.begun, t.first, t.kept, t.list = true, first, kept, l.machine.List()
	t.trim()
	return nil
}

// recent are the headers from h back: one more than there are traces, and no
// more than have as many transactions.
func (l *Ledger) recent(h chain.Height) ([]chain.Header, error) {
	var out []chain.Header
	for txs := 0; h > 0 && h+1 >= l.db.first && len(out) <= maxTraces && txs <= maxEntries; h-- {
		s, err := l.db.header(h)
		if err != nil {
			return nil, err
		}
		out, txs = append(out, s.Header), txs+int(s.Header.TxCount)
	}
	return out, nil
}

// Outcome is what a block did. ErrNotFound after a revert took its place,
// ErrNotKept before OutcomesFrom.
func (l *Ledger) Outcome(s chain.SealedHeader) (Outcome, error) {
	out, txs, missing, err := l.outcome(s)
	if err != nil || !missing {
		return out, err
	}
	// Public-key recoveries of an old block: one such block at a time, and nobody
	// waits for it but who asks for one too.
	l.traces.recovering.Lock()
	defer l.traces.recovering.Unlock()
	if out, txs, missing, err = l.outcome(s); err != nil || !missing {
		return out, err
	}
	senders := make([]chain.Address, len(txs))
	for i, tx := range txs {
		if out.Txs[i].Kind.Signed() {
			senders[i] = l.intake.Prepare(tx).Sender
		}
		out.Txs[i].Sender = senders[i]
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err := l.stands(s); err != nil {
		return out, err
	}
	l.traces.mu.Lock()
	defer l.traces.mu.Unlock()
	if x := l.traces.at(s.Header.Height); x != nil {
		x.senders = senders
	}
	return out, nil
}

func (t *traces) at(h chain.Height) *trace {
	if h < t.first || h-t.first >= chain.Height(len(t.kept)) {
		return nil
	}
	return &t.kept[h-t.first]
}

// outcome is Outcome with the block's transactions, and whether their senders
// are missing.
func (l *Ledger) outcome(s chain.SealedHeader) (out Outcome, txs [][]byte, missing bool, err error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err := l.stands(s); err != nil {
		return out, nil, false, err
	}
	t, h := &l.traces, s.Header.Height
	t.mu.Lock()
	if err = l.beginTraces(); err == nil && h < t.first {
		err = fmt.Errorf("%w: what block %d did; it is from block %d on", ErrNotKept, h, t.first)
	}
	var x trace
	if at := t.at(h); err == nil && at != nil {
		x = *at // what it holds is not changed in place
	}
	t.mu.Unlock()
	if err != nil {
		return out, nil, false, err
	}
	out = Outcome{SealedHeader: s, Epoch: x.epoch, Params: x.params, Nodes: x.nodes}
	for _, id := range x.slashes {
		if r, ok := l.machine.Slashing().Record(id); ok {
			out.Slashes = append(out.Slashes, r)
		}
	}
	if s.Header.TxCount == 0 {
		return out, nil, false, nil
	}
	b, err := l.db.block(h)
	if err != nil {
		return out, nil, false, err
	}
	results, err := l.db.results(h)
	if err != nil {
		return out, nil, false, err
	}
	if len(results) != len(b.Txs) {
		return out, nil, false, corrupt("block %d has %d transactions and %d results", h, len(b.Txs), len(results))
	}
	out.Txs = make([]TxOutcome, len(b.Txs))
	for i, tx := range b.Txs {
		x := TxOutcome{ID: results[i].Tx, Code: results[i].Code}
		if len(tx) > 0 {
			x.Kind = chain.Kind(tx[0])
		}
		out.Txs[i] = x
	}
	if x.senders == nil {
		missing = slices.ContainsFunc(out.Txs, func(t TxOutcome) bool { return t.Kind.Signed() })
		return out, b.Txs, missing, nil
	}
	for i := range out.Txs {
		out.Txs[i].Sender = x.senders[i]
	}
	return out, nil, false, nil
}
