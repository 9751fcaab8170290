package fault

import (
	"context"
	"fmt"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/onion/link"
	"tunic/relay"
)

// Forgery is how the relay lies in its probe commitments.
type Forgery uint8

// The forgeries.
const (
	ForgeNothing Forgery = iota
	ForgeReveal          // it reveals tags that are not those of its plan
	ForgeRoot            // it commits to a root that it cannot open
)

// Forge lets the relay lie in its probe commitments from now on.
func (t *Twin) Forge(f Forgery) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forge = f
}

// Declare lets heartbeats declare another version than the relay's, allowed or
// not; empty ends it.
func (t *Twin) Declare(version string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.version = version
}

// signer is what the relay signs with.
type signer struct{ t *Twin }

func (s signer) Sign(d statement.Domain, l statement.Label, seq statement.Sequence, body []byte) statement.Statement {
	t := s.t
	t.mu.Lock()
	defer t.mu.Unlock()
	t.domain = d
	switch l {
	case statement.LabelHeartbeat:
		body = t.declared(body)
	case statement.LabelCommitment:
		body = t.forged(body)
	case statement.LabelVote:
		return t.signVote(d, seq, body)
	}
	st := statement.Sign(d, t.identity, l, seq, body)
	switch l {
	case statement.LabelDescriptor:
		t.signed = st
	case statement.LabelHeartbeat:
		t.beat = st
	case statement.LabelReceipt:
		t.signedReceipt(st)
	}
	return st
}

// Heartbeat is the newest heartbeat that the relay has signed, encoded, whether
// or not a ledger took it; nil if there is none.
func (t *Twin) Heartbeat() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.beat.Body) == 0 {
		return nil
	}
	return t.beat.Encode()
}

// declared is a heartbeat's body with the version that it is told to declare.
// What the relay itself made can be read.
func (t *Twin) declared(body []byte) []byte {
	h, err := statement.DecodeHeartbeat(body)
	if err != nil || t.version == "" {
		return body
	}
	h.Version = t.version
	return h.Encode()
}

// forged is a commitment's body with one lie in it.
func (t *Twin) forged(body []byte) []byte {
	c, err := statement.DecodeCommitment(body)
	if err != nil {
		return body
	}
	switch {
	case t.forge == ForgeReveal && c.Reveal != nil:
		for i := range c.Reveal.Probes {
			for l := range c.Reveal.Probes[i] {
				c.Reveal.Probes[i][l][0] ^= 1
			}
		}
	case t.forge == ForgeRoot && c.Depth > 0:
		c.Root = chain.SHA256([]byte("no tree"), c.Root[:])
	}
	return c.Encode()
}

// DoubleDescriptor signs a second descriptor under the sequence of the relay's
// current one, naming another endpoint, and shows it to the peers: that is how
// a relay would partition clients. head is a sealed header for the greeting.
// It returns the two statements.
func (t *Twin) DoubleDescriptor(ctx context.Context, other string, head chain.SealedHeader, peers map[chain.NodeID]string) (first, second statement.Statement, err error) {
	t.mu.Lock()
	d, first := t.domain, t.signed
	t.mu.Unlock()
	if len(first.Body) == 0 {
		return first, second, ErrNothingSigned
	}
	body, err := statement.DecodeDescriptor(first.Body)
	if err != nil {
		return first, second, fmt.Errorf("fault: %w", err)
	}
	body.Endpoints = []string{other}
	d.Fork = first.Fork
	second = statement.Sign(d, t.identity, statement.LabelDescriptor, first.Sequence, body.Encode())
	t.mu.Lock()
	t.pairs[statement.LabelDescriptor] = [2]statement.Statement{first, second}
	t.mu.Unlock()
	hello := relay.Hello{Descriptor: second.Encode(), Header: head.Encode()}
	for id, endpoint := range peers {
		if err = t.greet(ctx, hello, id, endpoint); err != nil {
			return first, second, err
		}
	}
	return first, second, nil
}

// ShowHeader shows a sealed header to a peer, as the greeting of a relay whose
// ledger told it another story than the peer's.
func (t *Twin) ShowHeader(ctx context.Context, s chain.SealedHeader, peer chain.NodeID, endpoint string) error {
	return t.greet(ctx, relay.Hello{Header: s.Encode()}, peer, endpoint)
}

// ShowVotes shows votes to a peer, as relays do in greetings.
func (t *Twin) ShowVotes(ctx context.Context, votes []statement.Statement, peer chain.NodeID, endpoint string) error {
	var h relay.Hello
	for _, v := range votes {
		h.Votes = append(h.Votes, v.Encode())
	}
	return t.greet(ctx, h, peer, endpoint)
}

// greet says hello to a peer on a link of its own.
func (t *Twin) greet(ctx context.Context, h relay.Hello, peer chain.NodeID, endpoint string) error {
	t.mu.Lock()
	tr := t.transport
	t.mu.Unlock()
	conn, err := tr.Dial(ctx, endpoint, peer)
	if err != nil {
		return fmt.Errorf("fault: %w", err)
	}
	defer conn.Close()
	if err := conn.Send(link.Frame{Type: link.Hello, Data: h.Encode()}); err != nil {
		return fmt.Errorf("fault: %w", err)
	}
	return nil
}
