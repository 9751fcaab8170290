package node_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/httpx"
	"tunic/ledger"
	"tunic/node"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// A server that ends lets a request finish, tells streams so, and takes no more.
func TestServeEndsInOrder(t *testing.T) {
	ln := listen(t)
	begun, release := make(chan struct{}, 2), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		select {
		case <-release:
			io.WriteString(w, "whole")
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		s, err := httpx.NewEventStream(w, time.Minute)
		if err != nil {
			return
		}
		begun <- struct{}{}
		<-httpx.Closing(r.Context())
		_ = s.Send(httpx.Event{Name: "cut", Data: []byte("bye")})
	})
	ctx, end := context.WithCancel(t.Context())
	defer end()
	served := make(chan error, 1)
	go func() { served <- node.Serve(ctx, ln, mux) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	type reply struct {
		body string
		err  error
	}
	ask := func(path string) <-chan reply {
		out := make(chan reply, 1)
		go func() {
			res, err := client.Get("http://" + ln.Addr().String() + path)
			if err != nil {
				out <- reply{"", err}
				return
			}
			defer res.Body.Close()
			b, err := io.ReadAll(res.Body)
			out <- reply{string(b), err}
		}()
		return out
	}
	slow, stream := ask("/slow"), ask("/stream")
	<-begun
	<-begun
	end()
	if r := <-stream; r.err != nil || !strings.Contains(r.body, "event: cut") {
		t.Errorf("stream: %q, %v", r.body, r.err)
	}
	close(release)
	if r := <-slow; r.err != nil || r.body != "whole" {
		t.Errorf("request: %q, %v", r.body, r.err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Error("it still takes connections")
	}
}

// makeLedger writes a dev ledger's folder.
func makeLedger(t *testing.T) string {
	t.Helper()
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	params, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	g := genesis.Genesis{Core: genesis.Core{ChainID: 1, Profile: genesis.Dev, Dev: true, Clock: genesis.ClockLedger,
		Engine: genesis.EngineSealer, Time: 1_700_000_000_000, Sealers: []chain.NodeID{chain.NodeID(key.Public().(ed25519.PublicKey))}, Params: params}}
	dir := filepath.Join(t.TempDir(), "ledger")
	if err := node.InitLedger(dir, g, key); err != nil {
		t.Fatal(err)
	}
	return dir
}

// started runs a ledger until the test ends, and checks that it ended well.
func started(t *testing.T, cfg node.LedgerConfig) (url, admin string, end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan [2]string, 1), make(chan error, 1)
	cfg.HTTP, cfg.Mode = "127.0.0.1:0", ledger.ModeAuto
	cfg.Ready = func(url, admin string) { ready <- [2]string{url, admin} }
	go func() { done <- node.RunLedger(ctx, cfg) }()
	end = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the ledger ended: %v", err)
		}
	}
	select {
	case at := <-ready:
		return at[0], at[1], end
	case err := <-done:
		cancel()
		t.Fatal(err)
	}
	return "", "", nil
}

// certificate writes a self-signed certificate for 127.0.0.1 and its key.
func certificate(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tunic test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret), roots
}

// Over TLS: 1.2 and 1.3 and HTTP/2, nothing older; a stream is told that the
// server ends.
func TestLedgerOverTLS(t *testing.T) {
	cert, key, roots := certificate(t)
	url, _, end := started(t, node.LedgerConfig{Dir: makeLedger(t), TLSCert: cert, TLSKey: key, Origins: []string{"https://a.test"}})
	if !strings.HasPrefix(url, "https://") {
		t.Fatal(url)
	}
	get := func(secure *tls.Config) (*http.Response, error) {
		tr := &http.Transport{TLSClientConfig: secure, ForceAttemptHTTP2: true}
		defer tr.CloseIdleConnections()
		req, err := http.NewRequest(http.MethodGet, url+"/healthz", nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Origin", "https://a.test")
		res, err := (&http.Client{Transport: tr}).Do(req)
		if err == nil {
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		return res, err
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		res, err := get(&tls.Config{RootCAs: roots, MaxVersion: version})
		if err != nil || res.StatusCode != 200 || res.TLS.Version != version || res.ProtoMajor != 2 || res.Header.Get("Access-Control-Allow-Origin") != "https://a.test" {
			t.Errorf("version %x: %v, %v", version, res, err)
		}
	}
	if _, err := get(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is taken")
	}
	if _, err := get(&tls.Config{}); err == nil {
		t.Error("the certificate is not looked at")
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr}).Get(url + "/v1/events?since=1")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() {
		t.Fatal("no event")
	}
	end()
	last := ""
	for lines.Scan() {
		if lines.Text() != "" {
			last = lines.Text()
		}
	}
	if last != `data: {"reason":"closed"}` || lines.Err() != nil {
		t.Errorf("the stream ended with %q, %v", last, lines.Err())
	}
}

func TestLedgerRefusesWhatItCannotServe(t *testing.T) {
	cert, key, _ := certificate(t)
	_, other, _ := certificate(t)
	for name, c := range map[string]struct {
		cfg  node.LedgerConfig
		want error
	}{
		"no key":             {node.LedgerConfig{TLSCert: cert}, node.ErrTLS},
		"no certificate":     {node.LedgerConfig{TLSKey: key}, node.ErrTLS},
		"another's key":      {node.LedgerConfig{TLSCert: cert, TLSKey: other}, node.ErrTLS},
		"no such file":       {node.LedgerConfig{TLSCert: cert + "x", TLSKey: key}, node.ErrTLS},
		"admin for all":      {node.LedgerConfig{Admin: "0.0.0.0:0"}, node.ErrAdmin},
		"admin everywhere":   {node.LedgerConfig{Admin: ":0"}, node.ErrAdmin},
		"admin elsewhere":    {node.LedgerConfig{Admin: "10.1.2.3:9400"}, node.ErrAdmin},
		"admin by name":      {node.LedgerConfig{Admin: "example.org:9400"}, node.ErrAdmin},
		"admin in IPv6":      {node.LedgerConfig{Admin: "[::]:0"}, node.ErrAdmin},
		"admin without port": {node.LedgerConfig{Admin: "127.0.0.1"}, node.ErrAdmin},
	} {
		c.cfg.Dir, c.cfg.HTTP = makeLedger(t), "127.0.0.1:0"
		if err := node.RunLedger(t.Context(), c.cfg); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
