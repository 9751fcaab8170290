package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tunic/api"
	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/httpx"
	"tunic/internal/testenv"
	"tunic/ledger"
)

const everyType = "head,epoch,params,node,slash,transaction,block"

// told is an event as a client keeps it. What a block event says of the head
// changes with the head, so that its data is left out.
type told struct{ id, name, data string }

// read gives the next n events of a stream.
func (f *feed) read(n int) []told {
	f.w.Helper()
	var out []told
	for range n {
		e, err := f.events.Next()
		f.w.must(err)
		x := told{e.ID, e.Name, string(e.Data)}
		if e.Name == "block" {
			x.data = ""
		}
		out = append(out, x)
	}
	return out
}

// until reads up to the first event of this name at h.
func (f *feed) until(name string, h chain.Height) []told {
	f.w.Helper()
	var out []told
	for {
		e := f.read(1)[0]
		out = append(out, e)
		if at, _, _ := strings.Cut(e.id, "."); e.name == name && at == strconv.FormatUint(uint64(h), 10) {
			return out
		}
	}
}

// eventful is a network in which all types of events happened, stored in dir.
func eventful(t testing.TB, dir string) *world {
	t.Helper()
	w := five(t, func(_ *api.Config, l *ledger.Config) { l.Dir = dir })
	c := genesis.Change{Number: 1, Epoch: 2, Params: w.gen.Params}
	c.Params.BlockReward++
	w.approve(2, c)
	w.approve(3, c)
	w.epoch(1)
	for _, r := range w.relays[1:] {
		_, err := w.ledger.Publish(w.Context(), w.vote(r, w.relays[0], statement.ReasonLoss, 870))
		w.must(err)
	}
	w.must(w.submit(w.transfer(w.accounts[0], w.accounts[1], 5)))
	w.seal()
	w.epoch(2)
	w.must(w.submit(w.transfer(w.accounts[1], w.accounts[0], 7)))
	w.seal()
	return w
}

// TestEventTypes: every type comes, in its order within a block, and what a block
// did is told in the same words to who was there, to who comes later, and after
// the ledger was opened anew.
func TestEventTypes(t *testing.T) {
	dir := t.TempDir()
	w := empty(t, func(_ *api.Config, l *ledger.Config) { l.Dir = t.TempDir() })
	live := w.events("?since=1&types=" + everyType)
	// The same history, block by block, before the eyes of a reader.
	seen := eventful(t, dir)
	again := seen.events("?since=1&types=" + everyType)
	head := seen.ledger.Head().Header.Height
	all := again.until("block", head)
	copyBlocks(w, seen, head)
	if got := live.until("block", head); !slices.Equal(got, all) {
		t.Errorf("live and later differ:\n%q\n%q", got, all)
	}

	seen.must(seen.ledger.Close())
	anew := empty(t, func(_ *api.Config, l *ledger.Config) { l.Dir = dir })
	if got := anew.events("?since=1&types="+everyType).until("block", head); !slices.Equal(got, all) {
		t.Errorf("after a restart:\n%q\n%q", got, all)
	}

	order := strings.Split(everyType, ",")
	count := map[string]int{}
	last := map[string]int{} // place of the last event's type in order, by height
	for _, e := range all {
		count[e.name]++
		h, n, _ := strings.Cut(e.id, ".")
		if i := slices.Index(order, e.name); i < last[h] {
			t.Errorf("%s after %s in block %s", e.name, order[last[h]], h)
		} else {
			last[h] = i
		}
		if e.name == "head" && n != "1" {
			t.Errorf("a head with id %s", e.id)
		}
		if e.name != "block" && !strings.Contains(e.data, `"height":`+h) {
			t.Errorf("%+v", e)
		}
	}
	want := map[string]int{"head": int(head), "block": int(head), "epoch": 2, "params": 1, "slash": 1, "node": 11, "transaction": 9}
	for name, n := range want {
		if count[name] != n {
			t.Errorf("%d events %s, want %d", count[name], name, n)
		}
	}
	for _, e := range all {
		if e.name == "epoch" {
			var body struct {
				Epoch, Listed int
				Joined, Left  []string
			}
			w.must(json.Unmarshal([]byte(e.data), &body))
			if body.Epoch == 1 && (body.Listed != 5 || len(body.Joined) != 5 || body.Left == nil) ||
				body.Epoch == 2 && (body.Listed != 4 || len(body.Left) != 1 || body.Left[0] != w.relays0()) {
				t.Errorf("%s", e.data)
			}
		}
	}
	// A slash says what the list of slashes does.
	var page oas.SlashPage
	anew.ok("/v1/slashes", &page)
	for _, e := range all {
		if e.name == "slash" {
			var s oas.Slash
			w.must(json.Unmarshal([]byte(e.data), &s))
			if x := page.Items[0]; s.Offence != x.Offence || s.Kind != x.Kind || s.Node != x.Node || s.Height != x.Height || s.Slashed != x.Slashed ||
				s.Burned != x.Burned || s.Reward != x.Reward || s.TimeMs != x.TimeMs || s.Basis != x.Basis || s.Operator != x.Operator {
				t.Errorf("%+v\n%+v", s, x)
			}
		}
	}
}

