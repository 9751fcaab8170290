package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/util"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/table"
	"tunic/ledger"
	"tunic/ledger/machine"
)

// moment is all that can be asked of a state.
type moment struct {
	head   chain.Header
	rows   [machine.Parts][]table.Row
	proofs []byte // of a row that is there and one that is not, in each part
	list   chain.Hash
}

func momentOf(m *machine.Machine) moment {
	x := moment{head: m.Head(), list: m.List().Root()}
	for i := range x.rows {
		part := machine.Part(i)
		x.rows[i] = m.Rows(part)
		x.proofs = append(x.proofs, m.Prove(part, []byte{0xff}).Encode()...)
		if n := len(x.rows[i]); n > 0 {
			x.proofs = append(x.proofs, m.Prove(part, x.rows[i][n/2].Key).Encode()...)
		}
	}
	return x
}

func at(t testing.TB, l *ledger.Ledger, h chain.Height) moment {
	t.Helper()
	var x moment
	if err := l.ViewAt(context.Background(), h, func(m *machine.Machine) { x = momentOf(m) }); err != nil {
		t.Fatalf("state after block %d: %v", h, err)
	}
	return x
}

// history are the states from before the first block to the head, made anew by
// a replay of the blocks.
func history(t testing.TB, l *ledger.Ledger) []moment {
	t.Helper()
	m, err := machine.New(l.Genesis(), nil)
	if err != nil {
		t.Fatal(err)
	}
	out := []moment{momentOf(m)}
	for h := chain.Height(1); h <= l.Head().Header.Height; h++ {
		b, err := l.Block(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Replay(b.Header, m.PrepareAll(b.Txs)); err != nil {
			t.Fatal(err)
		}
		out = append(out, momentOf(m))
	}
	return out
}

// checkStates reads the state at every height, in an order of rng's: from `from`
// on it is what a replay gives, below it is not kept, above the head there is none.
func checkStates(t testing.TB, l *ledger.Ledger, rng *rand.Rand, from chain.Height) {
	t.Helper()
	if got := l.KeptFrom(); got != from {
		t.Fatalf("states are kept from height %d on, want %d", got, from)
	}
	want := history(t, l)
	for _, i := range rng.Perm(len(want)) {
		h := chain.Height(i)
		if h > 0 && h < from {
			if err := l.ViewAt(context.Background(), h, func(*machine.Machine) { t.Errorf("height %d was shown", h) }); !errors.Is(err, ledger.ErrNotKept) {
				t.Fatalf("state after block %d, which is not kept: %v", h, err)
			}
			continue
		}
		if diff := cmp.Diff(want[i], at(t, l, h), cmp.AllowUnexported(moment{})); diff != "" {
			t.Fatalf("state after block %d is another:\n%s", h, diff)
		}
	}
	if err := l.ViewAt(context.Background(), chain.Height(len(want)), func(*machine.Machine) { t.Error("shown") }); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatalf("state above the head: %v", err)
	}
}

// walk does random things to a ledger: transfers, a node's statements, time that
// passes, snapshots and reverts. kept is the lowest height whose state must be
// kept then.
type walk struct {
	testing.TB
	*ledger.Ledger
	rng   *rand.Rand
	keep  chain.Height
	kept  chain.Height
	count uint32

	reverts int
	listed  bool // the node was, at some time
}

func (w *walk) step() {
	w.Helper()
	names := []string{"a", "b", "c", "fresh", "other"}
	switch w.rng.IntN(10) {
	case 0:
		if err := w.Advance(context.Background(), chain.Duration(1000*w.rng.IntN(40))); err != nil {
			w.Fatal(err)
		}
	case 1:
		if _, err := w.Fund(context.Background(), address("poor"), chain.Amount(1+w.rng.IntN(5))); err != nil {
			w.Fatal(err)
		}
	case 2:
		if name := fmt.Sprint("s", w.rng.IntN(3)); w.DropSnapshot(name) != nil || w.rng.IntN(2) > 0 {
			snapshot(w, w.Ledger, name)
		}
	case 3:
		if all, err := w.Snapshots(); err == nil && len(all) > 0 && w.rng.IntN(2) == 0 {
			s := all[w.rng.IntN(len(all))]
			revert(w, w.Ledger, s.Name)
			w.kept = min(w.kept, s.Height)
			w.reverts++
		}
	default:
		for range w.rng.IntN(4) {
			from := names[w.rng.IntN(3)]
			submit(w, w.Ledger, transfer(w.Genesis(), from, names[w.rng.IntN(len(names))], w.NextNonce(address(from)), chain.Amount(1+w.rng.IntN(9))))
		}
		w.count++
		seq := statement.NewSequence(w.Head().Header.DirEpoch+chain.Epoch(w.rng.IntN(2)), w.count)
		for _, st := range [][]byte{heartbeat(w.Ledger, "n", seq), descriptor(w.Ledger, "n", seq)} {
			_, _ = w.Publish(context.Background(), st) // refused where it comes too soon
		}
		seal(w, w.Ledger)
	}
	w.listed = w.listed || w.Head().Header.DirCount > 0
	w.forget()
}

