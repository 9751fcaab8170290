package light

import (
	"errors"
	"fmt"

	"tunic/chain"
	"tunic/chain/cometbft"
)

// Fetch gets the certificate of a height of CometBFT with its sets. What it gives
// is verified.
type Fetch func(chain.Height) (cometbft.Certificate, error)

// Reach is Accept with whatever it takes to get there: fetch is asked for the
// certificates that are needed, the furthest first and then half the way, until
// each next step is within reach. It holds at most 64 of them at a time. Errors
// are those of Accept, of Learn and of fetch; what was learnt stays.
func Reach(v *Verifier, s chain.SealedHeader, now chain.Time, fetch Fetch) error {
	return Climb(func() error { return v.Accept(s, now, true) }, func(c cometbft.Certificate) error { return v.Learn(c, now) }, fetch)
}

// Climb is Reach for who guards a Verifier: accept and learn are its Accept and
// Learn, and nothing is held while fetch waits.
func Climb(accept func() error, learn func(cometbft.Certificate) error, fetch Fetch) error {
	c := climb{learn: learn, fetch: fetch}
	for {
		err := accept()
		var needs *Needs
		if !errors.As(err, &needs) {
			return err
		}
		if err := c.to(needs.Height, 0); err != nil {
			return err
		}
	}
}

type climb struct {
	learn   func(cometbft.Certificate) error
	fetch   Fetch
	fetched int
}

// to learns the certificate of height h and what is needed before.
func (c *climb) to(h chain.Height, depth int) error {
	if c.fetched++; depth == maxClimb || c.fetched > maxFetch {
		return fmt.Errorf("%w: no way to height %d in %d certificates", ErrSeal, h, c.fetched)
	}
	x, err := c.fetch(h)
	if err != nil {
		return fmt.Errorf("fetch the certificate of height %d: %w", h, err)
	}
	if x.Header.Height != h || x.Set == nil {
		return fmt.Errorf("%w: asked for the certificate of height %d with its set, and got height %d", ErrSeal, h, x.Header.Height)
	}
	for {
		err := c.learn(x)
		var needs *Needs
		if !errors.As(err, &needs) {
			return err
		}
		if needs.Height >= h {
			return fmt.Errorf("%w: height %d cannot be reached", ErrSeal, h)
		}
		if err := c.to(needs.Height, depth+1); err != nil {
			return err
		}
	}
}
