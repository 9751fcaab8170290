package relay

import (
	"encoding/binary"
	"io"
	"maps"

	"tunic/chain"
	"tunic/onion/link"
)

// show makes the present state visible to the workers and to Status.
func (o *owner) show() {
	var sealed []byte
	if o.head.Height > 0 {
		if sealed = o.sealed.Encode(); len(sealed) > o.format.Reply {
			sealed = nil // with dozens of removals; the next epoch's list has them
		}
	}
	v := &view{
		synced: o.synced, state: o.describeState(), fork: o.head.Fork, epoch: o.head.DirEpoch, height: o.head.Height, time: o.head.Time,
		lists: maps.Clone(o.lists), hello: o.hello(), sealed: sealed, committed: o.committed,
	}
	o.view.Store(v)
}

func (o *owner) hello() []byte {
	var h Hello
	if o.descriptor != nil {
		h.Descriptor = o.descriptor.encoded
	}
	if o.head.Height > 0 {
		// With hundreds of removals a header is too long for a frame.
		h.Header = o.sealed.Encode()
		if len(h.Encode()) > link.MaxData(BodySize(o.cfg.Core)) {
			h.Header = nil
		}
	}
	if h.Votes = o.votesShown(); len(h.Encode()) > link.MaxData(BodySize(o.cfg.Core)) {
		h.Votes = nil
	}
	return h.Encode()
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
	return "registered or waiting to be; not in this epoch's list"
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
			_ = o.pool.Send(id, link.Frame{Type: link.Hello, Data: o.view.Load().hello}) // the pool counts failures
		}
	}
}
