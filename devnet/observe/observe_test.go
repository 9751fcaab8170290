package observe

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tunic/chain/genesis"
	"tunic/onion/mail"
)

// question is one thing that an observer goes by: a number of a mailbox or of an
// account.
type question[T any] struct {
	by string
	of func(T) float64
}

// crossing are the mailboxes of two successive days, the i-th of both of one
// direction of one pair.
type crossing struct{ a, b []mail.ID }

// crossings pairs the days, as far as mailboxes are known on both.
func (w *world) crossings() (out []crossing) {
	for n := uint64(1); n < uint64(*days); n++ {
		next := map[*pair]mail.ID{}
		for id, p := range w.boxes[n+1] {
			next[p] = id
		}
		var c crossing
		for id, p := range w.boxes[n] {
			if other, ok := next[p]; ok {
				c.a, c.b = append(c.a, id), append(c.b, other)
			}
		}
		out = append(out, c)
	}
	return out
}

// links asks whether a number links mailboxes over each rotation; the most telling
// one counts, as often as it was asked.
func links(all []crossing, q question[mail.ID]) (said string, least float64) {
	var right, of float64
	least = 1
	for _, c := range all {
		var a, b []float64
		for i := range c.a {
			a, b = append(a, q.of(c.a[i])), append(b, q.of(c.b[i]))
		}
		hits, p := linked(a, b)
		right, of, least = right+hits, of+float64(len(a)), min(least, p*float64(len(all)))
	}
	return fmt.Sprintf("%-34s links %5.1f of %.0f mailboxes to the next day's, by chance %d: %.2g", q.by, right, of, len(all), least), least
}

// mod is a time of day: what does not tell the days apart alone.
func mod(x float64) float64 { return math.Mod(x, float64(day)) }

