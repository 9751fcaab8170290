// Package registry keeps the life of every node: its registration, what it
// publishes, the states it goes through and why, and the list that it is on. It
// implements docs/spec/registry.md.
//
// It is a pure reducer over the part nodes. The ledger machine calls Register
// and Publish for transactions, Contributions, Judge and then BeginEpoch in the
// first block of an epoch, and Unlocking, Tombstone and their like when stake or
// a proof says so; others read Node, All and History, and what judgement
// (docs/spec/judgement.md) is about: Credit, Votes, LastCount, Unlisted.
//
// It promises: a refused call changes nothing; a list is frozen for its epoch
// and follows from state alone; a node id lives once, and every change of its
// state is an event that stays.
package registry

import (
	"fmt"
	"iter"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/table"
	"tunic/registry/directory"
)

// Refusal codes of this package.
const (
	CodeBadKey            = "bad_key"            // a key is not canonical, or not its own
	CodeAlreadyRegistered = "already_registered" // a node id lives once
	CodeTombstoned        = "tombstoned"
	CodeBadSignature      = "bad_signature"
	CodeBadVRF            = "bad_vrf"
	CodeUnsupported       = "unsupported_statement" // a label that is not published here
	CodeUnknownNode       = "unknown_node"
	CodeNotServing        = "not_serving" // unlocking, left or deregistered
	CodeMalformed         = "malformed_statement"
	CodeWrongFork         = "wrong_fork"
	CodeWrongEpoch        = "wrong_epoch" // neither of this epoch nor of the next
	CodeDuplicate         = "duplicate"
	CodeStaleSequence     = "stale_sequence"
	CodeTooSoon           = "too_soon"
	CodeMissingKey        = "missing_key"  // no onion key for its epoch or the next
	CodeKeyLifetime       = "key_lifetime" // an onion key over more epochs than allowed
	CodeVersion           = "version_not_allowed"
	CodeFutureHeight      = "future_height" // a heartbeat names a height that is not yet
	CodeWrongState        = "wrong_state"   // the life of a node has no such step
	CodeNotJudged         = "not_judged"    // nobody votes on this node
	CodeNotInQuorum       = "not_in_quorum"
	CodeAlreadyVoted      = "already_voted" // a vote is final
)

// State is where a node stands in its life.
type State uint8

// The states. Numbers are never reused.
const (
	Registered     State = 1 // awaiting stake, descriptor or heartbeat
	Active         State = 2
	Decommissioned State = 3
	Deregistered   State = 4
	Unlocking      State = 5
	Left           State = 6
	Tombstoned     State = 7
)

var stateWords = [...]string{"none", "registered", "active", "decommissioned", "deregistered", "unlocking", "left", "tombstoned"}

// String is the word that the API uses.
func (s State) String() string {
	if int(s) < len(stateWords) {
		return stateWords[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// serving reports whether the node may publish.
func (s State) serving() bool { return s == Registered || s == Active || s == Decommissioned }

// Output is a node's VRF output for one epoch.
type Output struct {
	Epoch chain.Epoch
	Value [64]byte
}

// Node is all that the ledger knows of a node, stake apart. Treat its slices as
// read-only.
type Node struct {
	ID       chain.NodeID
	VRF      [32]byte
	Operator chain.Address

	State      State
	StateSince chain.Time
	Until      chain.Time // while unlocking: when it has left
	Listed     bool       // in the frozen list of the present epoch, and not removed
	Events     uint32     // entries of its history

	RegisteredEpoch  chain.Epoch
	RegisteredHeight chain.Height

	Descriptor         []byte // newest accepted, an encoded statement; nil if none
	DescriptorSequence statement.Sequence
	DescriptorAt       chain.Time // of the block that took it

	LastHeartbeat     chain.Time // of the block that took the newest; 0 if none
	HeartbeatSequence statement.Sequence
	HeartbeatHash     chain.Hash // SHA-256 of its encoding
	Version           string     // software that runs, by the newest heartbeat
	Outputs           []Output   // of the present epoch and the next, ascending

	Swarm         directory.SwarmID
	PreviousSwarm directory.SwarmID // of the epoch before; while not listed, the last it was in
	Performance   chain.Permille    // of the last count that gave one; 1,000 before

	Credit   chain.Duration // as settled; Registry.Credit says what it is now
	CreditAt chain.Time     // when it was settled
	Lapses   uint8          // decommissions for what it carried since its credit was full, at most 6
	Stay     uint16         // while decommissioned: for how many epochs at least

	CommitmentSequence statement.Sequence // of the last probe commitment taken
	CommitmentHash     chain.Hash         // SHA-256 of its encoding; its body stands in its block
}

// Described is the newest descriptor that n published; false if there is none.
func (n *Node) Described() (d statement.Descriptor, ok bool) {
	st, err := statement.Decode(n.Descriptor)
	if err == nil {
		d, err = statement.DecodeDescriptor(st.Body)
	}
	return d, err == nil
}

// Context is the block in which a change happens.
type Context struct {
	Height chain.Height
	Time   chain.Time
	Epoch  chain.Epoch
	Fork   uint32

	// Verified remembers which statements were found valid; nil where each must
	// be verified, as in blocks of others.
	Verified *statement.Verified

	// List is the newest list and Beacon that of its epoch: quorums are drawn
	// from them. Before the first block of Epoch they are of an earlier one.
	List   *directory.List
	Beacon chain.Hash
}

// Registry is the reducer. Not safe for concurrent use.
type Registry struct {
	core     *genesis.Core
	genesis  chain.Hash
	nodes    *table.Table[chain.NodeID, Node]
	history  *table.Table[eventKey, Event]
	removals *table.Table[chain.NodeID, chain.Height]
	votes    *table.Table[voteKey, statement.Statement] // cast in the present epoch
	counts   *table.Table[chain.NodeID, Count]          // the last on each node
	taken    []Event                                    // since TakeEvents

	validators *table.Table[chain.NodeID, Validator]
	turned     map[chain.NodeID]bool // changed since TakeValidators: what each was before
}

// New declares the tables on the part nodes. hash is the genesis hash, which
// every signature and VRF proof is bound to.
func New(nodes *table.Part, core *genesis.Core, hash chain.Hash) *Registry {
	return &Registry{core: core, genesis: hash,
		nodes: table.New(nodes, nodeCodec), history: table.New(nodes, eventCodec), removals: table.New(nodes, removalCodec),
		votes: table.New(nodes, voteCodec), counts: table.New(nodes, countCodec),
		validators: table.New(nodes, validatorCodec), turned: map[chain.NodeID]bool{}}
}

// Node returns the node of id.
func (r *Registry) Node(id chain.NodeID) (Node, bool) {
	n, ok := r.nodes.Get(id)
	n.ID = id
	return n, ok
}

// Known reports whether the registry has ever known id.
func (r *Registry) Known(id chain.NodeID) bool {
	_, ok := r.nodes.Get(id)
	return ok
}

// Len is the number of nodes ever registered.
func (r *Registry) Len() int { return r.nodes.Len() }

// All gives the nodes ascending by id.
func (r *Registry) All() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		for id, n := range r.nodes.All() {
			n.ID = id
			if !yield(n) {
				return
			}
		}
	}
}

func (r *Registry) put(n Node) { r.nodes.Set(n.ID, n) }

// Removals are the nodes that were taken out of the present list since its
// epoch began, ascending.
func (r *Registry) Removals() []chain.NodeID {
	var out []chain.NodeID
	for id := range r.removals.All() {
		out = append(out, id)
	}
	return out
}
