package devnet

import (
	"context"
	"errors"
	"fmt"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger/wallet"
	"tunic/staking"
)

// operators is how many accounts operate relays.
func (n *Network) operators() int {
	if n.Spec.Operators > 0 {
		return n.Spec.Operators
	}
	return n.Spec.Relays
}

// operatorOf is the number of relay i's operator, counted from 0.
func (n *Network) operatorOf(i int) int { return i % n.operators() }

// OperatorName is how scenarios call the operator of relay i: operator-1 and so
// on.
func (n *Network) OperatorName(i int) string { return fmt.Sprintf("operator-%d", n.operatorOf(i)+1) }

// parts divides a bond: the operator's part first, then those of the first
// accounts, which together make the requirement.
func (n *Network) parts(p genesis.Params) []chain.Amount {
	if n.Spec.Contributors < 2 {
		return []chain.Amount{p.StakingRequirement}
	}
	own := max(p.OperatorMinimum.Of(p.StakingRequirement), p.StakingRequirement/chain.Amount(n.Spec.Contributors))
	out, rest := []chain.Amount{own}, p.StakingRequirement-own
	for left := n.Spec.Contributors - 1; left > 0; left-- {
		part := rest / chain.Amount(left)
		out, rest = append(out, part), rest-part
	}
	return out
}

// contributed is what account i puts into all bonds together, fees included, so
// that devBalance is left.
func (n *Network) contributed(p genesis.Params, i int) chain.Amount {
	parts := n.parts(p)
	if i+1 >= len(parts) {
		return 0
	}
	return (parts[i+1] + p.MinFee) * chain.Amount(n.Spec.Relays)
}

// operatorBalance is what operator i begins with: devBalance, and the stakes of
// all relays but its first.
func (n *Network) operatorBalance(p genesis.Params, i int) chain.Amount {
	relays := chain.Amount((n.Spec.Relays - i + n.operators() - 1) / n.operators())
	return devBalance + (relays-1)*p.StakingRequirement
}

// register puts all relays and their stakes into the first blocks.
func (n *Network) register(ctx context.Context) error {
	parts := n.parts(n.Genesis.Params)
	var last chain.Hash
	var sent []chain.Hash
	for _, r := range n.Relays {
		tx, err := registration(n.Genesis.Core, n.File.Genesis, r.keys, r.Operator, n.Ledger.NextNonce(r.Operator.Address()), parts[0])
		if err == nil {
			last, err = n.Submit(ctx, tx)
		}
		if err != nil {
			return fmt.Errorf("devnet: register %s: %w", r.Name(), err)
		}
		sent = append(sent, last)
	}
	if err := n.sealAll(ctx, sent); err != nil {
		return fmt.Errorf("devnet: seal registrations: %w", err)
	}
	if len(parts) == 1 {
		return nil
	}
	for _, r := range n.Relays {
		for i, part := range parts[1:] {
			id, err := n.contribute(ctx, n.Accounts[i], r.ID, part)
			if err != nil {
				return fmt.Errorf("devnet: contribute to %s: %w", r.Name(), err)
			}
			sent = append(sent, id)
		}
	}
	if err := n.sealAll(ctx, sent); err != nil {
		return fmt.Errorf("devnet: seal contributions: %w", err)
	}
	return nil
}

// sealAll puts what was sent before anything else into blocks.
func (n *Network) sealAll(ctx context.Context, sent []chain.Hash) error {
	if !n.onComet() {
		_, err := n.Ledger.Seal(ctx)
		return err
	}
	for _, id := range sent {
		if s, err := n.Settle(ctx, id); err != nil || s.Code != "" {
			return errors.Join(err, fmt.Errorf("transaction %s: %q", id, s.Code))
		}
	}
	return nil
}

func (n *Network) contribute(ctx context.Context, from wallet.Key, to chain.NodeID, part chain.Amount) (chain.Hash, error) {
	c := staking.Contribute{
		Head: chain.Head{Nonce: n.Ledger.NextNonce(from.Address()), Fee: n.Genesis.Params.MinFee, ValidUntil: 1000},
		Node: to, Amount: part,
	}
	tx, err := from.Sign(n.Ledger.Domain(), staking.ContributeType.Schema(), staking.ContributeType.Unsigned(c))
	if err != nil {
		return chain.Hash{}, err
	}
	return n.Submit(ctx, tx.Encode())
}
