package comet_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	dbm "github.com/cometbft/cometbft-db"
	bstore "github.com/cometbft/cometbft/store"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger"
	"tunic/ledger/comet"
	"tunic/ledger/machine"
)

// childEnv tells the test binary, started again, what to be: "point:n:dir" is a
// validator that kills itself the n-th time that its ledger comes to that point.
// With the point "engine" it is CometBFT that ends, at the n-th of the points
// between its own writes, which it counts itself.
const childEnv = "TUNIC_COMET_CHILD"

func TestMain(m *testing.M) {
	if f := strings.SplitN(os.Getenv(childEnv), ":", 3); len(f) == 3 {
		var n int
		fmt.Sscan(f[1], &n)
		if err := child(f[0], n, f[2]); err != nil {
			fmt.Println("error", err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// crashGenesis is that of the folder, which the first run makes.
func crashGenesis(dir string) (g genesis.Genesis, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "genesis.json"))
	if err != nil {
		return g, err
	}
	return genesis.Parse(b)
}

// child decides one transfer after another and says which blocks it has shown and
// which transactions it has seen in one.
func child(point string, n int, dir string) error {
	g, err := crashGenesis(dir)
	if err != nil {
		return err
	}
	ctx := context.Background()
	l, err := ledger.Open(ctx, ledger.Config{Dir: filepath.Join(dir, "ledger"), Genesis: g, Hook: func(at string) {
		if at == point {
			if n--; n == 0 {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
	}})
	if err != nil {
		return err
	}
	shown := l.Subscribe(ctx, 0)
	if _, err := comet.Start(ctx, l, comet.Config{Dir: filepath.Join(dir, "engine"), Key: nodeKey(0), Listen: "127.0.0.1:0", Local: true, Pace: quick}); err != nil {
		return err
	}
	go func() {
		for e := range shown {
			fmt.Println("block", e.Header.Height, e.Header.Hash())
		}
	}()
	for {
		tx, err := signTransfer(l, "a", "b", l.NextNonce(address("a")))
		if err != nil {
			return err
		}
		id, err := l.Submit(ctx, tx)
		if err != nil {
			return err
		}
		s, err := l.Await(ctx, id)
		if err != nil {
			return err
		}
		if s.State != ledger.TxIncluded || s.Code != "" {
			return fmt.Errorf("transaction: %+v", s)
		}
		fmt.Println("tx", s.Height, id)
	}
}

func startChild(t *testing.T, point string, n int, dir string) (*bufio.Scanner, *exec.Cmd) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s:%d:%s", childEnv, point, n, dir))
	if point == "engine" {
		cmd.Env = append(cmd.Env, fmt.Sprint("FAIL_TEST_INDEX=", n))
	}
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return bufio.NewScanner(out), cmd
}

// crashed is what is known of a folder whose validator was killed again and again.
type crashed struct {
	dir   string
	shown map[chain.Height]string
	acked map[string]chain.Height
}

// die runs a validator until it has killed itself and holds what it said, and what
// it left on disk, against what was seen before.
func (c *crashed) die(t *testing.T, point string, n int) {
	t.Helper()
	lines, cmd := startChild(t, point, n, c.dir)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) == 0 {
			continue
		}
		var h chain.Height
		if len(f) == 3 {
			fmt.Sscan(f[1], &h)
		}
		switch f[0] {
		case "block":
			c.see(t, h, f[2])
		case "tx":
			if was, ok := c.acked[f[2]]; ok && was != h {
				t.Fatalf("%s %d: transaction %s at heights %d and %d", point, n, f[2], was, h)
			}
			c.acked[f[2]] = h
		case "error":
			t.Fatalf("%s %d: %s", point, n, lines.Text())
		}
	}
	cmd.Wait()
	c.check(t, fmt.Sprint(point, " ", n))
}

func (c *crashed) see(t *testing.T, h chain.Height, hash string) {
	t.Helper()
	if was, ok := c.shown[h]; ok && was != hash {
		t.Fatalf("height %d has headers %s and %s", h, was, hash)
	}
	c.shown[h] = hash
}

// check opens the ledger and CometBFT's blocks.
func (c *crashed) check(t *testing.T, what string) {
	t.Helper()
	g, err := crashGenesis(c.dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), ledger.Config{Dir: filepath.Join(c.dir, "ledger"), Genesis: g})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer l.Close()
	db, err := dbm.NewGoLevelDB("blockstore", filepath.Join(c.dir, "engine", "data"))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer db.Close()
	blocks := bstore.NewBlockStore(db)
	head := l.Head().Header.Height
	if ahead := blocks.Height() - int64(head); head > 0 && (ahead < 1 || ahead > 2) {
		t.Fatalf("%s: CometBFT is at height %d, the ledger at %d", what, blocks.Height(), head)
	}
	// What is stored counts as shown: it may have been.
	for h := chain.Height(1); h <= head; h++ {
		b, err := l.Header(h)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		hash := b.Header.Hash()
		c.see(t, h, hash.String())
		if meta := blocks.LoadBlockMeta(int64(h + 1)); meta == nil || chain.Hash(meta.Header.AppHash) != hash {
			t.Fatalf("%s: block %d is %s, CometBFT says %+v", what, h, hash, meta)
		}
	}
	for h := range c.shown {
		if h > head {
			t.Fatalf("%s: block %d was shown, the head is %d", what, h, head)
		}
	}
	for id, h := range c.acked {
		x, _ := chain.ParseHash(id)
		if s, err := l.Tx(x); err != nil || s.State != ledger.TxIncluded || s.Height != h {
			t.Fatalf("%s: transaction %s: %+v, %v", what, id, s, err)
		}
	}
	l.View(func(m *machine.Machine) {
		if err := m.Check(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	})
}

// TestCrashAtEveryPoint: a validator that is killed between any two writes, its
// ledger's or CometBFT's, goes on: no height has two headers, nothing that was
// seen in a block is lost, and both have one history.
func TestCrashAtEveryPoint(t *testing.T) {
	g, _ := network(t, 1, "a")
	c := &crashed{dir: t.TempDir(), shown: map[chain.Height]string{}, acked: map[string]chain.Height{}}
	b, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "genesis.json"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, point := range []string{"before-decide", "after-decide", "before-batch", "after-batch", "after-publish", "after-settle"} {
		for _, n := range []int{1, 3} {
			c.die(t, point, n)
		}
	}
	// CometBFT's points between a vote and the state that is saved: ten for each
	// height, three of them where its log is written.
	for n := range 24 {
		c.die(t, "engine", n)
	}
	if len(c.shown) < 20 || len(c.acked) < 3 {
		t.Fatalf("only %d blocks and %d transactions", len(c.shown), len(c.acked))
	}
	l, err := ledger.Open(t.Context(), ledger.Config{Dir: filepath.Join(c.dir, "ledger"), Genesis: g})
	if err != nil {
		t.Fatal(err)
	}
	n, err := comet.Start(t.Context(), l, comet.Config{Dir: filepath.Join(c.dir, "engine"), Key: nodeKey(0), Listen: "127.0.0.1:0", Local: true, Pace: quick})
	if err != nil {
		t.Fatal(err)
	}
	v := &validator{l, n}
	v.await(t, chain.Height(len(c.shown))+3)
	v.stop(t)
	if r, err := ledger.Verify(t.Context(), filepath.Join(c.dir, "ledger")); err != nil || int(r.Height) < len(c.shown) {
		t.Fatalf("%+v, %v", r, err)
	}
}

// TestApart: a ledger and CometBFT's files of two moments are refused, with what
// to do, where one cannot go on from the other.
func TestApart(t *testing.T) {
	g, keys := network(t, 1, "a")
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	run := func(from string) error {
		l, err := ledger.Open(t.Context(), ledger.Config{Dir: filepath.Join(from, "ledger"), Genesis: g, Logger: log})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		n, err := comet.Start(t.Context(), l, comet.Config{Dir: filepath.Join(from, "engine"), Key: keys[0], Listen: "127.0.0.1:0", Local: true, Pace: quick})
		if err == nil {
			v := &validator{l, n}
			v.await(t, v.Head().Header.Height+3)
			err = n.Stop()
		}
		return err
	}
	copyTo := func(from, to string) string {
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
		return to
	}
	v := start(t, dir, g, keys[0], nil)
	v.await(t, 5)
	v.stop(t)
	early := copyTo(dir, filepath.Join(t.TempDir(), "early"))
	v = start(t, dir, g, keys[0], nil)
	v.await(t, v.Head().Header.Height+5)
	v.stop(t)
	mix := func(l, engine string) string {
		to := t.TempDir()
		if l != "" {
			copyTo(filepath.Join(l, "ledger"), filepath.Join(to, "ledger"))
		}
		if engine != "" {
			copyTo(filepath.Join(engine, "engine"), filepath.Join(to, "engine"))
		}
		return to
	}
	// A ledger that was put back, or is gone, is brought up by CometBFT.
	for _, x := range []string{mix(early, dir), mix("", dir)} {
		if err := run(x); err != nil {
			t.Errorf("a ledger that is behind: %v", err)
		}
	}
	later := mix(dir, "")
	if err := run(later); !errors.Is(err, comet.ErrApart) || !strings.Contains(err.Error(), "has no block yet") || !strings.Contains(err.Error(), "last_signed.json") {
		t.Errorf("CometBFT's files are gone: %v", err)
	}
	if err := run(mix(dir, early)); !errors.Is(err, comet.ErrApart) || !strings.Contains(err.Error(), "CometBFT's blocks end at") {
		t.Errorf("CometBFT's files are of before: %v", err)
	}
	// CometBFT's state of before beside its present blocks.
	torn := mix(dir, dir)
	state := filepath.Join(torn, "engine", "data", "state.db")
	if err := os.RemoveAll(state); err != nil {
		t.Fatal(err)
	}
	copyTo(filepath.Join(early, "engine", "data", "state.db"), state)
	if err := run(torn); !errors.Is(err, comet.ErrApart) || !strings.Contains(err.Error(), "its state is of height") {
		t.Errorf("CometBFT's state is of before: %v", err)
	}
}
