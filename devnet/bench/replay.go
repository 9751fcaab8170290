package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/bits"
	mrand "math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/relay"
	"tunic/relay/replay"
)

// ReplayGoal is the most that a tag may take in memory, free places included, in a
// set of at least replayJudged: a small one is mostly what every set has.
const (
	ReplayGoal   = 32 // bytes
	replayJudged = 50_000
)

// ReplayOptions says how much Replay measures. The zero value takes about half a
// minute.
type ReplayOptions struct {
	Tags    int    // added to a set, 1,000 to 100,000,000; 0 means 1,000,000
	Packets int    // sent through a relay, each twice, 1,000 to 100,000,000; 0 means 20,000
	Dir     string // where a temporary folder is made; empty: the system's
}

// ReplayResult is what Replay measured.
type ReplayResult struct {
	Cores   int           `json:"cores"`
	Tags    ReplaySet     `json:"tags"`
	Packets ReplayPackets `json:"packets"`
	Verdict
}

// ReplaySet is a set that is filled to its limit.
type ReplaySet struct {
	Tags           int     `json:"tags"`
	FalsePositives int64   `json:"false_positives"` // new ones taken for seen
	FalseNegatives int64   `json:"false_negatives"` // seen ones taken for new, or refused
	Refused        int64   `json:"refused"`         // new ones beyond the limit, as they must be
	Beyond         int     `json:"beyond"`          // of so many
	AddNS          int64   `json:"add_ns"`          // from one new tag to the next, all cores adding, each written
	AddsPerS       int64   `json:"adds_per_s"`
	SeenNS         int64   `json:"seen_ns"`  // the same of tags that are there
	P9999US        int64   `json:"p9999_us"` // of 10,000 adds one takes longer
	LongestUS      int64   `json:"longest_us"`
	Bytes          int     `json:"bytes"` // in memory
	BytesPerTag    float64 `json:"bytes_per_tag"`
	MemoryGrowth   int64   `json:"memory_growth"` // of the process, garbage included (RssAnon)
	FileBytes      int64   `json:"file_bytes"`
	LoadMS         int64   `json:"load_ms"` // to open it again
	LostOnLoad     int64   `json:"lost_on_load"`
}

// ReplayPackets is a relay whose set is as large as the packets are many.
type ReplayPackets struct {
	Packets   int            `json:"packets"`
	Forwarded uint64         `json:"forwarded"`   // of those sent for the first time
	Replays   uint64         `json:"replays"`     // dropped, of those sent again
	Full      uint64         `json:"replay_full"` // dropped, of those sent when the set was full
	Beyond    int            `json:"beyond"`      // so many
	PerS      int64          `json:"per_s"`
	Growth    int64          `json:"memory_growth"` // of the process, from before the first packet until after the last (RssAnon)
	Counters  relay.Counters `json:"counters"`
}

// Replay fills a replay set to its limit, asks for every tag again, asks for more,
// and opens it anew; and it sends packets through a relay, each twice, until its
// set is full, and then more.
func Replay(ctx context.Context, opts ReplayOptions) (ReplayResult, error) {
	r, err := measureReplay(ctx, opts)
	if err != nil {
		return r, fmt.Errorf("measure replay: %w", err)
	}
	return r, nil
}

// replayBeyond is how many are offered to a full set.
const replayBeyond = 1000

