package relay

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/registry/directory"
	"tunic/relay/mailbox"
	"tunic/relay/replay"
	"tunic/slashing"
)

// Run opens the state, listens, and works until ctx ends, when it returns nil
// with everything closed and synced, or until it must halt: ErrTwoHeads. It is
// called once.
func (r *Relay) Run(ctx context.Context) error {
	f, err := claimFolder(r.cfg.Dir, r.cfg.BootID, r.cfg.Locked)
	if err != nil {
		return fmt.Errorf("run relay: %w", err)
	}
	defer f.unlock()
	o, closeState, err := r.open(f)
	if err != nil {
		return fmt.Errorf("run relay: %w", err)
	}
	err = r.serve(ctx, o)
	if cerr := closeState(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("run relay: %w", err)
	}
	return nil
}

// open loads the state. What it returns to close it marks the stop as clean.
func (r *Relay) open(f *folder) (_ *owner, closeState func() error, err error) {
	o := &owner{
		Relay: r, heads: newHeads(), watch: newWatch(slashing.DoubleDescriptor), ballots: newWatch(slashing.DoubleVote), history: newHistory(),
		inForce: genesis.InForce{Params: r.cfg.Core.Params}, rings: r.view.Load().rings,
		lists: make(map[chain.Epoch]*directory.List), listed: make(map[chain.Epoch]chain.SealedHeader),
		refused: make(map[statement.Label]string), begun: make(map[markKey]bool), asked: make(map[chain.Hash]*asked),
	}
	core := &r.cfg.Core
	if o.marks, err = loadMarks(f.dir, r.cfg.Genesis); err != nil {
		return nil, nil, err
	}
	if r.keys, err = newKeyring(f.dir, core, r.cfg.Genesis, r.id, r.cfg.Rand); err != nil {
		return nil, nil, err
	}
	if f.crashed {
		// Tags of packets that went on may be lost: nothing may be opened
		// with these keys again.
		r.log.Warn("the machine crashed while the relay ran: destroying the onion keys; new ones serve from the next epoch")
		if _, err := r.keys.retire(0, func(onionKey) bool { return true }); err != nil {
			return nil, nil, err
		}
	}
	if r.replay, err = replay.Open(f.dir, r.cfg.ReplayTags, r.keys.epochs()); err != nil {
		return nil, nil, err
	}
	closeStore := func() error { return nil }
	r.tags = newAccepted(r.cfg.ReplayTags)
	if r.cover, err = newCover(r); err != nil {
		r.replay.Close()
		return nil, nil, fmt.Errorf("read randomness: %w", err)
	}
	store := r.cfg.Store
	switch {
	case store != nil:
	case f.dir == "":
		store = new(mailbox.Memory)
	default:
		l, err := mailbox.OpenLevel(filepath.Join(f.dir, MailFolder), r.cfg.StoreBuffer)
		if err != nil {
			r.replay.Close()
			return nil, nil, err
		}
		store, closeStore = l, l.Close
	}
	if r.cfg.WrapStore != nil {
		store = r.cfg.WrapStore(store)
	}
	r.mail, err = mailbox.New(mailbox.Config{
		Self: r.id, Genesis: r.cfg.Genesis, Start: r.cfg.Core.Time, Params: r.params, Format: r.format, Store: store, Sign: r.signReceipt,
		MaxItems: r.cfg.MailItems, MaxBundles: r.cfg.MailBundles, Flush: r.flushAcks, Kill: r.cfg.Kill,
		Place: func(id mail.ID) mail.ID { return r.view.Load().rings.place(id) },
	})
	if err == nil {
		err = f.mark("running")
	}
	if err != nil {
		r.replay.Close()
		return nil, nil, errors.Join(err, closeStore())
	}
	return o, func() error {
		r.mu.Lock()
		r.running = false
		r.mu.Unlock()
		err := errors.Join(r.replay.Sync(), closeStore())
		r.replay.Close()
		r.keys.forget()
		if err == nil {
			err = f.mark("clean")
		}
		return err
	}, nil
}

// signReceipt signs a storage receipt. Receipts name no epoch and have the
// sequence zero: they cannot contradict each other.
func (r *Relay) signReceipt(x statement.Receipt) []byte {
	d := statement.Domain{Genesis: r.cfg.Genesis, Fork: r.view.Load().fork}
	return r.cfg.Signer.Sign(d, statement.LabelReceipt, 0, x.Encode()).Encode()
}

// idleEpochs is for how many epochs a link without traffic stays open. Each epoch's
// probes go other ways: with short epochs the links of too many would stay open, in
// the end to everyone, and with fewer nearly each packet would open one.
const idleEpochs = 6

// idleLink is after how long an idle link is closed.
func idleLink(epoch chain.Duration) time.Duration {
	return max(time.Second, min(2*time.Minute, idleEpochs*time.Duration(epoch)*time.Millisecond))
}

