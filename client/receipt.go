package client

import (
	"errors"
	"fmt"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion/mail"
)

// errReceipt means that what a member sent for a store is no promise to keep it.
var errReceipt = errors.New("client: invalid receipt")

// receiptIn is the answering member's own receipt in what came for a store.
func (c *Client) receiptIn(body []byte, member chain.NodeID, store *mail.Store, sent chain.Time) ([]byte, error) {
	all, err := c.format.DecodeReceipts(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errReceipt, err)
	}
	return all[0], c.checkReceipt(all[0], member, store, sent)
}

// checkReceipt asks of a receipt, cheap questions first: is it a receipt of
// this member, for these bytes and this deletion token, for long enough (of a
// message queued at sent), and signed for this network and fork?
func (c *Client) checkReceipt(b []byte, member chain.NodeID, store *mail.Store, sent chain.Time) error {
	s, err := statement.Decode(b)
	if err != nil {
		return fmt.Errorf("%w: %w", errReceipt, err)
	}
	x, err := statement.DecodeReceipt(s.Body)
	if err != nil {
		return fmt.Errorf("%w: %w", errReceipt, err)
	}
	// A member promises to the expiry or the horizon, whichever is nearer, from
	// when it first stored the item, by a clock that is not quite ours. A store
	// repeated later gets the first one's receipt.
	p := &c.cfg.Core.Params
	slack := chain.Time(max(p.EpochLength, genesis.Minute))
	switch {
	case s.Label != statement.LabelReceipt || s.Node != member || s.Sequence != 0:
		return fmt.Errorf("%w: of another kind or node", errReceipt)
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
