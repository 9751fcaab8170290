package ledger

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/util"

	"tunic/chain"
	"tunic/internal/table"
	"tunic/ledger/light"
	"tunic/ledger/machine"
	"tunic/registry/directory"
)

// past is a moment of the history, replayed.
type past struct {
	machine *machine.Machine
	lists   map[chain.Epoch]frozen
	places  map[chain.Hash]place // of the transactions of blocks up to it
}

// frozen is a list and the height of the block that froze it.
type frozen struct {
	list *directory.List
	at   chain.Height
}

// Revert goes back to a snapshot. The blocks above it are given up, and the
// first block of a new fork takes their place: it holds nothing but the
// transaction that says so. A clock that can be moved shows the snapshot's time
// again. Of the mempool what could enter a block of the restored state stays;
// the rest, and account transactions of the blocks given up, are refused with
// CodeForked. Snapshots of what was given up are dropped, the others stay.
//
// The barrier is called with the new block. All is verified by a replay from genesis first, which takes its time; then one
// synced batch replaces the state. After a crash either is there.
func (l *Ledger) Revert(ctx context.Context, name string) (chain.SealedHeader, error) {
	if err := l.controlled(); err != nil {
		return chain.SealedHeader{}, err
	}
	l.driving.Lock()
	defer l.driving.Unlock()
	defer l.nudge()
	l.sealing.Lock()
	defer l.sealing.Unlock()
	if err := l.Err(); err != nil {
		return chain.SealedHeader{}, err
	}
	s, err := l.db.snapshot(name)
	if err != nil {
		return chain.SealedHeader{}, fmt.Errorf("revert: %w", err)
	}
	p, err := l.replayTo(ctx, s)
	if err != nil {
		return chain.SealedHeader{}, fmt.Errorf("revert to %s: %w", name, err)
	}
	l.mu.Lock()
	head, err := l.fork(machine.DevRevert, s, p)
	l.mu.Unlock()
	if err == nil {
		err = l.awaitBarrier(ctx, head)
	}
	if err != nil {
		return head, fmt.Errorf("revert to %s: %w", name, err)
	}
	return head, nil
}

// replayTo makes the machine of a snapshot out of the blocks.
func (l *Ledger) replayTo(ctx context.Context, s Snapshot) (*past, error) {
	// A header index of its own: the database has blocks that are to go.
	m, err := machine.New(l.cfg.Genesis, nil)
	if err != nil {
		return nil, err
	}
	p := &past{lists: map[chain.Epoch]frozen{}, places: map[chain.Hash]place{}}
	for h := chain.Height(1); h <= s.Height; h++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b, err := l.db.block(h)
		if err != nil {
			return nil, err
		}
		out, err := m.Replay(b.Header, l.intake.PrepareAll(b.Txs))
		if err != nil {
			return nil, corrupt("%v", err)
		}
		if out.List != nil {
			p.lists[out.List.Epoch] = frozen{out.List, h}
		}
		for i, r := range out.Results {
			note(p.places, r, place{h, uint32(i), r.Code})
		}
	}
	if m.HeadHash() != s.Hash {
		return nil, corrupt("the block of height %d is not the one of snapshot %s", s.Height, s.Name)
	}
	if s.Height == 0 {
		p.machine, err = machine.New(l.cfg.Genesis, l.db)
		return p, err
	}
	var rows [machine.Parts][]table.Row
	for i := range rows {
		rows[i] = m.Rows(machine.Part(i))
	}
	p.machine, err = machine.Load(l.core, l.domain, m.Head(), rows, m.List(), l.db)
	return p, err
}

// note keeps where a transaction is to be found: its first place, or the last
// where it was applied.
func note(places map[chain.Hash]place, r machine.Result, at place) {
	if before, known := places[r.Tx]; !known || before.code != "" || r.Code == "" {
		places[r.Tx] = at
	}
}

