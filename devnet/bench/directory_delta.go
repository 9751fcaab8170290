package bench

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"time"

	"tunic/chain"
	"tunic/devnet"
	"tunic/registry/directory"
)

// DeltaResult compares deltas with whole lists.
type DeltaResult struct {
	Devnet DevnetFigures  `json:"devnet"`
	Nodes  []DeltaFigures `json:"nodes"` // over the list of all nodes, by what changed in it
	Goal   float64        `json:"goal"`  // of share_beside where 1 % of descriptors changed, at most
}

// DevnetFigures are medians over the pairs of consecutive epochs of a network
// that runs. Its relays' performance hardly changes, their onion keys and swarms
// do now and then.
type DevnetFigures struct {
	Relays  int            `json:"relays"`
	Epochs  int            `json:"epochs"`  // pairs compared
	Changes map[string]int `json:"changes"` // by field: entries in which it changed, in all pairs together
	DeltaFigures
}

// DeltaFigures are of one delta and the list that it leads to, in canonical
// bytes. Times are medians.
type DeltaFigures struct {
	What       string  `json:"what"`
	Entries    int     `json:"entries"`
	Bytes      int     `json:"bytes"`
	GzipBytes  int     `json:"gzip_bytes"`
	ListBytes  int     `json:"list_bytes"`
	ListGzip   int     `json:"list_gzip_bytes"`
	Share      float64 `json:"share"`        // bytes / list_bytes
	GzipShare  float64 `json:"gzip_share"`   // gzip_bytes / list_gzip_bytes
	Beside     float64 `json:"share_beside"` // share, without what the epoch column alone takes
	MakeUS     int64   `json:"make_us"`      // compare both lists and encode
	ApplyUS    int64   `json:"apply_us"`     // decode, apply, check against the header
	ListUS     int64   `json:"list_us"`      // decode the whole list and check it instead
	ApplyRatio float64 `json:"apply_ratio"`  // apply_us / list_us
}

func (w *world) measureDeltas(ctx context.Context, opts DirectoryOptions, tell func(done, all int)) (DeltaResult, error) {
	r := DeltaResult{Goal: DirectoryDeltaGoal}
	var column int // bytes that the epoch column alone takes
	for _, c := range []struct {
		what    string
		column  bool
		permill int // of descriptors
	}{{"nothing", false, 0}, {"epoch column", true, 0}, {"1 % of descriptors", true, 10}, {"10 % of descriptors", true, 100}} {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		to, err := changedList(w.list, c.column, len(w.list.Entries)*c.permill/1000)
		if err != nil {
			return r, err
		}
		f, err := compareLists(w.list, to, opts.Rounds)
		if err != nil {
			return r, err
		}
		if f.What = c.what; column == 0 && c.column {
			column = f.Bytes
		}
		f.Beside = max(0, float64(f.Bytes-column)/float64(f.ListBytes))
		r.Nodes = append(r.Nodes, f)
	}
	tell(1, 3)
	var err error
	r.Devnet, err = measureEpochs(ctx, opts, func(done, all int) { tell(all+2*done, 3*all) })
	return r, err
}

// changedList is what the next epoch could make of l: in the epoch column each
// entry's performance, and of some nodes, spread over the list, a new descriptor
// with another endpoint, another version and a next onion key.
func changedList(l *directory.List, column bool, descriptors int) (*directory.List, error) {
	entries := make([]directory.Entry, len(l.Entries))
	for i, e := range l.Entries {
		if column {
			e.Performance = (e.Performance + 1 + chain.Permille(i%100)) % 1001
		}
		if descriptors > 0 && i*descriptors/len(entries) != (i+1)*descriptors/len(entries) {
			e.Endpoints = []string{fmt.Sprintf("127.%d.%d.2:22022", 1+i%254, i/254)}
			e.Version = "0.2.1"
			e.OnionNext = directory.Key{First: l.Epoch + 2, Key: benchSeed("next onion", i)}
		}
		entries[i] = e
	}
	return directory.NewList(l.Epoch+1, entries)
}

