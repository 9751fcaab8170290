package client

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion/mail"
	"tunic/registry/directory"
)

// promiseParts is in how many parts of the horizon members round their promises
// down: docs/spec/mail.md, Store.
const promiseParts = 8

// errReceipt means that what a member sent for a store is no promise to keep it.
var errReceipt = errors.New("client: invalid receipt")

// until is to when a receipt promises to keep its item; 0 where it does not decode.
func (s signed) until() chain.Time {
	x, err := statement.Decode(s.Receipt)
	if err != nil {
		return 0
	}
	r, err := statement.DecodeReceipt(x.Body)
	if err != nil {
		return 0
	}
	return r.Until
}

// receiptsIn are the receipts in what a member answered to a store that are new
// and count: of the swarm that the item belongs to, each node's once. The error,
// which may come with some, means that the answer is not what it has to be: valid
// receipts, each of another node. Those of nodes outside of the swarm may follow
// from another list than ours; they are passed over.
func (c *Client) receiptsIn(body []byte, store *mail.Store, sent chain.Time, sw directory.Swarm, it *outItem) (fresh []signed, bad error) {
	all, err := c.format.DecodeReceipts(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errReceipt, err)
	}
	keepers := sw.All()
	var seen []chain.NodeID
	for _, b := range all {
		s, err := statement.Decode(b)
		switch {
		case err != nil:
			bad = fmt.Errorf("%w: %w", errReceipt, err)
			continue
		case slices.Contains(seen, s.Node):
			bad = fmt.Errorf("%w: two of one node", errReceipt)
			continue
		}
		seen = append(seen, s.Node)
		if it.by(s.Node) || !slices.Contains(keepers, s.Node) {
			continue
		}
		if err := c.checkReceipt(s, store, sent); err != nil {
			bad = err
			continue
		}
		fresh = append(fresh, signed{s.Node, bytes.Clone(b)})
	}
	return fresh, bad
}

// checkReceipt asks of a receipt, cheap questions first: is it one for these
// bytes and this deletion token, for long enough (of a message queued at sent),
// and signed by its node for this network and fork?
func (c *Client) checkReceipt(s statement.Statement, store *mail.Store, sent chain.Time) error {
	x, err := statement.DecodeReceipt(s.Body)
	if err != nil {
		return fmt.Errorf("%w: %w", errReceipt, err)
	}
	// A member promises to the expiry or the horizon, whichever is nearer, from
	// when it first stored the item, by a clock that is not quite ours, and rounds
	// the horizon down to an eighth of it. A store
	// repeated later gets the first one's receipt.
	p := &c.cfg.Core.Params
	slack := chain.Time(max(p.EpochLength, genesis.Minute) + p.ReceiptHorizon/promiseParts)
	switch {
	case s.Label != statement.LabelReceipt || s.Sequence != 0:
		return fmt.Errorf("%w: of another kind", errReceipt)
	case x.Chunks != mail.ChunkRoot(store.Content) || int(x.Class) != c.format.Chunks:
		return fmt.Errorf("%w: for other bytes", errReceipt)
	case x.Deleter != store.Deleter:
		return fmt.Errorf("%w: for another deletion token", errReceipt)
	case x.Until+slack < min(store.Expiry, sent+chain.Time(p.ReceiptHorizon)):
		return fmt.Errorf("%w: it ends too early", errReceipt)
	}
	d := statement.Domain{Genesis: c.cfg.Genesis, Fork: c.view.Load().head.Header.Fork}
	if err := s.Verify(d); err != nil {
		return fmt.Errorf("%w: %w", errReceipt, err)
	}
	return nil
}
