package bench

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/relay"
)

// netClient is an end that asks members of a swarm and takes their answers.
type netClient struct {
	*relayNet
	end   *netEnd
	token onion.Token

	mu      sync.Mutex
	keys    []onion.SURBKeys // by number of the message
	answer  func(i int, r mail.Reply) error
	arrived func(i int)
	failed  error // of an answer
}

// newNetClient attaches the end to every relay that is a hop: each is its guard
// for a third of what it asks.
func newNetClient(ctx context.Context, n *relayNet, e *netEnd) (*netClient, error) {
	c := &netClient{relayNet: n, end: e, token: onion.Token{1}}
	e.frame = func(_ *link.Link, f link.Frame) {
		if f.Type == link.Packet {
			c.take(f.Data)
		}
	}
	for _, r := range n.relays[:netHops] {
		if err := e.pool.Send(r.ID(), relay.AttachFrame(c.token)); err != nil {
			return nil, err
		}
		for r.Status().Clients == 0 {
			if err := sleep(ctx, time.Millisecond); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

// take opens an answer.
func (c *netClient) take(body []byte) {
	id, payload, ok := relay.ParseAnswer(body)
	if !ok {
		return
	}
	i := int(binary.BigEndian.Uint64(id[:]))
	c.mu.Lock()
	if i >= len(c.keys) {
		c.mu.Unlock()
		return
	}
	keys, answer, arrived := c.keys[i], c.answer, c.arrived
	c.mu.Unlock()
	message, err := keys.Open(payload)
	var r mail.Reply
	if err == nil {
		r, err = mail.FormatOf(onion.Small).DecodeReply(message)
	}
	if err == nil {
		err = answer(i, r)
	}
	if err != nil {
		c.mu.Lock()
		if c.failed == nil {
			c.failed = err
		}
		c.mu.Unlock()
		return // the flow misses it
	}
	arrived(i)
}

// ask makes parcels that carry commands over three hops to the members in turn,
// with a reply block over three hops back, and returns what one cost.
func (c *netClient) ask(n int, command func(i int) mail.Command) ([]parcel, time.Duration, error) {
	keys := make([]onion.SURBKeys, n)
	members := len(c.relays) - netHops
	parcels, cost, err := makeAll(n, func(i int) (parcel, error) {
		way := rotation(i, netHops, netHops)
		back := []int{way[2], way[1], way[0]}
		var id onion.SURBID
		binary.BigEndian.PutUint64(id[:], uint64(i))
		surb, k, err := onion.Small.NewSURB(rand.Reader, c.ledger.hash, onion.ExpiryOf(1), c.path(back...), c.token, id)
		if err != nil {
			return parcel{}, err
		}
		keys[i] = k
		cmd := command(i)
		cmd.Replies = [][]byte{surb[:]}
		path := c.path(append(way, netHops+i%members)...)
		p, err := onion.Small.Wrap(rand.Reader, c.ledger.hash, onion.ExpiryOf(1), path, cmd.Encode())
		return parcel{c.list.Entries[path[0].Index].Node, p}, err
	})
	c.mu.Lock()
	c.keys = keys
	c.mu.Unlock()
	return parcels, cost, err
}

// run sends what ask made, so many under way at a time.
func (c *netClient) run(ctx context.Context, parcels []parcel, underWay int, answer func(i int, r mail.Reply) error) (flowResult, error) {
	f := newFlow(c.end, parcels, underWay)
	c.mu.Lock()
	c.arrived, c.answer, c.failed = f.arrived, answer, nil
	c.mu.Unlock()
	r, err := f.run(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		err = c.failed
	}
	return r, err
}

// head asks any member for its head: an answer that costs it nothing.
func head(int) mail.Command { return mail.Command{Head: &mail.Head{}} }

func anyAnswer(int, mail.Reply) error { return nil }

// storeCommands makes a command to store random content, each in a mailbox of
// its own that any member keeps, and what an answer must be: receipts of a
// majority of the swarm, each of a member of its own, signed by it, for this
// content.
func (c *netClient) storeCommands(n int) (command func(i int) mail.Command, answer func(i int, r mail.Reply) error) {
	format := mail.FormatOf(onion.Small)
	stores := make([]*mail.Store, n)
	roots := make([]chain.Hash, n)
	domain := statement.Domain{Genesis: c.ledger.hash}
	command = func(i int) mail.Command {
		var seed [32]byte
		_, _ = rand.Read(seed[:]) // never fails
		write := ed25519.NewKeyFromSeed(seed[:])
		s := &mail.Store{Write: [32]byte(write.Public().(ed25519.PublicKey)), Expiry: c.ledger.now() + chain.Time(genesis.Hour), Content: make([]byte, format.Item())}
		_, _ = rand.Read(s.Content)
		_, _ = rand.Read(s.Deleter[:])
		s.Sign(c.ledger.hash, write)
		stores[i], roots[i] = s, mail.ChunkRoot(s.Content)
		return mail.Command{Store: s}
	}
	answer = func(i int, r mail.Reply) error {
		if r.Code != mail.CodeStored {
			return fmt.Errorf("a store was answered %s", r.Code)
		}
		receipts, err := format.DecodeReceipts(r.Body)
		if err != nil {
			return err
		}
		by := map[chain.NodeID]bool{}
		for _, b := range receipts {
			s, err := statement.Decode(b)
			if err != nil {
				return err
			}
			x, err := statement.DecodeReceipt(s.Body)
			if err != nil {
				return err
			}
			if x.Chunks != roots[i] || x.Deleter != stores[i].Deleter {
				return fmt.Errorf("a receipt is for something else")
			}
			if err := s.Verify(domain); err != nil {
				return err
			}
			by[s.Node] = true
		}
		if !c.list.Swarm(stores[i].Mailbox(), nil).Confirmed(func(id chain.NodeID) bool { return by[id] }) {
			return fmt.Errorf("a store has receipts of %d members of a swarm of %d", len(by), len(c.relays)-netHops)
		}
		return nil
	}
	return command, answer
}
