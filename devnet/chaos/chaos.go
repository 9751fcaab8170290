// Package chaos runs networks whose relays are killed, cut off, slow, full and
// robbed of their disks while messages lie in their mailboxes, and holds what
// became of every message against what was promised. docs/spec/mail.md, section
// What is tested.
//
// A writer sends, waits until its messages are stored (a majority of the swarm
// has signed for them) and is never seen again: nobody but the mailboxes can
// bring them. Readers come and go. In the end each stored message must have come
// to its reader's application exactly once, or have expired.
//
// A seed fixes the network and what happens to it, but not scheduling.
package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"tunic/chain/genesis"
	"tunic/devnet"
)

// Result is what became of one network.
type Result struct {
	Seed      uint64         `json:"seed"`
	Steps     []string       `json:"steps"` // what was done, in order
	Relays    int            `json:"relays"`
	Swarms    int            `json:"swarms"` // at most at one time
	Epochs    uint64         `json:"epochs"`
	Faults    map[string]int `json:"faults"`
	Sent      int            `json:"sent"`
	Stored    int            `json:"stored"` // of these, acknowledged by a majority
	Delivered int            `json:"delivered"`
	Expired   int            `json:"expired"`
	// Violations are stored messages that did not come, came twice, or came
	// changed; Leaks what logs and metrics say that they must not.
	Violations []string `json:"violations"`
	Leaks      []string `json:"leaks"`
}

// Options are how a network is run.
type Options struct {
	// Forget lets so many relays say that they have on disk what they throw
	// away, to see that it is noticed (none).
	Forget int
	// Patience is how long messages may take to come once all is well again, by
	// the machine's clock (5 min).
	Patience time.Duration
	// Tell lets relays log what they must not, to see that it is noticed.
	Tell bool
}

const (
	readers   = 2
	rounds    = 6               // each with a writer of its own
	patience  = 5 * time.Minute // as long as that nothing but a loss takes, on a machine with much else to do
	ackWait   = 20 * time.Second
	mostBurst = 4
)

// Run runs the network of a seed. Its error says that the network could not be
// run; what it found stands in the result.
func Run(ctx context.Context, seed uint64, o Options) (*Result, error) {
	if o.Patience == 0 {
		o.Patience = patience
	}
	dir, err := os.MkdirTemp("", "tunic-chaos-")
	if err != nil {
		return nil, fmt.Errorf("chaos: %w", err)
	}
	defer os.RemoveAll(dir)
	r := &run{
		rnd:  rand.New(rand.NewPCG(seed, 0x6368_616f_73)),
		out:  &Result{Seed: seed, Faults: map[string]int{}, Violations: []string{}, Leaks: []string{}},
		hurt: map[int]*hurt{}, got: newReceived(), opts: o,
	}
	prm := params(r.rnd)
	r.out.Relays = 8 + r.rnd.IntN(4)
	r.log = newLog()
	r.net, err = devnet.Start(ctx, devnet.Spec{
		Relays: r.out.Relays, Clients: readers + rounds, Seed: seed, Params: &prm, Dir: dir, Admin: "127.0.0.1:0", Logger: r.log.logger(),
	})
	if err != nil {
		return nil, fmt.Errorf("chaos: seed %d: %w", seed, err)
	}
	err = r.live(ctx)
	if err == nil {
		r.out.Leaks, err = r.leaks(ctx)
	}
	if cerr := r.net.Close(); err == nil && cerr != nil {
		err = cerr
	}
	if err != nil {
		return r.out, fmt.Errorf("chaos: seed %d: %w", seed, err)
	}
	return r.out, nil
}

// params are those of dev with credit enough for all that happens, swarms of
// three or five, and now and then messages that expire soon.
func params(rnd *rand.Rand) genesis.Params {
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		panic("chaos: internal error: " + err.Error())
	}
	p.CreditStart, p.CreditMost, p.ChallengeWindow = 10*genesis.Minute, 10*genesis.Minute, 11*genesis.Minute
	p.UnlockDelay, p.DeregisterLock = 30*genesis.Minute, 30*genesis.Minute
	if rnd.IntN(2) == 0 {
		p.SwarmTarget, p.SwarmLeast = 5, 3
	}
	if rnd.IntN(6) == 0 {
		p.MailboxTTL = 2 * genesis.Minute
	}
	return p
}

// run is one network at work.
type run struct {
	net  *devnet.Network
	rnd  *rand.Rand
	out  *Result
	log  *recorder
	opts Options

	hurt  map[int]*hurt
	calm  uint64 // epoch from which a disk may be lost again
	sent  []*message
	got   *received
	parts bool // the network is parted
}

func (r *run) step(format string, args ...any) {
	r.out.Steps = append(r.out.Steps, fmt.Sprintf("epoch %d: ", r.epoch())+fmt.Sprintf(format, args...))
}

func (r *run) epoch() uint64 { return uint64(r.net.Ledger.Head().Header.DirEpoch) }

func (r *run) advance(ctx context.Context) error {
	if err := r.net.AdvanceEpochs(ctx, 1); err != nil {
		return err
	}
	r.out.Epochs = r.epoch()
	seen := map[uint64]bool{}
	for _, members := range r.swarms() {
		seen[members.id] = true
	}
	r.out.Swarms = max(r.out.Swarms, len(seen))
	return nil
}

func (r *run) live(ctx context.Context) error {
	if err := r.introduce(ctx); err != nil {
		return err
	}
	for i := range min(r.opts.Forget, r.out.Relays) {
		r.net.Relays[i].Disk.Forget(true)
	}
	for n := range rounds {
		for range 1 + r.rnd.IntN(2) {
			if err := r.happen(ctx); err != nil {
				return err
			}
		}
		if err := r.write(ctx, n); err != nil {
			return err
		}
		if err := r.someoneReads(ctx); err != nil {
			return err
		}
		for range 1 + r.rnd.IntN(2) {
			if err := r.advance(ctx); err != nil {
				return err
			}
			if err := r.recover(ctx); err != nil {
				return err
			}
		}
	}
	return r.reckon(ctx)
}

// introduce makes contacts of every writer and every reader, and sends all home.
func (r *run) introduce(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for w := readers; w < readers+rounds; w++ {
		for to := range readers {
			reader := r.net.Clients[to]
			if err := r.net.Clients[w].AddContact(reader.Account.ID(), reader.Name); err != nil {
				return err
			}
			if _, err := r.net.Clients[w].SendWithConfirmation(ctx, reader.Account.ID(), "hello"); err != nil {
				return fmt.Errorf("introduce %s to %s: %w", r.net.Clients[w].Name, reader.Name, err)
			}
		}
	}
	for i := range r.net.Clients {
		if err := r.net.StopClient(i); err != nil {
			return err
		}
	}
	return nil
}