func measureReplay(ctx context.Context, o ReplayOptions) (r ReplayResult, err error) {
	o.Tags, o.Packets = orDefault(o.Tags, 1_000_000), orDefault(o.Packets, 20_000)
	if o.Tags < 1000 || o.Tags > 100_000_000 || o.Packets < 1000 || o.Packets > 100_000_000 {
		return r, fmt.Errorf("%d tags and %d packets are out of range", o.Tags, o.Packets)
	}
	r = ReplayResult{Cores: runtime.NumCPU(), Verdict: passed()}
	if r.Tags, err = measureReplaySet(ctx, o); err != nil {
		return r, err
	}
	if r.Packets, err = measureReplayPackets(ctx, o); err != nil {
		return r, err
	}
	t, p := &r.Tags, &r.Packets
	r.fail(t.FalsePositives > 0, "%d new tags were taken for seen", t.FalsePositives)
	r.fail(t.FalseNegatives > 0, "%d tags that were seen were taken for new", t.FalseNegatives)
	r.fail(t.LostOnLoad > 0, "%d tags were lost when the set was opened again", t.LostOnLoad)
	r.fail(t.Refused != int64(t.Beyond), "a full set refused %d of %d", t.Refused, t.Beyond)
	r.fail(t.Tags >= replayJudged && t.BytesPerTag > ReplayGoal, "%.1f bytes a tag, goal %d", t.BytesPerTag, ReplayGoal)
	r.fail(p.Forwarded != uint64(p.Packets), "%d of %d packets were forwarded", p.Forwarded, p.Packets)
	r.fail(p.Replays != uint64(p.Packets), "%d of %d packets sent again were dropped", p.Replays, p.Packets)
	r.fail(p.Full != uint64(p.Beyond), "%d of %d packets were dropped by a full set", p.Full, p.Beyond)
	r.fail(!p.Counters.Balanced(), "the relay's counters do not balance")
	return r, nil
}

// tagAt is the tag number i: any one is as likely as any other, and nobody has to
// remember them.
func tagAt(i uint64) (t onion.Tag) {
	h := chain.SHA256([]byte("tunic bench tag"), []byte{byte(i), byte(i >> 8), byte(i >> 16), byte(i >> 24), byte(i >> 32)})
	copy(t[:], h[:])
	return t
}

// pauses are times by their binary order, for percentiles of many.
type pauses [64 * 8]atomic.Int64

func (p *pauses) add(d time.Duration) {
	n := uint64(max(d, 8))
	order := bits.Len64(n) - 4 // eight steps for each doubling
	p[order*8+int(n>>order)-8].Add(1)
}

func (p *pauses) above(permyriad int64) time.Duration {
	total := int64(0)
	for i := range p {
		total += p[i].Load()
	}
	left := total - total*permyriad/10_000
	for i := len(p) - 1; i >= 0; i-- {
		if left -= p[i].Load(); left < 0 {
			return time.Duration(i%8+9) << (i / 8)
		}
	}
	return 0
}

