package devnet

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/client"
	"tunic/internal/flaw"
	"tunic/ledger/light"
	"tunic/onion/link"
	"tunic/relay/mailbox"
)

// Links says what carries packets between relays.
type Links string

// The two transports.
const (
	LinksMemory Links = "memory" // the twin in memory
	LinksTLS    Links = "tls"    // TLS over TCP on 127.A.B.C
)

// ErrSpec means that a Spec cannot be built.
var ErrSpec = errors.New("devnet: unusable spec")

// MaxSkew is how far clocks may be apart: a header further ahead is refused.
const MaxSkew = time.Duration(light.MaxAhead) * time.Millisecond

// MaxRelays bounds a network in one process.
const MaxRelays = 1000

// MaxClients bounds its messengers.
const MaxClients = 1000

// Spec describes a network. Zero values take the defaults in parentheses.
type Spec struct {
	// Relays is how many relays there are (5).
	Relays int
	// Operators is how many accounts operate them, in turn (one each).
	Operators int
	// Skew is how far relays' clocks may be off the ledger's, each by its own
	// part of that, ahead or behind (none; at most MaxSkew).
	Skew time.Duration
	// Contributors is how many accounts share each relay's bond: the operator
	// with its minimum, the rest equally from the first accounts (1).
	Contributors int
	// Clients is how many messenger clients there are: alice, bob, carol, then
	// client-4 and so on (none).
	Clients int
	// Poll is the mean time between the polls of a client (60 ms).
	Poll time.Duration
	// Hops is how many relays a client's packets pass before a member (3).
	Hops int
	// Resend is a client's first pause before a stored message is stored again (10 s).
	Resend time.Duration
	// Seed fixes keys and draws; 0 draws one (see Network.Seed).
	Seed uint64
	// Profile names the parameters (dev). The genesis is one of a dev network
	// whatever it is.
	Profile genesis.Profile
	// Params of the genesis (those of the profile).
	Params *genesis.Params
	// Engine decides the blocks (sealer). On cometbft the clock is the machine's
	// and Live is set, the validators are processes, and what Network.Ledger has is
	// a copy that follows them.
	Engine genesis.Engine
	// Validators is how many decide the blocks on cometbft (4).
	Validators int
	// Validator is the path of the program that they run (FindValidator).
	Validator string
	// Place says where validator i, counted from 0, runs and what differs there from
	// the others (all on this machine's loopback).
	Place func(i int) Place
	// Links between relays (memory).
	Links Links
	// Dir keeps everything on disk below it; empty keeps it in memory.
	Dir string
	// HTTP is an address to serve the API on; empty serves only in process.
	HTTP string
	// Admin is a loopback address for metrics and profiles; empty: nowhere.
	Admin string
	// Live lets the clock run with the machine's and seals as dev networks do.
	Live bool
	// AtOnce seals what somebody submits at once, though the clock stands still;
	// without it Seal and Advance do.
	AtOnce bool
	// Wrap wraps the transport of every relay and client, by its name, for who
	// watches what they send and get (nothing). A client's id is zero.
	Wrap func(name string, id chain.NodeID, t link.Transport) link.Transport
	// WrapStore wraps what each relay keeps its mailboxes in, by its name, for who
	// watches what they keep (nothing).
	WrapStore func(name string, s mailbox.Store) mailbox.Store
	// Observe is told of each step of every client, by its name (nobody); as
	// client.Config says.
	Observe func(name string, s client.Step)
	// Flaws is what client i, counted from 0, goes without, for tests that look for
	// what clients hide (nothing).
	Flaws func(i int) flaw.Set
	// Logger takes what the parts of the network log (nothing).
	Logger *slog.Logger
}

// complete fills in defaults and refuses what cannot be built.
func (s *Spec) complete() error {
	if s.Relays == 0 {
		s.Relays = 5
	}
	if s.Relays < 1 || s.Relays > MaxRelays || s.Clients < 0 || s.Clients > MaxClients {
		return fmt.Errorf("%w: 1 to %d relays and at most %d clients", ErrSpec, MaxRelays, MaxClients)
	}
	if s.Operators < 0 || s.Operators > s.Relays || s.Contributors < 0 || s.Contributors > AccountCount+1 {
		return fmt.Errorf("%w: operators are at most the relays, contributors at most %d", ErrSpec, AccountCount+1)
	}
	if s.Links == "" {
		s.Links = LinksMemory
	}
	if s.Poll == 0 {
		s.Poll = 60 * time.Millisecond
	}
	return s.engine()
}