func (w *walk) seal() {
	w.Helper()
	seal(w, w.Ledger)
	w.forget()
}

// forget raises what must be kept to what blocks have left of it.
func (w *walk) forget() {
	if head := w.Head().Header.Height; head > w.keep {
		w.kept = max(w.kept, head-w.keep)
	}
}

// Whatever happens, the state at each height that is kept is the one of then:
// across reverts, restarts with more or fewer states to keep, a dump and a load;
// and the database holds nothing else.
func TestStatesOfThePast(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 1))
			cfg := config(t.TempDir(), ledger.ModeManual)
			rich(&cfg)
			cfg.Genesis.RewardPool = 1_000_000 * chain.TUN
			w := &walk{TB: t, rng: rng}
			for _, keep := range []int{9, 30, 4} {
				cfg.KeepStates, w.keep = keep, chain.Height(keep)
				w.Ledger = open(t, cfg)
				if w.Head().Header.Height == 0 {
					submit(t, w.Ledger, register(cfg.Genesis, "n", "c", 0))
				} else {
					checkStates(t, w.Ledger, rng, w.kept)
					w.seal() // with it those go that are too many now
				}
				for range 16 {
					w.step()
				}
				checkStates(t, w.Ledger, rng, w.kept)
				head := w.Head().Header.Height
				w.Close()
				if n := undoRecords(t, cfg.Dir); n != int(head-w.kept) || n > keep {
					t.Fatalf("%d undo records of %d", n, keep)
				}
				if _, err := ledger.Verify(context.Background(), cfg.Dir); err != nil {
					t.Fatal(err)
				}
			}
			if w.reverts == 0 || !w.listed || w.kept == 0 {
				t.Errorf("a walk on which too little happens: %d reverts, a node was listed: %v, states from height %d on", w.reverts, w.listed, w.kept)
			}
			l := open(t, cfg)
			var dump bytes.Buffer
			if err := l.Dump(context.Background(), &dump); err != nil {
				t.Fatal(err)
			}
			l.Close()
			cfg.Dir = t.TempDir()
			if _, err := ledger.Load(context.Background(), cfg.Dir, cfg.SealerKey, &dump); err != nil {
				t.Fatal(err)
			}
			cfg.KeepStates = 0
			l = open(t, cfg)
			checkStates(t, l, rng, 0)
		})
	}
}

// A proof from a former state holds against the header of then, and says what
// was so then.
func TestProofOfThePast(t *testing.T) {
	cfg := config("", ledger.ModeManual)
	l := open(t, cfg)
	for n := range uint64(5) {
		submit(t, l, transfer(cfg.Genesis, "a", "new", n, 10))
		seal(t, l)
	}
	who := address("new")
	key := append([]byte{1}, who[:]...)
	for h := chain.Height(1); h <= 5; h++ {
		var p machine.StateProof
		err := l.ViewAt(context.Background(), h, func(m *machine.Machine) { p = m.Prove(machine.PartAccounts, key) })
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Header(h)
		if err != nil {
			t.Fatal(err)
		}
		v, ok, err := p.Verify(s.Header.State, key)
		if err != nil || !ok || v[7] != byte(10*h) {
			t.Errorf("height %d: %x, %v, %v", h, v, ok, err)
		}
		if _, _, err := p.Verify(l.Head().Header.State, key); err == nil && h < 5 {
			t.Errorf("the proof of height %d holds against the head", h)
		}
	}
}

