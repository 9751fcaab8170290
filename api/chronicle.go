package api

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"

	"tunic/chain"
	"tunic/ledger"
	"tunic/ledger/machine"
)

// Bounds of what a chronicle remembers.
const (
	keptEpochs = 64
	keptBlocks = 20_000
)

// keptTxs is how many transactions of accounts are remembered, and how many
// statements; keptNotes how many notes of nodes and ballots in all epochs, of
// which those of the newest epoch stay; readAtOnce how much one request may
// read, in statements: what costs more counts for as many as take that long.
// Variables for tests alone.
var (
	keptTxs    = 1 << 14
	keptNotes  = 1 << 20
	readAtOnce = 100_000
)

const (
	costOfBlock  = 40
	costOfEntry  = 2  // of a list, which is decoded and hashed
	costOfSender = 50 // recovered from a signature
)

// chronicle remembers what the blocks of the last epochs said: of each epoch its
// first and last header and how much was in it, of each node in it what it did
// and what its judges said, and the last transactions one by one. None of that
// is state, and most of it would take a walk over many blocks.
//
// It has no goroutine: view reads on from the newest block that it knows to the
// head, then back from the oldest, a bounded part at a time, until the last 64
// epochs are there or 20,000 blocks were read. So the first request after a
// start may know less than a later one, and everything says from where on it
// knows. Where more has come since the last request than may be read at once, or
// a revert has taken blocks away, it begins anew at the head.
//
// It takes some 12 MB for the transactions where there are that many, and 100
// bytes for a node and 12 for a ballot in each epoch: 2 MB on a network of 100
// nodes, about 25 MB where there are 2,000, which is about the most. Safe for
// concurrent use.
type chronicle struct {
	ledger *ledger.Ledger

	mu         sync.Mutex
	newest     chain.Header // of the newest block that was read; height 0: none
	newestHash chain.Hash
	oldest     chain.Header // of the oldest
	full       bool         // nothing older is wanted
	epochs     []*epochNotes
	notes      int // of nodes and ballots, in all epochs
	nodes      map[chain.NodeID]uint32
	ids        []chain.NodeID
	accounts   ring
	statements ring
}

func newChronicle(l *ledger.Ledger) *chronicle {
	c := &chronicle{ledger: l}
	c.forget()
	return c
}

func (c *chronicle) forget() {
	c.newest, c.newestHash, c.oldest, c.full = chain.Header{}, chain.Hash{}, chain.Header{}, false
	c.epochs, c.notes = nil, 0
	c.nodes, c.ids = map[chain.NodeID]uint32{}, nil
	c.accounts, c.statements = ring{}, ring{}
}

// errMoved means that a revert took away what was just being read.
var errMoved = errors.New("api: blocks were taken back while they were read")

// view lets f see what is known at the head. f must not keep anything of it.
func (c *chronicle) view(f func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := errMoved
	for range 3 {
		if err = c.readOn(); !errors.Is(err, errMoved) {
			break
		}
		c.forget()
	}
	if err != nil {
		return fmt.Errorf("read blocks: %w", err)
	}
	f()
	return nil
}

// readOn takes in what has come since, then a part of what was before.
func (c *chronicle) readOn() error {
	head := c.ledger.Head().Header
	if head.Height < c.ledger.First() {
		c.forget() // there is no block, or it began from a snapshot of its head
		return nil
	}
	budget := readAtOnce
	for c.newest.Height > 0 && c.newestHash != head.Hash() {
		if gap := int64(head.Height) - int64(c.newest.Height); gap <= 0 || gap*costOfBlock > int64(budget) {
			c.forget()
			budget = readAtOnce
			break
		}
		cost, err := c.forward(c.newest.Height + 1)
		if err != nil {
			return err
		}
		budget -= cost
	}
	if c.newest.Height == 0 {
		cost, err := c.forward(head.Height)
		if err != nil {
			return err
		}
		budget -= cost
	}
	for !c.full && budget > 0 {
		cost, err := c.back()
		if err != nil {
			return err
		}
		budget -= cost
	}
	// The results and lists that were read belong to these blocks if no revert
	// came between.
	sealed, err := c.ledger.Header(c.newest.Height)
	if errors.Is(err, ledger.ErrNotFound) || err == nil && sealed.Header.Hash() != c.newestHash {
		return errMoved
	}
	return err
}

// block reads a block with its results.
func (c *chronicle) block(h chain.Height) (chain.Block, []machine.Result, error) {
	b, err := c.ledger.Block(h)
	if err != nil {
		return b, nil, moved(err)
	}
	if len(b.Txs) == 0 {
		return b, nil, nil
	}
	results, err := c.ledger.Results(h)
	if err == nil && len(results) != len(b.Txs) {
		err = errMoved
	}
	return b, results, moved(err)
}