// fork puts the first block of a new fork on top of p, in place of everything
// above it; mu is held.
func (l *Ledger) fork(op machine.DevOp, s Snapshot, p *past) (chain.SealedHeader, error) {
	old := l.machine.Fork()
	if old == math.MaxUint32 {
		return chain.SealedHeader{}, fmt.Errorf("%w: no fork is left", ErrConfig)
	}
	now := s.Time
	if !l.clock.Movable() {
		now = l.clock.Now()
	}
	height := s.Height + 1
	txs := []machine.Prepared{l.intake.Prepare(machine.Dev{Op: op, Height: height, Fork: old + 1}.Tx().Encode())}
	out, err := p.machine.Propose(machine.Input{Height: height, Time: max(now, l.core.Time, p.machine.Head().Time),
		Proposer: l.self, Fork: old + 1, Txs: txs})
	if err == nil && len(out.Included) != 1 {
		err = out.Refused[0].Why
	}
	if err != nil {
		return chain.SealedHeader{}, err // nothing has changed yet
	}
	if out.List != nil {
		p.lists[out.List.Epoch] = frozen{out.List, height}
	}
	note(p.places, out.Results[0], place{height, 0, ""})
	blk := chain.Block{SealedHeader: chain.SealedHeader{Header: out.Header}, Txs: [][]byte{txs[0].Bytes}}
	batch, lost, err := l.db.replace(blk, &out, p, l.head.Header.Height)
	if err != nil {
		return chain.SealedHeader{}, err
	}
	l.cfg.Hook("before-revert")
	if err := l.db.write(batch); err != nil {
		return chain.SealedHeader{}, l.halt(err)
	}
	l.db.oldest = l.db.oldestUpTo(height)
	l.cfg.Hook("after-revert")
	// As in seal: signed only now. Heights of the fork that was given up may be
	// sealed again, in the new one.
	l.machine, l.signed = p.machine, height
	blk.SealedHeader = light.Seal(l.cfg.SealerKey, out.Header)
	if err := l.db.putSeal(height, blk.Seal); err != nil {
		return chain.SealedHeader{}, l.halt(err)
	}
	l.clock.restore(now)
	l.pool.fork(height, lost, func(t *machine.Prepared) error { return l.machine.CheckTx(t, now) }, l.machine.Account)
	l.forkAt, l.reverts = height, append(l.reverts, height)
	l.feed.forget()
	l.barrierMu.Lock()
	reverting := l.reverting
	l.barrierMu.Unlock()
	if reverting != nil {
		reverting()
	}
	l.show(blk.SealedHeader, &out, txs)
	l.log.Info("fork begun", "fork", old+1, "height", height, "snapshot", s.Name)
	return blk.SealedHeader, nil
}

// replace makes the batch that leaves of the database the blocks below blk, blk
// itself and the state after it. It also gives the account transactions of the
// blocks given up.
func (s *store) replace(blk chain.Block, out *machine.Output, p *past, top chain.Height) (*leveldb.Batch, []chain.Hash, error) {
	b := new(leveldb.Batch)
	var lost []chain.Hash
	for h := blk.Header.Height; h <= top; h++ {
		old, err := s.block(h)
		if err != nil {
			return nil, nil, err
		}
		at, hash := u64(uint64(h)), old.Header.Hash()
		b.Delete(key(keyBlock, at))
		b.Delete(key(keySeal, at))
		b.Delete(key(keyResults, at))
		b.Delete(key(keyHash, hash[:]))
		b.Delete(key(keyUndo, at))
		for _, tx := range old.Txs {
			id := chain.SHA256(tx)
			if at, ok := p.places[id]; ok {
				b.Put(key(keyTx, id[:]), at.encode())
				continue
			}
			b.Delete(key(keyTx, id[:]))
			if len(tx) > 0 && chain.Kind(tx[0]).Signed() {
				lost = append(lost, id)
			}
		}
	}
	if err := s.deleteAll(b, util.BytesPrefix([]byte{keyRow})); err != nil {
		return nil, nil, err
	}
	for i := range machine.Parts {
		for _, r := range p.machine.Rows(machine.Part(i)) {
			b.Put(key(keyRow, []byte{byte(i)}, r.Key), r.Value)
		}
	}
	if err := s.deleteAll(b, util.BytesPrefix([]byte{keyList})); err != nil {
		return nil, nil, err
	}
	first, err := s.firstList(blk.Header.DirEpoch, s.oldestUpTo(blk.Header.Height))
	if err != nil {
		return nil, nil, err
	}
	for e, f := range p.lists {
		if e >= first {
			b.Put(key(keyList, u64(uint64(e))), append(u64(uint64(f.at)), f.list.Encode()...))
		}
	}
	all, err := s.snapshots()
	if err != nil {
		return nil, nil, err
	}
	for _, x := range all {
		if x.Height >= blk.Header.Height {
			b.Delete(key(keyMeta, []byte(keySnapshot+x.Name)))
		}
	}
	at, hash := u64(uint64(blk.Header.Height)), blk.Header.Hash()
	b.Put(key(keyBlock, at), blk.Encode())
	b.Put(key(keyUndo, at), encodeUndo(&out.Changes))
	b.Put(key(keyHash, hash[:]), at)
	b.Put(key(keyMeta, []byte("head")), append(slices.Clone(at), hash[:]...))
	b.Put(key(keyResults, at), encodeResults(out.Results))
	for _, r := range out.Results {
		b.Put(key(keyTx, r.Tx[:]), p.places[r.Tx].encode())
	}
	return b, lost, nil
}

