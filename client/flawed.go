package client

import (
	"bytes"
	"fmt"

	"tunic/client/ratchet"
	"tunic/internal/flaw"
	"tunic/onion/mail"
)

// NewFlawed is New for a test that looks for what a client hides: this one goes
// without some of it. It is refused (ErrConfig) where the network is not one for
// development.
func NewFlawed(cfg Config, without flaw.Set) (*Client, error) {
	if without != (flaw.Set{}) && !cfg.Core.Dev {
		return nil, fmt.Errorf("new client: %w: only clients of development networks can be flawed", ErrConfig)
	}
	return newClient(cfg, without)
}

// pairBox is a mailbox of a pair: that of a bucket.
func (c *Client) pairBox(seed key32, from, to mail.AccountID, bucket uint64) pairBox {
	if c.flaws.NoRotation() {
		bucket = 0
	}
	return newPairBox(seed, c.cfg.Genesis, from, to, bucket)
}

// sealItem is Session.Seal into an item of the network's size.
func (c *Client) sealItem(s *ratchet.Session, plain []byte) (item []byte, next *ratchet.Session, err error) {
	if !c.flaws.NoPadding() {
		return s.Seal(plain)
	}
	e := c.env()
	zeros := make([]byte, ratchet.MaxPlaintext(e.Item)-len(plain))
	e.Item -= len(zeros)
	if s, err = ratchet.Load(e, s.State()); err != nil {
		return nil, nil, err
	}
	item, next, err = s.Seal(plain)
	return append(item, zeros...), next, err
}

// openItem is Session.Open of an item of the network's size.
func (c *Client) openItem(s *ratchet.Session, item []byte) (plain []byte, next *ratchet.Session, err error) {
	now := uint64(c.now())
	if !c.flaws.NoPadding() {
		return s.Open(item, now)
	}
	e := c.env()
	// What is sealed may end in zeros of its own.
	for e.Item = len(bytes.TrimRight(item, "\x00")); ; e.Item++ {
		s, err := ratchet.Load(e, s.State())
		if err != nil {
			return nil, nil, err
		}
		if plain, next, err = s.Open(item[:e.Item], now); err == nil || e.Item == len(item) {
			return plain, next, err
		}
	}
}
