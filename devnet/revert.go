package devnet

import (
	"context"

	"tunic/chain"
)

// Revert takes the ledger back to a snapshot of it and returns when every
// running relay has acted on the new fork's first block.
func (n *Network) Revert(ctx context.Context, name string) error {
	_, err := n.Ledger.Revert(ctx, name)
	return err
}

// Fund gives an account units of the reward pool, in a block that every running
// relay has acted on.
func (n *Network) Fund(ctx context.Context, to chain.Address, x chain.Amount) error {
	_, err := n.Ledger.Fund(ctx, to, x)
	return err
}

// heightsAgain follows a revert: what the relays have acted on says nothing any
// more.
func (n *Network) heightsAgain() {
	for _, r := range n.Relays {
		r.mu.Lock()
		r.synced = 0
		r.mu.Unlock()
	}
}