func moved(err error) error {
	if errors.Is(err, ledger.ErrNotFound) {
		return errMoved
	}
	return err
}

// forward takes in the block after the newest, or the first.
func (c *chronicle) forward(h chain.Height) (cost int, err error) {
	b, results, err := c.block(h)
	if err != nil {
		return 0, err
	}
	first := c.newest.Height == 0
	if !first && b.Header.Parent != c.newestHash {
		return 0, errMoved
	}
	var e *epochNotes
	if n := len(c.epochs); n > 0 && c.epochs[n-1].first.DirEpoch == b.Header.DirEpoch {
		e = c.epochs[n-1]
	} else {
		if e, err = c.begin(b.Header); err != nil {
			return 0, err
		}
		e.whole, cost = !first || h == 1, costOfEntry*len(e.nodes)
		c.epochs = append(c.epochs, e)
	}
	e.last = b.Header
	c.newest, c.newestHash = b.Header, b.Header.Hash()
	if first {
		c.oldest, c.full = b.Header, h <= c.ledger.First()
	}
	cost += c.take(e, b, results, false)
	for len(c.epochs) > keptEpochs || len(c.epochs) > 1 && c.notes > keptNotes {
		c.notes -= c.epochs[0].size()
		c.epochs, c.full = slices.Delete(c.epochs, 0, 1), true
	}
	return cost, nil
}

// back takes in the block before the oldest.
func (c *chronicle) back() (cost int, err error) {
	b, results, err := c.block(c.oldest.Height - 1)
	if err != nil {
		return 0, err
	}
	if b.Header.Hash() != c.oldest.Parent {
		return 0, errMoved
	}
	e := c.epochs[0]
	if e.first.DirEpoch != b.Header.DirEpoch {
		e.whole = true
		if len(c.epochs) == keptEpochs {
			c.full = true
			return costOfBlock, nil
		}
		if e, err = c.begin(b.Header); err != nil {
			return 0, err
		}
		e.last, cost = b.Header, costOfEntry*len(e.nodes)
		c.epochs = slices.Insert(c.epochs, 0, e)
	}
	e.first, c.oldest = b.Header, b.Header
	e.whole = b.Header.Height == 1
	cost += c.take(e, b, results, true)
	c.full = b.Header.Height <= c.ledger.First() || c.newest.Height-b.Header.Height >= keptBlocks || c.notes > keptNotes
	return cost, nil
}

// begin makes the notes of the epoch of h, with its list if the ledger keeps it.
func (c *chronicle) begin(h chain.Header) (*epochNotes, error) {
	e := &epochNotes{first: h, nodes: map[uint32]*nodeNotes{}}
	if h.DirCount == 0 {
		e.listed = true
		return e, nil
	}
	l, _, err := c.ledger.List(h.DirEpoch)
	if errors.Is(err, ledger.ErrNotFound) {
		return e, nil
	}
	if err != nil {
		return nil, err
	}
	if l.Check(h) != nil {
		return nil, errMoved
	}
	e.listed = true
	for i := range l.Entries {
		n := c.node(e, l.Entries[i].Node)
		n.listed, n.performance = true, l.Entries[i].Performance
	}
	return e, nil
}

// list is who an epoch lists, ascending; false where that is not known.
func (c *chronicle) list(e *epochNotes) ([]chain.NodeID, bool) {
	var out []chain.NodeID
	for i, n := range e.nodes {
		if n.listed {
			out = append(out, c.ids[i])
		}
	}
	slices.SortFunc(out, compareNodes)
	return out, e.listed
}

func compareNodes(a, b chain.NodeID) int { return bytes.Compare(a[:], b[:]) }

// at is the place of an epoch among those remembered, -1 if it is not.
func (c *chronicle) at(e chain.Epoch) int {
	return slices.IndexFunc(c.epochs, func(x *epochNotes) bool { return x.first.DirEpoch == e })
}

// number gives a node the number under which it is noted.
func (c *chronicle) number(id chain.NodeID) uint32 {
	i, ok := c.nodes[id]
	if !ok {
		i = uint32(len(c.ids))
		c.nodes[id], c.ids = i, append(c.ids, id)
	}
	return i
}

// node are the notes on a node in an epoch.
func (c *chronicle) node(e *epochNotes, id chain.NodeID) *nodeNotes {
	i := c.number(id)
	n := e.nodes[i]
	if n == nil {
		n = new(nodeNotes)
		e.nodes[i] = n
		c.notes++
	}
	return n
}
