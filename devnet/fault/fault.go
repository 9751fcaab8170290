// Package fault makes relays misbehave on command, by wrapping what a relay
// sends, signs, keeps and draws keys with and what it hears of the ledger: its
// Transport, its Signer, its Store, its Rand and its Ledger. Only devnet imports it.
//
// A Twin behaves like the honest relay until one of its faults is called, and
// again when Off is. A Net holds what goes wrong between relays that are all
// honest: links that lose or delay, and partitions. Seeds fix which packets are
// lost; shares are exact. What breaks a rule is an offence of
// docs/spec/slashing.md or shows in the scores of docs/spec/judgement.md.
package fault

import (
	"crypto/ed25519"
	"errors"
	"sync"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion/link"
	"tunic/relay"
	"tunic/relay/mailbox"
)

var (
	// ErrNotDev means that a fault was asked for on a network that is not for tests.
	ErrNotDev = errors.New("fault: faults need a genesis with dev: true or, on cometbft, of profile dev")
	// ErrNothingSigned means that the relay has not signed what the fault needs.
	ErrNothingSigned = errors.New("fault: the relay has signed nothing yet")
	// ErrNoSeat means that the relay sits in no quorum of this epoch.
	ErrNoSeat = errors.New("fault: the relay has no seat in this epoch")
)

// Twin wraps one relay, over all of its lives.
type Twin struct {
	identity ed25519.PrivateKey
	id       chain.NodeID
	net      *Net
	quorum   int        // seats, by genesis
	hash     chain.Hash // of genesis

	mu        sync.Mutex // guards what follows
	transport link.Transport
	ledger    relay.Ledger // of the present life
	domain    statement.Domain
	epoch     chain.Epoch         // of the newest header
	signed    statement.Statement // the newest descriptor
	beat      statement.Statement // the newest heartbeat
	votes     map[vote]statement.Statement
	pairs     map[statement.Label][2]statement.Statement // signed twice, the last of each label

	drop     *share // of the packets that leave; nil: none
	delay    chain.Duration
	severed  chan struct{} // closed when the cut from the ledger ends; nil: not cut
	silent   bool
	version  string // that heartbeats declare; empty: the relay's own
	forge    Forgery
	loses    bool
	receipts []receipt     // the newest that it signed, oldest first
	store    mailbox.Store // of the present life
	verdicts map[chain.NodeID]verdict

	drawn drawn
}

// New makes the twin of the relay with this identity; core must be a dev
// network's or, since validators have no dev controls, one of profile dev on
// cometbft; hash is its genesis hash.
func New(core genesis.Core, hash chain.Hash, identity ed25519.PrivateKey, net *Net) (*Twin, error) {
	if !core.Dev && !(core.Engine == genesis.EngineComet && core.Profile == genesis.Dev) {
		return nil, ErrNotDev
	}
	return &Twin{
		identity: identity, id: chain.NodeID(identity.Public().(ed25519.PublicKey)), net: net,
		quorum: int(core.Params.QuorumSize), hash: hash,
		votes: make(map[vote]statement.Statement), pairs: make(map[statement.Label][2]statement.Statement), verdicts: make(map[chain.NodeID]verdict),
	}, nil
}

// Attach wraps what a new life of the relay uses.
func (t *Twin) Attach(tr link.Transport, l relay.Ledger) (link.Transport, relay.Signer, relay.Ledger) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.transport, t.ledger = tr, l
	return &transport{t, tr}, signer{t}, &follower{t, l}
}

// Pair is what the relay signed last under one label twice, encoded; false if
// it never did.
func (t *Twin) Pair(l statement.Label) (a, b []byte, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.pairs[l]
	return p[0].Encode(), p[1].Encode(), ok
}

// Off ends every fault that lasts. What was signed stays signed.
func (t *Twin) Off() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.drop, t.delay, t.silent, t.version, t.forge, t.loses = nil, 0, false, "", ForgeNothing, false
	clear(t.verdicts)
	t.reconnect()
}
