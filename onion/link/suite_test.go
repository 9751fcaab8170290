package link_test

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tunic/chain"
	"tunic/onion/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const body = 200

// network is what the shared suite needs of a transport.
type network struct {
	node   func(t testing.TB) (link.Transport, chain.NodeID)
	client func(t testing.TB) link.Transport
	any    string // an endpoint to listen at
	nobody string // an endpoint where nobody listens
}

var lastKey byte

func newKey() (ed25519.PrivateKey, chain.NodeID) {
	lastKey++
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = lastKey
	key := ed25519.NewKeyFromSeed(seed)
	return key, chain.NodeID(key.Public().(ed25519.PublicKey))
}

func tlsNetwork(limits link.Limits) *network {
	make := func(t testing.TB, key ed25519.PrivateKey) link.Transport {
		tr, err := link.NewTLS(link.Config{Identity: key, BodySize: body, Limits: limits, HandshakeTimeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return tr
	}
	return &network{
		node: func(t testing.TB) (link.Transport, chain.NodeID) {
			key, id := newKey()
			return make(t, key), id
		},
		client: func(t testing.TB) link.Transport { return make(t, nil) },
		any:    "127.0.0.1:0",
		nobody: "127.0.0.1:1",
	}
}

func memNetwork(t testing.TB, limits link.Limits) *network {
	hub, err := link.NewMemory(body, limits)
	if err != nil {
		t.Fatal(err)
	}
	return &network{
		node: func(testing.TB) (link.Transport, chain.NodeID) {
			_, id := newKey()
			return hub.Transport(id), id
		},
		client: func(testing.TB) link.Transport { return hub.Client() },
		nobody: "nobody-is-here",
	}
}

// both runs f over either transport.
func both(t *testing.T, limits link.Limits, f func(*testing.T, *network)) {
	t.Run("tls", func(t *testing.T) { f(t, tlsNetwork(limits)) })
	t.Run("memory", func(t *testing.T) { f(t, memNetwork(t, limits)) })
}

func listen(t testing.TB, tr link.Transport, endpoint string) link.Listener {
	t.Helper()
	l, err := tr.Listen(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func background(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// pair opens a link from dialer to a node of its own and returns both ends.
func pair(t testing.TB, n *network, dialer link.Transport) (there, here link.Conn) {
	t.Helper()
	server, id := n.node(t)
	l := listen(t, server, n.any)
	type result struct {
		c   link.Conn
		err error
	}
	accepted := make(chan result, 1)
	go func() {
		c, err := l.Accept()
		accepted <- result{c, err}
	}()
	there, err := dialer.Dial(background(t), l.Addr(), id)
	if err != nil {
		t.Fatal(err)
	}
	r := <-accepted
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(func() { there.Close(); r.c.Close() })
	return there, r.c
}

// packet is a Packet frame that carries a number.
func packet(n int) link.Frame {
	b := make([]byte, body)
	binary.BigEndian.PutUint64(b, uint64(n))
	return link.Frame{Type: link.Packet, Data: b}
}

func number(f link.Frame) int { return int(binary.BigEndian.Uint64(f.Data)) }

func hello(s string) link.Frame { return link.Frame{Type: link.Hello, Data: []byte(s)} }

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited in vain: %s", what)
}
