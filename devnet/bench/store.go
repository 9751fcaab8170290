package bench

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion"
	"tunic/onion/mail"
	"tunic/relay/mailbox"
)

// StoreOptions says how much Store measures. The zero value takes half a minute
// and 4 GB of disk.
type StoreOptions struct {
	Dir     string // on the disk to be measured; "" is the system's folder for temporary files
	Writers int    // stores under way at once, 1 to 1,024; 0 means 64
	Items   int    // each of the two stores in a round, 16 to 8,192; 0 means 4,096
	Rounds  int    // 1 to 100; 0 means 7
}

// StoreResult is what Store measured: a row for each geometry.
type StoreResult struct {
	Writers int            `json:"writers"`
	Items   int            `json:"items"`
	Rounds  int            `json:"rounds"`
	Buffer  int            `json:"write_buffer"` // of either database, bytes
	Figures []StoreFigures `json:"figures"`
}

// StoreFigures are of one geometry.
type StoreFigures struct {
	Geometry   string  `json:"geometry"`
	ItemBytes  int     `json:"item_bytes"`
	StoresPerS int64   `json:"stores_per_s"` // median of the rounds
	Spans              // of one store, all rounds
	LimitPerS  int64   `json:"limit_per_s"` // goleveldb alone: batches of StoreBatch items, each synced
	Ratio      float64 `json:"ratio"`       // median of the rounds' stores_per_s / limit_per_s
	Least      float64 `json:"ratio_least"`
	Most       float64 `json:"ratio_most"`
	CPUUS      float64 `json:"cpu_us"`       // processor time of a store, user and system, all threads; 0 where unknown
	LimitCPUUS float64 `json:"limit_cpu_us"` // the same of the bare database
}

// What the bare database does at once, and what either has as write buffer.
const (
	StoreBatch  = 16
	storeBuffer = 32 << 20
)

// StoreGoal is the least ratio.
const StoreGoal = 0.8

// Store times a member that keeps items on disk for many writers at once: each
// store is a whole command, with the signature of its writer checked, the item on
// stable storage by group commit and the receipt signed. The limit is the
// database alone: it writes the same rows, with the same options, in batches of
// StoreBatch items, each synced, by one goroutine that does nothing else. The two
// take turns, each in its own folder, and commands are signed outside the timed
// part. A turn begins when what goleveldb leaves to the background is done. 4,096
// large items are four write buffers, so that most of that falls into the turn whose
// it is, as it does in a relay that stores all day; 512 are a burst that fits into
// the buffer, and the bare database's merging is nobody's then.
func Store(ctx context.Context, o StoreOptions) (StoreResult, error) {
	o.Writers, o.Items, o.Rounds = orDefault(o.Writers, 64), orDefault(o.Items, 4096), orDefault(o.Rounds, 7)
	if o.Writers < 1 || o.Writers > 1024 || o.Items < StoreBatch || o.Items > 8192 || o.Rounds < 1 || o.Rounds > 100 {
		return StoreResult{}, fmt.Errorf("measure store: %d writers of %d items in %d rounds is out of range", o.Writers, o.Items, o.Rounds)
	}
	r := StoreResult{Writers: o.Writers, Items: o.Items, Rounds: o.Rounds, Buffer: storeBuffer}
	for _, g := range []onion.Geometry{onion.Small, onion.Large} {
		f, err := measureStore(ctx, o, g)
		if err != nil {
			return StoreResult{}, fmt.Errorf("measure store: %w", err)
		}
		r.Figures = append(r.Figures, f)
	}
	return r, nil
}

func orDefault(v, otherwise int) int {
	if v == 0 {
		return otherwise
	}
	return v
}

func measureStore(ctx context.Context, o StoreOptions, g onion.Geometry) (StoreFigures, error) {
	dir, err := os.MkdirTemp(o.Dir, "tunic-bench-store-")
	if err != nil {
		return StoreFigures{}, fmt.Errorf("make folder: %w", err)
	}
	defer os.RemoveAll(dir)
	ours, err := openMember(filepath.Join(dir, "member"), g)
	if err != nil {
		return StoreFigures{}, err
	}
	defer ours.level.Close()
	bare, err := leveldb.OpenFile(filepath.Join(dir, "bare"), mailbox.LevelOptions(storeBuffer))
	if err != nil {
		return StoreFigures{}, fmt.Errorf("open bare database: %w", err)
	}
	defer bare.Close()

	f := StoreFigures{Geometry: g.String(), ItemBytes: ours.format.Item()}
	var rates, limits []int64
	var each []time.Duration
	var ratios []float64
	var used [2]time.Duration                    // processor time, ours and the bare database's
	for round := -1; round < o.Rounds; round++ { // the first round warms up
		if err := ctx.Err(); err != nil {
			return StoreFigures{}, err
		}
		cmds := ours.commands(o.Items)
		var took, limit time.Duration
		var times []time.Duration
		var cpu [2]time.Duration
		turns := []func() error{
			func() (err error) {
				before := processTime()
				took, times, err = ours.storeAll(cmds, o.Writers)
				cpu[0] = processTime() - before
				return
			},
			func() (err error) {
				before := processTime()
				limit, err = writeBare(bare, cmds)
				cpu[1] = processTime() - before
				return
			},
		}
		if round%2 != 0 {
			turns[0], turns[1] = turns[1], turns[0]
		}
		for _, turn := range turns {
			if err := atRest(ctx); err != nil {
				return StoreFigures{}, err
			}
			if err := turn(); err != nil {
				return StoreFigures{}, err
			}
		}
		if round < 0 {
			continue
		}
		used[0], used[1] = used[0]+cpu[0], used[1]+cpu[1]
		each = append(each, times...)
		rates, limits = append(rates, perSecond(o.Items, took)), append(limits, perSecond(o.Items, limit))
		ratios = append(ratios, float64(limit)/float64(max(1, took)))
	}
	f.StoresPerS, f.LimitPerS = median(rates), median(limits)
	slices.Sort(each)
	f.Spans = spansOf(each)
	f.Least, f.Ratio, f.Most = spread(ratios)
	per := func(d time.Duration) float64 { return float64(d) / 1e3 / float64(o.Items*o.Rounds) }
	f.CPUUS, f.LimitCPUUS = per(used[0]), per(used[1])
	return f, nil
}