// Many read one state and others at once while blocks are sealed and given up:
// each sees the height that it asked for, whole.
func TestStatesReadAtOnce(t *testing.T) {
	cfg := config("", ledger.ModeManual)
	cfg.KeepStates = 40
	l := open(t, cfg)
	for range 20 {
		seal(t, l)
	}
	snapshot(t, l, "twenty")
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 2))
			for ctx.Err() == nil {
				h := chain.Height(rng.IntN(30))
				err := l.ViewAt(ctx, h, func(m *machine.Machine) {
					key := m.AccountKey(address("b"))
					_, ok, err := m.Prove(machine.PartAccounts, key).Verify(m.Head().State, key)
					if got := m.Head().Height; got != h || !ok || err != nil {
						t.Errorf("asked for height %d, got %d; an account is there %v, %v", h, got, ok, err)
					}
				})
				if err != nil && !errors.Is(err, ledger.ErrNotFound) && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}
		})
	}
	for range 5 {
		for range 4 {
			submit(t, l, transfer(cfg.Genesis, "a", "b", l.NextNonce(address("a")), 1))
			seal(t, l)
		}
		revert(t, l, "twenty")
	}
	stop()
	wg.Wait()
}

// Who asks for one state at once gets one that was built once, and it stays for
// whoever asks next.
func TestStateIsBuiltOnce(t *testing.T) {
	l := open(t, config("", ledger.ModeManual))
	for range 9 {
		seal(t, l)
	}
	for h := range chain.Height(4) {
		var mu sync.Mutex
		built := map[*machine.Machine]int{}
		var wg sync.WaitGroup
		read := func() {
			err := l.ViewAt(context.Background(), h, func(m *machine.Machine) {
				mu.Lock()
				defer mu.Unlock()
				built[m]++
			})
			if err != nil {
				t.Error(err)
			}
		}
		for range 16 {
			wg.Go(read)
		}
		wg.Wait()
		read()
		if len(built) != 1 {
			t.Errorf("height %d was built %d times", h, len(built))
		}
	}
}

// A caller that gives up does not wait for a state.
func TestStateOfACallerThatIsGone(t *testing.T) {
	l := open(t, config("", ledger.ModeManual))
	seal(t, l)
	seal(t, l)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	// Either answer is right: the state or that the caller is gone.
	if err := l.ViewAt(ctx, 1, func(*machine.Machine) {}); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	at(t, l, 1) // what it left behind is in nobody's way
}

// A database without undo records, or one that a program without them went on
// with, keeps states from now on. A record that was tampered with shows no
// state at all.
func TestStatesOfAnOlderDatabase(t *testing.T) {
	cfg := config(t.TempDir(), ledger.ModeManual)
	fill := func() {
		t.Helper()
		l := open(t, cfg)
		for range 6 {
			submit(t, l, transfer(cfg.Genesis, "a", "b", l.NextNonce(address("a")), 1))
			seal(t, l)
		}
		l.Close()
	}
	rng := rand.New(rand.NewPCG(3, 3))
	kept := func(from chain.Height) {
		t.Helper()
		if _, err := ledger.Verify(context.Background(), cfg.Dir); err != nil {
			t.Fatal(err)
		}
		l := open(t, cfg)
		checkStates(t, l, rng, from)
		l.Close()
	}
	fill()
	edit(t, cfg.Dir, func(db *leveldb.DB) error { return dropAll(db, 'u') })
	kept(6)
	fill()
	kept(6)
	edit(t, cfg.Dir, func(db *leveldb.DB) error { return db.Delete(undoKey(12), nil) })
	kept(12)
	fill()
	kept(12)
	edit(t, cfg.Dir, func(db *leveldb.DB) error {
		v, err := db.Get(undoKey(17), nil)
		if err != nil {
			return err
		}
		v = slices.Clone(v)
		v[4+1+21+1+4]++ // a balance
		return db.Put(undoKey(17), v, nil)
	})
	l := open(t, cfg)
	at(t, l, 17)
	for h := chain.Height(12); h < 17; h++ {
		if err := l.ViewAt(context.Background(), h, func(*machine.Machine) { t.Error("shown") }); !errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("height %d: %v", h, err)
		}
	}
}

func undoRecords(t testing.TB, dir string) (n int) {
	t.Helper()
	edit(t, dir, func(db *leveldb.DB) error {
		it := db.NewIterator(util.BytesPrefix([]byte{'u'}), nil)
		defer it.Release()
		for it.Next() {
			n++
		}
		return it.Error()
	})
	return n
}

func undoKey(h byte) []byte { return []byte{'u', 0, 0, 0, 0, 0, 0, 0, h} }