// serve listens and works. When it returns, every goroutine has ended and every
// packet is accounted for.
func (r *Relay) serve(ctx context.Context, o *owner) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	work, stop := context.WithCancel(context.WithoutCancel(ctx)) // goes on while the relay drains
	defer stop()
	listeners, err := r.listen()
	if err != nil {
		return err
	}
	r.clients = newClients(r.cfg.Clients)
	r.hellos = newHellos()
	r.delay = newDelayQueue(r.cfg.Delayed)
	r.queue, r.self = newFairQueue(r.cfg.Queue), newLane()
	r.atOnce = newAtOnce(r.cfg.Workers)
	r.mailing = make(chan struct{}, r.cfg.Mailers)
	r.commands = make(chan *command, r.cfg.Mailers)
	r.members = newMembers(BodySize(r.cfg.Core))
	r.copies = make(chan *copied, r.members.limit)
	r.asking, r.talk, r.errands = newAsking(), newTalk(), newErrands()
	r.frameRoom = link.MaxData(BodySize(r.cfg.Core)) - mail.SwarmOverhead
	r.acksPerFrame = min(mail.MaxAcks, r.frameRoom/mail.AckSize)
	r.stores = newStores(r.cfg.Stores, func(w *waitingStore, reply mail.Reply) {
		r.cfg.Kill("before-answer")
		r.answer(w.epoch, w.block, reply)
	})
	r.reports = make(chan report, 256)
	r.passing = &passing{ctx: ctx}

	pool := r.cfg.Links
	if pool.IdleTimeout == 0 {
		pool.IdleTimeout = idleLink(r.params.EpochLength)
	}
	pool.Self, pool.Stats = r.id, &r.stats
	pool.OnOpen = func(l *link.Link) {
		l.Data = &port{lane: newLane()}
		r.hellos.open(l, r.view.Load().hello())
	}
	pool.OnFrame = r.onFrame
	pool.OnLost = r.lost
	pool.OnClose = func(l *link.Link) {
		r.hellos.close(l)
		r.clients.detach(l)
		if id, known := l.Peer(); known && !r.pool.Connected(id) {
			r.lost(id)
		}
	}
	r.pool = link.NewPool(r.cfg.Transport, r.resolve, pool)
	r.mu.Lock()
	r.running = true
	r.mu.Unlock()

	for _, l := range listeners {
		r.wg.Go(func() { _ = r.pool.Serve(ctx, l) }) // fails only where the pool has ended before
	}
	for range r.cfg.Workers {
		r.wg.Go(r.worker)
	}
	for range max(4, 2*r.cfg.Workers) {
		r.wg.Go(func() { r.mailer(work) })
	}
	r.wg.Go(func() { r.stores.run(work) })
	r.wg.Go(func() { r.answerer(work) })
	r.wg.Go(func() { r.syncer(ctx) })
	r.wg.Go(func() {
		r.delay.run(work,
			r.release,
			func(h held) { r.unheld(DropStopped, h) })
	})
	if r.cover != nil {
		r.wg.Go(func() { r.cover.run(ctx) })
	}
	r.log.Info("relay running", "version", r.cfg.Version)
	err = o.follow(ctx)

	end()
	if err == nil {
		r.drain()
	}
	stop()
	r.queue.close(func(buf *[]byte) { r.drop(DropStopped, buf) }) // links that wait for it go on
	r.atOnce.close()
	r.wg.Wait()
	r.mailers.Wait()
	r.mail.Drain()
	r.stores.abandon() // may send; the pool is still there
	r.pool.Close()
	r.mail.Drain() // until then a member's ack could show that something was deleted
	for {
		select {
		case c := <-r.commands:
			r.count.answersLost.Add(uint64(len(c.cmd.Replies)))
			r.free(*c)
			continue
		case c := <-r.copies:
			r.members.end(c.from)
			continue
		case c := <-r.asking.queue:
			r.asking.end(c.from, 0)
			continue
		default:
		}
		break
	}
	r.log.Info("relay stopped")
	return err
}

// drainLook is how often a relay that ends looks whether packets are left.
const drainLook = 10 * time.Millisecond

// drain lets what the relay holds leave, for at most Config.Drain. Nothing is
// accepted any more; answers of its own mailboxes still go out.
func (r *Relay) drain() {
	if r.cfg.Drain <= 0 {
		return
	}
	r.draining.Store(true)
	r.log.Info("stopping; packets that are held may leave", "most", r.cfg.Drain)
	late := time.NewTimer(r.cfg.Drain)
	defer late.Stop()
	look := time.NewTicker(drainLook)
	defer look.Stop()
	for {
		if now, _ := r.Motion(); now == 0 {
			return
		}
		select {
		case <-look.C:
		case <-late.C:
			return
		}
	}
}

// listen opens the listeners and settles what the descriptor advertises.
func (r *Relay) listen() ([]link.Listener, error) {
	var listeners []link.Listener
	r.endpoints = r.cfg.Endpoints
	for _, at := range r.cfg.Listen {
		l, err := r.cfg.Transport.Listen(at)
		if err != nil {
			closeAll(listeners)
			return nil, err
		}
		listeners = append(listeners, l)
	}
	if len(r.endpoints) == 0 {
		for _, l := range listeners {
			r.endpoints = append(r.endpoints, l.Addr())
		}
	}
	trial := statement.Descriptor{
		Version: r.cfg.Version, Endpoints: r.endpoints, Family: r.cfg.Family, Keys: []statement.OnionKey{{}},
	}
	if _, err := statement.DecodeDescriptor(trial.Encode()); err != nil {
		closeAll(listeners)
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return listeners, nil
}

func closeAll(ls []link.Listener) {
	for _, l := range ls {
		l.Close()
	}
}
