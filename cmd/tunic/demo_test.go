package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/util"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/devnet"
)

// tunic runs the program in this process.
func tunic(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Minute)
	defer cancel()
	code = run(ctx, args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func demo(t *testing.T, args ...string) devnet.Told {
	t.Helper()
	code, out, errs := tunic(t, append([]string{"demo", "-o", "json"}, args...)...)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var told devnet.Told
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &told); err != nil {
		t.Fatal(err)
	}
	return told
}

// What the demo tells is checked from outside, with other commands and over
// the API of a ledger that serves what the demo left.
func TestDemoFromOutside(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "d")
	told := demo(t, "--relays", "12", "--seed", "7", "--datadir", dir)
	if !told.OK || !told.Delivered || !told.Confirmed || told.Hops != 3 || told.Relays != 12 || told.Offence != "double-descriptor" ||
		!told.ListedBefore || told.ListedAfter || !told.SupplyConserved || told.ElapsedMS == 0 {
		t.Fatalf("%+v", told)
	}
	again, other := demo(t, "--relays", "12", "--seed", "7"), demo(t, "--relays", "12", "--seed", "8")
	again.Proof = told.Proof
	for _, d := range []*devnet.Told{&told, &again} {
		d.ReadyMS, d.FirstMS, d.DeliveryMS, d.ElapsedMS = 0, 0, 0, 0
	}
	if again.Genesis != told.Genesis || again.Offender != told.Offender || again.OffenceID != told.OffenceID || again.Alice != told.Alice {
		t.Errorf("the same seed told another story:\n%+v\n%+v", told, again)
	}
	if other.Genesis == told.Genesis || other.Offender == told.Offender || other.Alice == told.Alice || other.OffenceID == told.OffenceID {
		t.Errorf("another seed told the same story:\n%+v\n%+v", told, other)
	}

	network, url := serveLeft(t, dir)
	if code, _, errs := tunic(t, "proof", "verify", told.Proof, "--network", network); code != exitDone {
		t.Errorf("proof verify: exit code %d: %s", code, errs)
	}
	// It was in the list of the first epoch until it was removed, and is in none since.
	for epoch, want := range map[chain.Epoch]string{told.EpochBefore: `"listed":false,"removed":true`, told.EpochAfter: `"listed":false,"removed":false`} {
		code, out, errs := tunic(t, "directory", "prove", told.Offender.String(), "--epoch", fmt.Sprint(epoch), "--network", network, "-o", "json")
		if code != exitFalse || !strings.Contains(out, want) || strings.Contains(out, `"entry":`) != (epoch == told.EpochBefore) {
			t.Errorf("directory prove in epoch %d: exit code %d: %s %s", epoch, code, out, errs)
		}
	}
	checkMoney(t, url, told)
}

