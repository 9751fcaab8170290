// Package genesis is the plain data that a network begins with: parameters,
// their three profiles, the genesis itself and the network file that clients
// and relays trust. It implements docs/spec/genesis.md.
//
// Most callers use For to get a profile's parameters, Genesis.Hash, and
// ParseNetwork to read a network file. The genesis hash commits to the network
// part and to the root of the allocations, so that a network file without the
// allocations still hashes to it.
package genesis

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/merkle"
	"tunic/internal/wire"
)

// Version is the version byte of the genesis encoding.
const Version = 2

// Engine says who seals.
type Engine string

// The engines.
const (
	EngineSealer Engine = "sealer"
	EngineComet  Engine = "cometbft"
)

// Clock says where daemons take time from.
type Clock string

// The clocks: the machine's, or the last verified header.
const (
	ClockReal   Clock = "real"
	ClockLedger Clock = "ledger"
)

// ErrGenesis means that a genesis or network file is malformed or contradicts itself.
var ErrGenesis = errors.New("genesis: malformed")

// Allocation is a balance at genesis.
type Allocation struct {
	Address chain.Address `json:"address"`
	Balance chain.Amount  `json:"balance"`
}

// Core is the part of a genesis that every verifier needs.
type Core struct {
	ChainID    uint64          `json:"chain_id"`
	Profile    Profile         `json:"profile"`
	Dev        bool            `json:"dev"`
	Clock      Clock           `json:"clock"`
	Engine     Engine          `json:"engine"`
	Time       chain.Time      `json:"genesis_time_ms"`
	Nonce      chain.Hash      `json:"nonce"`
	Sealers    []chain.NodeID  `json:"sealers"`             // keys that may seal, ascending; on cometbft the first validators
	Operators  []chain.Address `json:"operators,omitempty"` // cometbft: of each of them, who bonds the requirement out of its allocation
	Council    []chain.Address `json:"council"`             // ascending
	CouncilMin uint16          `json:"council_min"`
	RewardPool chain.Amount    `json:"reward_pool"` // part of the supply, paid out by blocks
	Params     Params          `json:"params"`
}

// Genesis is what a ledger starts from.
type Genesis struct {
	Core
	Allocations []Allocation `json:"allocations"` // ascending by address
}

// Encode is the canonical encoding.
func (c Core) Encode() []byte {
	b := []byte{Version}
	b = wire.AppendUint64(b, c.ChainID)
	b = wire.AppendString(b, string(c.Profile))
	b = wire.AppendBool(b, c.Dev)
	b = wire.AppendString(b, string(c.Clock))
	b = wire.AppendString(b, string(c.Engine))
	b = wire.AppendUint64(b, uint64(c.Time))
	b = append(b, c.Nonce[:]...)
	b = wire.AppendUint32(b, uint32(len(c.Sealers)))
	for i := range c.Sealers {
		b = append(b, c.Sealers[i][:]...)
	}
	if c.Engine == EngineComet || len(c.Operators) > 0 {
		b = wire.AppendUint32(b, uint32(len(c.Operators)))
		for i := range c.Operators {
			b = append(b, c.Operators[i][:]...)
		}
	}
	b = wire.AppendUint32(b, uint32(len(c.Council)))
	for i := range c.Council {
		b = append(b, c.Council[i][:]...)
	}
	b = wire.AppendUint16(b, c.CouncilMin)
	b = wire.AppendUint64(b, uint64(c.RewardPool))
	return append(b, c.Params.Encode()...)
}

// HashWith is the genesis hash for allocations of the given root.
func (c Core) HashWith(allocations chain.Hash) chain.Hash {
	return chain.SHA256([]byte("tunic genesis"), c.Encode(), allocations[:])
}

// AllocationRoot is the RFC 6962 root over address and balance.
func (g Genesis) AllocationRoot() chain.Hash {
	leaves := make([]merkle.Hash, 0, len(g.Allocations))
	for _, a := range g.Allocations {
		leaves = append(leaves, merkle.Leaf(wire.AppendUint64(append([]byte(nil), a.Address[:]...), uint64(a.Balance))))
	}
	return merkle.Root(leaves)
}

// Hash identifies the network.
func (g Genesis) Hash() chain.Hash { return g.HashWith(g.AllocationRoot()) }

// Supply is all units that exist: allocations and the reward pool. The boolean
// is false where the sum does not fit.
func (g Genesis) Supply() (chain.Amount, bool) {
	sum := g.RewardPool
	for _, a := range g.Allocations {
		var ok bool
		if sum, ok = sum.Add(a.Balance); !ok {
			return 0, false
		}
	}
	return sum, true
}

