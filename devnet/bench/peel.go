// Package bench measures the network's parts against the limits that the machine
// sets them: each figure stands beside the bare operation that it cannot beat,
// timed in the same run. docs/performance.md holds the figures.
package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/cloudflare/circl/dh/x25519"
	"github.com/cloudflare/circl/kem/xwing"

	"tunic/chain"
	"tunic/onion"
)

// Goals of Peel, each times one X25519 in the same run. The hybrid geometry, which no
// network can choose yet, and wrapping in others than the small one have none.
const (
	PeelGoal      = 1.35 // a peel of a small packet, at most
	PeelLargeGoal = 1.8  // of a large one
	WrapGoal      = 8.0  // wrapping a small packet of four layers
)

// PeelOptions says how long Peel measures. The zero value takes about a second.
type PeelOptions struct {
	Rounds  int  // how often each part is timed; 0 means 150, the most is 100,000
	Batch   int  // operations timed together, 0 means 16, the most is 1,024
	Layers  int  // of the packets, 2 to onion.MaxLayers; 0 means 4: guard, middle, exit, member
	Profile bool // time the parts of a peel too
}

// PeelResult is what Peel measured: the figures of the small geometry, which is
// the default, and a row for each.
type PeelResult struct {
	PeelFigures
	Rounds  int           `json:"rounds"`
	Batch   int           `json:"batch"`
	Layers  int           `json:"layers"`
	Figures []PeelFigures `json:"figures"`
	Verdict
}

// PeelFigures are medians over the rounds, on one core.
type PeelFigures struct {
	Geometry  string     `json:"geometry"`
	PeelNS    int64      `json:"peel_ns"`         // one whole peel of a packet to forward: header and payload
	PeelsPerS int64      `json:"peels_per_s"`     // by one core
	Limit     string     `json:"limit"`           // what nobody can avoid: "x25519", or "xwing" in the hybrid geometry
	LimitNS   int64      `json:"limit_ns"`        // one shared secret of that kind by circl, in the same rounds
	Ratio     float64    `json:"ratio"`           // peel_ns / limit_ns
	Goal      float64    `json:"goal"`            // of ratio, at most; 0: it is not judged
	Allocs    int64      `json:"allocs"`          // allocations of one peel
	WrapNS    int64      `json:"wrap_ns"`         // one whole packet of Layers layers
	WrapRatio float64    `json:"wrap_ratio"`      // wrap_ns / limit_ns; two multiplications a layer are the least, or one encapsulation
	WrapGoal  float64    `json:"wrap_goal"`       // of wrap_ratio; 0 likewise
	Parts     []PeelPart `json:"parts,omitempty"` // with PeelOptions.Profile
}

// PeelPart is a part of a peel, timed by itself with the bare primitive; the
// last, "rest", is what remains of the whole.
type PeelPart struct {
	Part  string  `json:"part"`
	NS    int64   `json:"ns"`
	Share float64 `json:"share"` // of the peel
}

