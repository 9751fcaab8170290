package relay

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/wire"
	"tunic/onion/link"
)

// HelloVersion is the version byte of a Hello.
const HelloVersion = 2

// ErrHello means that bytes are not the canonical encoding of a Hello.
var ErrHello = errors.New("relay: malformed hello")

// Hello is what a relay tells the other side of a link, when the link opens and
// at most once an epoch later:
//
//	version 1 | descriptor 4+n | header 4+n | votes 4: (vote 4+n)*
//
// Each part may be empty.
type Hello struct {
	Descriptor []byte   // encoded statement: the relay's newest
	Header     []byte   // encoded sealed header: the newest that it knows
	Votes      [][]byte // encoded statements: two of its votes of the present epoch at most
}

// Encode is the canonical encoding.
func (h Hello) Encode() []byte {
	b := wire.AppendBytes(wire.AppendBytes([]byte{HelloVersion}, h.Descriptor), h.Header)
	b = wire.AppendUint32(b, uint32(len(h.Votes)))
	for _, v := range h.Votes {
		b = wire.AppendBytes(b, v)
	}
	return b
}

// DecodeHello reads a Hello, which aliases b.
func DecodeHello(b []byte) (Hello, error) {
	r := wire.NewReader(b)
	version := r.Uint8()
	h := Hello{Descriptor: r.Bytes(len(b)), Header: r.Bytes(len(b))}
	for range r.Count(shownVotes, 4) {
		h.Votes = append(h.Votes, r.Bytes(len(b)))
	}
	if err := r.Done(); err != nil || version != HelloVersion {
		return Hello{}, fmt.Errorf("%w: version %d: %v", ErrHello, version, err)
	}
	return h, nil
}

// hellosPerEpoch is how many Hellos of one link are looked at in one epoch.
const hellosPerEpoch = 8

// hellos knows the open links and what was said on them.
type hellos struct {
	mu    sync.Mutex
	epoch chain.Epoch
	links map[*link.Link]*spoken
}

// spoken is the state of one link.
type spoken struct {
	any   bool
	said  chain.Epoch // epoch of the last Hello sent, where any
	port  *port       // knows whether a packet arrived since then
	heard int         // Hellos in this epoch
}

func newHellos() *hellos { return &hellos{links: make(map[*link.Link]*spoken)} }

func (h *hellos) open(l *link.Link, hello []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &spoken{port: l.Data.(*port)}
	h.links[l] = s
	h.say(l, s, hello)
}

func (h *hellos) close(l *link.Link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.links, l)
}

// say sends hello. Called with mu held; Send does not wait.
func (h *hellos) say(l *link.Link, s *spoken, hello []byte) {
	if hello != nil && l.Send(link.Frame{Type: link.Hello, Data: hello}) == nil {
		s.any, s.said = true, h.epoch
		s.port.used.Store(false)
	}
}

// begin starts an epoch and says hello on links in use, and on those that had
// none yet. A link that no packet uses is left to become idle and close.
func (h *hellos) begin(epoch chain.Epoch, hello []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.epoch = epoch
	for l, s := range h.links {
		s.heard = 0
		if s.port.used.Load() || !s.any {
			h.say(l, s, hello)
		}
	}
}

// received counts a Hello, answers the first of an epoch, and reports whether
// to look at it.
func (h *hellos) received(l *link.Link, hello []byte) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.links[l]
	if s == nil {
		return false
	}
	if s.heard++; s.heard > hellosPerEpoch {
		return false
	}
	if !s.any || s.said != h.epoch {
		h.say(l, s, hello)
	}
	return true
}

// report is what a link's Hello brought, after the checks that need no state.
type report struct {
	descriptor *statement.Statement
	encoded    []byte
	header     *chain.SealedHeader
	votes      []statement.Statement
}

// onHello checks a relay's Hello on its link's goroutine and leaves the rest to
// the owner of the state. Clients have nothing to say.
func (r *Relay) onHello(l *link.Link, data []byte) {
	peer, known := l.Peer()
	if !known {
		r.count.badHello.Add(1)
		return
	}
	if !r.hellos.received(l, r.view.Load().hello()) {
		r.count.badHello.Add(1)
		return
	}
	rep, err := r.judge(peer, data)
	if err != nil {
		r.count.badHello.Add(1)
		return
	}
	select {
	case r.reports <- rep:
	default: // it will be said again
	}
}

// judge asks of a Hello: is it canonical; are the descriptor and the votes the
// peer's, well formed and signed; is the header of this network and sealed by a
// genesis key?
func (r *Relay) judge(peer chain.NodeID, data []byte) (report, error) {
	h, err := DecodeHello(bytes.Clone(data))
	if err != nil {
		return report{}, err
	}
	var rep report
	if len(h.Descriptor) > 0 {
		s, err := statement.Decode(h.Descriptor)
		if err != nil {
			return report{}, err
		}
		if s.Label != statement.LabelDescriptor || s.Node != peer {
			return report{}, ErrHello
		}
		if _, err := statement.DecodeDescriptor(s.Body); err != nil {
			return report{}, err
		}
		// Whoever is not listed cannot be proven to be a node: its signature is
		// not worth the work.
		if _, listed := r.view.Load().find(peer); listed {
			if err := r.cfg.Verified.Statement(statement.Domain{Genesis: r.cfg.Genesis, Fork: s.Fork}, s); err != nil {
				return report{}, err
			}
			rep.descriptor, rep.encoded = &s, h.Descriptor
		}
	}
	for _, b := range h.Votes {
		s, err := statement.Decode(b)
		if err != nil {
			return report{}, err
		}
		v, err := statement.DecodeVote(s.Body)
		if err != nil {
			return report{}, err
		}
		if s.Label != statement.LabelVote || s.Node != peer || s.Sequence != statement.NewSequence(v.Epoch, 0) {
			return report{}, ErrHello
		}
		if _, listed := r.view.Load().find(peer); listed {
			if err := r.cfg.Verified.Statement(statement.Domain{Genesis: r.cfg.Genesis, Fork: s.Fork}, s); err != nil {
				return report{}, err
			}
			rep.votes = append(rep.votes, s)
		}
	}
	if len(h.Header) > 0 {
		s, err := chain.DecodeSealedHeader(h.Header)
		if err != nil {
			return report{}, err
		}
		switch err := r.checkSeal(s); {
		case err == nil:
			rep.header = &s
		case r.cfg.Core.Engine == genesis.EngineSealer:
			return report{}, err
		default: // of validators that this relay does not know yet: it says nothing
		}
	}
	return rep, nil
}
