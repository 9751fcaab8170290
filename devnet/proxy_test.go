package devnet_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/client"
	"tunic/devnet"
	"tunic/internal/sockstest"
	"tunic/node"
	"tunic/onion/link"
)

// counting counts what relays accept from who shows no identity.
type counting struct {
	link.Transport
	anonymous *atomic.Int32
}

func (t counting) Listen(endpoint string) (link.Listener, error) {
	l, err := t.Transport.Listen(endpoint)
	return countingListener{l, t.anonymous}, err
}

type countingListener struct {
	link.Listener
	anonymous *atomic.Int32
}

func (l countingListener) Accept() (link.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		if _, known := c.Peer(); !known {
			l.anonymous.Add(1)
		}
	}
	return c, err
}

// behind is a client behind a proxy of its own, at work.
func behind(t *testing.T, n genesis.Network, addr string) *client.Client {
	t.Helper()
	words, err := client.NewMnemonic(rand.Reader, 12)
	if err != nil {
		t.Fatal(err)
	}
	account, err := client.Restore(words)
	if err != nil {
		t.Fatal(err)
	}
	p, err := node.ParseProxy("socks5://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c, err := node.OpenClient(ctx, node.ClientConfig{Account: account, Dir: t.TempDir(), Network: n, Proxy: p, AcceptAll: true})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; c.Close() })
	return c
}

// Two people behind SOCKS5 proxies, as behind Tor, in a network with mixing and
// cover over TLS: a message is confirmed. Only the proxies can find the ledger, no
// name is looked up in front of them, and every link that a relay accepts from a
// client is one that a proxy opened. When the proxy ends, so does everything.
func TestBehindProxies(t *testing.T) {
	params, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	params.MixingMean, params.Cover = 20, true
	var anonymous atomic.Int32
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	network, err := devnet.Start(ctx, devnet.Spec{Relays: 6, Seed: 11, Params: &params, Links: devnet.LinksTLS, Live: true, HTTP: "127.0.0.1:0",
		Wrap: func(_ string, _ chain.NodeID, t link.Transport) link.Transport { return counting{t, &anonymous} }})
	if err != nil {
		t.Fatal(err)
	}
	defer network.Close()

	was := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("a name was looked up around the proxy")
		return nil, errors.New("no lookups")
	}}
	defer func() { net.DefaultResolver = was }()
	file := network.File
	file.URLs = []string{"http://ledger.invalid:8400"}
	hosts := map[string]string{"ledger.invalid": strings.TrimPrefix(network.URL, "http://")}
	of := [2]*sockstest.Server{sockstest.Start(t, sockstest.Config{Hosts: hosts}), sockstest.Start(t, sockstest.Config{Hosts: hosts})}
	alice, bob := behind(t, file, of[0].Addr), behind(t, file, of[1].Addr)
	for _, c := range []*client.Client{alice, bob} {
		if err := c.Ready(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := alice.AddContact(bob.ID(), "bob"); err != nil {
		t.Fatal(err)
	}
	id, err := alice.SendWithConfirmation(ctx, bob.ID(), "through the proxy")
	if err != nil || !alice.IsDelivered(id) {
		t.Fatalf("not delivered: %v", err)
	}
	if l := bob.Inbox(); len(l) != 1 || l[0].Text != "through the proxy" {
		t.Errorf("bob has %+v", l)
	}

	around := func() { // each request makes one link at most
		t.Helper()
		accepted, opened := int(anonymous.Load()), 0
		for i, s := range of {
			users, guards := map[string]bool{}, 0
			for _, r := range s.Seen() {
				users[r.User] = true
				want := "guard"
				if r.Address == "ledger.invalid:8400" {
					want = "ledger"
				} else {
					guards++
				}
				if r.Password != want {
					t.Errorf("client %d asked for its %s as %q", i, want, r.Password)
				}
			}
			if len(users) != 1 || guards == 0 {
				t.Errorf("client %d is %d users, and opened %d links", i, len(users), guards)
			}
			opened += guards
		}
		if accepted == 0 || accepted > opened {
			t.Errorf("relays accepted %d links of clients, of which the proxies opened %d", accepted, opened)
		}
	}
	around()

	of[0].Close()
	late, err := alice.Send(ctx, bob.ID(), "around the proxy")
	if err != nil {
		t.Fatal(err)
	}
	// Bob's own traffic goes on; what alice has to say does not leave.
	for range 3 {
		if err := bob.PollNow(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if st, _ := alice.Status(late); st.State >= client.Stored || len(bob.Inbox()) != 1 {
		t.Errorf("without a proxy a message is %s", st.State)
	}
	around()
}