// compareLists makes and applies the delta between two lists, and reads the
// second whole.
func compareLists(from, to *directory.List, rounds int) (DeltaFigures, error) {
	header := chain.Header{DirEpoch: to.Epoch, DirCount: uint32(len(to.Entries)), Directory: to.Root()}
	whole := to.Encode()
	f := DeltaFigures{Entries: len(to.Entries), ListBytes: len(whole), ListGzip: len(packed(whole))}
	var delta []byte
	var makes, applies, lists []int64
	timed := func(into *[]int64, do func() error) error {
		begin := time.Now()
		err := do()
		*into = append(*into, int64(time.Since(begin)))
		return err
	}
	for range rounds + 1 { // the first round warms up
		_ = timed(&makes, func() error { delta = directory.Diff(from, to).Encode(); return nil })
		err := timed(&applies, func() error {
			d, err := directory.DecodeDelta(delta)
			if err != nil {
				return err
			}
			got, err := d.Apply(from)
			if err != nil {
				return err
			}
			return got.Check(header)
		})
		if err != nil {
			return f, err
		}
		err = timed(&lists, func() error {
			got, err := directory.Decode(whole)
			if err != nil {
				return err
			}
			return got.Check(header)
		})
		if err != nil {
			return f, err
		}
	}
	f.Bytes, f.GzipBytes = len(delta), len(packed(delta))
	f.MakeUS, f.ApplyUS, f.ListUS = median(makes[1:])/1000, median(applies[1:])/1000, median(lists[1:])/1000
	f.rates()
	return f, nil
}

func (f *DeltaFigures) rates() {
	f.Share, f.GzipShare = float64(f.Bytes)/float64(f.ListBytes), float64(f.GzipBytes)/float64(f.ListGzip)
	f.ApplyRatio = float64(f.ApplyUS) / float64(max(1, f.ListUS))
}

// packed is b as the API would compress it.
func packed(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write(b) // neither can fail into memory
	_ = z.Close()
	return out.Bytes()
}

// measureEpochs runs a network and compares the lists of its epochs.
func measureEpochs(ctx context.Context, opts DirectoryOptions, tell func(done, all int)) (DevnetFigures, error) {
	f := DevnetFigures{Relays: opts.Relays, Epochs: opts.Epochs, Changes: map[string]int{}}
	net, err := devnet.Start(ctx, devnet.Spec{Relays: opts.Relays, Seed: 1})
	if err != nil {
		return f, err
	}
	defer net.Close()
	if err := net.AdvanceEpochs(ctx, 2); err != nil { // from then on each epoch is like the next
		return f, err
	}
	from, _, err := net.Ledger.List(0)
	if err != nil {
		return f, err
	}
	var all []DeltaFigures
	for i := range opts.Epochs {
		tell(i, opts.Epochs)
		if err := net.AdvanceEpochs(ctx, 1); err != nil {
			return f, err
		}
		to, _, err := net.Ledger.List(0)
		if err != nil {
			return f, err
		}
		one, err := compareLists(from, to, opts.Rounds)
		if err != nil {
			return f, err
		}
		all = append(all, one)
		for _, c := range directory.Diff(from, to).Changed {
			for _, name := range c.Fields.Names() {
				f.Changes[name]++
			}
		}
		from = to
	}
	mid := func(of func(DeltaFigures) int64) int64 {
		var v []int64
		for _, one := range all {
			v = append(v, of(one))
		}
		return median(v)
	}
	f.DeltaFigures = DeltaFigures{What: "epochs of a devnet",
		Entries: int(mid(func(d DeltaFigures) int64 { return int64(d.Entries) })),
		Bytes:   int(mid(func(d DeltaFigures) int64 { return int64(d.Bytes) })), GzipBytes: int(mid(func(d DeltaFigures) int64 { return int64(d.GzipBytes) })),
		ListBytes: int(mid(func(d DeltaFigures) int64 { return int64(d.ListBytes) })), ListGzip: int(mid(func(d DeltaFigures) int64 { return int64(d.ListGzip) })),
		MakeUS: mid(func(d DeltaFigures) int64 { return d.MakeUS }), ApplyUS: mid(func(d DeltaFigures) int64 { return d.ApplyUS }),
		ListUS: mid(func(d DeltaFigures) int64 { return d.ListUS })}
	f.rates()
	return f, nil
}
