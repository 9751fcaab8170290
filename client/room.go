package client

import (
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion/mail"
)

// Bounds of what is kept of one contact: the newest messages.
const (
	maxKept      = 1 << 14
	maxKeptBytes = 16 << 20
)

// kept is how much is kept of one contact.
type kept struct{ messages, bytes int }

// keepLocked adds a received message.
func (s *state) keepLocked(r *inRecord) {
	from := mail.AccountID(r.Contact)
	s.in[inKey{from, r.ID}] = r
	k := s.kept[from]
	s.kept[from] = kept{k.messages + 1, k.bytes + len(r.Text)}
}

// forgetLocked removes one.
func (s *state) forgetLocked(key inKey) row {
	r := s.in[key]
	delete(s.in, key)
	k := s.kept[key.from]
	if k = (kept{k.messages - 1, k.bytes - len(r.Text)}); k.messages == 0 {
		delete(s.kept, key.from)
	} else {
		s.kept[key.from] = k
	}
	return r.gone()
}

// overLocked reports whether a message sent at that time is over: no member may
// show it any more, and where one does, it is not taken.
func (c *Client) overLocked(sent chain.Time) bool {
	return c.now() > sent+chain.Time(c.cfg.Core.Params.MailboxTTL)+chain.Time(genesis.Hour)
}

// roomLocked reports whether size bytes more of a contact can be kept, and
// which messages have to be forgotten for them: its oldest, as far as they are
// over. One that is not must be kept, or it could be shown a second time; so a
// contact that sends more than the bounds within the life of a message is not
// listened to for a while.
func (c *Client) roomLocked(from mail.AccountID, size int) (old []inKey, ok bool) {
	k := c.kept[from]
	for gone := map[inKey]bool{}; k.messages >= maxKept || k.bytes+size > maxKeptBytes; {
		var oldest *inRecord
		for key, r := range c.in {
			if key.from == from && !gone[key] && (oldest == nil || r.Order < oldest.Order) {
				oldest = r
			}
		}
		if oldest == nil || !c.overLocked(oldest.Sent) {
			return nil, false
		}
		key := inKey{from, oldest.ID}
		gone[key] = true
		old = append(old, key)
		k.messages--
		k.bytes -= len(oldest.Text)
	}
	return old, true
}

// confirmsLocked counts the confirmations that wait for a contact, of delivery and
// of reading.
func (c *Client) confirmsLocked(to mail.AccountID) (n int) {
	for k := range c.out {
		if k.kind.notice() && k.to == to {
			n++
		}
	}
	return n
}
