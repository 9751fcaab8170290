package ledger

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"sync"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/ledger/machine"
)

// Refusal codes of the mempool.
const (
	CodePoolFull        = "mempool_full"
	CodeSenderFull      = "too_many_pending"
	CodeUnderpriced     = "replacement_underpriced"
	CodeAlreadyPending  = "already_pending"
	CodeForked          = "forked" // a revert has taken it back, or what it needs
	codeNonceGapTooWide = machine.CodeNonceGap
)

// PoolLimits bound the mempool.
type PoolLimits struct {
	Count     int // transactions
	Bytes     int // sum of their encodings
	PerSender int // of one account; also the widest gap in its nonces
}

// DefaultPoolLimits hold about 16 full blocks' worth of transfers.
var DefaultPoolLimits = PoolLimits{Count: 50_000, Bytes: 32 << 20, PerSender: 1024}

// maxRefusals bounds the memory of refused transactions.
const maxRefusals = 4096

type refused struct {
	why    *chain.Refusal
	height chain.Height
}

// queue is what one account has waiting, ascending by nonce.
type queue struct {
	arrived uint64 // of its oldest
	next    uint64 // the account's next nonce, after the last block
	bytes   int
	txs     []*machine.Prepared
}

// ready reports whether a block could take something of it.
func (q *queue) ready() bool { _, ok := q.find(q.next); return ok }

// free is the first nonce at or after from that nothing waits under.
func (q *queue) free(from uint64) uint64 {
	if q != nil {
		for _, t := range q.txs {
			if t.Head.Nonce == from {
				from++
			}
		}
	}
	return from
}

// pays reports whether balance covers all that waits, with t in place of what
// waits under its nonce.
func (q *queue) pays(t *machine.Prepared, balance chain.Amount) bool {
	left, ok := balance.Sub(t.Cost())
	if q == nil || !ok {
		return ok
	}
	for _, x := range q.txs {
		if x.Head.Nonce == t.Head.Nonce {
			continue
		}
		if left, ok = left.Sub(x.Cost()); !ok {
			return false
		}
	}
	return true
}

// pool is the mempool. Safe for concurrent use.
type pool struct {
	limits PoolLimits

	mu       sync.Mutex
	byID     map[chain.Hash]*machine.Prepared
	accounts map[chain.Address]*queue
	slots    map[slot]*machine.Prepared
	bytes    int
	large    int // of these, of probe commitments
	arrivals uint64
	oldest   chain.Height // lowest validUntil that may wait; sweeping starts there
	height   chain.Height // of the last block settled

	refusals map[chain.Hash]refused
	order    []chain.Hash // of refusals, oldest first
}

func newPool(limits PoolLimits) *pool {
	return &pool{
		limits: limits, byID: map[chain.Hash]*machine.Prepared{}, accounts: map[chain.Address]*queue{},
		slots: map[slot]*machine.Prepared{}, oldest: ^chain.Height(0), refusals: map[chain.Hash]refused{},
	}
}

func (p *pool) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.byID)
}

func (p *pool) has(id chain.Hash) bool { _, ok := p.get(id); return ok }

func (p *pool) get(id chain.Hash) (*machine.Prepared, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.byID[id]
	return t, ok
}

func (p *pool) refusal(id chain.Hash) (refused, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, ok := p.refusals[id]
	return r, ok
}

// add takes t, which the machine has checked; sender is its sender's account.
// Questions that cost little stand first.
func (p *pool) add(t *machine.Prepared, sender machine.Account) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.addLocked(t, sender)
}

func (p *pool) addLocked(t *machine.Prepared, sender machine.Account) error {
	var old *machine.Prepared
	if t.IsPublish() {
		if old = p.slots[slotOf(t.St)]; old != nil && t.St.Sequence <= old.St.Sequence {
			return chain.Refuse(CodeAlreadyPending, "a %s of this node with sequence %d waits", t.St.Label, old.St.Sequence)
		}
	} else {
		if t.Head.Nonce-sender.Nonce >= uint64(p.limits.PerSender) {
			return chain.Refuse(codeNonceGapTooWide, "nonce %d, the account's next is %d", t.Head.Nonce, sender.Nonce)
		}
		q := p.accounts[t.Sender]
		if q != nil {
			if i, ok := q.find(t.Head.Nonce); ok {
				if old = q.txs[i]; t.Head.Fee <= old.Head.Fee {
					return chain.Refuse(CodeUnderpriced, "nonce %d waits with a fee of %d units; replace it with a higher one", t.Head.Nonce, uint64(old.Head.Fee))
				}
			} else if len(q.txs) >= p.limits.PerSender {
				return chain.Refuse(CodeSenderFull, "%d of this account wait", len(q.txs))
			}
		}
		if !q.pays(t, sender.Balance) {
			return chain.Refuse(machine.CodeInsufficientFunds, "balance %s, this transaction and what waits before it can cost more", sender.Balance)
		}
	}
	if isLarge(t) {
		size := p.large + len(t.Bytes)
		if old != nil {
			size -= len(old.Bytes)
		}
		if size > p.limits.Bytes/2 {
			return chain.Refuse(CodePoolFull, "probe commitments of %d bytes wait", p.large)
		}
	}
	if !p.makeRoom(t, old, sender.Nonce) {
		return chain.Refuse(CodePoolFull, "%d transactions of %d bytes wait", len(p.byID), p.bytes)
	}
	if old != nil {
		p.remove(old)
	}
	p.insert(t, sender.Nonce)
	return nil
}

