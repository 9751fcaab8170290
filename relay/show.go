package relay

import (
	"encoding/binary"
	"io"
	"maps"
	"slices"
	"sync"

	"tunic/chain"
	"tunic/onion/link"
)

// show makes the present state visible to the workers and to Status.
func (o *owner) show() {
	o.turn()
	v := &view{
		synced: o.synced, state: o.describeState(), fork: o.head.Fork, epoch: o.head.DirEpoch, height: o.head.Height, time: o.head.Time,
		lists: maps.Clone(o.lists), hello: o.hello(), sealed: o.headShown(), committed: o.committed, removed: o.head.Removals,
		rings: o.rings, past: o.past,
	}
	o.view.Store(v)
}

// turn makes the rings of the head's list, where it is there and they are not.
func (o *owner) turn() {
	l := o.lists[o.head.DirEpoch]
	if l == nil || o.rings.list == l && o.rings.removed == len(o.head.Removals) {
		return
	}
	before := o.past
	if len(before) > 0 && before[0].list.Epoch == l.Epoch {
		before = before[1:] // somebody was removed since
	}
	o.rings = newRings(o.id, l, o.head.Removals)
	o.past = slices.Concat([]*rings{o.rings}, before)
	o.past = o.past[:min(len(o.past), keptLists)]
}

// headShown makes the encoded head where somebody asks for it; nil while there is
// none, or where no reply holds it.
func (o *owner) headShown() func() []byte {
	head, most := o.sealed, o.format.Reply
	return sync.OnceValue(func() []byte {
		if head.Header.Height == 0 {
			return nil
		}
		b := head.Encode()
		if len(b) > most {
			return nil // with dozens of removals; the next epoch's list has them
		}
		return b
	})
}

// hello makes the present greeting where a link wants it: most heads pass
// without.
func (o *owner) hello() func() []byte {
	h, head := Hello{Votes: o.votesShown()}, o.sealed
	if o.descriptor != nil {
		h.Descriptor = o.descriptor.encoded
	}
	most := link.MaxData(BodySize(o.cfg.Core))
	return sync.OnceValue(func() []byte {
		if head.Header.Height > 0 {
			h.Header = head.Encode()
		}
		b := h.Encode()
		if len(b) > most { // with hundreds of removals
			all := h.Votes
			if h.Votes = nil; len(h.Encode()) > most {
				h.Header, h.Votes = nil, all
			}
			b = h.Encode()
		}
		return b
	})
}

func (o *owner) describeState() string {
	l := o.lists[o.head.DirEpoch]
	switch {
	case o.unknown:
		return "not registered: the operator must send a register transaction"
	case l == nil:
		return "waiting for the directory"
	}
	if _, ok := l.Index(o.id); ok {
		return "listed"
	}
	return "not in this epoch's list"
}

// greet says Hello to relays drawn by lot; theirs comes back on the same link.
func (o *owner) greet() {
	list := o.lists[o.head.DirEpoch]
	if list == nil || len(list.Entries) < 2 {
		return
	}
	greeted := map[chain.NodeID]bool{o.id: true}
	for range o.cfg.Greet {
		var b [8]byte
		if _, err := io.ReadFull(o.cfg.Rand, b[:]); err != nil {
			return
		}
		id := list.Entries[binary.BigEndian.Uint64(b[:])%uint64(len(list.Entries))].Node
		if !greeted[id] {
			greeted[id] = true
			_ = o.pool.Send(id, link.Frame{Type: link.Hello, Data: o.view.Load().hello()}) // the pool counts failures
		}
	}
}
