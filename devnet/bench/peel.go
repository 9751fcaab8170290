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

	"tunic/chain"
	"tunic/onion"
)

// PeelOptions says how long Peel measures. The zero value takes about a second.
type PeelOptions struct {
	Rounds int // how often each part is timed; 0 means 150, the most is 100,000
	Batch  int // operations timed together, 0 means 16, the most is 1,024
	Layers int // of the packets, 2 to onion.MaxLayers; 0 means 4: guard, middle, exit, member
}

// PeelResult is what Peel measured: the figures of the small geometry, which is
// the default, and a row for each.
type PeelResult struct {
	PeelFigures
	Rounds  int           `json:"rounds"`
	Batch   int           `json:"batch"`
	Layers  int           `json:"layers"`
	Figures []PeelFigures `json:"figures"`
}

// PeelFigures are medians over the rounds, on one core.
type PeelFigures struct {
	Geometry  string  `json:"geometry"`
	PeelNS    int64   `json:"peel_ns"`     // one whole peel of a packet to forward: header and payload
	PeelsPerS int64   `json:"peels_per_s"` // by one core
	LimitNS   int64   `json:"limit_ns"`    // one X25519 shared secret by circl, in the same rounds
	Ratio     float64 `json:"ratio"`       // peel_ns / limit_ns
	Allocs    int64   `json:"allocs"`      // allocations of one peel
	WrapNS    int64   `json:"wrap_ns"`     // one whole packet of Layers layers
	WrapRatio float64 `json:"wrap_ratio"`  // wrap_ns / limit_ns; two multiplications a layer are the least
}

// Peel times the work of a relay on one packet against the one X25519
// multiplication in it that nobody can avoid. All parts take turns in every
// round, on one core, so that whatever else the machine does hits them alike.
// Packets are wrapped before and copied into place outside the timed part.
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

	var subjects []*peelSubject
	for _, g := range []onion.Geometry{onion.Small, onion.Large} {
		s, err := newPeelSubject(g, layers, batch)
		if err != nil {
			return PeelResult{}, fmt.Errorf("measure peel: %w", err)
		}
		subjects = append(subjects, s)
	}
	var limits []int64
	for round := -1; round < rounds; round++ { // the first round warms up
		if err := ctx.Err(); err != nil {
			return PeelResult{}, fmt.Errorf("measure peel: %w", err)
		}
		limit := timeX25519(batch)
		if round >= 0 {
			limits = append(limits, limit)
		}
		for _, s := range subjects {
			peel, err := s.timePeel()
			if err != nil {
				return PeelResult{}, fmt.Errorf("measure peel: %w", err)
			}
			wrap, err := s.timeWrap(max(1, batch/8))
			if err != nil {
				return PeelResult{}, fmt.Errorf("measure wrap: %w", err)
			}
			if round >= 0 {
				s.peels, s.wraps = append(s.peels, peel), append(s.wraps, wrap)
			}
		}
	}

	res := PeelResult{Rounds: rounds, Batch: batch, Layers: layers}
	limit := median(limits)
	for _, s := range subjects {
		allocs, err := s.allocs()
		if err != nil {
			return PeelResult{}, fmt.Errorf("measure peel: %w", err)
		}
		f := PeelFigures{Geometry: s.geometry.String(), PeelNS: median(s.peels), LimitNS: limit, Allocs: allocs, WrapNS: median(s.wraps)}
		f.PeelsPerS = int64(time.Second) / max(1, f.PeelNS)
		f.Ratio = float64(f.PeelNS) / float64(max(1, limit))
		f.WrapRatio = float64(f.WrapNS) / float64(max(1, limit))
		res.Figures = append(res.Figures, f)
		if s.geometry == onion.Small {
			res.PeelFigures = f
		}
	}
	return res, nil
}

// peelSubject is one geometry under measurement.
type peelSubject struct {
	geometry onion.Geometry
	genesis  chain.Hash
	path     []onion.Hop
	keys     *onion.Keys
	message  []byte
	packets  [][]byte // as wrapped
	work     [][]byte // copies to be peeled
	peels    []int64
	wraps    []int64
}

func newPeelSubject(g onion.Geometry, layers, batch int) (*peelSubject, error) {
	const epoch chain.Epoch = 100
	s := &peelSubject{geometry: g, genesis: chain.SHA256([]byte("bench")), message: make([]byte, g.MaxMessage())}
	var first *onion.Key
	for i := range layers {
		k, err := onion.NewKey(rand.Reader, epoch)
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = k
		}
		s.path = append(s.path, onion.Hop{Index: uint32(i), Key: k.Public(), KeyEpoch: epoch})
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

func (s *peelSubject) peelAll() error {
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

func (s *peelSubject) timePeel() (int64, error) {
	s.restore()
	start := time.Now()
	err := s.peelAll()
	return int64(time.Since(start)) / int64(len(s.work)), err
}

func (s *peelSubject) timeWrap(n int) (int64, error) {
	start := time.Now()
	for range n {
		if _, err := s.wrap(); err != nil {
			return 0, err
		}
	}
	return int64(time.Since(start)) / int64(n), nil
}

// allocs counts over several batches and takes the lowest, since the count is
// the whole process's.
func (s *peelSubject) allocs() (int64, error) {
	least := int64(-1)
	for range 5 {
		s.restore()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := s.peelAll(); err != nil {
			return 0, err
		}
		runtime.ReadMemStats(&after)
		if n := int64(after.Mallocs-before.Mallocs) / int64(len(s.work)); least < 0 || n < least {
			least = n
		}
	}
	return least, nil
}

func timeX25519(n int) int64 {
	private, shared, public := x25519.Key{7}, x25519.Key{}, x25519.Key{9}
	start := time.Now()
	for range n {
		x25519.Shared(&shared, &private, &public)
		public[0] ^= shared[0] // each waits for the one before
	}
	return int64(time.Since(start)) / int64(n)
}

func median(v []int64) int64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
