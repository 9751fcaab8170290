package relay

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"tunic/chain"
	"tunic/onion/mail"
)

// errand is a member to become equal with; without one, the rows here that
// other swarms keep.
type errand struct {
	peer   chain.NodeID
	former bool // it kept mailboxes of this swarm in the epoch before: pull only
	strays bool
	due    time.Time
	tries  int
}

// refusedTries is how often a member is asked again that does not know yet that
// this node may ask: it may be a moment behind.
const refusedTries = 8

// errands are what anti-entropy has to do. The owner of the state plans; one
// goroutine carries out.
type errands struct {
	wake chan struct{}

	mu     sync.Mutex
	list   []errand
	under  int                            // way: 0 or 1
	swarm  []chain.NodeID                 // the other members, at the last plan
	owed   map[chain.NodeID]bool          // those that this node has not been equal with since it started, or they changed
	bag    []chain.NodeID                 // those whose turn comes
	strays bool                           // there may be rows here that others should have
	came   uint64                         // how often that has come to be so
	done   map[string]uint64              // by the bounds of a part of the ring: a majority of its members had all that was here when strays had come so often
	recent map[[mail.MaxBound]byte]uint64 // items and requests that came as strays, by mailbox and id, and when, counted as came
	lost   uint64                         // what came up to then is not in recent any more
}

func newErrands() *errands {
	return &errands{wake: make(chan struct{}, 1), owed: make(map[chain.NodeID]bool), done: make(map[string]uint64), recent: make(map[[mail.MaxBound]byte]uint64), strays: true, came: 1}
}

// plan says at the beginning of an epoch what is to be done in it: at a start,
// and where the swarm has others than before, all its members, and those that
// kept its mailboxes in the epoch before; else one member, so that each has its
// turn. Where rows may be here that another swarm keeps, its members are made
// to have them. What is left of the epoch before is dropped: it is planned
// again.
func (r *Relay) plan(rs *rings) {
	var fellows, former []chain.NodeID
	if rs.swarm >= 0 {
		fellows = r.fellows(rs)
		for _, i := range rs.before.overlapping(rs.now.spans(rs.swarm)) {
			for _, id := range rs.before.members[i] {
				if id != r.id && !slices.Contains(fellows, id) && !slices.Contains(former, id) {
					former = append(former, id)
				}
			}
		}
	}
	e := r.errands
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Equal(e.swarm, fellows) {
		e.swarm, e.bag, e.strays = fellows, nil, true
		clear(e.owed)
		for _, id := range fellows {
			e.owed[id] = true
		}
	}
	e.list = e.list[:0]
	for id := range e.owed {
		e.list = append(e.list, errand{peer: id})
	}
	turn := len(e.list) == 0
	if turn {
		if len(e.bag) == 0 {
			e.bag = slices.Clone(fellows)
			rand.Shuffle(len(e.bag), func(i, j int) { e.bag[i], e.bag[j] = e.bag[j], e.bag[i] })
		}
		if len(e.bag) > 0 {
			e.list = append(e.list, errand{peer: e.bag[0]})
			e.bag = e.bag[1:]
		}
	}
	for _, id := range former {
		e.list = append(e.list, errand{peer: id, former: true})
	}
	rand.Shuffle(len(e.list), func(i, j int) { e.list[i], e.list[j] = e.list[j], e.list[i] })
	if e.strays {
		e.list = append(e.list, errand{strays: true})
	}
	r.pace(e.list, turn)
	e.signal()
}

// pace spreads errands over the epoch where time passes by itself, so that a
// start of many relays does not open all links at once.
func (r *Relay) pace(list []errand, turn bool) {
	epoch := time.Duration(r.params.EpochLength) * time.Millisecond
	due, step := time.Now(), min(epoch/20, 5*time.Second)
	switch {
	case r.cfg.StandingClock:
		step = 0
	case turn:
		due = due.Add(rand.N(epoch*3/4 + 1))
	default:
		due = due.Add(min(epoch/8, time.Second) + rand.N(min(epoch/4, 4*time.Second)+1))
	}
	for i := range list {
		list[i].due = due.Add(time.Duration(i) * step)
	}
}

func (e *errands) signal() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// next takes the first errand that is due, or says how long that takes.
func (e *errands) next(now time.Time) (x errand, wait time.Duration, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	wait = time.Hour
	first := -1
	for i := range e.list {
		if d := e.list[i].due.Sub(now); d < wait {
			wait, first = d, i
		}
	}
	if first < 0 || wait > 0 {
		return x, wait, false
	}
	x = e.list[first]
	e.list = slices.Delete(e.list, first, first+1)
	e.under = 1
	return x, 0, true
}

// finish notes how an errand went.
func (e *errands) finish(x errand, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.under = 0
	switch {
	case errors.Is(err, errRefused) && x.tries < refusedTries:
		x.due = time.Now().Add(10 * time.Millisecond << x.tries)
		x.tries++
		e.list = append(e.list, x)
	case err == nil || errors.Is(err, errNonsense):
		// Who answers nonsense is asked again when its turn comes.
		if !x.former {
			delete(e.owed, x.peer)
		}
	}
}

// busy is how many errands wait or are under way.
func (e *errands) busy() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.list) + e.under
}

