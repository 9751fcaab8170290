package client

import (
	"bytes"
	"cmp"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/client/ratchet"
	"tunic/onion/mail"
)

// maxSessions bounds the sessions of one contact: the one in use, and those under
// which something may still come.
const maxSessions = 4

// sweepEvery is how often sessions and prekeys are looked through.
const sweepEvery = chain.Time(genesis.Minute)

// env is what all sessions have in common. The key of a message that was passed
// over is kept as long as some member may have the message.
func (c *Client) env() ratchet.Env {
	return ratchet.Env{Genesis: c.cfg.Genesis, Item: c.format.Item(), Rand: c.rand,
		Keep: uint64(c.cfg.Core.Params.MailboxTTL) + uint64(genesis.Hour)}
}

// newest is the session to write under; nil where there is none. Of two that
// crossed, both accounts come to take the same.
func (r *contactRecord) newest() *sessionRecord {
	if len(r.Sessions) == 0 {
		return nil
	}
	return r.Sessions[0]
}

// mine is the session to write under where we began it.
func (r *contactRecord) mine() *sessionRecord {
	if s := r.newest(); s != nil && s.Request != nil {
		return s
	}
	return nil
}

func (r *contactRecord) session(seed key32) *sessionRecord {
	i := slices.IndexFunc(r.Sessions, func(s *sessionRecord) bool { return s.Seed == seed })
	if i < 0 {
		return nil
	}
	return r.Sessions[i]
}

// addSessionLocked notes a new session. The one that was begun last comes first;
// of two begun at one time, that of the lower account.
func (c *Client) addSessionLocked(r *contactRecord, s *sessionRecord) {
	self := c.cfg.Account.id
	lower := bytes.Compare(self[:], r.ID[:]) < 0
	r.Sessions = append(r.Sessions, s)
	slices.SortStableFunc(r.Sessions, func(a, b *sessionRecord) int {
		if d := cmp.Compare(b.Sent, a.Sent); d != 0 || (a.Request != nil) == (b.Request != nil) {
			return d
		}
		if (a.Request != nil) == lower {
			return -1
		}
		return 1
	})
	r.Sessions = r.Sessions[:min(len(r.Sessions), maxSessions)]
}

// dropSessionsLocked forgets sessions of which nothing can be used any more; what
// was sealed under them is sealed anew, under the same message ids.
func (c *Client) dropSessionsLocked(r *contactRecord, gone func(*sessionRecord) bool) []row {
	var rows []row
	r.Sessions = slices.DeleteFunc(r.Sessions, func(s *sessionRecord) bool {
		if !gone(s) {
			return false
		}
		rows = append(rows, c.unsealLocked(r, s.Seed)...)
		return true
	})
	return rows
}

// sweepSessionsLocked forgets the sessions that were replaced so long ago that
// nothing comes under them, and the keys of messages that will not come.
func (c *Client) sweepSessionsLocked(now chain.Time) (rows []row) {
	keep := chain.Time(c.env().Keep)
	for _, r := range c.contacts {
		before := len(r.Sessions)
		if s := r.newest(); s != nil && now > s.Created+keep {
			rows = append(rows, c.dropSessionsLocked(r, func(x *sessionRecord) bool { return x != s })...)
		}
		changed := len(r.Sessions) < before
		for _, s := range r.Sessions {
			if x, err := ratchet.Load(c.env(), s.State); err == nil && x.Skipped() > 0 {
				if x, any := x.Forget(uint64(now)); any {
					s.State, changed = x.State(), true
				}
			}
		}
		if changed {
			rows = append(rows, r.row())
		}
	}
	return rows
}

// outOfStepLocked begins anew with a contact whose items do not open: one side's
// state is an old one. It does so at most once in a while, whatever a member
// shows.
func (c *Client) outOfStepLocked(r *contactRecord, seed key32) []row {
	now := c.now()
	if s := r.newest(); s == nil || s.Seed != seed || r.Renew || now < r.Renewed+renewPause*chain.Time(c.cfg.Resend.Milliseconds()) {
		return nil
	}
	r.Renew, r.Renewed = true, now
	c.log.Warn("a contact's messages do not open; a new session is begun")
	c.wakeUp()
	return []row{r.row()}
}

// renewPause is the least time between two sessions that we begin because the
// former ones were out of step, in first pauses between repetitions.
const renewPause = 12

// seenKey names an item that was opened: its ratchet key is gone.
type seenKey [16]byte

func seenOf(content []byte) seenKey {
	h := chain.SHA256(content)
	return seenKey(h[:16])
}

// againLocked is for an item that was opened before and is shown once more, by
// another member or since our confirmation was lost.
func (c *Client) againLocked(r *contactRecord, b box, s *seenRecord) []row {
	id := mail.AccountID(r.ID)
	if s.Kind != kindText || c.in[inKey{id, s.ID}] == nil {
		return nil
	}
	return c.confirmLocked(r, b, s.ID)
}