func (s *store) deleteAll(b *leveldb.Batch, keys *util.Range) error {
	it := s.db.NewIterator(keys, nil)
	defer it.Release()
	for it.Next() {
		b.Delete(it.Key())
	}
	if err := it.Error(); err != nil {
		return dbError("read database", err)
	}
	return nil
}

// forkAt is the first block of the head's fork; 0 in fork 0.
func (s *store) forkAt(head chain.Header) (chain.Height, error) {
	if head.Fork == 0 {
		return 0, nil
	}
	return s.firstAbove(head, head.Fork-1)
}

// firstAbove is the first block of a fork above this one, which the head's is.
func (s *store) firstAbove(head chain.Header, fork uint32) (chain.Height, error) {
	low, high := chain.Height(1), head.Height // forks never fall
	for low < high {
		mid := low + (high-low)/2
		b, err := s.header(mid)
		if err != nil {
			return 0, err
		}
		if b.Header.Fork > fork {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low, nil
}

// fork follows a revert: what a block of the restored state could take stays,
// in its order; the rest, and what was lost with the blocks, is refused.
func (p *pool) fork(h chain.Height, lost []chain.Hash, check func(*machine.Prepared) error, account func(chain.Address) machine.Account) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var queues []*queue
	for _, q := range p.accounts {
		queues = append(queues, q)
	}
	slices.SortFunc(queues, func(a, b *queue) int { return cmp.Compare(a.arrived, b.arrived) })
	statements := p.statements()
	clear(p.byID)
	clear(p.accounts)
	clear(p.slots)
	p.bytes, p.large, p.height, p.oldest = 0, 0, h, ^chain.Height(0)
	why := chain.Refuse(CodeForked, "the chain was reverted to below height %d", h)
	for i := range statements {
		p.drop(&statements[i], h, why)
	}
	for _, q := range queues {
		for _, t := range q.txs {
			a := account(t.Sender)
			if check(t) != nil || t.Head.Nonce != p.accounts[t.Sender].free(a.Nonce) || p.addLocked(t, a) != nil {
				p.drop(t, h, why)
			}
		}
	}
	for _, id := range lost {
		if _, waits := p.byID[id]; !waits {
			p.drop(&machine.Prepared{ID: id}, h, why)
		}
	}
}

// Fund gives an account units out of the reward pool, in a block that it seals
// and that also takes what waits, and calls the barrier. A *chain.Refusal where the pool holds less.
func (l *Ledger) Fund(ctx context.Context, to chain.Address, x chain.Amount) (chain.SealedHeader, error) {
	if err := l.controlled(); err != nil {
		return chain.SealedHeader{}, err
	}
	switch pool := l.rewards(); {
	case to.IsZero():
		return chain.SealedHeader{}, chain.Refuse(machine.CodeZeroAddress, "nobody can spend from the zero address")
	case x == 0:
		return chain.SealedHeader{}, chain.Refuse(machine.CodeZeroAmount, "nothing to fund with")
	case x > pool:
		return chain.SealedHeader{}, chain.Refuse(machine.CodeInsufficientFunds, "the reward pool holds %s", pool)
	}
	s, refused, err := l.sealWith(ctx, func(h chain.Height) machine.Dev {
		return machine.Dev{Op: machine.DevFund, Height: h, To: to, Amount: x}
	})
	if err == nil && refused != nil {
		err = refused
	}
	if err == nil {
		err = l.awaitBarrier(ctx, s)
	}
	return s, err
}

func (l *Ledger) rewards() chain.Amount {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.machine.Staking().Pool()
}
