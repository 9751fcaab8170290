// Package onion is the packet: how a sender wraps a message for a path of
// relays, how each relay takes its layer off, and how a reply block lets a
// stranger answer. It implements docs/spec/onion.md.
//
// A sender calls Geometry.Wrap, or Geometry.NewSURB for a reply block that goes
// inside a message. A relay calls Keys.OpenHeader, looks the replay tag and the
// expiry up, and then calls Opened.Finish, which does the work on the payload.
// Whoever got a reply block calls SURB.Reply; its maker opens the answer with
// SURBKeys.Open.
//
// What it promises: a packet has one size at every hop; a packet whose header
// was changed in any bit is refused by the next hop, and one whose payload was
// changed is refused by the node that ends the path and by nobody before; a
// reply cannot be told from any other packet, and no node from what it sees how
// many came before it or come after the next. The package is pure: randomness is
// an argument, time is the caller's.
package onion

import "errors"

var (
	// ErrSize means that a packet, payload or reply block has the wrong length.
	ErrSize = errors.New("onion: wrong size")
	// ErrVersion means that the first byte names another version or geometry.
	ErrVersion = errors.New("onion: wrong version or geometry")
	// ErrUnknownKey means that the node holds no key with the packet's selector.
	ErrUnknownKey = errors.New("onion: unknown key")
	// ErrZeroSecret means that an X25519 key is a point of low order, so that
	// the shared secret would be all zeros.
	ErrZeroSecret = errors.New("onion: all-zero shared secret")
	// ErrMAC means that the header is not what the sender made.
	ErrMAC = errors.New("onion: header not authentic")
	// ErrRouting means that an authentic header holds a malformed routing slot.
	ErrRouting = errors.New("onion: malformed routing slot")
	// ErrPayload means that a payload at the end of its path is not what the
	// sender made.
	ErrPayload = errors.New("onion: payload not authentic")
	// ErrExpired means that a packet arrived after its expiry epoch.
	ErrExpired = errors.New("onion: packet expired")
	// ErrFinished means that a packet's payload was already taken.
	ErrFinished = errors.New("onion: packet already finished")
	// ErrTooLong means that a message does not fit into one packet.
	ErrTooLong = errors.New("onion: message too long")
	// ErrPath means that a path has no or too many layers, or that an epoch in
	// it does not fit its field.
	ErrPath = errors.New("onion: unusable path")
	// ErrPublicKey means that a node's hybrid key is missing or no ML-KEM key.
	ErrPublicKey = errors.New("onion: unusable hybrid key")
	// ErrKeys means that two keys of one table share a selector, or that one is
	// not of the table's geometry.
	ErrKeys = errors.New("onion: unusable table of keys")
)