// maxRecent bounds the strays of which it is known when they came.
const maxRecent = 4096

// stray notes that a row has come that another swarm keeps. The disk does not say
// when a row came: docs/decisions/0039.
func (e *errands) stray(key [mail.MaxBound]byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.strays {
		e.strays = true
		e.came++
	}
	if len(e.recent) >= maxRecent {
		clear(e.recent)
		e.lost = e.came
	}
	e.recent[key] = e.came
}

// cameSince reports whether a row may have come since strays were handed over that
// had come up to then.
func (e *errands) cameSince(key [mail.MaxBound]byte, came uint64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return came <= e.lost || e.recent[key] >= came
}

// forget forgets what was handed over: the times are those of a former fork.
func (e *errands) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.done)
	e.strays = true
	e.came++
}

// drop forgets what is to be done.
func (e *errands) drop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list, e.under = nil, 0
}

// syncer runs the errands until ctx ends.
func (r *Relay) syncer(ctx context.Context) {
	defer r.errands.drop()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		x, wait, ok := r.errands.next(time.Now())
		if !ok {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-r.errands.wake:
			case <-ctx.Done():
			}
			continue
		}
		err := r.run(ctx, x)
		if ctx.Err() == nil && !x.strays {
			r.count.syncs.Add(1)
			if err != nil {
				r.count.syncsFailed.Add(1)
			}
		}
		r.errands.finish(x, err)
	}
}

// run becomes equal with one member.
func (r *Relay) run(ctx context.Context, x errand) error {
	rs := r.view.Load().rings
	if x.strays {
		return r.handOver(ctx, rs)
	}
	if rs.swarm < 0 {
		return nil
	}
	s := r.newSession(ctx, x.peer)
	s.pull, s.push = true, !x.former
	return s.run(rs.now.spans(rs.swarm))
}

// handOver makes a majority of the members of each other swarm have what is
// here of their mailboxes. What it has begun it goes on with in the next epoch.
func (r *Relay) handOver(ctx context.Context, rs *rings) error {
	e := r.errands
	e.mu.Lock()
	e.strays = false
	e.mu.Unlock()
	whole := true
	var lower []byte
	for ctx.Err() == nil {
		id, ok, err := r.mail.Beyond(r.now(), lower)
		if err != nil {
			whole = false
			break
		}
		i := -1
		if ok {
			i = rs.now.at(binary.BigEndian.Uint64(id[:8]))
		}
		if i < 0 {
			break
		}
		part, known := r.partOf(rs.now.spans(i), id)
		if i != rs.swarm && !r.handed(ctx, rs.now.members[i], part, id, known) {
			whole = false
		}
		if part.upper == nil {
			break
		}
		lower = part.upper
	}
	if !whole {
		e.mu.Lock()
		e.strays = true
		e.mu.Unlock()
	}
	return ctx.Err()
}

// partOf is the part of a swarm's spans that has a mailbox, cut down to what
// this node may ask about because it has kept it; false where it may not ask.
func (r *Relay) partOf(spans []span, id mail.ID) (part span, known bool) {
	for _, x := range spans {
		if x.has(id) {
			part = x
		}
	}
	for _, rs := range r.view.Load().past {
		for _, g := range []*ring{rs.now, rs.before} {
			i := g.of(r.id)
			if i < 0 {
				continue
			}
			for _, x := range g.spans(i) {
				if x.has(id) {
					return part.and(x), true
				}
			}
		}
	}
	return part, false
}

// handed pushes a part of the ring, whose first row here is of the mailbox
// first, to members until a majority has all of it.
func (r *Relay) handed(ctx context.Context, members []chain.NodeID, part span, first mail.ID, known bool) bool {
	e := r.errands
	key := fmt.Sprintf("%x-%x %t", part.lower, part.upper, known)
	if !known {
		part.lower = first[:] // what lies before was dealt with
	}
	e.mu.Lock()
	came, before := e.came, e.done[key]
	e.mu.Unlock()
	if before == came || len(members) == 0 {
		return before == came
	}
	order := slices.Clone(members)
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	have := 0
	for _, id := range order {
		if r.handTo(ctx, id, part, known, before) {
			have++
		}
		if have > len(members)/2 {
			e.mu.Lock()
			e.done[key] = came
			e.mu.Unlock()
			return true
		}
	}
	return false
}

// handTo pushes a part of the ring to one member, and reports whether it has
// all of it then. Where the member does not let itself be asked what it has,
// although it was given time to see the same list, all is pushed that came since
// the last time that a majority had it.
func (r *Relay) handTo(ctx context.Context, id chain.NodeID, part span, known bool, since uint64) bool {
	var s *session
	var err error
	for tries := range refusedTries / 2 {
		s = r.newSession(ctx, id)
		s.push, s.blind, s.since = true, !known || tries == refusedTries/2-1, since
		if err = s.run([]span{part}); !errors.Is(err, errRefused) {
			break
		}
		select {
		case <-time.After(10 * time.Millisecond << tries):
		case <-ctx.Done():
		}
	}
	r.count.syncs.Add(1)
	if err != nil {
		r.count.syncsFailed.Add(1)
	}
	return err == nil && s.refused == 0
}
