package client

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"time"

	"tunic/chain"
	"tunic/client/ratchet"
	"tunic/onion/mail"
)

const (
	// onceEach is how many bundles to be handed out once each member is brought.
	onceEach = 8
	// maxTried bounds the contact requests that are remembered as worked on.
	maxTried = 4096
)

// prekeyRecord is the private half of a bundle's prekey.
type prekeyRecord struct {
	Serial uint64
	Seed   []byte
	Once   bool
	Member chain.NodeID // that hands it out once
	There  bool         // and has it
	Until  chain.Time   // of the bundle
	Used   chain.Time   // a request came that was made with it; 0: none

	key *ratchet.Prekey
}

func (p *prekeyRecord) name() string { return string(binary.BigEndian.AppendUint64(nil, p.Serial)) }
func (p *prekeyRecord) row() row     { return encodeRow(rowPrekey, p.name(), p) }
func (p *prekeyRecord) gone() row    { return row{rowPrekey, p.name(), nil} }

// spent notes that a request was made with a prekey for one use; the rows are to be
// saved.
func (p *prekeyRecord) spent(now chain.Time) []row {
	if p.Used != 0 || !p.Once {
		return nil
	}
	p.Used = now
	return []row{p.row()}
}

// private is the key itself.
func (p *prekeyRecord) private() (*ratchet.Prekey, error) {
	if p.key == nil {
		k, err := ratchet.NewPrekey(p.Seed)
		if err != nil {
			return nil, err
		}
		p.key = k
	}
	return p.key, nil
}

// newPrekeyLocked draws a prekey and saves it, before its bundle leaves.
func (c *Client) newPrekeyLocked(once bool, member chain.NodeID) (*prekeyRecord, error) {
	now := c.now()
	c.meta.Serial = max(c.meta.Serial+1, uint64(now))
	p := &prekeyRecord{Serial: c.meta.Serial, Seed: make([]byte, ratchet.PrekeySeedSize), Once: once, Member: member,
		Until: now + chain.Time(c.cfg.Core.Params.MailboxTTL)}
	if _, err := io.ReadFull(c.rand, p.Seed); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	if _, err := p.private(); err != nil {
		return nil, err
	}
	if err := c.saveLocked(c.meta.row(), p.row()); err != nil {
		return nil, err
	}
	c.prekeys[p.Serial] = p
	return p, nil
}

// bundleLocked is a prekey's bundle, the same bytes each time.
func (c *Client) bundleLocked(p *prekeyRecord) ([]byte, error) {
	k, err := p.private()
	if err != nil {
		return nil, err
	}
	a := c.cfg.Account
	b := mail.Bundle{Once: p.Once, Ed: a.edPublic(), X: a.xPublic(), Since: c.meta.Since, Serial: p.Serial, Until: p.Until, Work: mail.DefaultWork}
	copy(b.Prekey[:], k.Public())
	b.Sign(c.cfg.Genesis, a.ed)
	return b.Encode(), nil
}

// lastResortLocked is the prekey of the account's last resort; nil where there is
// none with half of its life before it.
func (c *Client) lastResortLocked() (best *prekeyRecord) {
	half := chain.Time(c.cfg.Core.Params.MailboxTTL) / 2
	for _, p := range c.prekeys {
		if !p.Once && p.Until > c.now()+half && (best == nil || p.Serial > best.Serial) {
			best = p
		}
	}
	return best
}

// settleSince says when the account's present state began; false where it cannot yet.
// One that has just begun is later than what the network knows of a former one.
func (c *Client) settleSince(ctx context.Context) bool {
	c.mu.Lock()
	since := c.meta.Since
	c.mu.Unlock()
	if since != 0 {
		return true
	}
	b, err := c.lastResort(ctx, c.cfg.Account.id)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.settledLocked(err) {
		return false
	}
	c.meta.Since = max(c.now(), b.Since+1, 1)
	c.meta.Serial = max(c.meta.Serial, b.Serial)
	return c.saveLocked(c.meta.row()) == nil
}

// stock keeps members supplied with bundles to hand out once, one at a time on the
// clock of polls, until ctx ends.
func (c *Client) stock(ctx context.Context) {
	for {
		if !pass(ctx, time.Duration(c.exponential()*float64(c.cfg.Poll))) {
			return
		}
		select {
		case <-c.ready: // the last resort is there
		default:
			continue
		}
		p, bundle, err := c.nextOnce()
		if err != nil || p == nil {
			continue
		}
		reply, err := c.roundTrip(ctx, p.Member, mail.Command{PutBundle: &mail.PutBundle{Bundle: bundle}})
		if err != nil {
			c.mu.Lock()
			c.dry[p.Member] = time.Now().Add(time.Minute)
			c.mu.Unlock()
			continue
		}
		c.stocked(p.Member, p, reply)
		if reply.Code == mail.CodeOutdated {
			c.outdated(ctx, p.Member, p)
		}
	}
}

