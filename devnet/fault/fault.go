// Package fault makes relays misbehave on command, by wrapping what a relay
// signs and sends with: its Signer and its Transport. Only devnet imports it.
//
// A Twin behaves like the honest relay until one of its faults is called; what a
// fault makes is an offence of docs/spec/slashing.md.
package fault

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion/link"
	"tunic/relay"
)

var (
	// ErrNotDev means that a fault was asked for outside a dev network.
	ErrNotDev = errors.New("fault: faults need a genesis with dev: true")
	// ErrNothingSigned means that the relay has not signed what the fault needs.
	ErrNothingSigned = errors.New("fault: the relay has signed nothing yet")
)

// Twin wraps one relay's signer and transport.
type Twin struct {
	identity  ed25519.PrivateKey
	transport link.Transport

	mu         sync.Mutex // guards what follows
	domain     statement.Domain
	descriptor statement.Statement // the last one signed
}

// New makes the twin of the relay with this identity; core must be a dev
// network's.
func New(core genesis.Core, identity ed25519.PrivateKey, t link.Transport) (*Twin, error) {
	if !core.Dev {
		return nil, ErrNotDev
	}
	return &Twin{identity: identity, transport: t}, nil
}

// Transport is what the relay sends with.
func (t *Twin) Transport() link.Transport { return t.transport }

// Signer is what the relay signs with.
func (t *Twin) Signer() relay.Signer { return signer{t} }

type signer struct{ t *Twin }

func (s signer) Sign(d statement.Domain, l statement.Label, seq statement.Sequence, body []byte) statement.Statement {
	st := statement.Sign(d, s.t.identity, l, seq, body)
	if l == statement.LabelDescriptor {
		s.t.mu.Lock()
		s.t.domain, s.t.descriptor = d, st
		s.t.mu.Unlock()
	}
	return st
}

// DoubleDescriptor signs a second descriptor under the sequence of the relay's
// current one, naming another endpoint, and shows it to the peers: that is how
// a relay would partition clients. head is a sealed header for the greeting.
// It returns the two statements.
func (t *Twin) DoubleDescriptor(ctx context.Context, other string, head chain.SealedHeader, peers map[chain.NodeID]string) (first, second statement.Statement, err error) {
	t.mu.Lock()
	d, first := t.domain, t.descriptor
	t.mu.Unlock()
	if len(first.Body) == 0 {
		return first, second, ErrNothingSigned
	}
	body, err := statement.DecodeDescriptor(first.Body)
	if err != nil {
		return first, second, fmt.Errorf("fault: %w", err)
	}
	body.Endpoints = []string{other}
	second = statement.Sign(d, t.identity, statement.LabelDescriptor, first.Sequence, body.Encode())
	hello := relay.Hello{Descriptor: second.Encode(), Header: head.Encode()}
	shown := 0
	for id, endpoint := range peers {
		conn, dialErr := t.transport.Dial(ctx, endpoint, id)
		if dialErr != nil {
			err = dialErr
			continue
		}
		if sendErr := conn.Send(link.Frame{Type: link.Hello, Data: hello.Encode()}); sendErr != nil {
			err = sendErr
		} else {
			shown++
		}
		conn.Close()
	}
	if shown > 0 {
		err = nil
	}
	return first, second, err
}

// ShowHeader shows a sealed header to a peer, as the greeting of a relay whose
// ledger told it another story than the peer's.
func (t *Twin) ShowHeader(ctx context.Context, s chain.SealedHeader, peer chain.NodeID, endpoint string) error {
	conn, err := t.transport.Dial(ctx, endpoint, peer)
	if err != nil {
		return fmt.Errorf("fault: %w", err)
	}
	defer conn.Close()
	if err := conn.Send(link.Frame{Type: link.Hello, Data: relay.Hello{Header: s.Encode()}.Encode()}); err != nil {
		return fmt.Errorf("fault: %w", err)
	}
	return nil
}
