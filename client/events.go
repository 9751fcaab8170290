package client

import "context"

// Subscribe returns the events from now on. The channel is closed when ctx or
// Run ends, or when its reader lags 256 events behind.
func (c *Client) Subscribe(ctx context.Context) <-chan Event {
	s := make(chan Event, 256)
	c.mu.Lock()
	c.subs[s] = struct{}{}
	c.mu.Unlock()
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.dropLocked(s)
	})
	return s
}

func (c *Client) dropLocked(s chan Event) {
	if _, ok := c.subs[s]; ok {
		delete(c.subs, s)
		close(s)
	}
}

func (c *Client) emit(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.emitLocked(e)
}

func (c *Client) emitLocked(e Event) {
	for s := range c.subs {
		select {
		case s <- e:
		default:
			c.dropLocked(s)
		}
	}
}
