package relay

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/durable"
)

const (
	keptHeads   = 256  // the newest own headers
	keptClaims  = 256  // headers of peers above the own head
	claimsAhead = 4096 // how far above
)

// heads remembers the recent headers and those that peers claim, to see a ledger
// that tells two stories. The owner of the state owns it.
type heads struct {
	fork   uint32
	top    chain.Height
	own    map[chain.Height]chain.SealedHeader
	claims map[chain.Height]chain.SealedHeader
}

func newHeads() *heads {
	return &heads{own: make(map[chain.Height]chain.SealedHeader), claims: make(map[chain.Height]chain.SealedHeader)}
}

// conflict is two headers for one height of one fork.
type conflict struct{ first, second chain.SealedHeader }

func clash(a, b chain.SealedHeader) *conflict {
	if a.Header.Fork != b.Header.Fork || a.Header.Hash() == b.Header.Hash() {
		return nil
	}
	return &conflict{a, b}
}

// add notes a header of the own ledger.
func (h *heads) add(s chain.SealedHeader) *conflict {
	at := s.Header.Height
	if s.Header.Fork > h.fork {
		// A revert: what follows may name heights that were sealed before.
		h.fork = s.Header.Fork
		clear(h.own)
		clear(h.claims)
		h.top = 0
	}
	for _, known := range []map[chain.Height]chain.SealedHeader{h.own, h.claims} {
		if old, ok := known[at]; ok {
			if c := clash(old, s); c != nil {
				return c
			}
		}
	}
	delete(h.claims, at)
	h.own[at] = s
	if h.top = max(h.top, at); h.top > keptHeads {
		delete(h.own, h.top-keptHeads)
		if len(h.own) > 2*keptHeads { // heights were skipped
			for k := range h.own {
				if k+keptHeads < h.top {
					delete(h.own, k)
				}
			}
		}
	}
	return nil
}

// claim notes a header that a peer shows, whose seal is verified.
func (h *heads) claim(s chain.SealedHeader) *conflict {
	at := s.Header.Height
	if s.Header.Fork != h.fork {
		return nil
	}
	if old, ok := h.own[at]; ok {
		return clash(old, s)
	}
	if old, ok := h.claims[at]; ok {
		return clash(old, s)
	}
	if at > h.top && at <= h.top+claimsAhead && len(h.claims) < keptClaims {
		h.claims[at] = s
	}
	for k := range h.claims {
		if k+keptHeads < h.top {
			delete(h.claims, k)
		}
	}
	return nil
}

// checkSeal asks whether a header is this network's and sealed by a key of its
// genesis, or by who seals now.
func (r *Relay) checkSeal(s chain.SealedHeader) error {
	if r.cfg.Sealed != nil {
		return r.cfg.Sealed(s)
	}
	h := s.Header
	if h.Genesis != r.cfg.Genesis || !slices.Contains(r.cfg.Core.Sealers, h.Proposer) {
		return ErrHello
	}
	hash := h.Hash()
	d := statement.Domain{Genesis: h.Genesis, Fork: h.Fork}
	return r.cfg.Verified.Raw(d, h.Proposer, statement.LabelSeal, hash[:], s.Seal)
}

// halt saves two headers for one height where anyone can read them, and says so
// in one line.
func (r *Relay) halt(c *conflict) error {
	at := c.first.Header.Height
	name := fmt.Sprintf("two-heads-%d.txt", at)
	a, b := c.first, c.second
	if bytes.Compare(a.Encode(), b.Encode()) > 0 {
		a, b = b, a
	}
	text := fmt.Sprintf("The ledger of genesis %s sealed two headers for height %d, fork %d.\n", r.cfg.Genesis, at, a.Header.Fork)
	for _, s := range []chain.SealedHeader{a, b} {
		text += fmt.Sprintf("\nheader %s, sealed by %s, as bytes with its seal:\n%x\n", s.Header.Hash(), s.Header.Proposer, s.Encode())
	}
	where := "nowhere: the relay has no folder"
	if r.cfg.Dir != "" {
		where = name
		if err := durable.WriteFile(filepath.Join(r.cfg.Dir, name), []byte(text), 0o644); err != nil {
			where = "nowhere: " + err.Error()
		}
	}
	r.log.Error("halting: the ledger sealed two headers for one height",
		"height", at, "first", a.Header.Hash(), "second", b.Header.Hash(), "saved", where)
	return fmt.Errorf("%w: height %d", ErrTwoHeads, at)
}
