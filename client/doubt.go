package client

import (
	"slices"
	"time"

	"tunic/chain"
	"tunic/registry/path"
)

// doubtFor is for how many time-outs a guard is in doubt after it has missed an
// answer: where nothing is sent through it that could bring one, it is used again.
const doubtFor = 10

// doubt says how much speaks against a guard.
type doubt int

const (
	noDoubt    doubt = iota
	someDoubt        // its last answer is missing
	broadDoubt       // and so are others, of other members
)

func (c *Client) doubtLocked(guard chain.NodeID) doubt {
	s := c.silent[guard]
	switch {
	case s.misses == 0 || time.Since(s.last) >= doubtFor*c.cfg.Timeout:
		return noDoubt
	case s.wide:
		return broadDoubt
	}
	return someDoubt
}

// doubted reports whether a guard's last answer is missing.
func (c *Client) doubted(guard chain.NodeID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.doubtLocked(guard) > noDoubt
}

// guardMisses is how many commands to at least two members, one sent after the
// other was missed, may stay without answer until the guard itself is avoided.
const guardMisses = 3

// knownMisses is how many commands, one sent after the other was missed, to members
// that are known to be silent may stay without answer until the guard is avoided:
// where all members that a client asks are avoided, nothing else speaks against it.
const knownMisses = 4 * guardMisses

// silence is what has stayed without answer since a guard last brought one.
type silence struct {
	misses int
	last   time.Time
	member chain.NodeID // of the first miss
	wide   bool         // other members were silent too

	known     int // misses of members that are known to be silent, which are none of misses
	lastKnown time.Time
}

// judge counts strikes against the nodes of ways that brought no answer, bad, and
// clears them of those that did, good; who is on both did its work. Where nothing
// came and the guard's last answer was missing already, it is the guard that is in
// doubt, and nobody behind it is blamed: otherwise a dead guard would put strikes on
// the whole network. Nor is anybody where the member is known to be silent.
func (c *Client) judge(v *view, good, bad []int, guard, member chain.NodeID, sent time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.nowAt(v)
	doubted := false
	if len(good) > 0 {
		c.lastAnswer = time.Now()
		delete(c.silent, guard)
	} else {
		doubted = c.doubtLocked(guard) > noDoubt || c.knownSilentLocked(member, now)
		c.missedLocked(guard, member, sent, now)
	}
	for _, i := range good {
		id := v.list.Entries[i].Node
		if id != guard && c.spurned[id] && c.strikes.Avoided(id, now) {
			continue // it may do well for others, as a member does that passes nothing on
		}
		c.strikes.Clear(id)
		delete(c.spurned, id)
	}
	slices.Sort(bad)
	for _, i := range slices.Compact(bad) {
		if id := v.list.Entries[i].Node; id != guard && !doubted && !slices.Contains(good, i) {
			c.strikes.Add(id, now)
		}
	}
}

// knownSilentLocked reports whether it is known of a member that it does not answer.
func (c *Client) knownSilentLocked(member chain.NodeID, now chain.Time) bool {
	return c.strikes.Avoided(member, now) || c.doubtLocked(member) == broadDoubt
}

// missedLocked counts against a guard; without member, the guard itself took
// nothing. That a member is silent of which that is known puts the guard in no
// doubt; only where nothing else comes for long, it is avoided.
func (c *Client) missedLocked(guard, member chain.NodeID, sent time.Time, now chain.Time) {
	s := c.silent[guard]
	last := &s.last
	known := c.knownSilentLocked(member, now)
	if known {
		last = &s.lastKnown
	}
	if !sent.After(*last) {
		return // lost together with the one before
	}
	*last = time.Now()
	if known {
		s.known++
	} else {
		if s.misses == 0 {
			s.member = member
		}
		s.misses++
		s.wide = s.wide || s.member != member || member == chain.NodeID{}
	}
	c.silent[guard] = s
	if s.known < knownMisses && (s.misses < guardMisses || !s.wide) {
		return
	}
	delete(c.silent, guard)
	c.spurned[guard] = true
	for range path.StrikesOut {
		c.strikes.Add(guard, now)
	}
	c.log.Info("the guard does not answer; using another")
	c.observe(Step{Kind: StepShun, Member: guard})
}