func measureReplaySet(ctx context.Context, o ReplayOptions) (r ReplaySet, err error) {
	dir, err := os.MkdirTemp(o.Dir, "tunic-bench-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	keys := []chain.Epoch{1}
	s, err := replay.Open(dir, o.Tags, keys)
	if err != nil {
		return r, err
	}
	defer func() { s.Close() }()
	before := ownMemory()
	times := new(pauses)
	// pass adds the tags from from to to and counts those that are not as they must be.
	pass := func(from, to int, times *pauses, want error) (wrong int64, each int64, err error) {
		var next, bad atomic.Int64
		next.Store(int64(from))
		var wg sync.WaitGroup
		begin := time.Now()
		for range runtime.NumCPU() {
			wg.Go(func() {
				const batch = 1024
				var tags [batch]onion.Tag
				for ctx.Err() == nil {
					at := int(next.Add(batch)) - batch
					if at >= to {
						return
					}
					n := min(batch, to-at)
					for k := range n {
						tags[k] = tagAt(uint64(at + k))
					}
					for k := range n {
						start := time.Now()
						if err := s.Add(1, tags[k]); !errors.Is(err, want) {
							bad.Add(1)
						}
						if times != nil {
							times.add(time.Since(start))
						}
					}
				}
			})
		}
		wg.Wait()
		return bad.Load(), int64(time.Since(begin)) / int64(max(1, to-from)), ctx.Err()
	}
	r.Tags, r.Beyond = o.Tags, replayBeyond
	if r.FalsePositives, r.AddNS, err = pass(0, o.Tags, times, nil); err != nil {
		return r, err
	}
	r.AddsPerS = int64(time.Second) / max(1, r.AddNS)
	r.P9999US, r.LongestUS = times.above(9999).Microseconds(), times.above(10_000).Microseconds()
	r.MemoryGrowth = max(0, ownMemory()-before)
	r.Bytes = s.Bytes()
	r.BytesPerTag = float64(r.Bytes) / float64(o.Tags)
	if r.FalseNegatives, r.SeenNS, err = pass(0, o.Tags, nil, replay.ErrSeen); err != nil {
		return r, err
	}
	missed, _, err := pass(o.Tags, o.Tags+replayBeyond, nil, replay.ErrFull)
	if err != nil {
		return r, err
	}
	r.Refused = replayBeyond - missed
	s.Close()
	if info, err := os.Stat(dir + "/tags/1.tags"); err == nil {
		r.FileBytes = info.Size()
	}
	runtime.GC()
	begin := time.Now()
	if s, err = replay.Open(dir, o.Tags, keys); err != nil {
		return r, err
	}
	r.LoadMS = time.Since(begin).Milliseconds()
	r.LostOnLoad, _, err = pass(0, o.Tags, nil, replay.ErrSeen)
	return r, err
}

// measureReplayPackets sends packets of two layers through one relay.
func measureReplayPackets(ctx context.Context, o ReplayOptions) (r ReplayPackets, err error) {
	n, err := newRelayNet(ctx, relayNetOptions{profile: genesis.Dev, relays: 1, ends: 2, dir: o.Dir,
		tune: func(_ int, c *relay.Config) { c.ReplayTags = o.Packets + 4 }})
	if err != nil {
		return r, err
	}
	defer n.close()
	r.Packets, r.Beyond = o.Packets, replayBeyond
	first, from, to := n.relays[0], n.ends[0], n.ends[1]
	hops := append(n.path(0), n.hop(to.id))
	wrap := func(count int) ([]parcel, error) {
		out, _, err := makeAll(count, func(i int) (parcel, error) {
			b, err := onion.Small.Wrap(rand.Reader, n.ledger.hash, onion.ExpiryOf(1), hops, numbered(i))
			return parcel{first.ID(), b}, err
		})
		return out, err
	}
	// again sends packets that go no further and waits until they are counted.
	again := func(parcels []parcel, why string) error {
		want := first.Counters().Dropped[why] + uint64(len(parcels))
		for _, p := range parcels {
			for from.pool.Send(p.first, link.Frame{Type: link.Packet, Data: p.packet}) != nil {
				if err := sleep(ctx, 200*time.Microsecond); err != nil {
					return err
				}
			}
		}
		for end := time.Now().Add(stall); first.Counters().Dropped[why] < want; {
			if err := sleep(ctx, time.Millisecond); err != nil {
				return err
			}
			if time.Now().After(end) {
				return fmt.Errorf("of packets to be dropped for %s %d are missing", why, want-first.Counters().Dropped[why])
			}
		}
		return nil
	}
	warm, err := wrap(4) // links open
	if err != nil {
		return r, err
	}
	spent, before := time.Duration(0), ownMemory()
	for done := -len(warm); done < o.Packets; {
		parcels := warm
		if done >= 0 {
			if parcels, err = wrap(min(10_000, o.Packets-done)); err != nil {
				return r, err
			}
		}
		f := newFlow(from, parcels, 128)
		if err := takeNumbered(n.ledger.hash, to, f.arrived); err != nil {
			return r, err
		}
		x, err := f.run(ctx)
		if err != nil {
			return r, err
		}
		if done >= 0 {
			spent += x.took
			mrand.Shuffle(len(parcels), func(i, k int) { parcels[i], parcels[k] = parcels[k], parcels[i] })
			if err := again(parcels, "replay"); err != nil {
				return r, err
			}
		}
		done += len(parcels)
	}
	more, err := wrap(replayBeyond)
	if err != nil {
		return r, err
	}
	if err := again(more, "replay-full"); err != nil {
		return r, err
	}
	r.Growth = max(0, ownMemory()-before)
	r.Counters = first.Counters()
	r.Forwarded = r.Counters.Forwarded - uint64(len(warm))
	r.Replays, r.Full = r.Counters.Dropped["replay"], r.Counters.Dropped["replay-full"]
	r.PerS = perSecond(o.Packets, spent)
	return r, n.close()
}
