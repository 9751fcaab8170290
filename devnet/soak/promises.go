package soak

import "fmt"

// promise is a message that a relay was asked to keep, whose receipt somebody
// will challenge. One of a relay counts at a time.
type promise struct {
	challenge int  // epoch in which it is challenged
	short     bool // it ends soon after
	done      bool // it was
	look      int  // epoch in which the challenge must be answered, lapsed or not
}

// How long what is kept is promised for, at least, and how soon after a challenge
// it must have been answered: the next epoch says which chunk is asked for, the
// shortest absence that is still going on ends, and the relay is taken back.
const (
	keptFor = 20 // epochs
	patient = 9
)

// lastPromise is how many epochs before the end there are no new ones.
const lastPromise = 6

// promise lets relay r keep a message, to be challenged after so many epochs.
// It does nothing, and says so, where the relay owes something already, or may not
// be in the list, as one with bad links, which may be out for long: what is told
// to it then never arrives.
func (g *generator) promise(r, after int) bool {
	return g.keep(r, keptFor, 0, after)
}

// promiseShort is one that is challenged just before it ends: the chunk that is
// asked for becomes known when it is over.
func (g *generator) promiseShort(r int) {
	epochs := 1 + g.rnd.IntN(2)
	g.keep(r, epochs, 4, epochs)
}

// keep is promise for so many epochs and tenths of one.
func (g *generator) keep(r, epochs, tenths, after int) bool {
	if g.promises[r] != nil || r == g.left || g.badLinks[r] || !g.intact() || g.now > g.epochs-lastPromise {
		return false
	}
	for _, p := range g.promises {
		if p.short && !p.done {
			return false // its time must not be spent on waiting for another relay
		}
	}
	g.line("expect listed relay-%d yes within 20 epochs", r+1)
	d := fmt.Sprintf("%ds", 10*epochs+tenths)
	if g.mainnet {
		d = fmt.Sprintf("%dm", 60*epochs+6*tenths)
	}
	g.line("keep relay-%d %s", r+1, d)
	g.promises[r] = &promise{challenge: g.now + after, short: tenths > 0}
	if after == 0 {
		g.ask()
	}
	return true
}

// ask challenges what is due, and looks after those that were.
func (g *generator) ask() {
	for r := range g.relays {
		p := g.promises[r]
		switch {
		case p == nil:
		case !p.done && p.challenge <= g.now:
			g.line("challenge account-%d relay-%d", g.rnd.IntN(3), r+1)
			g.line("expect accepted")
			p.done, p.look = true, g.now+patient
			g.challenged[r] = true
		case p.done && p.look <= g.now:
			g.answered(r)
			delete(g.promises, r)
		}
	}
}

// answered expects that relay r owes no answer and never failed to give one.
func (g *generator) answered(r int) {
	for _, state := range []string{"waiting", "open", "lapsed"} {
		g.line("expect challenges relay-%d %s 0", r+1, state)
	}
}

// mayStop reports whether relay r may be stopped without losing what it promised:
// on disk it can, and is first asked to keep something, to be challenged after so
// many epochs. Without a disk all is lost in earnest.
func (g *generator) mayStop(r, after int) bool {
	if g.disk {
		g.promise(r, after)
	}
	return g.disk || g.promises[r] == nil
}
