package client

// BreakStore makes every write of the state fail from now on, as a full or dead
// disk does.
func (c *Client) BreakStore() { _ = c.store.db.Close() }
