package devnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/ledger/machine"
	"tunic/relay"
	"tunic/slashing"
)

// Silence cuts relay i, counted from 0, off from everybody, the ledger
// included; it goes on living.
func (n *Network) Silence(i int) { n.cut(i, n.Relays[i].Twin.Silence) }

// CutFromLedger cuts relay i off from the ledger; its links stay.
func (n *Network) CutFromLedger(i int) { n.cut(i, n.Relays[i].Twin.Cut) }

func (n *Network) cut(i int, f func()) {
	f()
	r := n.Relays[i]
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tell() // nobody waits for it any more
}

// Declare lets relay i declare a version in its heartbeats. On cometbft it returns
// when the relay has signed one.
func (n *Network) Declare(ctx context.Context, i int, version string) error {
	t := n.Relays[i].Twin
	t.Declare(version)
	if !n.onComet() {
		return nil
	}
	return n.awaitHead(ctx, func(chain.Header) bool {
		s, err := statement.Decode(t.Heartbeat())
		if err != nil {
			return false
		}
		b, err := statement.DecodeHeartbeat(s.Body)
		return err == nil && b.Version == version
	})
}

// Honest ends the faults of relay i and returns when it has acted on the head.
func (n *Network) Honest(ctx context.Context, i int) error {
	r := n.Relays[i]
	r.Twin.Off()
	return r.awaitSynced(ctx, n, n.Ledger.Head().Header.Height)
}

// Crash ends relay i as a kill does, counted from 0: from this moment on nothing
// that it does reaches a link, the ledger or a disk.
func (n *Network) Crash(ctx context.Context, i int) error {
	r := n.Relays[i]
	n.Silence(i)
	r.Disk.Kill()
	err := n.StopRelay(ctx, i)
	r.Twin.Off()
	return err
}

// LoseDisk empties the mailboxes of relay i, which must not run.
func (n *Network) LoseDisk(i int) error {
	r := n.Relays[i]
	switch {
	case n.Spec.Dir == "":
		return ErrInMemory
	case r.runs():
		return fmt.Errorf("devnet: %s runs", r.Name())
	}
	if err := os.RemoveAll(filepath.Join(n.Spec.Dir, r.Name(), relay.MailFolder)); err != nil {
		return fmt.Errorf("devnet: mailboxes of %s: %w", r.Name(), err)
	}
	return nil
}

// Lose lets the link between two relays lose a share of the packets.
func (n *Network) Lose(i, k int, of chain.BasisPoints) {
	n.faults.Lose(n.Relays[i].ID, n.Relays[k].ID, of)
}

// Slow lets packets between two relays take so long, by the network's clock.
func (n *Network) Slow(i, k int, d chain.Duration) {
	n.faults.Slow(n.Relays[i].ID, n.Relays[k].ID, d)
}

// Partition splits the links between relays into sides that do not hear each
// other; who is in no side is in the last one. All hear the ledger.
func (n *Network) Partition(sides ...[]int) {
	of := make(map[chain.NodeID]int)
	for s, relays := range sides {
		for _, i := range relays {
			of[n.Relays[i].ID] = s + 1
		}
	}
	n.faults.Partition(of)
}

// Heal ends partitions, losses and delays of links.
func (n *Network) Heal() { n.faults.Heal() }

// Backup copies the folder of relay i under a name, while it stands still.
func (n *Network) Backup(ctx context.Context, i int, name string) error {
	return n.still(ctx, i, func(dir string) error {
		to := n.backup(i, name)
		if err := os.RemoveAll(to); err != nil {
			return err
		}
		return os.CopyFS(to, os.DirFS(dir))
	})
}

// Restore puts a backup in the place of relay i's folder, as an operator would
// after a loss: marks and keys are those of the past.
func (n *Network) Restore(ctx context.Context, i int, name string) error {
	return n.still(ctx, i, func(dir string) error {
		from := n.backup(i, name)
		if _, err := os.Stat(from); err != nil {
			return fmt.Errorf("no backup %q: %w", name, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		return os.CopyFS(dir, os.DirFS(from))
	})
}

func (n *Network) backup(i int, name string) string {
	return filepath.Join(n.Spec.Dir, "backups", name, n.Relays[i].Name())
}

// still stops relay i, if it runs, for as long as f works on its folder.
func (n *Network) still(ctx context.Context, i int, f func(dir string) error) error {
	if n.Spec.Dir == "" {
		return ErrInMemory
	}
	r := n.Relays[i]
	ran := r.runs()
	if ran {
		if err := n.StopRelay(ctx, i); err != nil {
			return err
		}
	}
	err := f(filepath.Join(n.Spec.Dir, r.Name()))
	if err != nil {
		err = fmt.Errorf("devnet: folder of %s: %w", r.Name(), err)
	}
	if ran {
		err = errors.Join(err, n.StartRelay(ctx, i))
	}
	return err
}

// DoubleVote lets relay i sign two verdicts on relay k in the present epoch and
// show both to the next relay that runs and is neither. It returns when that
// one's report waits for a block.
func (n *Network) DoubleVote(ctx context.Context, i, k int) error {
	cheat := n.Relays[i]
	cast, other, err := cheat.Twin.DoubleVote(ctx, n.Relays[k].ID)
	if err != nil {
		return fmt.Errorf("devnet: %s could not vote twice on %s: %w", cheat.Name(), n.Relays[k].Name(), err)
	}
	waiting := n.reports()
	for j := 1; j < len(n.Relays); j++ {
		w := n.Relays[(i+j)%len(n.Relays)]
		if w.Index == k || !w.runs() {
			continue
		}
		err := n.awaitReport(ctx, waiting, func() error {
			return cheat.Twin.ShowVotes(ctx, []statement.Statement{cast, other}, w.ID, w.Endpoint)
		})
		if err != nil {
			return fmt.Errorf("devnet: nobody reported %s: %w", cheat.Name(), err)
		}
		return nil
	}
	return fmt.Errorf("devnet: no relay runs that could see %s vote twice", cheat.Name())
}

// reports is how many offences were reported: punished, or in a report that
// waits for a block.
func (n *Network) reports() (count int) {
	n.Ledger.View(func(m *machine.Machine) {
		for _, r := range m.Slashing().All() {
			if r.Kind != slashing.Unavailable { // that one the votes bring about
				count++
			}
		}
	})
	for _, tx := range n.Ledger.Pending() {
		if tx.IsPublish() && tx.St.Label == statement.LabelProof {
			count++
		}
	}
	return count
}

// awaitReport lets show be done until there are more reports than before.
func (n *Network) awaitReport(ctx context.Context, before int, show func() error) error {
	limit, again := time.After(witnessLimit), time.NewTicker(showAgain)
	defer again.Stop()
	if err := show(); err != nil {
		return err
	}
	for n.reports() <= before {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit:
			return fmt.Errorf("no report in %v; what it signed was punished already, or is of an earlier fork: after a revert or load, advance to the next epoch first", witnessLimit)
		case <-again.C:
			if err := show(); err != nil {
				return err
			}
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}
