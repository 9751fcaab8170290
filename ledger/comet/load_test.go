package comet_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"

	"tunic/chain"
	"tunic/ledger"
	"tunic/ledger/comet"
	"tunic/ledger/machine"
)

var (
	loadTxs  = flag.Int("load", 400, "transactions of each run of TestLoad")
	loadRuns = flag.Int("load-runs", 1, "runs of TestLoad")
)

// TestLoad: transactions of many accounts are given to four validators by four
// clients, each to any validator, those of one account in any order: whatever a
// mempool has accepted is carried out, once, on all four.
func TestLoad(t *testing.T) {
	for run := range *loadRuns {
		t.Run(fmt.Sprint(run), func(t *testing.T) { load(t, uint64(run)+1, *loadTxs) })
	}
}

func load(t *testing.T, seed uint64, count int) {
	rng := rand.New(rand.NewPCG(seed, 5))
	accounts := make([]string, min(50, max(8, count/100)))
	for i := range accounts {
		accounts[i] = fmt.Sprint("client ", i)
	}
	g, keys := network(t, 4, accounts...)
	all := fourOf(t, keys, func(key ed25519.PrivateKey, peers []string) *validator {
		return start(t, t.TempDir(), g, key, peers, func(c *comet.Config) { c.Pace = fast })
	})
	all[0].await(t, 2)
	type given struct {
		tx []byte
		to *validator
	}
	var todo []given
	next := map[string]uint64{}
	for i := range count {
		from := accounts[i%len(accounts)]
		todo = append(todo, given{transfer(t, all[0].Ledger, from, "f", next[from]), all[rng.IntN(4)]})
		next[from]++
	}
	rng.Shuffle(len(todo), func(i, j int) { todo[i], todo[j] = todo[j], todo[i] })
	began := time.Now()
	var clients sync.WaitGroup
	var mu sync.Mutex
	accepted := map[chain.Hash]*validator{}
	full := 0
	for c := range 4 {
		clients.Go(func() {
			for i := c; i < len(todo); i += 4 {
				for {
					id, err := todo[i].to.Submit(t.Context(), todo[i].tx)
					if err == nil {
						mu.Lock()
						accepted[id] = todo[i].to
						mu.Unlock()
						break
					}
					no := (*chain.Refusal)(nil)
					if !errors.As(err, &no) || no.Code != ledger.CodePoolFull {
						t.Errorf("submit: %v", err)
						return
					}
					mu.Lock()
					full++
					mu.Unlock()
					time.Sleep(50 * time.Millisecond)
				}
			}
		})
	}
	clients.Wait()
	if t.Failed() {
		return
	}
	if len(accepted) != count {
		t.Fatalf("%d accepted of %d", len(accepted), count)
	}
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
	defer stop()
	carriedOut := func(v *validator) (n uint64) {
		v.View(func(m *machine.Machine) {
			for _, a := range accounts {
				n += m.Account(address(a)).Nonce
			}
		})
		return n
	}
	for _, v := range all {
		for carriedOut(v) < uint64(count) {
			select {
			case <-ctx.Done():
				t.Fatalf("%d of %d transactions are carried out; %d wait", carriedOut(v), count, v.Waiting())
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	took := time.Since(began)
	last := all[0].Head().Header.Height
	for h := chain.Height(1); h <= last; h++ {
		results, err := all[0].Results(h)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Code == "" {
				if _, ok := accepted[r.Tx]; !ok {
					t.Errorf("transaction %s was carried out twice, or accepted by nobody", r.Tx)
				}
				delete(accepted, r.Tx)
			}
		}
	}
	if len(accepted) > 0 {
		t.Fatalf("%d transactions were accepted and are lost", len(accepted))
	}
	want, err := all[0].Header(last)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range all {
		v.await(t, last)
		if h, err := v.Header(last); err != nil || h.Header.Hash() != want.Header.Hash() {
			t.Fatalf("validator %d has another block %d: %v", i, last, err)
		}
		v.View(func(m *machine.Machine) {
			if got := m.Account(address("f")).Balance; got != chain.Amount(count)*chain.TUN {
				t.Errorf("validator %d: received %s", i, got)
			}
			if err := m.Check(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Logf("run %d: %d transactions in %d blocks, %.0f a second; %d times a mempool was full", seed, count, last, float64(count)/took.Seconds(), full)
	for _, v := range all {
		v.stop(t)
	}
}

// fourOf starts validators that know those before them.
func fourOf(t *testing.T, keys []ed25519.PrivateKey, start func(ed25519.PrivateKey, []string) *validator) (all []*validator) {
	t.Helper()
	var peers []string
	for _, k := range keys {
		v := start(k, peers)
		all, peers = append(all, v), append(peers, v.node.Address())
	}
	return all
}

// application is one without CometBFT, over a ledger with a small mempool.
func application(t *testing.T, pool ledger.PoolLimits, names ...string) (*comet.App, *ledger.Ledger) {
	t.Helper()
	g, _ := network(t, 1, names...)
	l, err := ledger.Open(t.Context(), ledger.Config{Genesis: g, Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := l.Attach(func(context.Context, []byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	a := comet.New(l, slog.New(slog.DiscardHandler))
	a.Stored(handed{})
	return a, l
}

// TestMempool: what the application answers to CometBFT about transactions with a
// gap before them, that wait no more, and that find no room.
func TestMempool(t *testing.T) {
	a, l := application(t, ledger.PoolLimits{Count: 3, Bytes: 1 << 20, PerSender: 8}, "a", "b", "c")
	check := func(tx []byte, kind abci.CheckTxType) string {
		t.Helper()
		r, err := a.CheckTx(t.Context(), &abci.RequestCheckTx{Tx: tx, Type: kind})
		if err != nil {
			t.Fatal(err)
		}
		if r.Code == 0 {
			return ""
		}
		return "refused " + r.Codespace
	}
	proposed := func() [][]byte {
		t.Helper()
		r, err := a.PrepareProposal(t.Context(), &abci.RequestPrepareProposal{MaxTxBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return r.Txs
	}
	tx := func(from string, nonce uint64) []byte { return transfer(t, l, from, "z", nonce) }
	for _, x := range [][]byte{tx("a", 2), tx("a", 1)} {
		if why := check(x, abci.CheckTxType_New); why != "" {
			t.Fatalf("behind a gap: %s", why)
		}
		if all := proposed(); len(all) != 0 {
			t.Fatalf("proposed before the gap is filled: %d", len(all))
		}
	}
	if why := check(tx("a", 0), abci.CheckTxType_New); why != "" {
		t.Fatal(why)
	}
	if all := proposed(); len(all) != 3 || string(all[0]) != string(tx("a", 0)) || string(all[1]) != string(tx("a", 1)) {
		t.Fatalf("proposed %d", len(all))
	}
	// The mempool is full of what a block can take: another account may have a part,
	// a gap may not.
	if why := check(tx("b", 1), abci.CheckTxType_New); why != "refused "+ledger.CodePoolFull {
		t.Fatalf("a gap in a full mempool: %q", why)
	}
	if why := check(tx("b", 0), abci.CheckTxType_New); why != "" {
		t.Fatalf("another account in a full mempool: %q", why)
	}
	// The last of a's made room, and CometBFT is told so on a recheck.
	for _, x := range []struct {
		tx   []byte
		want string
	}{{tx("a", 0), ""}, {tx("a", 1), ""}, {tx("a", 2), "refused "}, {tx("b", 0), ""}} {
		if why := check(x.tx, abci.CheckTxType_Recheck); why != x.want {
			t.Errorf("recheck: %q, want %q", why, x.want)
		}
	}
	all := proposed()
	proposer := address20(l.Genesis().Sealers[0])
	r, err := a.FinalizeBlock(t.Context(), &abci.RequestFinalizeBlock{Height: 1, Time: time.UnixMilli(int64(l.Core().Time) + 1), ProposerAddress: proposer, Txs: all})
	if err != nil || len(r.TxResults) != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	for i, x := range r.TxResults {
		if x.Code != 0 {
			t.Errorf("transaction %d: %+v", i, x)
		}
		if why := check(all[i], abci.CheckTxType_Recheck); why == "" {
			t.Errorf("transaction %d waits still", i)
		}
		if why := check(all[i], abci.CheckTxType_New); why != "refused "+machine.CodeNonceUsed {
			t.Errorf("transaction %d again: %q", i, why)
		}
	}
	// What had to go can come again, and now it is next.
	if why := check(tx("a", 2), abci.CheckTxType_New); why != "" {
		t.Fatalf("again: %q", why)
	}
	if all := proposed(); len(all) != 1 || string(all[0]) != string(tx("a", 2)) {
		t.Fatalf("proposed %d", len(all))
	}
}

// TestResubmission: CometBFT remembers what it has seen, and yet what the ledger's
// mempool had no room for can be given again.
func TestResubmission(t *testing.T) {
	g, keys := network(t, 1, "a", "b", "c")
	dir := t.TempDir()
	l, err := ledger.Open(t.Context(), ledger.Config{Dir: filepath.Join(dir, "ledger"), Genesis: g, Pool: ledger.PoolLimits{Count: 1, Bytes: 1 << 20, PerSender: 8}})
	if err != nil {
		t.Fatal(err)
	}
	n, err := comet.Start(t.Context(), l, comet.Config{Dir: filepath.Join(dir, "engine"), Key: keys[0], Listen: freePort(t), Local: true, Pace: quick})
	if err != nil {
		t.Fatal(err)
	}
	v := &validator{l, n}
	v.await(t, 1)
	included := func(id chain.Hash) {
		t.Helper()
		if s, err := v.Await(t.Context(), id); err != nil || s.State != ledger.TxIncluded || s.Code != "" {
			t.Fatalf("%+v, %v", s, err)
		}
	}
	late := transfer(t, l, "a", "z", 1) // nothing can take it yet
	id, err := v.Submit(t.Context(), late)
	if err != nil {
		t.Fatal(err)
	}
	first, err := v.Submit(t.Context(), transfer(t, l, "b", "z", 0))
	if err != nil {
		t.Fatal(err)
	}
	if s, err := v.Tx(id); err != nil || s.State != ledger.TxRefused || s.Code != ledger.CodePoolFull {
		t.Fatalf("what made room: %+v, %v", s, err)
	}
	included(first)
	second, err := v.Submit(t.Context(), transfer(t, l, "a", "z", 0))
	if err != nil {
		t.Fatal(err)
	}
	included(second)
	if again, err := v.Submit(t.Context(), late); err != nil || again != id {
		t.Fatalf("again: %v", err)
	}
	included(id)
	v.stop(t)
}
