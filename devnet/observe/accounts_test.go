package observe

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"tunic/internal/flaw"
	"tunic/onion/mail"
)

// truth is how much each account of a crowd got on the days watched, and from how many.
type truth struct{ much, many []float64 }

// texts are those that came from anybody.
func (w *world) texts(c *crowd) (out truth) {
	for _, from := range w.got[c.first : c.first+c.size] {
		n := 0
		for _, k := range from {
			n += k
		}
		out.much, out.many = append(out.much, float64(n)), append(out.many, float64(len(from)))
	}
	return out
}

// fromAskers are the texts and confirmations that came from those who had asked.
func (w *world) fromAskers(c *crowd) truth {
	out := truth{make([]float64, c.size), make([]float64, c.size)}
	for _, p := range c.live() {
		if p.from == p.a {
			out.much[p.to-c.first] += float64(w.got[p.to][p.from] + w.got[p.from][p.to])
			out.many[p.to-c.first]++
		}
	}
	return out
}

// accounts asks what is known of each account for how much it got and from how many:
// by its own mailbox and bundles, and by the mailboxes that were begun when it was
// asked for the first time, which say nothing of what came from whom it asked itself.
// Of those, what came between two looks at the databases shows in their cursors.
func (w *world) accounts(t *testing.T, c *crowd, before, db database, of map[mail.AccountID]*bundles) {
	t.Helper()
	own := func(i int) mail.ID { return mail.AccountMailbox(w.Clients[i].ID()) }
	box := func(f func(*kept) float64) func(int) float64 { return func(i int) float64 { return db.of(f)(own(i)) } }
	bundle := func(f func(*bundles) float64) func(int) float64 {
		return func(i int) float64 {
			if b := of[w.Clients[i].ID()]; b != nil {
				return f(b)
			}
			return 0
		}
	}
	known := func(f func(mail.ID) float64) func(int) float64 {
		return func(i int) (sum float64) {
			for _, id := range w.sight.known[own(i)] {
				sum += f(id)
			}
			return sum
		}
	}
	last := func(k *kept) float64 { return k.last }
	later := func(id mail.ID) float64 { return db.of(last)(id) - before.of(last)(id) }
	all, asked := w.texts(c), w.fromAskers(c)
	r := rand.New(rand.NewPCG(7, 9))
	steady := flaw.Set{}.WithoutRotation()
	for _, q := range []struct {
		question[int]
		truth truth
	}{
		{question[int]{by: "last cursor of its mailbox", of: box(func(k *kept) float64 { return mod(k.last) })}, all},
		{question[int]{by: "last use of its mailbox", of: box(func(k *kept) float64 { return k.touched })}, all},
		{question[int]{by: "requests", of: box(func(k *kept) float64 { return k.items })}, all},
		{question[int]{by: "tombstones of its mailbox", of: box(func(k *kept) float64 { return k.gone })}, all},
		{question[int]{by: "bundles", of: bundle(func(b *bundles) float64 { return b.once })}, all},
		{question[int]{by: "lives of bundles", of: bundle(func(b *bundles) float64 { return b.until })}, all},
		// One poll in four is of it, whatever else there is (client, TestDrawBox). Where a
		// machine cannot keep up, clients poll less often, the busy ones more so.
		{question[int]{by: "live, polls of its mailbox", stated: true, of: func(i int) float64 { return float64(len(w.sight.box(own(i)).polls)) }}, all},
		{question[int]{by: "cursors of mailboxes known from the first contact", told: steady, of: known(later)}, asked},
		{question[int]{by: "such mailboxes in which something came", told: steady, of: known(func(id mail.ID) float64 { return min(1, later(id)) })}, asked},
		{question[int]{by: "planted, polls in turn", planted: c.flaws == flaw.Set{}, of: func(i int) float64 { // a mailbox in every turn through all
			return float64(poisson(r, 600/(1+all.many[i-c.first])))
		}}, all},
	} {
		var guess []float64
		for i := range c.size {
			guess = append(guess, q.of(c.first+i))
		}
		rhoMuch, p := related(guess, q.truth.much)
		rhoMany, p2 := related(guess, q.truth.many)
		right := func(truth []float64, rho float64) float64 {
			if o := order(guess, truth); rho < 0 {
				return 100 - 100*o
			} else {
				return 100 * o
			}
		}
		q.judge(t, c, fmt.Sprintf("tells which of two accounts got more in %.0f %% (%.2g), from more people in %.0f %% (%.2g)",
			right(q.truth.much, rhoMuch), p, right(q.truth.many, rhoMany), p2), min(p, p2))
	}
}

// readers asks what the polls of a pair's mailbox tell of who reads it: how many
// contacts he has, as among all their mailboxes he divides his polls. How well depends
// on how many polls there were; client's TestDrawBox has the law.
func (w *world) readers(t *testing.T, c *crowd) {
	t.Helper()
	contacts := map[int]float64{}
	for _, p := range c.pairs {
		contacts[p.to]++
	}
	var polls, many []float64
	for n := uint64(1); n <= uint64(*days); n++ {
		for id, p := range w.of(c, n) {
			polls, many = append(polls, -float64(len(w.sight.boxes[id].polls))), append(many, contacts[p.to])
		}
	}
	_, p := related(polls, many)
	q := question[int]{by: "live, polls of a pair's mailbox", stated: true}
	q.judge(t, c, fmt.Sprintf("tells which of two readers has more contacts in %.0f %% (%.2g)", 100*order(polls, many), p), p)
}
