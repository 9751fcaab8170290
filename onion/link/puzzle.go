package link

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"time"

	"tunic/chain"
	"tunic/internal/wire"
)

// MaxPuzzleBits is the hardest puzzle that a client solves: 2^24 hashes, two or
// three seconds.
const MaxPuzzleBits = 24

const (
	puzzleLabel = "tunic link puzzle 1"
	nonceSize   = 16
	// heldFrames is how many frames a link that has not answered yet may have
	// waiting, so that a client need not wait for the question.
	heldFrames = 8
)

// gate is a guard's side of a puzzle.
type gate struct {
	self  chain.NodeID
	bits  int
	nonce [nonceSize]byte
	held  []Frame
	timer *time.Timer
}

func newGate(self chain.NodeID, difficulty int) *gate {
	g := &gate{self: self, bits: difficulty}
	rand.Read(g.nonce[:])
	return g
}

func (g *gate) challenge() Frame {
	return Frame{challenge, append([]byte{byte(g.bits)}, g.nonce[:]...)}
}

func (g *gate) hold(f Frame) bool {
	if len(g.held) >= heldFrames {
		return false
	}
	g.held = append(g.held, Frame{f.Type, append([]byte(nil), f.Data...)})
	return true
}

// puzzle handles a challenge or an answer; false means that it is not due or
// not right, and the link ends.
func (l *Link) puzzle(f Frame) bool {
	r := wire.NewReader(f.Data)
	if f.Type == answer {
		x := r.Uint64()
		if r.Done() == nil && l.asked {
			l.asked = false // once
			return true     // the directory was faster
		}
		if r.Done() != nil || l.gate == nil || !solves(l.gate.self, l.gate.nonce, x, l.gate.bits) {
			return false
		}
		l.admit()
		return true
	}
	var nonce [nonceSize]byte
	n := int(r.Uint8())
	r.Copy(nonce[:])
	if r.Done() != nil || !l.dialed || l.solved || n > MaxPuzzleBits {
		return false
	}
	l.solved = true
	p := l.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.wg.Add(1)
	go func() {
		defer p.wg.Done()
		// The pool's end stops the search; the link's own end need not, for it
		// is short, and nobody misses the answer then.
		if x, ok := solve(p.ctx, l.peer, nonce, n); ok {
			_ = l.Send(Frame{answer, wire.AppendUint64(nil, x)})
		}
	}()
	return true
}

// admit opens the gate. Where its timer has fired the link is closing anyway.
func (l *Link) admit() {
	g := l.gate
	l.gate = nil
	g.timer.Stop()
	for _, h := range g.held {
		l.pool.cfg.OnFrame(l, h)
	}
}

// solve finds the smallest x that solves the puzzle of the guard. The guard's
// identity is part of it, so that no guard can have its clients work for it.
func solve(ctx context.Context, guard chain.NodeID, nonce [nonceSize]byte, difficulty int) (uint64, bool) {
	for x := uint64(0); ; x++ {
		if x%4096 == 0 && ctx.Err() != nil {
			return 0, false
		}
		if solves(guard, nonce, x, difficulty) {
			return x, true
		}
	}
}

// solves reports whether SHA-256(label, guard, nonce, x) begins with so many
// zero bits.
func solves(guard chain.NodeID, nonce [nonceSize]byte, x uint64, difficulty int) bool {
	var b [len(puzzleLabel) + len(guard) + nonceSize + 8]byte
	n := copy(b[:], puzzleLabel)
	n += copy(b[n:], guard[:])
	n += copy(b[n:], nonce[:])
	binary.BigEndian.PutUint64(b[n:], x)
	h := sha256.Sum256(b[:])
	return bits.LeadingZeros64(binary.BigEndian.Uint64(h[:8])) >= difficulty
}
