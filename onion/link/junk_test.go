package link_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"tunic/chain"
	"tunic/onion/link"
)

// tlsNode is a listening node with counts, and a way to see that it still works.
func tlsNode(t *testing.T, cfg link.Config) (link.Listener, chain.NodeID, *link.Stats) {
	t.Helper()
	key, id := newKey()
	stats := new(link.Stats)
	cfg.Identity, cfg.BodySize, cfg.Stats = key, body, stats
	tr, err := link.NewTLS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return listen(t, tr, "127.0.0.1:0"), id, stats
}

func stillWorks(t *testing.T, l link.Listener, id chain.NodeID) {
	t.Helper()
	tr, err := link.NewTLS(link.Config{BodySize: body})
	if err != nil {
		t.Fatal(err)
	}
	there, err := tr.Dial(background(t), l.Addr(), id)
	if err != nil {
		t.Fatal(err)
	}
	here, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	there.Close()
	here.Close()
}

func certificate(t *testing.T, key any, pub any) tls.Certificate {
	t.Helper()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func clientTLS(change func(*tls.Config)) *tls.Config {
	c := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, NextProtos: []string{"tunic/1"}}
	change(c)
	return c
}

// Junk is closed and counted, and the listener goes on.
func TestJunkAtTheListener(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ed, _ := newKey()
	good := certificate(t, ed, ed.Public())
	other, _ := newKey()
	big := make([]byte, 1<<20)
	rand.Read(big)
	// A record header that announces more than TLS allows.
	oversize := append([]byte{22, 3, 3, 0xff, 0xff}, big[:1<<16-1]...)
	withTLS := func(change func(*tls.Config)) func(net.Conn) {
		return func(c net.Conn) {
			s := tls.Client(c, clientTLS(change))
			if s.Handshake() == nil {
				s.Read(make([]byte, 1))
			}
		}
	}
	cases := map[string]func(net.Conn){
		"http":         func(c net.Conn) { c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")) },
		"random bytes": func(c net.Conn) { c.Write(big) },
		"oversize":     func(c net.Conn) { c.Write(oversize) },
		"silence":      func(net.Conn) {},
		"closed":       func(c net.Conn) { c.Close() },
		"half a hello": func(c net.Conn) { c.Write([]byte{22, 3, 1, 2, 0, 1}) },
		"tls 1.2": withTLS(func(c *tls.Config) {
			c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		}),
		"no protocol":    withTLS(func(c *tls.Config) { c.NextProtos = nil }),
		"other protocol": withTLS(func(c *tls.Config) { c.NextProtos = []string{"h2"} }),
		"ecdsa identity": withTLS(func(c *tls.Config) {
			c.Certificates = []tls.Certificate{certificate(t, ec, ec.Public())}
		}),
		"two certificates": withTLS(func(c *tls.Config) {
			two := good
			two.Certificate = append(two.Certificate, good.Certificate[0])
			c.Certificates = []tls.Certificate{two}
		}),
		"signed by another": withTLS(func(c *tls.Config) {
			foreign := certificate(t, other, ed.Public())
			foreign.PrivateKey = ed
			c.Certificates = []tls.Certificate{foreign}
		}),
	}
	l, id, stats := tlsNode(t, link.Config{HandshakeTimeout: 300 * time.Millisecond})
	n := uint64(0)
	for name, send := range cases {
		c, err := net.Dial("tcp", l.Addr())
		if err != nil {
			t.Fatal(err)
		}
		send(c)
		n++
		eventually(t, name+" counted", func() bool { return stats.Dropped(link.BadHandshake) == n })
		c.Close()
	}
	stillWorks(t, l, id)
}

// A full handshake table gives up its oldest entry, not the newcomer.
func TestSilentConnectionsAreDisplaced(t *testing.T) {
	l, id, stats := tlsNode(t, link.Config{HandshakeTimeout: time.Minute, MaxHandshakes: 4})
	for range 6 {
		c, err := net.Dial("tcp", l.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	eventually(t, "two displaced", func() bool { return stats.Dropped(link.BadHandshake) == 2 })
	stillWorks(t, l, id)
}

// A dialer meets junk instead of a node.
func TestDialJunk(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, id := newKey()
	serve := func(name string, want error, answer func(net.Conn)) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			c, err := ln.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			answer(c)
		}()
		tr, err := link.NewTLS(link.Config{BodySize: body, HandshakeTimeout: 300 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		_, err = tr.Dial(background(t), ln.Addr().String(), id)
		if err == nil {
			t.Errorf("%s: dialed", name)
		} else {
			wantErr(t, err, want)
			if bytes.Contains([]byte(err.Error()), []byte("127.0.0.1")) {
				t.Errorf("%s: error names the endpoint: %v", name, err)
			}
		}
		ln.Close()
		<-done
	}
	wait := func(c net.Conn) { c.Read(make([]byte, 4096)); c.Read(make([]byte, 1)) }
	asServer := func(cfg *tls.Config) func(net.Conn) {
		return func(c net.Conn) {
			s := tls.Server(c, cfg)
			if s.Handshake() == nil {
				s.Read(make([]byte, 1))
			}
		}
	}
	serve("http", link.ErrHandshake, func(c net.Conn) { c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")); wait(c) })
	serve("silence", link.ErrHandshake, wait)
	serve("other protocol", link.ErrHandshake, asServer(&tls.Config{Certificates: []tls.Certificate{certificate(t, key, key.Public())}}))
	serve("ecdsa", link.ErrIdentity, asServer(&tls.Config{NextProtos: []string{"tunic/1"}, Certificates: []tls.Certificate{certificate(t, ec, ec.Public())}}))
}

// Behind a good handshake: malformed frames, and one that never ends.
func TestJunkFrames(t *testing.T) {
	l, _, _ := tlsNode(t, link.Config{})
	frame := func(head ...byte) []byte { return append(head, make([]byte, link.FrameSize(body)-len(head))...) }
	for name, c := range map[string]struct {
		send []byte
		want error
	}{
		"type 0":         {frame(0), link.ErrFrame},
		"unknown type":   {frame(77), link.ErrFrame},
		"second byte":    {frame(1, 1), link.ErrFrame},
		"hello too long": {frame(2, 0, 0xff, 0xff, 0xff, 0xff), link.ErrFrame},
		"dirty padding":  {frame(2, 0, 0, 0, 0, 0, 9), link.ErrFrame},
		"half a frame":   {frame(1)[:50], link.ErrClosed},
		"http":           {bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 100), link.ErrFrame},
	} {
		s, err := tls.Dial("tcp", l.Addr(), clientTLS(func(*tls.Config) {}))
		if err != nil {
			t.Fatal(err)
		}
		here, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		s.Write(c.send)
		s.Close()
		if _, err := here.Recv(context.Background()); err == nil {
			t.Errorf("%s: accepted", name)
		} else {
			wantErr(t, err, c.want)
		}
		wantErr(t, here.Send(packet(0)), link.ErrClosed)
		here.Close()
	}
}

// What both sides agree on is TLS 1.3 with the hybrid key exchange, without
// tickets, and the node's certificate is the same at every start.
func TestHandshakeParameters(t *testing.T) {
	l, id, _ := tlsNode(t, link.Config{})
	s, err := tls.Dial("tcp", l.Addr(), clientTLS(func(c *tls.Config) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	here, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	st := s.ConnectionState()
	if st.Version != tls.VersionTLS13 || st.CurveID != tls.X25519MLKEM768 || st.NegotiatedProtocol != "tunic/1" {
		t.Errorf("version %x, curve %v, protocol %q", st.Version, st.CurveID, st.NegotiatedProtocol)
	}
	cert := st.PeerCertificates[0]
	if key, ok := cert.PublicKey.(ed25519.PublicKey); !ok || chain.NodeID(key) != id {
		t.Error("certificate is not the identity")
	}
	if cert.NotBefore.Year() != 2000 || len(cert.Subject.Names)+len(cert.DNSNames) != 0 {
		t.Error("certificate says more than the key")
	}
}