// Validate refuses a genesis that no ledger could start from.
func (g Genesis) Validate() error {
	if err := g.Core.Validate(); err != nil {
		return err
	}
	if !slices.IsSortedFunc(g.Allocations, func(a, b Allocation) int { return bytes.Compare(a.Address[:], b.Address[:]) }) {
		return fmt.Errorf("%w: allocations not ascending by address", ErrGenesis)
	}
	for i := 1; i < len(g.Allocations); i++ {
		if g.Allocations[i].Address == g.Allocations[i-1].Address {
			return fmt.Errorf("%w: %s is allocated twice", ErrGenesis, g.Allocations[i].Address)
		}
	}
	if _, ok := g.Supply(); !ok {
		return fmt.Errorf("%w: the supply does not fit 64 bits", ErrGenesis)
	}
	left := make(map[chain.Address]chain.Amount, len(g.Allocations))
	for _, a := range g.Allocations {
		left[a.Address] = a.Balance
	}
	for i, a := range g.Operators {
		rest, ok := left[a].Sub(g.Params.StakingRequirement)
		if !ok {
			return fmt.Errorf("%w: operator %s of validator %s has an allocation too small for its bond", ErrGenesis, a, g.Sealers[i].Short())
		}
		left[a] = rest
	}
	return nil
}

// Validate refuses a core that contradicts itself.
func (c Core) Validate() error {
	switch {
	case c.ChainID == 0:
		return fmt.Errorf("%w: chain_id must be above zero", ErrGenesis)
	case c.Clock != ClockReal && c.Clock != ClockLedger:
		return fmt.Errorf("%w: clock %q; use real or ledger", ErrGenesis, c.Clock)
	case c.Clock == ClockLedger && !c.Dev:
		return fmt.Errorf("%w: clock ledger needs dev", ErrGenesis)
	case c.Engine != EngineSealer && c.Engine != EngineComet:
		return fmt.Errorf("%w: engine %q; use sealer or cometbft", ErrGenesis, c.Engine)
	case c.Engine == EngineComet && c.Dev:
		return fmt.Errorf("%w: dev needs the sealer", ErrGenesis)
	case len(c.Sealers) == 0 || len(c.Sealers) > 128:
		return fmt.Errorf("%w: %d sealer keys; 1 to 128", ErrGenesis, len(c.Sealers))
	case c.Engine == EngineComet && len(c.Operators) != len(c.Sealers):
		return fmt.Errorf("%w: %d operators of %d validators", ErrGenesis, len(c.Operators), len(c.Sealers))
	case c.Engine != EngineComet && len(c.Operators) > 0:
		return fmt.Errorf("%w: operators of sealers; only validators of cometbft have any", ErrGenesis)
	case int(c.CouncilMin) > len(c.Council) || len(c.Council) > 64 || (c.CouncilMin == 0 && len(c.Council) > 0):
		return fmt.Errorf("%w: council of %d needs %d", ErrGenesis, len(c.Council), c.CouncilMin)
	}
	for _, n := range c.Sealers {
		if c.Engine == EngineComet && !statement.Canonical(n) {
			return fmt.Errorf("%w: %s is no key of a validator: not a canonical point, or of small order, under which anyone can sign", ErrGenesis, n)
		}
	}
	for i := 1; i < len(c.Sealers); i++ {
		if bytes.Compare(c.Sealers[i-1][:], c.Sealers[i][:]) >= 0 {
			return fmt.Errorf("%w: sealers not ascending", ErrGenesis)
		}
	}
	for i := 1; i < len(c.Council); i++ {
		if bytes.Compare(c.Council[i-1][:], c.Council[i][:]) >= 0 {
			return fmt.Errorf("%w: council not ascending", ErrGenesis)
		}
	}
	return c.Params.Validate()
}

// Parse reads a genesis file (JSON, unknown and repeated keys refused) and validates it.
func Parse(b []byte) (Genesis, error) {
	var g Genesis
	if err := decodeStrict(b, &g); err != nil {
		return g, err
	}
	return g, g.Validate()
}

func decodeStrict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %v", ErrGenesis, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("%w: text after the object", ErrGenesis)
	}
	if err := uniqueKeys(json.NewDecoder(bytes.NewReader(b))); err != nil {
		return fmt.Errorf("%w: %v", ErrGenesis, err)
	}
	return nil
}

// uniqueKeys reads one value and refuses an object that has a key twice, also
// in another case: encoding/json would take the last.
func uniqueKeys(d *json.Decoder) error {
	open, err := d.Token()
	if err != nil || (open != json.Delim('{') && open != json.Delim('[')) {
		return err
	}
	seen := map[string]bool{}
	for d.More() {
		if open == json.Delim('{') {
			t, err := d.Token()
			if err != nil {
				return err
			}
			key := strings.ToLower(strings.ToUpper(fmt.Sprint(t)))
			if seen[key] {
				return fmt.Errorf("key %q stands twice", key)
			}
			seen[key] = true
		}
		if err := uniqueKeys(d); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}
