package relay

import (
	"fmt"
	"sync"

	"tunic/chain"
	"tunic/onion/mail"
)

// RefusedCopy says why what a member sent was not looked at, or not taken.
type RefusedCopy uint8

// The reasons.
const (
	CopyStranger  RefusedCopy = iota // the sender is not in the list
	CopyMalformed                    // not of the form, or an answer to nothing
	CopyFlood                        // more at once than one member may send
	CopyForged                       // a signature, work or token that is not good
	CopyStale                        // of a time, an epoch or a serial that is over
	CopyFull                         // no room, or the disk failed
	CopyOutsider                     // a question about mailboxes that are not the sender's to ask about
	refusedCopies
)

var refusedCopyNames = [refusedCopies]string{"stranger", "malformed", "flood", "forged", "stale", "full", "outsider"}

func (c RefusedCopy) String() string {
	if c < refusedCopies {
		return refusedCopyNames[c]
	}
	return fmt.Sprintf("refusal %d", uint8(c))
}

// refusedAs sorts the codes of a mailbox's refusals.
func refusedAs(c mail.Code) RefusedCopy {
	switch c {
	case mail.CodeSignature, mail.CodeWork:
		return CopyForged
	case mail.CodeFull, mail.CodeBusy:
		return CopyFull
	case mail.CodeMalformed:
		return CopyMalformed
	}
	return CopyStale
}

// copiesBytes bounds the frames of members that wait to be worked on; one
// member may have an eighth of that.
const copiesBytes = 32 << 20

// members is what the relay knows of those that send it copies.
type members struct {
	limit int // frames of all under way

	mu     sync.Mutex
	frames map[chain.NodeID]int
	total  int
	acks   map[chain.NodeID][]mail.Ack // to be sent
	unsent int                         // of acks, and of those being sent
	filled map[chain.NodeID]int        // rows that each has added in this epoch
}

// fillShare is the part of what may be held that one member may add in an epoch
// where this one is more than half full.
const fillShare = 16

// mayFill reports whether a member may add rows, where items are held and most
// may be.
func (m *members) mayFill(id chain.NodeID, items, most int) bool {
	if items <= most/2 {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.filled[id] < most/fillShare
}

func (m *members) fill(id chain.NodeID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.filled[id]++
}

// forget begins an epoch.
func (m *members) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.filled)
}

func newMembers(bodySize int) *members {
	return &members{
		limit:  max(64, min(2048, copiesBytes/bodySize)),
		frames: make(map[chain.NodeID]int), acks: make(map[chain.NodeID][]mail.Ack), filled: make(map[chain.NodeID]int),
	}
}

// begin takes one frame of a member in; false where it has too many under way.
func (m *members) begin(id chain.NodeID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.frames[id] >= m.limit/8 || m.total >= m.limit {
		return false
	}
	m.frames[id]++
	m.total++
	return true
}

func (m *members) end(id chain.NodeID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total--
	if m.frames[id]--; m.frames[id] == 0 {
		delete(m.frames, id)
	}
}

// say puts an ack among those that leave together.
func (m *members) say(to chain.NodeID, a mail.Ack) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acks[to] = append(m.acks[to], a)
	m.unsent++
}

// take takes the acks of one member that wait; false where none do.
func (m *members) take() (to chain.NodeID, acks []mail.Ack, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for to, acks := range m.acks {
		delete(m.acks, to)
		return to, acks, true
	}
	return to, nil, false
}

func (m *members) sent(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unsent -= n
}

// busy is how many frames and acks are under way.
func (m *members) busy() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total + m.unsent
}
