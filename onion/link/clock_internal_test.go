package link

import (
	"crypto/ed25519"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"tunic/chain"
)

// TestClocksDoNotMatter: two sides whose clocks are decades off, in either
// direction and before or after every date in a certificate, open a link: nothing
// of it depends on a clock.
func TestClocksDoNotMatter(t *testing.T) {
	keys := [2]ed25519.PrivateKey{ed25519.NewKeyFromSeed(make([]byte, 32)), ed25519.NewKeyFromSeed(append(make([]byte, 31), 1))}
	var certs [2]tls.Certificate
	for i, k := range keys {
		var err error
		if certs[i], err = selfSigned(k); err != nil {
			t.Fatal(err)
		}
	}
	clock := func(year int) func() time.Time {
		return func() time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }
	}
	for _, years := range [][2]int{{1970, 2026}, {2026, 1970}, {2026, 2999}, {1999, 9999}} {
		a, b := net.Pipe()
		cc := clientConfig(&certs[0], chain.NodeID(keys[1].Public().(ed25519.PublicKey)))
		sc := serverConfig(certs[1])
		cc.Time, sc.Time = clock(years[0]), clock(years[1])
		client, server := tls.Client(a, cc), tls.Server(b, sc)
		var g errgroup.Group
		g.Go(client.Handshake)
		g.Go(server.Handshake)
		g.Go(func() error { _, err := server.Write([]byte("x")); return err })
		g.Go(func() error { _, err := client.Read(make([]byte, 1)); return err })
		if err := g.Wait(); err != nil {
			t.Errorf("years %d and %d: %v", years[0], years[1], err)
		}
		a.Close()
		b.Close()
	}
}