// Peel times the work of a relay on one packet against the one shared secret in
// it that nobody can avoid. All parts take turns in every round, on one core, so
// that whatever else the machine does hits them alike. Packets are wrapped
// before and copied into place outside the timed part.
func Peel(ctx context.Context, opts PeelOptions) (PeelResult, error) {
	rounds, batch, layers := opts.Rounds, opts.Batch, opts.Layers
	if rounds == 0 {
		rounds = 150
	}
	if batch == 0 {
		batch = 16
	}
	if layers == 0 {
		layers = 4
	}
	if rounds < 1 || rounds > 100_000 || batch < 1 || batch > 1024 || layers < 2 || layers > onion.MaxLayers {
		return PeelResult{}, fmt.Errorf("measure peel: %d rounds of %d with %d layers is out of range", rounds, batch, layers)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	var timers []*timer
	timed := func(name string, op func(n int) error) *timer {
		t := &timer{name: name, batch: batch, op: op}
		timers = append(timers, t)
		return t
	}
	limits := map[string]*timer{"x25519": timed("x25519", timeX25519), "xwing": timed("xwing", xwingTimer())}
	var subjects []*peelSubject
	for _, g := range []onion.Geometry{onion.Small, onion.Large, onion.Hybrid} {
		s, err := newPeelSubject(g, layers, batch)
		if err != nil {
			return PeelResult{}, fmt.Errorf("measure peel: %w", err)
		}
		s.limit = limits["x25519"]
		if g == onion.Hybrid {
			s.limit = limits["xwing"]
		}
		s.peels, s.wraps = timed("peel", s.peelAll), timed("wrap", s.wrapAll)
		s.peels.before, s.wraps.batch = s.restore, max(1, batch/8)
		if opts.Profile {
			for _, p := range partsOf(g) {
				s.parts = append(s.parts, timed(p.name, p.op))
			}
		}
		subjects = append(subjects, s)
	}
	for round := -1; round < rounds; round++ { // the first round warms up
		if err := ctx.Err(); err != nil {
			return PeelResult{}, fmt.Errorf("measure peel: %w", err)
		}
		for _, t := range timers {
			if err := t.run(round >= 0); err != nil {
				return PeelResult{}, fmt.Errorf("measure %s: %w", t.name, err)
			}
		}
	}

	res := PeelResult{Rounds: rounds, Batch: batch, Layers: layers, Verdict: passed()}
	for _, s := range subjects {
		allocs, err := s.allocs()
		if err != nil {
			return PeelResult{}, fmt.Errorf("measure peel: %w", err)
		}
		limit := s.limit.median()
		f := PeelFigures{Geometry: s.geometry.String(), PeelNS: s.peels.median(), Limit: s.limit.name, LimitNS: limit,
			Allocs: allocs, WrapNS: s.wraps.median()}
		f.PeelsPerS = int64(time.Second) / max(1, f.PeelNS)
		f.Ratio = float64(f.PeelNS) / float64(max(1, limit))
		f.WrapRatio = float64(f.WrapNS) / float64(max(1, limit))
		if opts.Profile {
			f.Parts = s.profile(f.PeelNS)
		}
		res.judge(s.geometry, &f)
		res.Figures = append(res.Figures, f)
		if s.geometry == onion.Small {
			res.PeelFigures = f
		}
	}
	return res, nil
}

// judge holds the figures of a geometry against its goals, and notes these.
func (r *PeelResult) judge(g onion.Geometry, f *PeelFigures) {
	switch g {
	case onion.Small:
		f.Goal = PeelGoal
		if r.Layers == 4 { // guard, middle, exit, member
			f.WrapGoal = WrapGoal
		}
	case onion.Large:
		f.Goal = PeelLargeGoal
	}
	r.fail(f.Goal > 0 && f.Ratio > f.Goal, "peel %s takes %.2f times one X25519, goal %.2f", f.Geometry, f.Ratio, f.Goal)
	r.fail(f.WrapGoal > 0 && f.WrapRatio > f.WrapGoal, "wrap %s takes %.1f times one X25519, goal %.0f", f.Geometry, f.WrapRatio, f.WrapGoal)
}

// timer times one operation, batch of them at once.
type timer struct {
	name   string
	batch  int
	before func()            // untimed
	op     func(n int) error // n times
	took   []int64           // nanoseconds of one, a round each
}

func (t *timer) run(count bool) error {
	if t.before != nil {
		t.before()
	}
	start := time.Now()
	err := t.op(t.batch)
	if count {
		t.took = append(t.took, int64(time.Since(start))/int64(t.batch))
	}
	return err
}

func (t *timer) median() int64 { return median(t.took) }

// peelSubject is one geometry under measurement.
type peelSubject struct {
	geometry onion.Geometry
	genesis  chain.Hash
	path     []onion.Hop
	keys     *onion.Keys
	message  []byte
	packets  [][]byte // as wrapped
	work     [][]byte // copies to be peeled

	limit, peels, wraps *timer
	parts               []*timer
}

func newPeelSubject(g onion.Geometry, layers, batch int) (*peelSubject, error) {
	const epoch chain.Epoch = 100
	s := &peelSubject{geometry: g, genesis: chain.SHA256([]byte("bench")), message: make([]byte, g.MaxMessage())}
	var first *onion.Key
	for i := range layers {
		draw := onion.NewKey
		if g == onion.Hybrid {
			draw = onion.NewHybridKey
		}
		k, err := draw(rand.Reader, epoch)
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = k
		}
		s.path = append(s.path, onion.Hop{Index: uint32(i), Key: k.Public(), KeyEpoch: epoch, Hybrid: k.Hybrid()})
	}
	var err error
	if s.keys, err = onion.NewKeys(g, s.genesis, first); err != nil {
		return nil, err
	}
	for range batch {
		p, err := s.wrap()
		if err != nil {
			return nil, err
		}
		s.packets = append(s.packets, p)
		s.work = append(s.work, make([]byte, len(p)))
	}
	return s, nil
}

func (s *peelSubject) wrap() ([]byte, error) {
	return s.geometry.Wrap(rand.Reader, s.genesis, onion.ExpiryOf(100), s.path, s.message)
}

func (s *peelSubject) restore() {
	for i, p := range s.packets {
		copy(s.work[i], p)
	}
}

// peelAll peels what restore laid out, once.
func (s *peelSubject) peelAll(int) error {
	for _, p := range s.work {
		o, err := s.keys.OpenHeader(p)
		if err != nil {
			return err
		}
		if _, err := o.Finish(); err != nil {
			return err
		}
	}
	return nil
}

func (s *peelSubject) wrapAll(n int) error {
	for range n {
		if _, err := s.wrap(); err != nil {
			return err
		}
	}
	return nil
}

// profile is the parts of one peel that takes whole nanoseconds.
func (s *peelSubject) profile(whole int64) (parts []PeelPart) {
	rest := whole
	add := func(name string, ns int64) {
		parts = append(parts, PeelPart{name, ns, float64(ns) / float64(max(1, whole))})
		rest -= ns
	}
	add(s.limit.name, s.limit.median())
	for _, t := range s.parts {
		add(t.name, t.median())
	}
	add("rest", rest)
	return parts
}

// allocs counts over several batches and takes the lowest, since the count is
// the whole process's.
func (s *peelSubject) allocs() (int64, error) {
	least := int64(-1)
	for range 5 {
		s.restore()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := s.peelAll(0); err != nil {
			return 0, err
		}
		runtime.ReadMemStats(&after)
		if n := int64(after.Mallocs-before.Mallocs) / int64(len(s.work)); least < 0 || n < least {
			least = n
		}
	}
	return least, nil
}

func timeX25519(n int) error {
	private, shared, public := x25519.Key{7}, x25519.Key{}, x25519.Key{9}
	for range n {
		x25519.Shared(&shared, &private, &public)
		public[0] ^= shared[0] // each waits for the one before
	}
	return nil
}

func xwingTimer() func(n int) error {
	private, public := xwing.DeriveKeyPair(make([]byte, xwing.SeedSize))
	var shared [xwing.SharedKeySize]byte
	ciphertext := make([]byte, xwing.CiphertextSize)
	public.EncapsulateTo(ciphertext, shared[:], make([]byte, xwing.EncapsulationSeedSize))
	return func(n int) error {
		for range n {
			private.DecapsulateTo(shared[:], ciphertext)
		}
		return nil
	}
}

func median(v []int64) int64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
