package relay

import (
	"slices"
	"sync"

	"tunic/onion"
	"tunic/onion/link"
)

// Control messages. The first byte is the kind.
const (
	controlAttach = 1 // token 16: answers that name it come out of this link
)

// tokensPerLink is how many tokens one client may attach.
const tokensPerLink = 4

// AttachFrame is the frame by which a client attaches a token to its link.
func AttachFrame(t onion.Token) link.Frame {
	return link.Frame{Type: link.Control, Data: append([]byte{controlAttach}, t[:]...)}
}

// ParseAnswer splits the body of a Packet frame that a guard sends its client:
//
//	reply block id 16 | zeros 418 | payload
//
// The payload aliases body and is for onion.SURBKeys.Open; false where the body
// is not of that form.
func ParseAnswer(body []byte) (id onion.SURBID, payload []byte, ok bool) {
	if len(body) <= onion.HeaderSize {
		return id, nil, false
	}
	copy(id[:], body)
	for _, b := range body[len(id):onion.HeaderSize] {
		if b != 0 {
			return id, nil, false
		}
	}
	return id, body[onion.HeaderSize:], true
}

// clients are the attached tokens. A token that is attached again moves to the
// newer link: its client has come back before its old link was found dead.
type clients struct {
	limit int

	mu     sync.Mutex
	tokens map[onion.Token]*link.Link
	links  map[*link.Link][]onion.Token
}

func newClients(limit int) *clients {
	return &clients{limit: limit, tokens: make(map[onion.Token]*link.Link), links: make(map[*link.Link][]onion.Token)}
}

// control handles a Control frame; false where it is malformed or over a limit.
func (c *clients) control(l *link.Link, data []byte) bool {
	var t onion.Token
	if len(data) != 1+len(t) || data[0] != controlAttach {
		return false
	}
	copy(t[:], data[1:])
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.tokens[t]
	switch {
	case t == onion.Token{}:
		return false
	case old == l:
		return true
	case len(c.links[l]) >= tokensPerLink, old == nil && len(c.tokens) >= c.limit:
		return false
	}
	if old != nil {
		c.remove(old, t)
	}
	c.tokens[t] = l
	c.links[l] = append(c.links[l], t)
	return true
}

// remove takes t off a link's list. Called with mu held.
func (c *clients) remove(l *link.Link, t onion.Token) {
	left := slices.DeleteFunc(c.links[l], func(x onion.Token) bool { return x == t })
	if c.links[l] = left; len(left) == 0 {
		delete(c.links, l)
	}
}

func (c *clients) find(t onion.Token) *link.Link {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tokens[t]
}

// detach forgets a link's tokens.
func (c *clients) detach(l *link.Link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.links[l] {
		delete(c.tokens, t)
	}
	delete(c.links, l)
}

func (c *clients) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.tokens)
}
