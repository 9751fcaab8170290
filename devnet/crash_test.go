package devnet_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apiclient "tunic/api/client"
	"tunic/chain"
	"tunic/client"
	"tunic/devnet"
	"tunic/ledger/machine"
	"tunic/node"
)

func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func processes(t *testing.T, relays int) (*devnet.Processes, string) {
	t.Helper()
	record := t.TempDir()
	t.Setenv(recordEnv, record)
	p, err := devnet.StartProcesses(t.Context(), devnet.Spec{Relays: relays, Dir: t.TempDir(), HTTP: freeAddr(t)}, os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p, record
}

func messenger(t *testing.T, p *devnet.Processes) (*client.Client, *client.Account) {
	t.Helper()
	words, err := client.NewMnemonic(rand.Reader, 12)
	if err != nil {
		t.Fatal(err)
	}
	account, err := client.Restore(words)
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.ReadNetwork(p.Network)
	if err != nil {
		t.Fatal(err)
	}
	c, err := node.OpenClient(t.Context(), node.ClientConfig{Account: account, Dir: t.TempDir(), Network: n, AcceptAll: true, Poll: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; c.Close() })
	return c, account
}

// Relays and the ledger are killed with messages and transactions under way.
// What was acknowledged is there afterwards, everything arrives once, and no
// node has signed two things under one sequence.
func TestKilledInTraffic(t *testing.T) {
	die := filepath.Join(t.TempDir(), "die")
	t.Setenv(dieEnv, die)
	p, record := processes(t, 7)
	ctx := within(t, 3*time.Minute)
	alice, _ := messenger(t, p)
	bob, bobID := messenger(t, p)
	if err := alice.AddContact(bobID.ID(), "bob"); err != nil {
		t.Fatal(err)
	}
	api, err := apiclient.NewClientWithResponses(p.URL, apiclient.WithHTTPClient(&http.Client{Timeout: 3 * time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	acked := map[string]int64{}
	var nonce uint64
	pay := func() {
		key := p.Accounts[0]
		tx, err := key.Sign(chain.NewDomain(p.Genesis.ChainID, p.Genesis.Hash()), machine.TransferType.Schema(), machine.TransferType.Unsigned(machine.Transfer{
			Head: chain.Head{Nonce: nonce, Fee: p.Genesis.Params.MinFee, ValidUntil: 1 << 30}, To: p.Accounts[1].Address(), Amount: 5,
		}))
		if err != nil {
			t.Fatal(err)
		}
		if r, err := api.SubmitTransactionWithBodyWithResponse(ctx, "application/octet-stream", bytes.NewReader(tx.Encode())); err != nil || r.StatusCode() != http.StatusAccepted {
			return // not acknowledged
		}
		for range 100 {
			r, err := api.GetTransactionWithResponse(ctx, tx.ID().String())
			if err == nil && r.JSON200 != nil && r.JSON200.Height != nil {
				acked[tx.ID().String()] = *r.JSON200.Height
				nonce++
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	var sent []client.MessageID
	say := func(i int) {
		id, err := alice.Send(ctx, bobID.ID(), fmt.Sprintf("message %d", i))
		if err != nil {
			t.Fatal(err)
		}
		sent = append(sent, id)
	}
	points := []string{"before-batch", "after-batch", "after-publish"}
	for i := range 6 {
		say(i)
		pay()
		victim := p.Relays[i%len(p.Relays)]
		victim.Kill()
		say(100 + i)
		if i < len(points) {
			if err := os.WriteFile(die, []byte(points[i]), 0o600); err != nil {
				t.Fatal(err)
			}
			p.Ledger.Wait()
			if _, err := p.Restart(ctx, p.Ledger); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := p.Restart(ctx, victim); err != nil {
			t.Fatal(err)
		}
		time.Sleep(700 * time.Millisecond)
	}
	for _, id := range sent {
		for !alice.IsDelivered(id) {
			select {
			case <-ctx.Done():
				s, _ := alice.Status(id)
				t.Fatalf("message not confirmed: %+v", s)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	texts := map[string]int{}
	for _, m := range bob.Inbox() {
		texts[m.Text]++
	}
	for i := range 6 {
		for _, n := range []int{i, 100 + i} {
			if got := texts[fmt.Sprintf("message %d", n)]; got != 1 {
				t.Errorf("message %d arrived %d times", n, got)
			}
		}
	}
	if len(acked) < 3 {
		t.Fatalf("only %d transactions acknowledged", len(acked))
	}
	for id, h := range acked {
		if r, err := api.GetTransactionWithResponse(ctx, id); err != nil || r.JSON200 == nil || r.JSON200.Height == nil || *r.JSON200.Height != h {
			t.Errorf("transaction %s was in block %d and is not", id, h)
		}
	}
	signedOnce(t, record)
}

// signedOnce holds all recorded signatures against each other.
func signedOnce(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("nothing recorded: %v", err)
	}
	digests := map[string]string{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			i := strings.LastIndexByte(line, ' ')
			if i < 0 {
				continue
			}
			if was, ok := digests[line[:i]]; ok && was != line[i:] {
				t.Errorf("signed twice: %s%s and%s", line[:i], was, line[i:])
			}
			digests[line[:i]] = line[i:]
		}
	}
	t.Logf("%d statements by %d processes", len(digests), len(files))
}
