// Package soak makes networks of honest relays, lets everything go wrong that
// can go wrong without anyone cheating, and looks whether an honest relay was
// punished for it. docs/spec/scenarios.md, section Honest networks.
//
// A network is a scenario made from a seed, so that whatever is found can be run
// again and cut down with `tunic scenario run`.
package soak

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// maxOut is for how many epochs of the dev profile a relay is away at most: its
// last heartbeat counts for two and a half, and the credit that it begins with
// lasts for two more.
const maxOut = 3

// Script is the scenario of one seed: six to nine relays, about thirty epochs,
// and in most of them something that happens. Relays only suffer: what they sign
// and send is what the program has them sign and send.
func Script(seed uint64) string {
	g := &generator{rnd: rand.New(rand.NewPCG(seed, 0x7475_6e69_63)), down: map[int]int{}, troubled: map[int]int{}}
	return g.write(seed)
}

type generator struct {
	rnd      *rand.Rand
	b        strings.Builder
	relays   int
	epochs   int
	now      int
	down     map[int]int // relay to the epoch in which it comes back
	troubled map[int]int // relay to the epoch up to which nothing more happens to it
	parted   int         // epoch in which the network is healed, 0: it is whole
	whole    int         // epoch from which it may be parted again
	backups  []backup    // to be restored
	snapshot int         // epoch of the snapshot, 0: none
	reverts  int
	disk     bool
}

// backup is a copy of a relay's folder that comes back in an epoch.
type backup struct {
	relay int
	name  string
	at    int
}

func (g *generator) line(format string, args ...any) { fmt.Fprintf(&g.b, format+"\n", args...) }

func (g *generator) write(seed uint64) string {
	g.relays, g.epochs = 6+g.rnd.IntN(4), 26+g.rnd.IntN(8)
	g.disk = g.rnd.IntN(2) == 0
	profile := "dev"
	if g.rnd.IntN(3) == 0 {
		profile = "mainnet"
	}
	g.line("# Honest relays under faults, made from seed %d.", seed)
	more := ""
	if g.disk {
		more += " disk=yes"
	}
	if profile == "mainnet" {
		// As far as clocks may be apart; where a ledger's clock rules there is no
		// other. Shallow trees, since they are most of the work of so long epochs.
		more += " skew=60s param probe_depth=6"
	}
	g.line("network relays=%d clients=0 seed=%d profile=%s%s", g.relays, seed, profile, more)
	for g.now = 1; g.now <= g.epochs; g.now++ {
		g.back()
		for range g.rnd.IntN(3) {
			g.happen()
		}
		g.line("advance 1 epoch")
	}
	g.now = 1 << 30
	g.back()
	g.line("advance 4 epochs")
	g.line("expect honest")
	g.line("expect invariants")
	return g.b.String()
}

// back ends what has lasted long enough.
func (g *generator) back() {
	for r := range g.relays {
		if until, away := g.down[r]; away && until <= g.now {
			delete(g.down, r)
			g.line("start relay-%d", r+1)
		}
	}
	if g.parted != 0 && g.parted <= g.now {
		g.parted = 0
		g.line("heal")
	}
	left := g.backups[:0]
	for _, b := range g.backups {
		if b.at <= g.now {
			g.line("restore relay-%d %s", b.relay+1, b.name)
		} else {
			left = append(left, b)
		}
	}
	g.backups = left
}

// quiet is a relay to which nothing has happened for a while, -1 if there is none.
// What one relay suffers is kept within what a score forgives and its credit
// bears: beyond that its absence is real.
func (g *generator) quiet() int {
	for range 8 {
		if r := g.rnd.IntN(g.relays); g.troubled[r] <= g.now {
			return r
		}
	}
	return -1
}

// happen lets one thing go wrong.
func (g *generator) happen() {
	r := g.quiet()
	if r < 0 {
		return
	}
	// What has begun to spare a relay goes on, whatever else happens to it.
	spare := func(r, epochs int) { g.troubled[r] = max(g.troubled[r], g.now+epochs) }
	rest := func(epochs int) { spare(r, epochs) }
	switch g.rnd.IntN(10) {
	case 0: // a crash, and back at once
		g.line("stop relay-%d", r+1)
		g.line("start relay-%d", r+1)
		rest(10)
	case 1: // away for a while
		if len(g.down) > 0 || g.parted != 0 {
			return // one at a time: a quorum of a small network needs the others
		}
		out := 1 + g.rnd.IntN(maxOut)
		g.line("stop relay-%d", r+1)
		g.down[r] = g.now + out
		rest(out + 30)
	case 2: // an old backup comes back
		if !g.disk || len(g.down) > 0 || g.parted != 0 {
			return
		}
		name := fmt.Sprintf("of-%d-%d", r+1, g.now)
		g.line("backup relay-%d %s", r+1, name)
		g.backups = append(g.backups, backup{r, name, g.now + 1 + g.rnd.IntN(5)})
		rest(20)
	case 3, 4: // a link that loses a little
		o := (r + 1 + g.rnd.IntN(g.relays-1)) % g.relays
		g.line("link relay-%d relay-%d loss %d%%", r+1, o+1, 1+g.rnd.IntN(5))
	case 5: // a slow link
		o := (r + 1 + g.rnd.IntN(g.relays-1)) % g.relays
		g.line("link relay-%d relay-%d delay %dms", r+1, o+1, 1+g.rnd.IntN(5))
	case 6: // two relays are cut off from the others
		if g.parted != 0 || len(g.down) > 0 || g.now < g.whole {
			return
		}
		o := (r + 1) % g.relays
		g.line("partition relay-%d,relay-%d | rest", r+1, o+1)
		g.parted, g.whole = g.now+1, g.now+10
		rest(10)
		spare(o, 10)
	case 7: // the sealer is started again
		if g.disk {
			g.line("restart sealer")
		}
	case 8:
		if g.snapshot == 0 {
			g.snapshot = g.now
			g.line("snapshot base")
		}
	case 9: // back to the snapshot; what is signed until then is worth nothing
		if g.snapshot != 0 && g.now > g.snapshot && g.reverts < 2 && len(g.down) == 0 && g.parted == 0 {
			g.reverts++
			g.line("revert base")
		}
	}
}
