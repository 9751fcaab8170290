package feed_test

import (
	"errors"
	"sync"
	"testing"

	"tunic/api/feed"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/ledger/light"
	"tunic/registry/directory"
)

// Feeds that share fetch a list once between them, and each event gives all of
// them the same; a third, which shares with nobody, sees what they see.
func TestSharedFetchesOnce(t *testing.T) {
	w := newWorld(t, genesis.ClockLedger, 25)
	l := serve(t, w)
	shared := feed.NewShared(statement.NewVerified())
	var feeds []*feed.Feed
	for range 8 {
		feeds = append(feeds, open(t, feed.Config{Shared: shared}, l))
	}
	alone := open(t, feed.Config{}, l)
	want, _, err := alone.Directory(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	before := l.count("/v1/directory")
	var wg sync.WaitGroup
	for _, f := range feeds {
		wg.Go(func() {
			got, h, err := f.Directory(t.Context(), 0)
			if err != nil || got.Root() != want.Root() || got.Check(h.Header) != nil {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait()
	if n := l.count("/v1/directory") - before; n != 1 {
		t.Errorf("%d lists fetched for 8 feeds", n)
	}
	expected := heights(take(t, follow(t, alone, 20), 5))
	for _, f := range feeds {
		if got := heights(take(t, follow(t, f, 20), 5)); got != expected {
			t.Errorf("events %s, want %s", got, expected)
		}
	}
}

// One feed's server lies about a list or an event: the feed refuses it, and those
// that it shares with get nothing of it. A fetch that failed leaves the turn to
// the next.
func TestSharedLies(t *testing.T) {
	w := newWorld(t, genesis.ClockLedger, 25)
	honestOne, liar := serve(t, w), serve(t, w)
	liar.dir = func(h chain.SealedHeader, l *directory.List) []byte {
		all := append([]directory.Entry(nil), l.Entries...)
		all[0].Node = id(key(99))
		return honest(h, list(t, l.Epoch, all))
	}
	liar.event = func(h chain.SealedHeader, said [][]byte, send func(name, data string)) {
		send("block", eventJSON(light.Seal(key(50), h.Header), said))
	}
	shared := feed.NewShared(statement.NewVerified())
	cheated, other := open(t, feed.Config{Shared: shared}, liar), open(t, feed.Config{Shared: shared}, honestOne)
	if _, _, err := cheated.Directory(t.Context(), 0); !errors.Is(err, directory.ErrRoot) {
		t.Fatalf("a list with another node: %v", err)
	}
	got, _, err := other.Directory(t.Context(), 0)
	if err != nil || got.Root() != w.lists[got.Epoch].Root() {
		t.Fatalf("the honest server's list: %v", err)
	}
	// What one has verified serves the other, whose own header names it.
	if got, _, err := cheated.Directory(t.Context(), 0); err != nil || got.Root() != w.lists[got.Epoch].Root() {
		t.Fatalf("the list that another feed fetched: %v", err)
	}
	lied := follow(t, cheated, 20)
	if n := heights(take(t, follow(t, other, 20), 5)); n == "" {
		t.Fatal("no events")
	}
	select {
	case e := <-lied:
		t.Fatalf("an event sealed by another key was yielded: height %d", e.Header.Header.Height)
	default:
	}
}
