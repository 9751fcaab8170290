package relay

import "sync"

// Packets wait for the workers in a lane for each link, and the lanes take
// turns: a link that sends more than its share waits behind itself alone.
//
// Within a class the order is that of fair queueing with sparse flows first
// (RFC 8290, section 4.1): a link that had nothing waiting is served before
// those that had, once, and then queues with them. The two classes, of listed
// relays and of others, take turns where both have something, so that a crowd of
// clients, each within its rate, leaves half of the workers to the rest.

// Shares of a lane.
const (
	turn     = 4  // packets that a link has served in its turn
	junkTurn = 1  // the same of a link that sends mostly junk
	laneMost = 64 // packets that may wait in one lane,
	// and those that may where as many wait as the queue takes. So no link is
	// shut out by others, and all together hold 4 for each of them more.
	laneLeast = 4
)

// class is what the lanes of relays, and those of others, have in common.
type class struct {
	n          int // packets that wait
	fresh, old laneList
}

const (
	ofRelays = iota // listed ones, and this node's own
	ofOthers
	classes
)

// lane is what waits of one link. The queue's mu guards it.
type lane struct {
	class   int
	packets []*[]byte // ring
	head, n int
	credit  int   // packets left of its turn
	in      place // of its class
	next    *lane // in that list
	junk    uint32
	room    *sync.Cond // where the link's reader waits; nil until it had to
	low     int        // packets at which that goes on; -1 while it does not wait
}

// place says in which list a lane is.
type place uint8

const (
	idle place = iota
	fresh
	old
)

func newLane() *lane { return &lane{low: -1} }

// laneList is a list of lanes, the first to be served in front.
type laneList struct{ first, last *lane }

func (l *laneList) push(x *lane) {
	x.next = nil
	if l.last == nil {
		l.first = x
	} else {
		l.last.next = x
	}
	l.last = x
}

func (l *laneList) pop() *lane {
	x := l.first
	if l.first = x.next; l.first == nil {
		l.last = nil
	}
	x.next = nil
	return x
}

// fairQueue is the lanes of all links.
type fairQueue struct {
	limit int // packets, over all lanes

	mu      sync.Mutex
	work    sync.Cond // where workers wait
	resting int       // workers that do
	classes [classes]class
	now     int // whose turn it is
	closed  bool
}

func newFairQueue(limit int) *fairQueue {
	q := &fairQueue{limit: limit}
	q.work.L = &q.mu
	return q
}

// most is how many packets may wait in a lane now: half of what is free, so that
// some room is left whatever a few links do. Others than relays have half of the
// queue.
func (q *fairQueue) most(l *lane) int {
	free := q.limit - q.classes[ofRelays].n - q.classes[ofOthers].n
	if l.class == ofOthers {
		free = min(free, q.limit/2-q.classes[ofOthers].n)
	}
	return max(laneLeast, min(laneMost, free/2))
}

// verdict is what became of a packet that was to wait.
type verdict uint8

const (
	queued verdict = iota
	full
	stopped
)

// put lets a packet wait for a worker. Where the lane is full, it waits for room
// itself if it may: the link is not read meanwhile, and its sender slows down.
func (q *fairQueue) put(l *lane, packet *[]byte, class int, wait bool) verdict {
	v, wake := q.enter(l, packet, class, wait)
	if wake {
		q.work.Signal()
	}
	return v
}

// enter is put; wake says that a worker rests. Nobody is woken under the lock: the
// system may give the processor to who wakes up, and all others would wait for the
// lock.
func (q *fairQueue) enter(l *lane, packet *[]byte, class int, wait bool) (v verdict, wake bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l.in == idle {
		l.class = class
	}
	for !q.closed && l.n >= q.most(l) {
		if !wait {
			return full, false
		}
		if l.room == nil {
			l.room = sync.NewCond(&q.mu)
		}
		l.low = l.n / 2
		l.room.Wait()
	}
	if q.closed {
		return stopped, false
	}
	l.push(packet)
	c := &q.classes[l.class]
	c.n++
	if l.in == idle {
		l.in, l.credit = fresh, l.share()
		c.fresh.push(l)
	}
	return queued, q.resting > 0
}

func (l *lane) push(packet *[]byte) {
	if l.n == len(l.packets) {
		next := make([]*[]byte, max(4, 2*l.n))
		for i := range l.n {
			next[i] = l.packets[(l.head+i)%len(l.packets)]
		}
		l.packets, l.head = next, 0
	}
	l.packets[(l.head+l.n)%len(l.packets)] = packet
	l.n++
}

func (l *lane) pop() *[]byte {
	packet := l.packets[l.head]
	l.packets[l.head] = nil
	l.head = (l.head + 1) % len(l.packets)
	l.n--
	return packet
}

// share is how many packets the lane has served in a turn.
func (l *lane) share() int {
	if l.junk > junkOne/2 {
		return junkTurn
	}
	return turn
}

// junkOne is a share of junk of one; a lane's goes towards that of its last 32
// packets or so.
const junkOne = 1 << 16

// judge notes what a worker found a packet to be.
func (l *lane) judge(junk bool) {
	l.junk -= l.junk / 32
	if junk {
		l.junk += junkOne / 32
	}
}

// take waits for the next packet and says whose lane it was in; false when the
// queue is closed. The caller passes what it took before, and whether that was
// junk.
func (q *fairQueue) take(before *lane, junk bool) (*lane, *[]byte, bool) {
	l, packet, room := q.leave(before, junk)
	if room {
		l.room.Signal()
	}
	return l, packet, l != nil
}

// leave is take; room says that the link's reader may go on.
func (q *fairQueue) leave(before *lane, junk bool) (l *lane, packet *[]byte, room bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if before != nil {
		before.judge(junk)
	}
	for !q.closed {
		if l, packet := q.next(); l != nil {
			room := l.low >= l.n
			if room {
				l.low = -1
			}
			return l, packet, room
		}
		q.resting++
		q.work.Wait()
		q.resting--
	}
	return nil, nil, false
}

func (q *fairQueue) next() (*lane, *[]byte) {
	for range classes {
		q.now = (q.now + 1) % classes
		if l, packet := q.classes[q.now].next(); l != nil {
			return l, packet
		}
	}
	return nil, nil
}

// next takes the packet whose turn it is. A lane in front without credit goes
// behind the others, with a new turn; an empty one that was fresh too, so that it
// does not come first again before those have had theirs; an empty one that was
// old is idle from then on.
func (c *class) next() (*lane, *[]byte) {
	for {
		from := &c.fresh
		if from.first == nil {
			from = &c.old
		}
		l := from.first
		switch {
		case l == nil:
			return nil, nil
		case l.n == 0 && l.in == old:
			from.pop()
			l.in = idle
			if len(l.packets) > 2*laneLeast {
				l.packets, l.head = nil, 0
			}
		case l.n == 0 || l.credit <= 0:
			from.pop()
			l.in, l.credit = old, l.share()
			c.old.push(l)
		default:
			l.credit--
			c.n--
			return l, l.pop()
		}
	}
}

// close ends the waiting of all, and hands what was queued to left.
func (q *fairQueue) close(left func(*[]byte)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.work.Broadcast()
	for i := range q.classes {
		c := &q.classes[i]
		for _, list := range []*laneList{&c.fresh, &c.old} {
			for list.first != nil {
				l := list.pop()
				l.in = idle
				if l.low >= 0 {
					l.room.Signal()
				}
				for l.n > 0 {
					left(l.pop())
					c.n--
				}
			}
		}
	}
}
