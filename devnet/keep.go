package devnet

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"time"

	"tunic/chain"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/relay"
)

// Kept is a message that a relay was asked to keep, and what it signed for it.
type Kept struct {
	Token   [32]byte // that deletes it
	Receipt []byte   // encoded statement
}

// Keep lets relay i keep a message of nobody's for d, and returns its receipt.
func (n *Network) Keep(ctx context.Context, i int, d chain.Duration) (Kept, error) {
	r := n.Relays[i]
	var k Kept
	seed := n.derive("kept", int(n.kept.Add(1)))
	k.Token = chain.SHA256([]byte("token"), seed[:])
	write := ed25519.NewKeyFromSeed(seed[:])
	f := mail.FormatOf(relay.Geometry(n.Genesis.Core))
	s := &mail.Store{
		ReadHash: mail.KeyHash(seed), Write: [32]byte(write.Public().(ed25519.PublicKey)),
		Expiry: n.Ledger.Head().Header.Time + chain.Time(d), Deleter: mail.Deleter(k.Token), Content: make([]byte, f.Item()),
	}
	for at, h := 0, chain.Hash(seed); at < len(s.Content); at += copy(s.Content[at:], h[:]) {
		h = chain.SHA256(h[:])
	}
	s.Sign(n.File.Genesis, write)
	signed := func() bool {
		k.Receipt = r.Twin.Receipt(s.Deleter)
		return k.Receipt != nil
	}
	return k, n.command(ctx, r, mail.Command{Store: s}, signed)
}

// Delete shows relay i the token of a message that it keeps.
func (n *Network) Delete(ctx context.Context, i int, k Kept) error {
	r := n.Relays[i]
	deleter := mail.Deleter(k.Token)
	return n.command(ctx, r, mail.Command{Delete: &mail.Delete{Token: k.Token}}, func() bool { return r.Twin.Deleted(deleter) })
}

// command brings a mailbox command straight to a relay, as a guard's client that
// waits for no answer, until done says that it was carried out.
func (n *Network) command(ctx context.Context, r *Relay, cmd mail.Command, done func() bool) error {
	head := n.Ledger.Head().Header
	list, _, err := n.Ledger.List(head.DirEpoch)
	if err != nil {
		return err
	}
	at, listed := list.Index(r.ID)
	if !listed {
		return fmt.Errorf("devnet: %s is not in the directory", r.Name())
	}
	e := list.Entries[at]
	cmd.Replies = [][]byte{make([]byte, onion.SURBSize)} // leads nowhere
	packet, err := relay.Geometry(n.Genesis.Core).Wrap(rand.Reader, n.File.Genesis, onion.ExpiryOf(list.Epoch),
		[]onion.Hop{{Index: uint32(at), Key: e.Onion.Key, KeyEpoch: e.Onion.First}}, cmd.Encode())
	if err != nil {
		return err
	}
	tr, err := n.clientTransport()
	if err != nil {
		return err
	}
	pool := link.NewPool(tr, func(chain.NodeID) (string, bool) { return r.Endpoint, true }, link.PoolConfig{})
	defer pool.Close()
	if err := pool.Send(r.ID, link.Frame{Type: link.Packet, Data: packet}); err != nil {
		return fmt.Errorf("devnet: to %s: %w", r.Name(), err)
	}
	limit := time.After(witnessLimit)
	for !done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit:
			return fmt.Errorf("devnet: %s did not do in %v what its mailboxes were asked for", r.Name(), witnessLimit)
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}
