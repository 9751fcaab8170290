// Package relay is the daemon that carries packets: it keeps its descriptor and
// heartbeat on the ledger, peels onion packets and passes them on, keeps
// mailboxes, and reports equivocation that it sees on its links. It implements
// docs/spec/relay.md.
//
// Most callers fill a Config, call New and then Run, which returns when its
// context ends or the relay must halt. Status may be asked at any time.
//
// What it promises: nothing is signed twice under one sequence, nor for an
// epoch that began before the relay had synced; a packet goes on at most once,
// also after a crash of the process; every packet that arrives is accounted for
// in Counters; nothing in a log line or a counter names a peer, a client, a
// mailbox, a key or a link between what came in and what went out. It holds no
// wallet and sees no balance: all it needs of a ledger is the interface Ledger.
package relay

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/registry/directory"
	"tunic/relay/mailbox"
	"tunic/relay/replay"
)

var (
	// ErrConfig means that a configuration cannot be used.
	ErrConfig = errors.New("relay: invalid configuration")
	// ErrTwoHeads means that the ledger sealed two headers for one height. Both
	// are saved; the relay has halted, because it cannot know which is true.
	ErrTwoHeads = errors.New("relay: two sealed headers for one height")
	// ErrKeyFile means that a file with keys or marks cannot be understood.
	ErrKeyFile = errors.New("relay: unusable key file")
)

// Ledger is all that a relay needs of the chain. What it returns is verified
// already, against genesis and sealers; its methods may be called from several
// goroutines.
type Ledger interface {
	// Directory returns the frozen list of epoch and a header that commits to
	// it; epoch 0 asks for the newest. The list is not changed by either side.
	Directory(ctx context.Context, epoch chain.Epoch) (*directory.List, chain.SealedHeader, error)
	// Submit offers an encoded statement or, for somebody else, an encoded account
	// transaction; no bytes are both. A *chain.Refusal says that the ledger will
	// not take it; any other error, that it may not have got it. Nil means that it
	// waits for a block, not that it is in one.
	Submit(ctx context.Context, encoded []byte) error
	// Events yields each header above since, in order, with the statements
	// published in its block, until ctx ends. It closes the channel where it
	// must give up; the relay then asks again.
	Events(ctx context.Context, since chain.Height) (<-chan Event, error)
}

// Event is one block as a relay sees it.
type Event struct {
	Header    chain.SealedHeader
	Published [][]byte // encoded statements, in the block's order; signatures are not verified; nobody changes them

	// Unlisted are the nodes that a quorum judges in the header's epoch though
	// its list does not name them: active ones that were not eligible, and
	// decommissioned ones. The ledger says so in the first block of an epoch
	// alone, and nothing proves it: a vote on who is not judged is refused.
	Unlisted []Unlisted
	// Challenges are those that are open and ask for a chunk, in the first block of
	// an epoch; nil where the ledger does not say. Nothing proves it: who asks by a
	// receipt that this relay signed may have the answer.
	Challenges []Challenge
	// Params are the parameters in force, verified, in the first event of a
	// stream and in the first block in which others come into force; else nil.
	// They are not changed by either side.
	Params *genesis.InForce
}

// Unlisted is one of Event.Unlisted.
type Unlisted struct {
	Node           chain.NodeID
	Decommissioned bool        // else active
	Since          chain.Epoch // in whose first block it was decommissioned
	Performance    chain.Permille
}

// Challenge is one of Event.Challenges: it asks the signer of a storage receipt for
// a chunk of what that promises to keep.
type Challenge struct {
	ID      chain.Hash
	Height  chain.Height // of the block that opened it
	Receipt []byte       // encoded statement, not verified
	Chunk   uint8
}

// Signer signs the relay's statements. A relay calls it from several goroutines
// and has recorded the sequence durably before it does.
type Signer interface {
	Sign(d statement.Domain, l statement.Label, seq statement.Sequence, body []byte) statement.Statement
}

// NewSigner is the Signer of an identity key.
func NewSigner(identity ed25519.PrivateKey) Signer { return keySigner{identity} }

type keySigner struct{ key ed25519.PrivateKey }

func (s keySigner) Sign(d statement.Domain, l statement.Label, seq statement.Sequence, body []byte) statement.Statement {
	return statement.Sign(d, s.key, l, seq, body)
}