func (w *world) relays0() string { return w.relays[0].id.String() }

// copyBlocks imports the blocks of from, up to head.
func copyBlocks(w, from *world, head chain.Height) {
	w.Helper()
	_, err := w.ledger.Import(w.Context(), func(yield func([]byte, error) bool) {
		for h := chain.Height(1); h <= head; h++ {
			b, err := from.ledger.Block(h)
			if !yield(b.Encode(), err) {
				return
			}
		}
	})
	w.must(err)
}

// TestEventsGoOn: whatever was chosen and wherever it was cut, Last-Event-ID goes
// on with the next event, and nothing else.
func TestEventsGoOn(t *testing.T) {
	w := eventful(t, "")
	all := w.events("?since=1&types="+everyType).until("block", w.ledger.Head().Header.Height)
	testenv.Check(t, func(rt *rapid.T) {
		types := rapid.SliceOfNDistinct(rapid.SampledFrom(strings.Split(everyType, ",")), 1, 7, rapid.ID).Draw(rt, "types")
		var want []told
		for _, e := range all {
			if slices.Contains(types, e.name) {
				want = append(want, e)
			}
		}
		path, headers := "?since=1&types="+strings.Join(types, ","), []string(nil)
		for at := 0; at < len(want); {
			n := rapid.IntRange(1, len(want)-at).Draw(rt, "events")
			f := w.events(path, headers...)
			got := f.read(n)
			f.res.Body.Close()
			if !slices.Equal(got, want[at:at+n]) {
				rt.Fatalf("types %v behind %v:\n%q\nwant\n%q", types, headers, got, want[at:at+n])
			}
			at += n
			headers = []string{"Last-Event-ID", got[n-1].id}
		}
	})
}

// TestEventsAcrossReverts: a client that comes and goes while the network goes on
// and is reverted ends with what the history then holds, each event once.
func TestEventsAcrossReverts(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	testenv.Check(t, func(rt *rapid.T) {
		w := running(t, nil)
		defer w.ledger.Close()
		types := append([]string{"head"}, rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"epoch", "node", "transaction", "block"}), 0, 4, rapid.ID).Draw(rt, "types")...)
		query := "&types=" + strings.Join(types, ",")
		var have []told
		// take keeps events; a new fork takes the place of what is not below it.
		take := func(events []told) {
			for _, e := range events {
				h, _, fork := placeOf(w, e.id)
				if len(have) > 0 {
					if _, _, before := placeOf(w, have[len(have)-1].id); fork > before {
						have = slices.DeleteFunc(have, func(x told) bool { at, _, _ := placeOf(w, x.id); return at >= h })
					}
				}
				have = append(have, e)
			}
		}
		var snaps []string
		nonces := map[string][]uint64{}
		for i := range rapid.IntRange(3, 12).Draw(rt, "steps") {
			switch step := rapid.SampledFrom([]string{"seal", "transfer", "transfer", "epoch", "snapshot", "revert", "read", "read"}).Draw(rt, "step"); step {
			case "seal":
				w.seal()
			case "transfer":
				w.must(w.submit(w.transfer(w.accounts[0], w.accounts[1], chain.Amount(i+1))))
				w.seal()
			case "epoch":
				w.epoch(w.ledger.Head().Header.DirEpoch + 1)
			case "snapshot":
				name := fmt.Sprint("s", i)
				_, err := w.ledger.Snapshot(name)
				w.must(err)
				snaps = append(snaps, name)
				nonces[name] = []uint64{w.accounts[0].nonce}
			case "revert":
				if len(snaps) == 0 {
					continue
				}
				k := rapid.IntRange(0, len(snaps)-1).Draw(rt, "to")
				_, err := w.ledger.Revert(ctx, snaps[k])
				w.must(err)
				w.accounts[0].nonce = nonces[snaps[k]][0]
				snaps = snaps[:k+1]
			case "read":
				f := w.events("?since=1"+query, lastID(have)...)
				next := f.until("head", w.ledger.Head().Header.Height)
				f.res.Body.Close()
				take(next[:rapid.IntRange(1, len(next)).Draw(rt, "some")])
			}
			if len(have) == 0 {
				f := w.events("?since=1" + query)
				take(f.read(1))
				f.res.Body.Close()
			}
			w.seal() // there is always something to read
		}
		head := w.ledger.Head().Header.Height
		f := w.events("?since=1"+query, lastID(have)...)
		take(f.until("head", head))
		f.res.Body.Close()
		f = w.events("?since=1" + query)
		if want := f.until("head", head); !slices.Equal(have, want) {
			rt.Fatalf("has\n%q\nwant\n%q", have, want)
		}
		f.res.Body.Close()
	})
}

