package link_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/onion/link"
)

// A transport with a dialer of its own opens nothing in another way, asks it by
// the endpoint's name, and keeps the address out of what went wrong.
func TestOwnDialer(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	id := chain.NodeID(key.Public().(ed25519.PublicKey))
	server, err := link.NewTLS(link.Config{Identity: key, BodySize: 128})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := server.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()

	var asked []string
	way := func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no way to " + ln.Addr())
	}
	client, err := link.NewTLS(link.Config{BodySize: 128, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		asked = append(asked, network+" "+address)
		return way(ctx, network, address)
	}})
	if err != nil {
		t.Fatal(err)
	}
	// The endpoint is up; only the dialer fails.
	if _, err := client.Dial(t.Context(), ln.Addr(), id); !errors.Is(err, link.ErrUnreachable) || strings.Contains(err.Error(), ln.Addr()) {
		t.Errorf("a dialer that fails: %v", err)
	}
	// A name that nobody here can resolve goes to the dialer as it is.
	way = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, ln.Addr())
	}
	accepted := make(chan error, 1)
	go func() {
		c, err := ln.Accept()
		if err == nil {
			c.Close()
		}
		accepted <- err
	}()
	c, err := client.Dial(t.Context(), "relay.invalid:7000", id)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := <-accepted; err != nil {
		t.Error(err)
	}
	if want := []string{"tcp " + ln.Addr(), "tcp relay.invalid:7000"}; strings.Join(asked, ",") != strings.Join(want, ",") {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}