// Config is what a relay is made of. The zero value of a field takes the
// default in parentheses; those without one are required.
type Config struct {
	// Identity and VRF are the node's keys; see LoadOrCreateKeys.
	Identity ed25519.PrivateKey
	VRF      [32]byte // seed

	// Core and Genesis are the network's, as its network file has them.
	Core    genesis.Core
	Genesis chain.Hash
	Ledger  Ledger

	// Transport opens and accepts links under Identity, with frames whose body
	// is BodySize(Core).
	Transport link.Transport
	// Listen is where to accept links (Endpoints). Endpoints is what the
	// descriptor advertises, at most statement.MaxEndpoints, the preferred one
	// first (where Listen listens).
	Listen, Endpoints []string
	// Family names other nodes of the same owner, in any order (none).
	Family []chain.NodeID
	// Version is the software version that descriptor and heartbeat declare.
	Version string

	// Store keeps the mailboxes (a goleveldb below Dir; in memory without Dir).
	// The caller closes a Store that it passes.
	Store mailbox.Store
	// WrapStore is what the mailboxes see of their store, whoever opened it (all).
	WrapStore func(mailbox.Store) mailbox.Store
	// StoreBuffer is the write buffer of that goleveldb in bytes (4 MiB).
	StoreBuffer int
	// Dir is the folder of the state: onion keys, marks, replay tags, mailboxes
	// and proofs. Empty keeps all in memory, so that a relay that starts again
	// has new onion keys and no mail.
	Dir string
	// Locked says that the caller holds durable.Lock on Dir; otherwise Run does.
	Locked bool

	// Signer signs statements (NewSigner(Identity)).
	Signer Signer
	// Logger receives what an operator should know (nothing is logged).
	Logger *slog.Logger
	// Clock is the network's time (where genesis says clock: ledger, that of
	// the last header; else the machine's).
	Clock func() chain.Time
	// StandingClock says that the network's clock stands still until somebody
	// moves it, as in a network within one process. Packets then do not wait for
	// the delay that their senders asked for: it would be of the machine's time,
	// and none of the network's (false). Nothing is mixed then.
	StandingClock bool
	// Cover is the mean time between the loops that the relay sends as cover where
	// genesis asks for them (1 s; negative: none). It sends none on a standing
	// clock, on which a network could never come to rest.
	Cover time.Duration
	// OnSynced is called after the relay has acted on a head: its statements
	// are submitted and its packets go by that epoch's list. It must return
	// soon (not called).
	OnSynced func(chain.Height)
	// Sealed says whether a header that a peer shows is sealed by who seals now, and
	// fetches nothing for it: needed where validators commit headers, else headers
	// of peers are not compared there (by the keys in genesis).
	Sealed func(chain.SealedHeader) error
	// Verified remembers signatures of peers that were found valid. Relays of
	// one process may share one (its own).
	Verified *statement.Verified
	// Shared is what relays of one process have in common (nothing).
	Shared *Shared
	// Rand is the source of onion keys (crypto/rand).
	Rand io.Reader
	// Kill is called at named points, for tests that end the process there: those
	// of mailbox.Config, after-copies and before-answer (not called).
	Kill func(point string)
	// BootID names the machine's present boot, so that a machine crash can be
	// told from a crash of the process (the kernel's).
	BootID string

	// Links tunes the pool of links; its hooks, Self and Stats are the relay's.
	Links link.PoolConfig
	// Workers peel packets (GOMAXPROCS); Queue packets may wait for them
	// (1,024), Delayed be held for their delay (16,384), and ReplayTags be
	// remembered for as long as their onion keys live (4,194,304).
	Workers, Queue, Delayed, ReplayTags int
	// OwnThreads gives each worker a thread of the system, which others may
	// interrupt, so that a flood of packets to peel does not keep what comes in
	// on quiet links waiting. It is for a process that runs one relay, with
	// GOMAXPROCS above Workers (false).
	OwnThreads bool
	// Clients is how many client tokens may be attached (4,096), Mailers how
	// many mailbox commands may be under way (256), Stores how many stores that
	// are on disk here may wait for other members (4,096).
	Clients, Mailers, Stores int
	// MailItems and MailBundles bound what all strangers together can fill of this
	// node's mailboxes (1,048,576 and 65,536).
	MailItems, MailBundles int
	// Drain is for how long, at most, packets that are held may still leave when
	// Run's context ends (0: they are dropped).
	Drain time.Duration
	// Greet is how many relays, drawn by lot, are told Hello each epoch whether
	// or not there is traffic, so that a ledger or node that tells two stories
	// is found out (1; negative: none).
	Greet int
}

// BodySize is the frame body of a network's links: one onion packet.
func BodySize(core genesis.Core) int { return Geometry(core).PacketSize() }

// Geometry is the packet geometry that genesis names.
func Geometry(core genesis.Core) onion.Geometry {
	if core.Params.Geometry == 2 {
		return onion.Large
	}
	return onion.Small
}

