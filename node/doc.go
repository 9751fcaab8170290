// Package node builds the daemons: a ledger with its API, a relay, a client.
// It is the only production place where api, relay and client meet, and it
// holds no rules of its own.
//
// Commands and devnet fill a config and call RunLedger, RunRelay or OpenClient;
// the config's field comments are the manual. What runs is described in
// docs/spec: api.md for the ledger's API, relay.md and messenger.md.
package node

// Version is the version of this program, as nodes declare it.
const Version = "0.1.0"