// TestDatabases: who gets the databases of all relays cannot tell, of what came after
// the first contact, how much an account got or from how many, nor which mailboxes of
// two days are of one pair. With leaks put in, he can.
func TestDatabases(t *testing.T) {
	w := start(t, 6*genesis.Hour)
	w.meet()
	if err := w.AdvanceEpochs(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if n := (w.Ledger.Head().Header.Time - w.Genesis.Time) / day; n != 1 {
		t.Fatalf("day %d", n)
	}
	r := rand.New(rand.NewPCG(7, 8))
	var busy map[mail.ID]*kept
	for range *days {
		w.live(r, func() {
			var err error
			if busy, _, _, err = w.sight.read(); err != nil {
				t.Fatal(err)
			}
			w.readAll()
		})
	}
	// Once as it was at the end of the last day, with what was not read yet, and once
	// when everything is read.
	w.sight.end()
	rest, bundles, rows, err := w.sight.read()
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.crossings()
	for i, c := range all {
		if len(c.a) < len(w.pairs)*8/10 {
			t.Errorf("day %d: of %d mailboxes of %d it is known whose they are", i+1, len(c.a), len(w.pairs))
		}
	}
	t.Logf("%d accounts, %d conversations, %d texts on %d days, %d rows", *people, len(w.pairs)/2, w.total(), *days, rows)

	// Linking over a rotation.
	for when, db := range map[string]map[mail.ID]*kept{"at rest": rest, "at work": busy} {
		of := func(f func(*kept) float64) func(mail.ID) float64 {
			return func(id mail.ID) float64 {
				if k := db[id]; k != nil {
					return f(k)
				}
				return 0
			}
		}
		for _, q := range []question[mail.ID]{
			{"last cursor", of(func(k *kept) float64 { return mod(k.last) })},
			{"last use", of(func(k *kept) float64 { return mod(k.touched) })},
			{"tombstones", of(func(k *kept) float64 { return k.gone })},
			{"expiry of tombstones", of(func(k *kept) float64 { return mod(k.goneUntil) })},
			{"expiry of items", of(func(k *kept) float64 { return mod(k.expiry) })},
			{"promise of items", of(func(k *kept) float64 { return mod(k.end) })},
			{"cursor of the first item", of(func(k *kept) float64 { return mod(k.cursor) })},
			{"items", of(func(k *kept) float64 { return k.items })},
		} {
			said, p := links(all, q)
			t.Logf("%s, %s", when, said)
			if p < alarm {
				t.Errorf("%s: mailboxes are linked by %s: %.2g", when, q.by, p)
			}
		}
	}
	for id, k := range rest {
		if k.gone > 0 && w.sight.boxes[id] != nil && len(w.sight.boxes[id].stored) > 0 {
			t.Fatal("a tombstone names a mailbox that was used")
		}
	}
	w.planted(t, all)
	w.accounts(t, rest, bundles)
	w.watcher(t, all)
}

func (w *world) total() (n int) {
	for _, from := range w.got {
		for _, k := range from {
			n += k
		}
	}
	return n
}

// planted puts leaks into what the observer gets: each has to be found.
func (w *world) planted(t *testing.T, all []crossing) {
	t.Helper()
	seen := w.sight.boxes
	name := map[mail.ID]float64{} // with rotation off, one name for all days
	for _, boxes := range w.boxes {
		for id, p := range boxes {
			name[id] = float64(slices.Index(w.pairs, p))
		}
	}
	for _, q := range []question[mail.ID]{
		{"one id on all days", func(id mail.ID) float64 { return name[id] }},
		{"lengths that are not padded", func(id mail.ID) float64 {
			sum := 0
			for _, n := range w.sent[id] {
				sum += n
			}
			return float64(sum) / float64(max(1, len(w.sent[id])))
		}},
		{"exact times", func(id mail.ID) float64 { return seen[id].usual() }},
		{"tombstones that name the mailbox", func(id mail.ID) float64 { return seen[id].count() }},
	} {
		said, p := links(all, q)
		t.Logf("planted, %s", said)
		if p > alarm {
			t.Errorf("planted: mailboxes are not linked by %s: %.2g", q.by, p)
		}
	}
}

// accounts asks what is known of each account, by its own mailbox and bundles, for
// how much it got and from how many.
func (w *world) accounts(t *testing.T, db map[mail.ID]*kept, of map[mail.AccountID]*bundles) {
	t.Helper()
	var much, many []float64
	for _, from := range w.got {
		n := 0
		for _, k := range from {
			n += k
		}
		much, many = append(much, float64(n)), append(many, float64(len(from)))
	}
	own := func(i int) mail.AccountID { return w.Clients[i].ID() }
	box := func(f func(*kept) float64) func(int) float64 {
		return func(i int) float64 {
			if k := db[mail.AccountMailbox(own(i))]; k != nil {
				return f(k)
			}
			return 0
		}
	}
	bundle := func(f func(*bundles) float64) func(int) float64 {
		return func(i int) float64 {
			if b := of[own(i)]; b != nil {
				return f(b)
			}
			return 0
		}
	}
	polls := make([]float64, *people)
	for i := range polls {
		if b := w.sight.boxes[mail.AccountMailbox(own(i))]; b != nil {
			polls[i] = float64(len(b.polls))
		}
	}
	r := rand.New(rand.NewPCG(7, 9))
	for _, q := range []struct {
		question[int]
		planted bool
	}{
		{question[int]{"last cursor of its mailbox", box(func(k *kept) float64 { return mod(k.last) })}, false},
		{question[int]{"last use of its mailbox", box(func(k *kept) float64 { return k.touched })}, false},
		{question[int]{"requests", box(func(k *kept) float64 { return k.items })}, false},
		{question[int]{"tombstones of its mailbox", box(func(k *kept) float64 { return k.gone })}, false},
		{question[int]{"bundles", bundle(func(b *bundles) float64 { return b.once })}, false},
		{question[int]{"lives of bundles", bundle(func(b *bundles) float64 { return b.until })}, false},
		{question[int]{"live: polls of its mailbox", func(i int) float64 { return polls[i] }}, false},
		{question[int]{"mailboxes that name their account", func(i int) float64 { return much[i] + many[i]*0.1 }}, true},
		{question[int]{"polls in turn", func(i int) float64 { // a mailbox in every turn through all
			return float64(poisson(r, 600/(1+many[i])))
		}}, true},
	} {
		var guess []float64
		for i := range *people {
			guess = append(guess, q.of(i))
		}
		rhoMuch, p := related(guess, much)
		rhoMany, p2 := related(guess, many)
		right := func(truth []float64, rho float64) float64 {
			if o := order(guess, truth); rho < 0 {
				return 100 - 100*o
			} else {
				return 100 * o
			}
		}
		t.Logf("%-34s tells which of two accounts got more in %.0f %% (%.2g), from more people in %.0f %% (%.2g)", q.by, right(much, rhoMuch), p, right(many, rhoMany), p2)
		switch {
		case strings.HasPrefix(q.by, "live"): // stated: where a machine cannot keep up, clients leave out polls, the busy ones more
		case !q.planted && min(p, p2) < alarm:
			t.Errorf("%s tells how much an account got, or from how many: %.2g, %.2g", q.by, p, p2)
		case q.planted && min(p, p2) > alarm:
			t.Errorf("planted: %s tells nothing: %.2g, %.2g", q.by, p, p2)
		}
	}
}

// watcher says what who sees every store, deletion and poll can tell: stated, not held.
func (w *world) watcher(t *testing.T, all []crossing) {
	t.Helper()
	for _, q := range []question[mail.ID]{
		{"number of items", func(id mail.ID) float64 { return w.sight.boxes[id].count() }},
		{"time of day of items", func(id mail.ID) float64 { return w.sight.boxes[id].usual() }},
		{"number of polls", func(id mail.ID) float64 { return float64(len(w.sight.boxes[id].polls)) }},
	} {
		said, _ := links(all, q)
		t.Logf("live, %s", said)
	}
	// Which mailbox does a reader answer into? A deletion there and a store here.
	var right, asked float64
	for n := uint64(1); n <= uint64(*days); n++ {
		boxes := w.boxes[n]
		for id, p := range boxes {
			var best mail.ID
			most := -1
			for other := range boxes {
				if other == id {
					continue
				}
				score := together(w.sight.boxes[id], w.sight.boxes[other])
				if score > most || score == most && bytes.Compare(other[:], best[:]) < 0 {
					best, most = other, score
				}
			}
			if q := boxes[best]; q != nil && q.from == p.to && q.to == p.from {
				right++
			}
			asked++
		}
	}
	t.Logf("live, the other direction of a pair on the same day is found for %.0f of %.0f mailboxes", right, asked)
}

// together counts deletions in a after which something was stored in b soon.
func together(a, b *seen) (n int) {
	const soon = 100 * time.Millisecond
	for _, x := range a.deleted {
		for _, y := range b.stored {
			if d := y.real.Sub(x.real); d > -soon && d < soon {
				n++
				break
			}
		}
	}
	return n
}