// isLarge reports whether t is a probe commitment. All nodes have one at the same
// instant, of kilobytes and free of fee: half of the pool, and of a block, is left
// to all else.
func isLarge(t *machine.Prepared) bool {
	return t.IsPublish() && t.St.Label == statement.LabelCommitment
}

// roomScans bounds how often makeRoom looks through all accounts.
const roomScans = 8

// makeRoom drops others' transactions until t fits in place of old, or says
// that it cannot. Statements come before all accounts, so that nobody can pay to
// silence relays. What no block could take yet goes before what one could, and
// an account with much before one with little: whoever fills the pool with many
// transactions of one account, or with gaps, makes room first.
func (p *pool) makeRoom(t, old *machine.Prepared, next uint64) bool {
	count, size := 1, len(t.Bytes)
	if old != nil {
		count, size = 0, size-len(old.Bytes)
	}
	full := func() bool { return len(p.byID)+count > p.limits.Count || p.bytes+size > p.limits.Bytes }
	own := p.accounts[t.Sender] // nil for a statement
	most := len(t.Bytes)        // what an account may keep beside t
	if own != nil {
		most += own.bytes
	}
	ready := t.IsPublish() || t.Head.Nonce <= own.free(next)
	for scans := 0; full(); scans++ {
		var victim *queue
		for _, q := range p.accounts {
			gives := t.IsPublish() || ready && !q.ready() || q.bytes > most && (ready || !q.ready())
			if q != own && gives && (victim == nil || q.before(victim)) {
				victim = q
			}
		}
		if victim == nil || scans == roomScans {
			return false
		}
		keep := most
		if t.IsPublish() || ready && !victim.ready() {
			keep = 0
		}
		for full() && len(victim.txs) > 0 && victim.bytes > keep {
			p.drop(victim.txs[len(victim.txs)-1], p.height, chain.Refuse(CodePoolFull, "others needed the room"))
		}
	}
	return true
}

// before reports whether q makes room before r.
func (q *queue) before(r *queue) bool {
	switch a, b := q.ready(), r.ready(); {
	case a != b:
		return b
	case q.bytes != r.bytes:
		return q.bytes > r.bytes
	}
	return q.arrived > r.arrived
}

func (q *queue) find(nonce uint64) (int, bool) {
	return slices.BinarySearchFunc(q.txs, nonce, func(t *machine.Prepared, n uint64) int { return cmp.Compare(t.Head.Nonce, n) })
}

func (p *pool) insert(t *machine.Prepared, next uint64) {
	p.byID[t.ID] = t
	p.bytes += len(t.Bytes)
	p.arrivals++
	delete(p.refusals, t.ID)
	if t.IsPublish() {
		p.slots[slotOf(t.St)] = t
		if isLarge(t) {
			p.large += len(t.Bytes)
		}
		return
	}
	p.oldest = min(p.oldest, t.Head.ValidUntil)
	q := p.accounts[t.Sender]
	if q == nil {
		q = &queue{arrived: p.arrivals}
		p.accounts[t.Sender] = q
	}
	q.next = next
	q.bytes += len(t.Bytes)
	i, _ := q.find(t.Head.Nonce)
	q.txs = slices.Insert(q.txs, i, t)
}

func (p *pool) remove(t *machine.Prepared) {
	if _, ok := p.byID[t.ID]; !ok {
		return
	}
	delete(p.byID, t.ID)
	p.bytes -= len(t.Bytes)
	if t.IsPublish() {
		delete(p.slots, slotOf(t.St))
		if isLarge(t) {
			p.large -= len(t.Bytes)
		}
		return
	}
	q := p.accounts[t.Sender]
	if i, ok := q.find(t.Head.Nonce); ok && q.txs[i].ID == t.ID {
		q.txs = slices.Delete(q.txs, i, i+1)
		q.bytes -= len(t.Bytes)
	}
	if len(q.txs) == 0 {
		delete(p.accounts, t.Sender)
	}
}

