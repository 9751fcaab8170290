package machine

import (
	"errors"
	"fmt"

	"tunic/chain"
	"tunic/registry"
	"tunic/slashing"
)

// ErrInvariant means that state is not what the rules can give.
var ErrInvariant = errors.New("machine: invariant broken")

// Supply is where all units are.
type Supply struct {
	Total       chain.Amount // as at genesis
	Accounts    chain.Amount
	Bonded      chain.Amount
	Outstanding chain.Amount // rewards given and not withdrawn
	Pool        chain.Amount // rewards to come
	Held        chain.Amount // deposits, and reporters' parts that wait
	Burned      chain.Amount
}

// Supply sums up all units.
func (m *Machine) Supply() Supply {
	s := Supply{Total: m.supply, Bonded: m.staking.Bonded(), Outstanding: m.staking.Outstanding(),
		Pool: m.staking.Pool(), Held: m.slashing.Held(), Burned: m.staking.Burned()}
	for _, a := range m.accounts.All() {
		s.Accounts += a.Balance
	}
	return s
}

// Check verifies every invariant: supply conserved; listed implies bonded;
// tombstoned implies not listed, or removed (as far as the header has room for
// removals); deregistered implies locked; nonces never fall from one Check to
// the next; every slash has a proof that verifies; the parameters in force are
// those of the state; the reducers' own. It
// reads all of state.
func (m *Machine) Check() error {
	s := m.Supply()
	if s.Accounts+s.Bonded+s.Outstanding+s.Pool+s.Held+s.Burned != s.Total {
		return fmt.Errorf("%w: supply %+v does not add up", ErrInvariant, s)
	}
	for a, acc := range m.accounts.All() {
		if acc.Nonce < m.nonces[a] {
			return fmt.Errorf("%w: nonce of %s fell from %d to %d", ErrInvariant, a, m.nonces[a], acc.Nonce)
		}
		m.nonces[a] = acc.Nonce
	}
	removed := map[chain.NodeID]bool{}
	for _, id := range m.head.Removals {
		removed[id] = true
	}
	for _, e := range m.list.Entries {
		n, ok := m.registry.Node(e.Node)
		switch {
		case !ok:
			return fmt.Errorf("%w: %s is listed and not registered", ErrInvariant, e.Node)
		case e.Stake == 0:
			return fmt.Errorf("%w: %s is listed without stake", ErrInvariant, e.Node)
		case n.State == registry.Tombstoned && !removed[e.Node] && len(removed) < chain.MaxRemovals:
			return fmt.Errorf("%w: %s is tombstoned and listed", ErrInvariant, e.Node)
		case n.Listed && n.State == registry.Active && m.staking.Total(e.Node) == 0:
			return fmt.Errorf("%w: %s serves without stake", ErrInvariant, e.Node)
		}
	}
	for n := range m.registry.All() {
		// Of a bond that was withdrawn nothing is left to lock.
		if b, ok := m.staking.Bond(n.ID); ok && n.State == registry.Deregistered && b.LockedUntil == 0 {
			return fmt.Errorf("%w: %s is deregistered and its stake is not locked", ErrInvariant, n.ID)
		}
	}
	for _, r := range m.slashing.All() {
		if r.Judged != nil || r.Concluded != nil {
			continue // CheckAll verifies the votes; a conclusion is the validators'
		}
		p, err := slashing.Decode(r.Proof)
		if err == nil {
			_, err = slashing.Verify(p, known{m})
		}
		if err != nil {
			return fmt.Errorf("%w: offence %s: %w", ErrInvariant, r.ID, err)
		}
	}
	for _, check := range []func() error{
		m.checkCouncil,
		m.checkRounds,
		m.staking.Check,
		func() error { return m.registry.Check(m.head.DirEpoch, m.bonded) },
		m.slashing.CheckAll,
	} {
		if err := check(); err != nil {
			return fmt.Errorf("%w: %w", ErrInvariant, err)
		}
	}
	return nil
}

// checkRounds: no commit to a disclosure outlives its time, and each of a former
// epoch has its time.
func (m *Machine) checkRounds() error {
	for r := range m.slashing.Rounds() {
		at, begun := r.Lapses()
		if begun && m.head.Height >= at || !begun && r.Epoch < m.head.DirEpoch {
			return fmt.Errorf("commits of epoch %d, opened at %d, live at height %d of epoch %d", r.Epoch, r.Opened, m.head.Height, m.head.DirEpoch)
		}
	}
	return nil
}

func (m *Machine) bonded(node chain.NodeID) bool {
	_, ok := m.staking.Bond(node)
	return ok
}
