package observe

import (
	"bytes"
	"fmt"
	"math"
	"testing"
	"time"

	"tunic/chain/genesis"
	"tunic/internal/flaw"
	"tunic/onion/mail"
)

// question is one thing that an observer goes by: a number of a mailbox or of an
// account.
type question[T any] struct {
	by string
	of func(T) float64
	// told is what people go without to whom it tells; nobody else may it tell.
	told flaw.Set
	// stated: what it tells of people who go without nothing is said in the threat
	// model, and has no bound here.
	stated bool
	// planted: it tells, since what it goes by was put there.
	planted bool
}

// judge holds a finding against what is to be found in a crowd.
func (q question[T]) judge(t *testing.T, c *crowd, said string, p float64) {
	t.Helper()
	none := flaw.Set{}
	switch tells := q.planted || q.told != none && q.told == c.flaws; {
	case c.flaws != none && !tells:
		return
	case tells && p > alarm:
		t.Errorf("%s: nothing is found by %s: %.2g", c.name, q.by, p)
	case !tells && !q.stated && p < alarm:
		t.Errorf("%s: something is told by %s: %.2g", c.name, q.by, p)
	}
	t.Logf("%-16s %-54s %s", c.name, q.by, said)
}

// crossing are the mailboxes of two successive days, the i-th of both of one
// direction of one pair.
type crossing struct{ a, b []mail.ID }

// crossings pairs the days of a crowd, as far as mailboxes are known on both.
func (w *world) crossings(c *crowd) (out []crossing) {
	for n := uint64(1); n < uint64(*days); n++ {
		next := map[*pair]mail.ID{}
		for id, p := range w.boxes[n+1] {
			next[p] = id
		}
		var x crossing
		for id, p := range w.boxes[n] {
			if other, ok := next[p]; ok && c.has(p.from) {
				x.a, x.b = append(x.a, id), append(x.b, other)
			}
		}
		out = append(out, x)
	}
	return out
}

func (c *crowd) has(i int) bool { return i >= c.first && i < c.first+c.size }

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
	return fmt.Sprintf("links %5.1f of %.0f mailboxes to the next day's, by chance %d: %.2g", right, of, len(all), least), least
}

// mod is a time of day: what does not tell the days apart alone.
func mod(x float64) float64 { return math.Mod(x, float64(day)) }

// database is what all relays hold at one moment.
type database map[mail.ID]*kept

// of makes a number of a mailbox's rows; where there are none it is 0.
func (db database) of(f func(*kept) float64) func(mail.ID) float64 {
	return func(id mail.ID) float64 {
		if k := db[id]; k != nil {
			return f(k)
		}
		return 0
	}
}

