package client

import (
	"context"

	"tunic/onion/mail"
)

// Lookup fetches an account's bundle.
func (c *Client) Lookup(ctx context.Context, id mail.AccountID) (mail.Bundle, error) {
	return c.lookup(ctx, id)
}

// BreakStore makes every write of the state fail from now on, as a full or dead
// disk does.
func (c *Client) BreakStore() { _ = c.store.db.Close() }