// atRest waits until this process hardly works any more, at most three seconds:
// what one database moves about behind the back of who wrote would else be paid by
// the other one, whose turn is next.
func atRest(ctx context.Context) error {
	const look, idle = 10 * time.Millisecond, 2 * time.Millisecond
	last := processTime()
	for range 3 * time.Second / look {
		if err := pause(ctx, look); err != nil {
			return err
		}
		now := processTime()
		if now-last < idle {
			return nil
		}
		last = now
	}
	return nil
}

// member is a mailbox on disk as a relay has it.
type member struct {
	mail    *mailbox.Mailbox
	level   *mailbox.Level
	format  mail.Format
	genesis chain.Hash
	random  *rand.ChaCha8
	now     chain.Time
}

func openMember(dir string, g onion.Geometry) (*member, error) {
	m := &member{format: mail.FormatOf(g), genesis: chain.SHA256([]byte("bench")), random: rand.NewChaCha8([32]byte{1}), now: 1_700_000_000_000}
	params, err := genesis.For(genesis.Dev)
	if err != nil {
		return nil, err
	}
	params.MailboxQuota = 1 << 30
	if m.level, err = mailbox.OpenLevel(dir, storeBuffer); err != nil {
		return nil, err
	}
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	m.mail, err = mailbox.New(mailbox.Config{
		Self: chain.NodeID(key.Public().(ed25519.PublicKey)), Genesis: m.genesis, Params: &params, Format: m.format, Store: m.level,
		Sign: func(r statement.Receipt) []byte {
			return statement.Sign(statement.Domain{Genesis: m.genesis}, key, statement.LabelReceipt, 0, r.Encode()).Encode()
		},
	})
	if err != nil {
		m.level.Close()
		return nil, err
	}
	return m, nil
}

// commands are n stores of random content into a hundred mailboxes.
func (m *member) commands(n int) []mail.Command {
	out := make([]mail.Command, n)
	for i := range out {
		s := &mail.Store{Expiry: m.now + chain.Time(genesis.Hour), Content: make([]byte, m.format.Item())}
		var seed [32]byte
		binary.BigEndian.PutUint64(seed[:], uint64(i%100))
		key := ed25519.NewKeyFromSeed(seed[:])
		s.Write = [32]byte(key.Public().(ed25519.PublicKey))
		m.random.Read(s.Deleter[:])
		m.random.Read(s.Content)
		s.Sign(m.genesis, key)
		out[i] = mail.Command{Store: s}
	}
	return out
}

// storeAll hands the commands to the member, writers of them at a time, and
// returns how long all and each took.
func (m *member) storeAll(cmds []mail.Command, writers int) (time.Duration, []time.Duration, error) {
	took := make([]time.Duration, len(cmds))
	var next atomic.Int64
	var refused atomic.Uint32
	var wg sync.WaitGroup
	start := time.Now()
	for range writers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(cmds); i = int(next.Add(1)) - 1 {
				begin := time.Now()
				if r := m.mail.Handle(m.now, 1, cmds[i]); r[0].Code != mail.CodeStored {
					refused.Store(uint32(r[0].Code))
				}
				took[i] = time.Since(begin)
			}
		})
	}
	wg.Wait()
	all := time.Since(start)
	if c := mail.Code(refused.Load()); c != 0 {
		return 0, nil, fmt.Errorf("a store was answered %s", c)
	}
	return all, took, nil
}

// writeBare writes rows of the same lengths as the member does, with keys that
// come in the same order: items below their mailbox, the rest anywhere.
func writeBare(db *leveldb.DB, cmds []mail.Command) (time.Duration, error) {
	values := make([][]byte, len(cmds))
	for i, c := range cmds {
		values[i] = append(make([]byte, 82), c.Store.Content...)
	}
	row := func(kind byte, n int, seed chain.Hash) []byte {
		return append([]byte{kind}, append(append(seed[:], seed[:]...), seed[:]...)[:n]...)
	}
	start := time.Now()
	batch := leveldb.MakeBatch(0)
	for i, c := range cmds {
		box, item := chain.Hash(c.Store.Write), c.Store.Deleter
		batch.Put(append(row('i', 32, box), item[:8]...), values[i])
		batch.Put(row('d', 64, item), item[:])
		batch.Put(row('x', 49, item), nil)
		batch.Put(row('n', 32, box), item[:20])
		if (i+1)%StoreBatch != 0 && i+1 < len(cmds) {
			continue
		}
		if err := db.Write(batch, &opt.WriteOptions{Sync: true}); err != nil {
			return 0, fmt.Errorf("write bare database: %w", err)
		}
		batch.Reset()
	}
	return time.Since(start), nil
}

func perSecond(n int, took time.Duration) int64 {
	return int64(float64(n) / max(took.Seconds(), 1e-9))
}

// spread is the least, the median and the most of v.
func spread(v []float64) (least, median, most float64) {
	v = slices.Sorted(slices.Values(v))
	return v[0], v[len(v)/2], v[len(v)-1]
}
