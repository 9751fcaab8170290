// Package replay is the exact set of the replay tags that a relay has seen, for
// as long as the onion keys live that they were made under. It implements the
// section Replay set of docs/spec/relay.md.
//
// What it promises: a tag is never taken for seen that was not added, nor for
// new that was; a tag is with the operating system (write(2), no fsync) before
// Add returns, so that a crash of the process loses none; memory is bounded by
// the limit. A full set refuses what is new and forgets nothing.
package replay