func lastID(have []told) []string {
	if len(have) == 0 {
		return nil
	}
	return []string{"Last-Event-ID", have[len(have)-1].id}
}

// placeOf takes an id apart.
func placeOf(w *world, id string) (h chain.Height, n, fork uint64) {
	parts := strings.Split(id, ".")
	var x [3]uint64
	for i, p := range parts {
		var err error
		x[i], err = strconv.ParseUint(p, 10, 64)
		w.must(err)
	}
	return chain.Height(x[0]), x[1], x[2]
}

// TestEventsGone: what is not kept any more is refused by height and cut by id,
// with an id to go on from; a block and its head are there for good.
func TestEventsGone(t *testing.T) {
	w := running(t, nil)
	f := w.events("?since=1&types=slash")
	f.res.Body.Close()
	for range 1100 {
		w.seal()
	}
	head := w.ledger.Head().Header.Height
	first, err := w.ledger.OutcomesFrom()
	w.must(err)
	if first != head-1023 {
		t.Fatalf("kept from %d on, the head is %d", first, head)
	}
	w.refused(w.get(fmt.Sprintf("/v1/events?types=node&since=%d", first-1)), http.StatusGone, "events_gone")
	f = w.events("?types=node,head", "Last-Event-ID", "3.1")
	if e, err := f.events.Next(); err != nil || e.Name != "cut" || string(e.Data) != `{"reason":"gone"}` || e.ID != strconv.FormatUint(uint64(head), 10) {
		t.Fatalf("%+v, %v", e, err)
	}
	w.events("?types=head,block", "Last-Event-ID", "3").until("block", 5)
	for _, id := range []string{"x", "1.", "1.2.3.4", "99999999999999999999", "1.1.4294967296", "1.1234567"} {
		w.refused(w.get("/v1/events?types=head", "Last-Event-ID", id), http.StatusBadRequest, "invalid_request")
	}
	for _, types := range []string{"", "all", "head,", "head;node", "head,blocks"} {
		w.refused(w.get("/v1/events?types="+types), http.StatusBadRequest, "invalid_request")
	}
}

// TestEventsMark: a stream on which nothing happens tells where it stands, so
// that who comes back does not ask for what is long gone.
func TestEventsMark(t *testing.T) {
	w := empty(t, func(c *api.Config, _ *ledger.Config) { c.Heartbeat = 1 })
	w.seal()
	f := w.events("?types=slash")
	read := func() (ids []string) {
		b := make([]byte, 64)
		n, err := f.res.Body.Read(b)
		w.must(err)
		for line := range strings.SplitSeq(string(b[:n]), "\n") {
			if id, ok := strings.CutPrefix(line, "id: "); ok {
				ids = append(ids, id)
			}
		}
		return ids
	}
	if ids := read(); len(ids) == 0 || ids[0] != "1" {
		t.Fatalf("at the beginning: %q", ids)
	}
	w.seal()
	for ids := read(); !slices.Contains(ids, "2"); ids = read() {
	}
	e := httpx.NewEventReader(strings.NewReader(":\nid: 7\n\ndata: x\n\n"), 10)
	if x, err := e.Next(); err != nil || x.ID != "" || string(x.Data) != "x" {
		t.Fatalf("a mark read as an event: %+v, %v", x, err)
	}
}
