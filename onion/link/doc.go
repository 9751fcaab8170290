// Package link carries frames of one fixed size over authenticated links,
// between relays and from clients to their guard. It implements
// docs/spec/links.md.
//
// There are two transports behind one interface: TLS 1.3 over TCP (NewTLS),
// where a node's certificate is its Ed25519 identity and the dialer pins the
// identity that the directory names, and a twin in memory (NewMemory) with the
// same rules for networks in one process.
//
// Most callers want a Pool: it opens links on demand, keeps one per peer in
// use, accepts those of others, closes what is idle, and hands every frame to
// one function. Nothing in it blocks a sender: a frame that cannot be queued
// is refused with an error and counted.
//
// What it promises: frames of one link arrive in order, whole and at most
// once; every queue, every number of links and every wait is bounded; no error
// of it names a peer's address. It does not promise delivery: what was queued
// on a link that breaks is lost and counted.
package link
