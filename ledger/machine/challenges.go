package machine

import (
	"tunic/chain"
	"tunic/slashing"
)

// challenge opens a challenge of a storage receipt.
func (m *Machine) challenge(b *block, p *purse, sender chain.Address, t *slashing.OpenChallenge) error {
	_, err := m.slashing.Open(sender, *t, b.slashing(), p, signers{m})
	return err
}

// forked closes the challenges of the fork that ends with b.
func (m *Machine) forked() {
	p := purse{m: m}
	m.slashing.Forked(&p)
	p.keep()
}

// draw says which chunks are asked for, in the first block of an epoch. Where
// epochs were skipped the ledger stood still since the head.
func (m *Machine) draw(b *block) {
	var stalled chain.Time
	if b.epoch > m.head.DirEpoch+1 {
		stalled = b.time - m.head.Time
	}
	m.slashing.Draw(b.slashing(), b.beacon, stalled)
}

// lapseChallenges lets the challenges lapse that are due in b and not answered in it.
func (m *Machine) lapseChallenges(b *block) {
	p := purse{m: m}
	m.slashing.LapseChallenges(b.slashing(), &p, signers{m})
	p.keep()
}

// signers are the nodes as challenges see them.
type signers struct{ m *Machine }

func (x signers) Operator(node chain.NodeID) (chain.Address, bool) {
	n, ok := x.m.registry.Node(node)
	return n.Operator, ok
}

func (x signers) Bonded(node chain.NodeID) chain.Amount { return x.m.staking.Total(node) }

func (x signers) Hold(node chain.NodeID, until chain.Time) { x.m.staking.Hold(node, until) }
