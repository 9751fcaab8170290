package devnet_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"tunic/chain"
	"tunic/devnet"
	"tunic/node"
	"tunic/onion/mail"
	"tunic/relay"
)

// page is a log that is written and read at the same time.
type page struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(b)
}

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

// written is what one relay's daemon has written, and where its admin listens.
type written struct {
	log   page
	admin string
}

// The relays of a network are replaced by daemons as tunic relay run starts them,
// with logs at debug and admin listeners; messengers talk through them. Nothing
// that they write or answer names another relay, an address, a messenger, a
// mailbox, a packet or a key.
func TestDaemonsNameNobody(t *testing.T) {
	ctx := within(t, 2*time.Minute)
	const text = "a text that nobody else reads"
	n, err := devnet.Start(ctx, devnet.Spec{Relays: 5, Clients: 2, Seed: 11, Live: true, Links: devnet.LinksTLS, Dir: t.TempDir(), HTTP: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	run, stop := context.WithCancel(ctx)
	var daemons sync.WaitGroup
	defer daemons.Wait()
	defer stop()
	all := make([]written, len(n.Relays))
	for i, r := range n.Relays {
		if err := n.StopRelay(ctx, i); err != nil {
			t.Fatal(err)
		}
		cfg := node.DefaultRelay()
		cfg.Dir, cfg.Network, cfg.Listen, cfg.Admin = filepath.Join(n.Spec.Dir, r.Name()), n.File, []string{r.Endpoint}, "127.0.0.1:0"
		cfg.Logger = slog.New(slog.NewTextHandler(&all[i].log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		up := make(chan string, 1)
		cfg.Ready = func(_ chain.NodeID, admin string) { up <- admin }
		daemons.Go(func() {
			if err := node.RunRelay(run, cfg); err != nil && run.Err() == nil {
				t.Error(err)
			}
		})
		select {
		case all[i].admin = <-up:
		case <-ctx.Done():
			t.Fatal("a daemon does not get ready")
		}
	}
	alice, bob := n.Clients[0], n.Clients[1]
	if err := alice.AddContact(bob.Account.ID(), "bob"); err != nil {
		t.Fatal(err)
	}
	if _, err := alice.SendWithConfirmation(ctx, bob.Account.ID(), text); err != nil {
		t.Fatal(err)
	}
	// Junk on a port is something that might be written about.
	if c, err := net.Dial("tcp", n.Relays[0].Endpoint); err == nil {
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\n\r\n")
		c.Close()
	}
	said := make([]string, len(all))
	for i := range all {
		for _, path := range []string{"/metrics", "/status", "/readyz", "/healthz"} {
			said[i] += fetched(ctx, t, all[i].admin+path)
		}
	}
	stop()
	daemons.Wait()
	for i, r := range n.Relays {
		said[i] += all[i].log.String()
		if !strings.Contains(said[i], "relay stopped") || !strings.Contains(said[i], "tunic_relay_packets_total") {
			t.Fatalf("relay %d has written nothing to look through: %s", i, said[i])
		}
		forbidden := map[string]string{"the text": text}
		for _, c := range n.Clients {
			id, box := c.Account.ID(), mail.AccountMailbox(c.Account.ID())
			forbidden["an account of "+c.Name] = c.Account.String()
			bytesOf(forbidden, "an account of "+c.Name, id[:])
			bytesOf(forbidden, "the mailbox of "+c.Name, box[:])
		}
		for k, other := range n.Relays {
			keys, err := relay.LoadKeys(filepath.Join(n.Spec.Dir, other.Name()))
			if err != nil {
				t.Fatal(err)
			}
			bytesOf(forbidden, "the key of "+other.Name(), keys.Identity.Seed())
			bytesOf(forbidden, "the VRF key of "+other.Name(), keys.VRF[:])
			if k == i {
				continue
			}
			at := netip.MustParseAddrPort(other.Endpoint)
			forbidden["the address of "+other.Name()] = at.Addr().String()
			bytesOf(forbidden, other.Name(), other.ID[:])
		}
		tags := 0
		for _, tag := range tagsOf(t, filepath.Join(n.Spec.Dir, r.Name(), "tags")) {
			tags++
			bytesOf(forbidden, fmt.Sprintf("tag %d of its packets", tags), tag)
		}
		if tags == 0 {
			t.Errorf("no packet went through %s", r.Name())
		}
		for what, secret := range forbidden {
			if strings.Contains(said[i], secret) {
				t.Errorf("%s writes %s: %q", r.Name(), what, secret)
			}
		}
		// What has no name here, as tokens, would stand in hex or base64.
		allowed := strings.NewReplacer(r.ID.String(), "", n.File.Genesis.String(), "", r.Endpoint, "", strings.TrimPrefix(all[i].admin, "http://"), "")
		rest := allowed.Replace(said[i])
		for what, pattern := range map[string]*regexp.Regexp{
			"hex": regexp.MustCompile(`[0-9a-f]{16,}`), "base64": regexp.MustCompile(`[A-Za-z0-9+/_-]{22,}={1,2}`), "an address": regexp.MustCompile(`\b\d+\.\d+\.\d+\.\d+(:\d+)?\b`),
		} {
			if found := pattern.FindString(rest); found != "" {
				t.Errorf("%s writes %s: %q", r.Name(), what, found)
			}
		}
	}
}

// bytesOf forbids a value in the forms in which it might be written.
func bytesOf(into map[string]string, what string, b []byte) {
	into[what+" in hex"] = hex.EncodeToString(b)
	into[what+" in base64"] = base64.RawStdEncoding.EncodeToString(b)
	into[what+" as numbers"] = strings.Trim(fmt.Sprint(b), "[]")
	into[what+" as bytes"] = string(b)
}

// tagsOf are the replay tags that a relay has on disk.
func tagsOf(t *testing.T, dir string) (out [][]byte) {
	files, err := filepath.Glob(filepath.Join(dir, "*.tags"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		for ; len(b) >= 16; b = b[16:] {
			out = append(out, b[:16])
		}
	}
	return out
}

func fetched(ctx context.Context, t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v %s", url, res.StatusCode, err, b)
	}
	return string(b)
}
