package devnet

import (
	"context"
	"fmt"

	"tunic/chain"
	"tunic/ledger/light"
)

// SecondHead is another header for the head's height, sealed with the sealer's
// key: what a ledger has that tells two stories.
func (n *Network) SecondHead() chain.SealedHeader {
	other := n.Ledger.Head().Header
	other.State = chain.SHA256([]byte("tunic devnet double-seal"), other.State[:])
	return light.Seal(n.sealer(), other)
}

// DoubleSeal seals a second header for the head's height with the sealer's key,
// as a ledger would that tells two stories, and lets the first relay that runs
// show it to the next. It returns that witness when it has halted.
func (n *Network) DoubleSeal(ctx context.Context) (witness *Relay, err error) {
	var running []*Relay
	for _, r := range n.Relays {
		if r.runs() {
			running = append(running, r)
		}
	}
	if len(running) < 2 {
		return nil, fmt.Errorf("devnet: a double-seal needs two running relays, one to show it to the other; %d run", len(running))
	}
	carrier, witness := running[0], running[1]
	witness.mu.Lock()
	witness.doomed = true
	stopped := witness.stopped
	witness.mu.Unlock()
	if err := carrier.Twin.ShowHeader(ctx, n.SecondHead(), witness.ID, witness.Endpoint); err != nil {
		return nil, fmt.Errorf("devnet: %s could not show the second header: %w", carrier.Name(), err)
	}
	ctx, cancel := context.WithTimeout(ctx, witnessLimit)
	defer cancel()
	select {
	case <-stopped:
		return witness, n.Err()
	case <-ctx.Done():
		return nil, fmt.Errorf("devnet: %s did not halt: %w", witness.Name(), ctx.Err())
	}
}

// Halted reports whether relay i, counted from 0, has halted because it saw two
// sealed headers for one height.
func (n *Network) Halted(i int) bool {
	r := n.Relays[i]
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.halted
}

// ended notes that the daemon ended by itself and reports whether that was the
// point of a fault: a relay to which a second head was shown has halted.
func (r *Relay) ended(twoHeads bool) (expected bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !twoHeads || !r.doomed {
		return false
	}
	r.halted, r.stop = true, nil
	r.tell() // nobody waits for it any more
	return true
}