// ready gives what a block could take, statements first (by urgency of their kind,
// node and subject), then accounts in order of arrival, each as far as its nonces
// join to next. Commitments are at most half a block.
func (p *pool) ready(next func(chain.Address) uint64) []machine.Prepared {
	p.mu.Lock()
	defer p.mu.Unlock()
	large := 0
	out := slices.DeleteFunc(p.statements(), func(t machine.Prepared) bool {
		if isLarge(&t) {
			large += len(t.Bytes)
		}
		return isLarge(&t) && large > machine.MaxBlockBytes/2
	})
	type turn struct {
		arrived uint64
		at      chain.Address
	}
	turns := make([]turn, 0, len(p.accounts))
	for a, q := range p.accounts {
		turns = append(turns, turn{q.arrived, a})
	}
	slices.SortFunc(turns, func(a, b turn) int { return cmp.Compare(a.arrived, b.arrived) })
	for _, t := range turns {
		n := next(t.at)
		for _, tx := range p.accounts[t.at].txs {
			if tx.Head.Nonce == n {
				out = append(out, *tx)
				n++
			}
		}
		if len(out) >= chain.MaxBlockTxs {
			break
		}
	}
	return out
}

func (p *pool) statements() []machine.Prepared {
	out := make([]machine.Prepared, 0, len(p.slots))
	for _, s := range slices.SortedFunc(maps.Keys(p.slots), slot.compare) {
		out = append(out, *p.slots[s])
	}
	return out
}

// waiting reports whether a block could take something.
func (p *pool) waiting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.slots) > 0 {
		return true
	}
	for _, q := range p.accounts {
		if q.ready() {
			return true
		}
	}
	return false
}

// next is the first nonce of a at or after from that nothing waits under.
func (p *pool) next(a chain.Address, from uint64) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accounts[a].free(from)
}

func (p *pool) all() []machine.Prepared {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.statements()
	rest := len(out)
	for _, q := range p.accounts {
		for _, t := range q.txs {
			out = append(out, *t)
		}
	}
	slices.SortFunc(out[rest:], func(a, b machine.Prepared) int {
		if c := bytes.Compare(a.Sender[:], b.Sender[:]); c != 0 {
			return c
		}
		return cmp.Compare(a.Head.Nonce, b.Head.Nonce)
	})
	return out
}

// settle follows a block at h: what it holds goes, with all that has thereby
// become impossible; what a proposal refused goes and is remembered, unless
// only an earlier nonce is missing.
func (p *pool) settle(h chain.Height, included []machine.Prepared, refusals []machine.Prepared, why []*chain.Refusal, next func(chain.Address) uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.height = h
	senders := make(map[chain.Address]struct{}, len(included))
	for i := range included {
		p.remove(&included[i])
		if !included[i].IsPublish() {
			senders[included[i].Sender] = struct{}{}
		}
	}
	for a := range senders {
		q, n := p.accounts[a], next(a)
		if q != nil {
			q.next = n
		}
		for q != nil && len(q.txs) > 0 && q.txs[0].Head.Nonce < n {
			p.drop(q.txs[0], h, chain.Refuse(machine.CodeNonceUsed, "nonce %d, the account's next is %d", q.txs[0].Head.Nonce, n))
		}
	}
	for i := range refusals {
		if why[i].Code != machine.CodeNonceGap {
			p.drop(&refusals[i], h, why[i])
		}
	}
	if p.oldest > h {
		return
	}
	p.oldest = ^chain.Height(0)
	for _, t := range p.byID {
		switch {
		case t.IsPublish():
		case t.Head.ValidUntil <= h:
			p.drop(t, h, chain.Refuse(machine.CodeExpired, "valid until height %d", t.Head.ValidUntil))
		default:
			p.oldest = min(p.oldest, t.Head.ValidUntil)
		}
	}
}

func (p *pool) drop(t *machine.Prepared, h chain.Height, why *chain.Refusal) {
	p.remove(t)
	if _, ok := p.refusals[t.ID]; !ok {
		p.order = append(p.order, t.ID)
	}
	p.refusals[t.ID] = refused{why, h}
	for len(p.order) > maxRefusals {
		delete(p.refusals, p.order[0])
		p.order = p.order[1:]
	}
}