// nextOnce is a prekey to bring to the member that has the fewest; nil where all
// have enough.
func (c *Client) nextOnce() (*prekeyRecord, []byte, error) {
	members := c.ranked(mail.AccountMailbox(c.cfg.Account.id))
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.meta.Elsewhere != 0 {
		return nil, nil, nil
	}
	now, quarter := c.now(), chain.Time(c.cfg.Core.Params.MailboxTTL)/4
	have := map[chain.NodeID]int{}
	waiting := map[chain.NodeID]*prekeyRecord{}
	for _, p := range c.prekeys {
		switch {
		case !p.Once || p.Used != 0 || p.Until <= now+quarter:
		case p.There:
			have[p.Member]++
		default:
			waiting[p.Member] = p
		}
	}
	var to chain.NodeID
	least := onceEach
	for _, m := range members {
		if c.strikes.Avoided(m, now) || time.Now().Before(c.dry[m]) {
			continue
		}
		n := have[m]
		if told, ok := c.told[m]; ok {
			n = min(n, told)
		}
		if n < least {
			to, least = m, n
		}
	}
	if least == onceEach {
		return nil, nil, nil
	}
	p := waiting[to]
	if p == nil {
		var err error
		if p, err = c.newPrekeyLocked(true, to); err != nil {
			return nil, nil, err
		}
	}
	b, err := c.bundleLocked(p)
	return p, b, err
}

// stocked notes what a member says to a bundle; once is the prekey of one that it
// is to hand out once, or nil.
func (c *Client) stocked(member chain.NodeID, once *prekeyRecord, reply mail.Reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch reply.Code {
	case mail.CodeAccepted:
		if len(reply.Body) == 2 {
			c.told[member] = int(binary.BigEndian.Uint16(reply.Body))
		}
		if once != nil && c.prekeys[once.Serial] == once {
			once.There = true
			c.persistLocked(once.row())
		}
	case mail.CodeFull:
		c.told[member] = onceEach
	case mail.CodeOutdated: // a later state of this account is at work elsewhere, or this one's serials came back
		if once != nil {
			delete(c.prekeys, once.Serial)
			c.persistLocked(once.gone())
		}
	}
}

// sweepPrekeysLocked forgets the private keys with which no request can come any
// more: a mailbox life after their bundle ended, or after their first use.
func (c *Client) sweepPrekeysLocked(now chain.Time) (rows []row) {
	ttl := chain.Time(c.env().Keep)
	for serial, p := range c.prekeys {
		if now > p.Until+ttl || p.Used != 0 && now > p.Used+ttl {
			delete(c.prekeys, serial)
			clear(p.Seed)
			rows = append(rows, p.gone())
		}
	}
	return rows
}

// openRequest reads a contact request, name is seenOf it, with whichever prekey it
// was made with: nothing of it says which.
func (c *Client) openRequest(name seenKey, content []byte) (q ratchet.Request, b ratchet.Begun, used *prekeyRecord, ok bool) {
	c.mu.Lock()
	if c.tried[name] {
		c.mu.Unlock()
		return q, b, nil, false
	}
	all := make([]*prekeyRecord, 0, len(c.prekeys))
	for _, p := range c.prekeys {
		if _, err := p.private(); err == nil {
			all = append(all, p)
		}
	}
	c.mu.Unlock()
	slices.SortFunc(all, func(a, b *prekeyRecord) int { return cmp.Compare(b.Serial, a.Serial) })
	for _, p := range all {
		var err error
		if q, b, err = ratchet.Accept(c.env(), c.cfg.Account.keys(), p.key, content); err == nil {
			return q, b, p, true
		}
	}
	return q, b, nil, false
}

// triedLocked remembers a contact request that was worked on.
func (c *Client) triedLocked(name seenKey) {
	if len(c.tried) >= maxTried {
		clear(c.tried)
	}
	c.tried[name] = true
}

// lastResort fetches an account's last resort.
func (c *Client) lastResort(ctx context.Context, id mail.AccountID) (mail.Bundle, error) {
	b, _, err := c.bundles(ctx, id, false)
	return b, err
}

// lookup fetches a bundle of an account to begin a session with: one that is
// handed out once, where a member has any that goes with the newest last resort.
func (c *Client) lookup(ctx context.Context, id mail.AccountID) (mail.Bundle, error) {
	last, once, err := c.bundles(ctx, id, true)
	if once.Once && once.Since >= last.Since {
		return once, nil
	}
	return last, err
}
