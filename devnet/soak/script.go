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

// For how many epochs a relay is away at most: its last heartbeat counts for two
// and a half, and the credit that it begins with lasts for two more. In the dev
// profile that has doubled by the twelfth epoch.
const (
	maxOut   = 3
	laterOut = 5
	later    = 14
)

// renewal is how many epochs it takes until the list names keys that all relays
// have: after a revert those that were changed since the snapshot are destroyed, and
// a relay that lost its memory, or got an old copy of its folder, has other ones.
const renewal = 3

// atEnd is how many epochs pass after all is whole again: as many as it takes a
// relay to be back.
const atEnd = 4

// Script is the scenario of one seed: six to nine relays, in one of four networks
// two clients, about thirty epochs, and in most of them something that happens.
// Relays only suffer: what they sign and send is what the program has them sign
// and send.
func Script(seed uint64) string {
	g := &generator{
		rnd: rand.New(rand.NewPCG(seed, 0x7475_6e69_63)), down: map[int]int{}, troubled: map[int]int{}, badLinks: map[int]bool{},
		left: -1, promises: map[int]*promise{}, challenged: map[int]bool{}, lacking: map[int]int{},
	}
	return g.write(seed)
}

type generator struct {
	rnd      *rand.Rand
	b        strings.Builder
	relays   int
	epochs   int
	now      int
	down     map[int]int  // relay to the epoch in which it comes back
	troubled map[int]int  // relay to the epoch up to which nothing more happens to it
	badLinks map[int]bool // relays with links that lose or are slow
	parted   int          // epoch in which the network is healed, 0: it is whole
	whole    int          // epoch from which it may be parted again
	backups  []backup     // to be restored
	snapshot int          // epoch of the snapshot, 0: none
	reverts  int
	renewed  int         // epoch from which all onion keys that the list names are there again
	lacking  map[int]int // relay that lacks its keys alone, to the epoch up to which it does
	reverted int         // epoch from which those are there again that a revert destroyed
	disk     bool
	mainnet  bool
	clients  int
	left     int // relay that is on its way out, -1: none
	waits    bool
	texts    int

	promises   map[int]*promise // relay to what it has signed for last
	challenged map[int]bool
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
	g.disk = g.rnd.IntN(3) > 0
	g.mainnet = g.rnd.IntN(3) == 0
	if g.rnd.IntN(4) == 0 {
		g.clients = 2 // they poll on the machine's clock: most of a network's work
	}
	profile, more := "dev", ""
	if g.disk {
		more += " disk=yes"
	}
	if g.mainnet {
		// As far as clocks may be apart; where a ledger's clock rules there is no
		// other. Shallow trees, since they are most of the work of so long epochs.
		profile = "mainnet"
		more += " skew=60s param probe_depth=6"
	}
	// Several swarms; where their least is their target one relay away ends one.
	if g.mainnet {
		more += " param swarm_target=3"
	}
	if least := 2 + g.rnd.IntN(2); g.mainnet || least == 3 {
		more += fmt.Sprintf(" param swarm_least=%d", least)
	}
	g.line("# Honest relays under faults, made from seed %d.", seed)
	g.line("network relays=%d clients=%d seed=%d profile=%s%s", g.relays, g.clients, seed, profile, more)
	for g.now = 1; g.now <= g.epochs; g.now++ {
		g.back()
		g.await()
		g.ask()
		for range g.rnd.IntN(3) {
			g.happen()
		}
		if g.rnd.IntN(10) == 0 {
			g.send()
		}
		g.line("advance 1 epoch")
	}
	g.now = 1 << 30
	g.back()
	g.line("advance %d epochs", atEnd)
	g.now += renewal
	g.await()
	for r := range g.relays {
		if g.challenged[r] {
			g.answered(r)
		}
	}
	g.line("expect honest")
	g.line("expect invariants")
	return g.b.String()
}

// intact reports whether nobody is away or cut off, and everyone has the keys that
// the list names.
func (g *generator) intact() bool { return len(g.down) == 0 && g.parted == 0 && g.now >= g.renewed }

// carries reports whether clients find a way within seconds: nobody is away or cut
// off, and at most one relay lacks the keys that the list names, be it the guard of
// both. docs/spec/messenger.md, section Packets, guards, polls.
func (g *generator) carries() bool {
	lack := 0
	for _, until := range g.lacking {
		if g.now < until {
			lack++
		}
	}
	return len(g.down) == 0 && g.parted == 0 && g.now >= g.reverted && lack <= 1
}

