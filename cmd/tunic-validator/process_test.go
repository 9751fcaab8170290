package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tunic/node"
)

// validator is one that runs in this process, by its command line.
type validator struct {
	URL, Admin, Node, Peer string
	end                    context.CancelFunc
	over                   chan int // its exit code
	errs                   *log
}

// log is what a command writes, read while it runs.
type log struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// command runs one and returns what it printed.
func command(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs log
	if code := run(t.Context(), args, strings.NewReader(""), &out, &errs); code != 0 {
		t.Fatalf("tunic-validator %s: exit code %d, %s", strings.Join(args, " "), code, errs.String())
	}
	return out.String()
}

// begin starts the validator of a folder and returns when it is ready.
func begin(t *testing.T, dir string, args ...string) *validator {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	v := &validator{end: end, over: make(chan int, 1), errs: &log{}}
	r, w := io.Pipe()
	go func() {
		code := run(ctx, append([]string{"start", "--dir", dir, "-o", "json"}, args...), strings.NewReader(""), w, v.errs)
		w.Close()
		v.over <- code
	}()
	if err := json.NewDecoder(r).Decode(v); err != nil {
		end()
		t.Fatalf("it does not start: %v, exit code %d, %s", err, <-v.over, v.errs)
	}
	go io.Copy(io.Discard, r)
	t.Cleanup(func() { v.stop(t) })
	return v
}

// stop ends it; it must end well, once.
func (v *validator) stop(t *testing.T) {
	t.Helper()
	if v.end == nil {
		return
	}
	v.end()
	v.end = nil
	http.DefaultClient.CloseIdleConnections()
	if code := <-v.over; code != 0 {
		t.Errorf("exit code %d, %s", code, v.errs)
	}
}

// startOne is a network of one validator.
func startOne(t *testing.T) *validator {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "net")
	command(t, "testnet", "--dir", dir, "--validators", "1", "--profile", "dev")
	v := begin(t, filepath.Join(dir, "validator1"), "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	v.await(t, 2)
	return v
}

// await waits until a validator shows a height.
func (v *validator) await(t *testing.T, height int64) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	for {
		h, err := heightOf(ctx, v.URL)
		if err == nil && h >= height {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("height %d of %d, %v; %s", h, height, err, v.errs)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// headOf is the hash of a height's header.
func (v *validator) headOf(t *testing.T, height int64) string {
	t.Helper()
	res, err := http.Get(fmt.Sprintf("%s/v1/headers/%d", v.URL, height))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var h struct{ Hash string }
	if err := json.NewDecoder(res.Body).Decode(&h); err != nil || h.Hash == "" {
		t.Fatalf("header %d: %s, %v", height, res.Status, err)
	}
	return h.Hash
}

// TestFourValidators: a testnet of four decides blocks, goes on without one, which
// catches up when it is back; and while one is away and when all are stopped nobody
// fills a log.
func TestFourValidators(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "net")
	command(t, "testnet", "--dir", dir, "--profile", "dev", "--base-port", fmt.Sprint(freePorts(t)), "--param", "block_interval_ms=300")
	start := func(i int) *validator { return begin(t, filepath.Join(dir, fmt.Sprintf("validator%d", i+1))) }
	var all []*validator
	for i := range 4 {
		all = append(all, start(i))
	}
	for _, v := range all {
		v.await(t, 3)
	}
	all[3].stop(t)
	h, err := heightOf(t.Context(), all[0].URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all[:3] {
		v.await(t, h+5)
	}
	back := start(3)
	back.await(t, h+8)
	for _, v := range all[:3] {
		v.await(t, h+8)
		if v.headOf(t, h+8) != back.headOf(t, h+8) {
			t.Error("two heads")
		}
	}
	for _, v := range append(all[:3:3], back) {
		v.stop(t)
		if n := strings.Count(v.errs.String(), "\n"); n > 6 {
			t.Errorf("%d lines in the log:\n%s", n, v.errs)
		}
	}
}

// TestBeginFromSnapshot: a new copy begins from a snapshot of its peer, which it finds
// by its configuration and verifies by its network file, and shows the same history.
func TestBeginFromSnapshot(t *testing.T) {
	dir := t.TempDir()
	net, first := filepath.Join(dir, "net"), filepath.Join(dir, "net", "validator1")
	command(t, "testnet", "--dir", net, "--validators", "1", "--profile", "dev", "--param", "block_interval_ms=200")
	change(t, first, "snapshot_every: 10000", "snapshot_every: 5")
	change(t, first, "snapshot_keep: 2", "snapshot_keep: 100") // one that is being fetched stays
	port := freePorts(t)
	at := func(i int) []string {
		return []string{"--listen", fmt.Sprintf("127.0.0.1:%d", port+10*i), "--http", "127.0.0.1:0", "--admin", ""}
	}
	one := begin(t, first, at(0)...)
	one.await(t, 14)

	// The network file names the one that runs now.
	second := filepath.Join(dir, "second")
	command(t, "init", "--dir", second, "--genesis", filepath.Join(first, node.GenesisFile), "--peer", one.Peer)
	change(t, second, "local: false", "local: true")
	g, err := node.ReadGenesis(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(second, node.NetworkFile), g.Network(one.URL).Encode(), 0o644); err != nil {
		t.Fatal(err)
	}
	two := begin(t, second, append(at(1), "--from-snapshot")...)
	two.await(t, 20)
	h, err := heightOf(t.Context(), two.URL) // the snapshot may be of a greater one than 20
	if err != nil {
		t.Fatal(err)
	}
	one.await(t, h)
	if one.headOf(t, h) != two.headOf(t, h) {
		t.Error("two histories")
	}
	res, err := http.Get(two.URL + "/v1/blocks/2")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var no struct{ Code string }
	if err := json.NewDecoder(res.Body).Decode(&no); err != nil || no.Code != "pruned" {
		t.Errorf("block 2: %s, %q, %v: it did not begin from a snapshot", res.Status, no.Code, err)
	}
}

// change replaces a line of a validator's configuration.
func change(t *testing.T, dir, old, with string) {
	t.Helper()
	path := filepath.Join(dir, configFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), old+"\n") {
		t.Fatalf("no line %q in %s", old, path)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(b), old+"\n", with+"\n", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// freePorts is the first of ports for four validators on which nobody listens now.
func freePorts(t *testing.T) int {
	t.Helper()
	for range 50 {
		first := 20_000 + 100*rand.IntN(100)
		free := true
		for i := range 4 {
			for port := range 3 {
				ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+10*i+port))
				if err != nil {
					free = false
					continue
				}
				ln.Close()
			}
		}
		if free {
			return first
		}
	}
	t.Fatal("no free ports")
	return 0
}