// TestDatabases: who gets the databases of all relays cannot tell, of what came after
// the first contact, how much an account got or from how many, nor which mailboxes of
// two days are of one pair. Of people who go without rotation or without padding he
// can, and so he can where leaks are put into what he gets.
func TestDatabases(t *testing.T) {
	w := start(t, 6*genesis.Hour)
	began := time.Now()
	lap := func(what string) { t.Logf("%s: %s", what, time.Since(began).Round(time.Millisecond)) }
	w.meet()
	lap("met")
	if err := w.AdvanceEpochs(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if n := (w.Ledger.Head().Header.Time - w.Genesis.Time) / day; n != 1 {
		t.Fatalf("day %d", n)
	}
	// As it is when all have met, at each day's end, with what was not read yet, and
	// when everything is read in the end.
	met, _, _, err := w.sight.read()
	if err != nil {
		t.Fatal(err)
	}
	var evenings []database
	for range *days {
		w.live(func() {
			db, _, _, err := w.sight.read()
			if err != nil {
				t.Fatal(err)
			}
			evenings = append(evenings, db)
		})
		lap("lived")
	}
	w.sight.end()
	rest, bundles, rows, err := w.sight.read()
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, k := range rest {
		if k.gone > 0 && w.sight.boxes[id] != nil && len(w.sight.boxes[id].stored) > 0 {
			t.Fatal("a tombstone names a mailbox that was used")
		}
	}
	for _, c := range w.crowds {
		all := w.crossings(c)
		for i, x := range all {
			if live := len(c.live()); len(x.a) < live*8/10 {
				t.Errorf("%s, day %d: of %d mailboxes of %d it is known whose they are", c.name, i+1, len(x.a), live)
			}
		}
		t.Logf("%s: %d accounts, %d conversations, %d texts on %d days; %d rows of all", c.name, c.size, len(c.pairs)/2, w.total(c), *days, rows)
		w.linking(t, c, all, rest, evenings)
		w.accounts(t, c, met, rest, bundles)
		if (c.flaws == flaw.Set{}) {
			w.answers(t, c)
			w.readers(t, c)
		}
	}
	lap("asked")
}

// total is how many texts a crowd got.
func (w *world) total(c *crowd) (n int) {
	for i, from := range w.got {
		for _, k := range from {
			if c.has(i) {
				n += k
			}
		}
	}
	return n
}

// linking asks which mailboxes of two days are of one pair.
func (w *world) linking(t *testing.T, c *crowd, all []crossing, rest database, evenings []database) {
	t.Helper()
	seen := w.sight.boxes
	var questions []question[mail.ID]
	for when, db := range map[string]database{"at rest": rest, "at work": evenings[len(evenings)-1]} {
		for _, q := range []question[mail.ID]{
			{by: "last cursor", of: db.of(func(k *kept) float64 { return mod(k.last) })},
			{by: "last use", of: db.of(func(k *kept) float64 { return mod(k.touched) })},
			{by: "tombstones", of: db.of(func(k *kept) float64 { return k.gone })},
			{by: "expiry of tombstones", of: db.of(func(k *kept) float64 { return mod(k.goneUntil) })},
			{by: "expiry of items", of: db.of(func(k *kept) float64 { return mod(k.expiry) })},
			{by: "promise of items", of: db.of(func(k *kept) float64 { return mod(k.end) })},
			{by: "cursor of the first item", of: db.of(func(k *kept) float64 { return mod(k.cursor) })},
			{by: "items", of: db.of(func(k *kept) float64 { return k.items })},
		} {
			q.by = when + ", " + q.by
			questions = append(questions, q)
		}
	}
	// Who reads the databases each evening knows of which day a mailbox is.
	of := map[mail.ID]uint64{}
	for n := uint64(1); n <= uint64(*days); n++ {
		for id := range w.boxes[n] {
			of[id] = n
		}
	}
	days := func(at float64, id mail.ID) float64 {
		return math.Floor((at-float64(w.Genesis.Time))/float64(day)) - float64(of[id])
	}
	evening := func(f func(*kept) float64) func(mail.ID) float64 {
		return func(id mail.ID) float64 { return evenings[of[id]-1].of(f)(id) }
	}
	questions = append(questions,
		question[mail.ID]{by: "name", told: flaw.Set{}.WithoutRotation(), of: func(id mail.ID) float64 {
			var x float64
			for _, b := range id[:6] {
				x = x*256 + float64(b)
			}
			return x
		}},
		question[mail.ID]{by: "each evening, length of items", told: flaw.Set{}.WithoutPadding(), of: evening(func(k *kept) float64 { return typical(k.sealed) })},
		question[mail.ID]{by: "each evening, items that are not read", stated: true, of: evening(func(k *kept) float64 { return k.items })},
		question[mail.ID]{by: "days until the last use", of: func(id mail.ID) float64 { return days(rest.of(func(k *kept) float64 { return k.touched })(id), id) }},
		question[mail.ID]{by: "days until the last cursor", of: func(id mail.ID) float64 { return days(rest.of(func(k *kept) float64 { return k.last })(id), id) }},

		question[mail.ID]{by: "live, length of items", told: flaw.Set{}.WithoutPadding(), of: func(id mail.ID) float64 { return typical(seen[id].lengths()) }},
		question[mail.ID]{by: "live, number of items", stated: true, of: func(id mail.ID) float64 { return seen[id].count() }},
		question[mail.ID]{by: "live, time of day of items", stated: true, of: func(id mail.ID) float64 { return seen[id].usual() }},
		question[mail.ID]{by: "live, number of polls", stated: true, of: func(id mail.ID) float64 { return float64(len(seen[id].polls)) }},
	)
	if (c.flaws == flaw.Set{}) {
		questions = append(questions,
			question[mail.ID]{by: "planted, exact times", planted: true, of: func(id mail.ID) float64 { return seen[id].usual() }},
			question[mail.ID]{by: "planted, tombstones that name the mailbox", planted: true, of: func(id mail.ID) float64 { return seen[id].count() }})
	}
	for _, q := range questions {
		said, p := links(all, q)
		q.judge(t, c, said, p)
	}
}

// answers asks which mailbox a reader answers into: a deletion here and a store
// there. On one day it is found more often than by chance, which is stated; on the
// next day it must not be, or it would link two days.
func (w *world) answers(t *testing.T, c *crowd) {
	t.Helper()
	for later, q := range []question[int]{{by: "live, deletion and answer, of one day", stated: true}, {by: "live, deletion and answer on the next day"}} {
		var right, asked, chance float64
		for n := uint64(1); n+uint64(later) <= uint64(*days); n++ {
			others := w.of(c, n+uint64(later))
			for id, p := range w.of(c, n) {
				var best mail.ID
				most := -1
				for other := range others {
					if other == id {
						continue
					}
					score := together(w.sight.boxes[id], w.sight.boxes[other])
					if score > most || score == most && bytes.Compare(other[:], best[:]) < 0 {
						best, most = other, score
					}
				}
				if x := others[best]; x != nil && x.from == p.to && x.to == p.from {
					right++
				}
				asked++
				chance += 1 / float64(len(others))
			}
		}
		p := atLeast(right, chance)
		q.judge(t, c, fmt.Sprintf("finds the other direction for %.0f of %.0f mailboxes, by chance %.0f: %.2g", right, asked, chance, p), p)
	}
}

// of are the mailboxes of a crowd on a day.
func (w *world) of(c *crowd, n uint64) map[mail.ID]*pair {
	out := map[mail.ID]*pair{}
	for id, p := range w.boxes[n] {
		if c.has(p.from) {
			out[id] = p
		}
	}
	return out
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