// send lets one client write to the other. It arrives in the end, whatever
// happens meanwhile; where nobody is away, at once.
func (g *generator) send() {
	if g.waits || g.clients == 0 {
		return // an expectation is about the last message alone
	}
	from, to := "alice", "bob"
	if g.rnd.IntN(2) == 0 {
		from, to = to, from
	}
	g.texts++
	g.line("send %s %s \"text %d\"", from, to, g.texts)
	g.waits = true
	g.await()
}

func (g *generator) await() {
	if g.waits && g.carries() {
		g.line("expect delivered within 60s")
		g.waits = false
	}
}

// back ends what has lasted long enough.
func (g *generator) back() {
	for r := range g.relays {
		if until, away := g.down[r]; away && until <= g.now {
			delete(g.down, r)
			g.start(r)
		}
	}
	if g.parted != 0 && g.parted <= g.now {
		g.parted = 0
		g.line("heal")
		clear(g.badLinks)
	}
	left := g.backups[:0]
	for _, b := range g.backups {
		if b.at <= g.now {
			g.line("restore relay-%d %s", b.relay+1, b.name)
			g.renew(b.relay)
		} else {
			left = append(left, b)
		}
	}
	g.backups = left
}

// start starts relay r again.
func (g *generator) start(r int) {
	g.line("start relay-%d", r+1)
	if !g.disk {
		g.renew(r)
	}
}

// renew notes that relay r lacks the keys that the list names, and lets somebody
// write at once.
func (g *generator) renew(r int) {
	g.renewed = g.now + renewal
	g.lacking[r] = g.renewed
	g.send()
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
	switch g.rnd.IntN(13) {
	case 0: // a crash, and back at once
		if !g.mayStop(r, 0) {
			return
		}
		g.line("stop relay-%d", r+1)
		g.start(r)
		rest(10)
	case 1: // away for a while
		if !g.intact() {
			return // one at a time: a quorum of a small network needs the others
		}
		out := 1 + g.rnd.IntN(maxOut)
		if !g.mainnet && g.now > later {
			out = 1 + g.rnd.IntN(laterOut)
		}
		if !g.mayStop(r, g.rnd.IntN(out+1)) {
			return
		}
		g.line("stop relay-%d", r+1)
		g.down[r] = g.now + out
		rest(out + 30)
	case 2: // an old backup comes back
		if !g.disk || !g.intact() {
			return
		}
		g.promise(r, g.rnd.IntN(5)) // what it keeps from now on is lost with what comes after the copy
		name := fmt.Sprintf("of-%d-%d", r+1, g.now)
		g.line("backup relay-%d %s", r+1, name)
		g.backups = append(g.backups, backup{r, name, g.now + 1 + g.rnd.IntN(5)})
		rest(20)
	case 3, 4: // a link that loses a little
		o := (r + 1 + g.rnd.IntN(g.relays-1)) % g.relays
		g.line("link relay-%d relay-%d loss %d%%", r+1, o+1, 1+g.rnd.IntN(5))
		g.badLinks[r], g.badLinks[o] = true, true
	case 5: // a slow link
		o := (r + 1 + g.rnd.IntN(g.relays-1)) % g.relays
		g.line("link relay-%d relay-%d delay %dms", r+1, o+1, 1+g.rnd.IntN(5))
		g.badLinks[r], g.badLinks[o] = true, true
	case 6: // two relays are cut off from the others
		if !g.intact() || g.now < g.whole {
			return
		}
		g.promise(r, 0)
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
		if g.snapshot != 0 && g.now > g.snapshot && g.reverts < 2 && g.intact() {
			g.reverts++
			g.line("revert base")
			clear(g.promises)
			g.renewed = g.now + renewal
			g.reverted = g.renewed
		}
	case 10: // one leaves
		if g.left >= 0 || g.relays < 8 || !g.intact() {
			return
		}
		g.promise(r, 1+g.rnd.IntN(3))
		g.line("unlock operator-%d relay-%d", r+1, r+1)
		g.left = r
	case 11: // a message is deleted by whom it is for
		if g.promise(r, g.rnd.IntN(4)) {
			g.line("delete relay-%d", r+1)
		}
	case 12: // a promise ends while it is challenged
		g.promiseShort(r)
	}
}
