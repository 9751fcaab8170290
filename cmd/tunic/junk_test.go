package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tunic/devnet"
)

// TestJunk throws at every listener of a network what does not belong there, and
// leaves links half open; two people write to each other meanwhile.
func TestJunk(t *testing.T) {
	t.Setenv("TUNIC_PASSPHRASE", "open sesame")
	dir := t.TempDir()
	n, err := devnet.Start(t.Context(), devnet.Spec{
		Relays: 5, Seed: 5, Live: true, Links: devnet.LinksTLS, HTTP: "127.0.0.1:0", Dir: filepath.Join(dir, "net"),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	listeners := append(endpoints(t, n.URL), strings.TrimPrefix(n.URL, "http://"))
	if len(listeners) != 6 {
		t.Fatalf("listeners: %q", listeners)
	}
	noise := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{5}).Read(noise)
	for _, at := range listeners {
		for _, junk := range [][]byte{
			noise[:3000], noise, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), []byte("\x16\x03\x01"), bytes.Repeat([]byte("\x16\x03\x01\xff\xff"), 1000),
			[]byte("POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n{"), nil,
		} {
			c, err := net.Dial("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close() // half open until the end
			c.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = c.Write(junk) // whoever listens may hang up in the middle
		}
		c, err := tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true}) // a browser, say
		if err == nil {
			defer c.Close()
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		}
	}

	file := []string{"--network", filepath.Join(dir, "net", "ledger", "network.json"), "--dir"}
	alice, bob := person(t, filepath.Join(dir, "alice")), person(t, filepath.Join(dir, "bob"))
	for _, args := range [][]string{
		append([]string{"contact", "add", alice, "alice"}, append(file, filepath.Join(dir, "bob"))...),
		append([]string{"inbox", "--wait", "0"}, append(file, filepath.Join(dir, "bob"))...),
		append([]string{"send", bob, "through the noise", "--stored"}, append(file, filepath.Join(dir, "alice"))...),
	} {
		if code, _, errs := tunic(t, args...); code != exitDone {
			t.Fatalf("%s: exit code %d: %s", strings.Join(args, " "), code, errs)
		}
	}
	if err := n.Err(); err != nil {
		t.Errorf("a part of the network ended: %v", err)
	}
}

// endpoints are where the relays listen.
func endpoints(t *testing.T, url string) (l []string) {
	t.Helper()
	r, err := http.Get(url + "/v1/nodes")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var nodes struct {
		Items []struct{ Endpoints []string }
	}
	if err := json.NewDecoder(r.Body).Decode(&nodes); err != nil {
		t.Fatal(err)
	}
	for _, x := range nodes.Items {
		l = append(l, x.Endpoints...)
	}
	return l
}

// person makes an account in dir and returns its id.
func person(t *testing.T, dir string) string {
	t.Helper()
	code, out, errs := tunic(t, "account", "new", "--light", "--dir", dir, "-o", "json")
	var v struct{ ID string }
	if code != exitDone || json.Unmarshal([]byte(out), &v) != nil {
		t.Fatalf("account new: exit code %d: %s", code, errs)
	}
	return v.ID
}

// TestLedgerHalts: a network whose ledger can no longer write ends and says so.
func TestLedgerHalts(t *testing.T) {
	t.Parallel()
	n, err := devnet.Start(t.Context(), devnet.Spec{Relays: 4, Live: true})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if err := n.Ledger.Close(); err != nil { // as good as a disk that is full
		t.Fatal(err)
	}
	if err := n.Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "halted") {
		t.Errorf("the network goes on: %v", err)
	}
}