// Defaults are the bounds that a Config without them has.
func Defaults() Config { return Config{}.withDefaults() }

func (c Config) withDefaults() Config {
	num := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	num(&c.Workers, runtime.GOMAXPROCS(0))
	num(&c.Queue, 1024)
	num(&c.Delayed, 1<<14)
	num(&c.ReplayTags, 1<<22)
	num(&c.Clients, 4096)
	num(&c.Mailers, 256)
	num(&c.Stores, 4096)
	num(&c.StoreBuffer, 4<<20)
	num(&c.MailItems, 1<<20)
	num(&c.MailBundles, 1<<16)
	if c.Greet == 0 {
		c.Greet = 1
	}
	if c.Cover == 0 {
		c.Cover = time.Second
	}
	if c.Signer == nil {
		c.Signer = NewSigner(c.Identity)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Verified == nil {
		c.Verified = statement.NewVerified()
	}
	if c.Kill == nil {
		c.Kill = func(string) {}
	}
	if c.OnSynced == nil {
		c.OnSynced = func(chain.Height) {}
	}
	if len(c.Listen) == 0 {
		c.Listen = c.Endpoints
	}
	return c
}

func (c Config) validate() error {
	switch {
	case len(c.Identity) != ed25519.PrivateKeySize:
		return fmt.Errorf("%w: no identity key", ErrConfig)
	case c.Ledger == nil || c.Transport == nil:
		return fmt.Errorf("%w: no ledger or no transport", ErrConfig)
	case len(c.Listen) == 0:
		return fmt.Errorf("%w: no endpoint to listen at", ErrConfig)
	case c.Genesis.IsZero():
		return fmt.Errorf("%w: no genesis hash", ErrConfig)
	}
	return nil
}

// Relay is one node. Make it with New.
type Relay struct {
	cfg    Config
	id     chain.NodeID
	params *genesis.Params // genesis': for what the council cannot change; else owner.inForce
	log    *slog.Logger
	vrf    beacon.Key
	format mail.Format
	stats  link.Stats
	count  counters
	view   atomic.Pointer[view] // what workers go by; replaced at each head

	noSlices atomic.Bool // that the system refuses workers their time slice is said

	// Made by Run before anything uses them.
	endpoints []string // advertised
	pool      *link.Pool
	keys      *keyring
	replay    *replay.Set
	tags      *accepted
	cover     *cover // nil where none is sent
	delay     *delayQueue
	mail      *mailbox.Mailbox
	clients   *clients
	hellos    *hellos
	queue     *fairQueue
	atOnce    atOnce
	self      *lane         // of what this node sends to itself
	reports   chan report   // of links, to the owner of the state
	mailing   chan struct{} // a token for each mailbox command under way here
	passing   *passing      // transactions of strangers
	commands  chan *command // of clients, to the mailers
	copies    chan *copied  // of members, to the mailers
	stores    *stores
	members   *members
	asking    *asking
	talk      *talk
	errands   *errands
	sweeping  atomic.Bool
	draining  atomic.Bool // Run's context has ended
	buffers   sync.Pool   // of *[]byte, one packet each
	wg        sync.WaitGroup
	mailers   sync.WaitGroup

	acksPerFrame, frameRoom int

	mu      sync.Mutex
	running bool // what Run makes is there
}

// New checks the configuration. It opens nothing: Run does.
func New(cfg Config) (*Relay, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	family := slices.Clone(cfg.Family)
	slices.SortFunc(family, compareNodes)
	cfg.Family = slices.Compact(family)
	r := &Relay{
		cfg:    cfg,
		id:     chain.NodeID(cfg.Identity.Public().(ed25519.PublicKey)),
		params: &cfg.Core.Params,
		log:    cfg.Logger,
		vrf:    beacon.NewKey(cfg.VRF),
		format: mail.FormatOf(Geometry(cfg.Core)),
	}
	size := BodySize(cfg.Core)
	r.buffers.New = func() any { b := make([]byte, size); return &b }
	none := func() []byte { return nil }
	r.view.Store(&view{lists: map[chain.Epoch]*directory.List{}, hello: none, sealed: none, rings: newRings(r.id, &directory.List{}, nil)})
	return r, nil
}

// ID is the node id.
func (r *Relay) ID() chain.NodeID { return r.id }

// now is the network's time.
func (r *Relay) now() chain.Time {
	switch {
	case r.cfg.Clock != nil:
		return r.cfg.Clock()
	case r.cfg.Core.Clock == genesis.ClockLedger:
		return r.view.Load().time
	}
	return chain.Time(time.Now().UnixMilli())
}

func compareNodes(a, b chain.NodeID) int { return bytes.Compare(a[:], b[:]) }