// serveLeft runs a ledger on what the demo left and returns a network file
// that names it.
func serveLeft(t *testing.T, dir string) (network, url string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	url = "http://" + addr
	b, err := os.ReadFile(filepath.Join(dir, "ledger", "network.json"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := genesis.ParseNetwork(b)
	if err != nil {
		t.Fatal(err)
	}
	n.URLs = []string{url}
	network = filepath.Join(t.TempDir(), "network.json")
	if err := os.WriteFile(network, n.Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)
	var errs bytes.Buffer
	go func() {
		done <- run(ctx, []string{"ledger", "run", "--dir", filepath.Join(dir, "ledger"), "--http", addr, "--mode", "manual"}, strings.NewReader(""), &bytes.Buffer{}, &errs)
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-done; code != exitDone {
			t.Errorf("ledger run: exit code %d: %s", code, errs.String())
		}
		unitAdded(t, filepath.Join(dir, "ledger", "db"))
	})
	for range 500 {
		if r, err := http.Get(url + "/readyz"); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return network, url
			}
		}
		select {
		case code := <-done:
			done <- code
			t.Fatalf("ledger run ended with %d: %s", code, errs.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatal("the ledger does not answer")
	return "", ""
}

// checkMoney holds the slash against stake and penalty, and adds up all units.
func checkMoney(t *testing.T, url string, told devnet.Told) {
	t.Helper()
	ctx := t.Context()
	c, err := client.NewClientWithResponses(url)
	if err != nil {
		t.Fatal(err)
	}
	amount := func(s string) chain.Amount {
		var a chain.Amount
		if err := a.UnmarshalText([]byte(s)); err != nil {
			t.Fatal(err)
		}
		return a
	}
	slash, err := c.GetSlashWithResponse(ctx, told.OffenceID.String(), nil)
	if err != nil || slash.JSON200 == nil {
		t.Fatalf("slash: %v, %s", err, slash.Body)
	}
	prm, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	slashed, err := chain.ParseTUN(told.Slashed)
	if want := prm.SlashDoubleDescriptor.Of(amount(slash.JSON200.Stake)); err != nil || slashed != want || amount(slash.JSON200.Slashed) != want || want == 0 {
		t.Errorf("slashed %s of a stake of %s units, want %d", told.Slashed, slash.JSON200.Stake, want)
	}
	status, err := c.GetStatusWithResponse(ctx)
	if err != nil || status.JSON200 == nil {
		t.Fatalf("status: %v", err)
	}
	s := status.JSON200
	sum := amount(s.Burned) + amount(s.RewardPool) + amount(s.RewardsOutstanding)
	limit := 7 // pages
	accounts := 0
	for cursor := (*string)(nil); ; {
		r, err := c.ListAccountsWithResponse(ctx, &client.ListAccountsParams{Limit: &limit, Cursor: cursor})
		if err != nil || r.JSON200 == nil {
			t.Fatalf("accounts: %v", err)
		}
		for _, a := range r.JSON200.Items {
			sum += amount(a.Balance)
			accounts++
		}
		if cursor = r.JSON200.NextCursor; cursor == nil {
			if int64(accounts) != r.JSON200.Total {
				t.Errorf("%d accounts in pages, total %d", accounts, r.JSON200.Total)
			}
			break
		}
	}
	stakes, err := c.ListStakesWithResponse(ctx, &client.ListStakesParams{})
	if err != nil || stakes.JSON200 == nil {
		t.Fatalf("stakes: %v", err)
	}
	for _, x := range stakes.JSON200.Items {
		sum += amount(x.Total)
	}
	if sum != amount(s.Supply) || amount(s.Burned) == 0 {
		t.Errorf("balances, bonds, rewards and burned are %d units, the supply is %s", sum, s.Supply)
	}
}

// unitAdded gives each account in turn one unit more, on disk, and expects the
// check to fail.
func unitAdded(t *testing.T, dir string) {
	t.Helper()
	if code, _, errs := tunic(t, "db", "verify", "--dir", dir); code != exitDone {
		t.Errorf("db verify: exit code %d: %s", code, errs)
	}
	prefix := []byte{'r', 0} // rows of part 0, the accounts
	edit := func(k []byte, by uint64) [][]byte {
		db, err := leveldb.OpenFile(filepath.Join(dir, "db"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		var keys [][]byte
		for it := db.NewIterator(util.BytesPrefix(prefix), nil); it.Next(); {
			keys = append(keys, bytes.Clone(it.Key()))
		}
		if k != nil {
			v, err := db.Get(k, nil)
			if err != nil {
				t.Fatal(err)
			}
			binary.BigEndian.PutUint64(v, binary.BigEndian.Uint64(v)+by)
			if err := db.Put(k, v, nil); err != nil {
				t.Fatal(err)
			}
		}
		return keys
	}
	keys := edit(nil, 0)
	if len(keys) < 22 {
		t.Errorf("only %d accounts on disk", len(keys))
	}
	for _, k := range keys {
		edit(k, 1)
		if code, _, errs := tunic(t, "db", "verify", "--dir", dir); code != exitFalse {
			t.Errorf("one unit more for %x: db verify exits with %d: %s", k, code, errs)
		}
		edit(k, ^uint64(0)) // one less
	}
	if code, _, errs := tunic(t, "db", "verify", "--dir", dir); code != exitDone {
		t.Errorf("restored, db verify: exit code %d: %s", code, errs)
	}
}
