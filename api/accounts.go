package api

import (
	"context"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/ledger/machine"
	"tunic/staking"
)

// address reads an address parameter; mixed case must carry its checksum.
func address(name, text string) (chain.Address, error) {
	a, err := chain.ParseAddress(text)
	if err != nil {
		return a, field(codeInvalidRequest, name, "has a wrong checksum; check it for a typing error")
	}
	return a, nil
}

// GetAccount serves one account after a block, the head if none is named, with
// a state proof if wanted. The nonce that its next transaction should carry is
// of the present alone.
func (s *server) GetAccount(ctx context.Context, req oas.GetAccountRequestObject) (oas.GetAccountResponseObject, error) {
	a, err := address("address", req.Address)
	if err != nil {
		return nil, err
	}
	var (
		out   oas.Account
		nonce uint64
		proof = req.Params.Proof != nil && *req.Params.Proof
	)
	err = s.at(ctx, req.Params.Height, func(m *machine.Machine, of chain.SealedHeader) error {
		acc := m.Account(a)
		out, nonce = accountOf(a, acc, of.Header.Height), acc.Nonce
		stakes, rewards := stakesOf(m, a)
		out.Stakes, out.Rewards = &stakes, &rewards
		if proof {
			if err := provable(of); err != nil {
				return err
			}
			out.Proof = stateProof(m, of, machine.PartAccounts, m.AccountKey(a))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if req.Params.Height == nil || out.Height == int64(s.ledger.Head().Header.Height) {
		next := decimal(max(nonce, s.ledger.NextNonce(a)))
		out.NextNonce = &next
	}
	return oas.GetAccount200JSONResponse(out), nil
}

// stakesOf are the shares of a in bonds, and what it could withdraw as rewards of
// all of them.
func stakesOf(m *machine.Machine, a chain.Address) (stakes []oas.AccountStake, rewards oas.Amount) {
	stakes = []oas.AccountStake{}
	var sum chain.Amount
	for b := range m.Staking().All() {
		if i := b.Index(a); i >= 0 {
			role := oas.Contributor
			if a == b.Operator {
				role = oas.Operator
			}
			due := m.Staking().Due(b.Node)[i].Amount
			reward := amount(due)
			sum += due
			stakes = append(stakes, oas.AccountStake{Node: b.Node.String(), Amount: amount(b.Contributions[i].Amount), Role: role, Reward: &reward})
		}
	}
	return stakes, amount(sum)
}

func accountOf(a chain.Address, acc machine.Account, height chain.Height) oas.Account {
	return oas.Account{Address: a.String(), Balance: amount(acc.Balance), Nonce: decimal(acc.Nonce), Height: int64(height)}
}

// ListAccounts pages through the accounts.
func (s *server) ListAccounts(ctx context.Context, req oas.ListAccountsRequestObject) (oas.ListAccountsResponseObject, error) {
	l, err := list(req.Params.Limit, req.Params.Cursor, "accounts")
	if err != nil {
		return nil, err
	}
	var after chain.Address
	if !l.first && len(l.after.key) != len(after) {
		return nil, errForeignCursor()
	}
	copy(after[:], l.after.key)
	out := oas.ListAccounts200JSONResponse{Items: []oas.Account{}}
	err = s.pinned(ctx, &l, req.Params.Height, func(m *machine.Machine) error {
		height := m.Head().Height
		out.Height, out.Total = int64(height), int64(m.AccountCount())
		// There may be very many: a page reads no more than itself.
		last := after
		for at, acc := range m.AccountsFrom(after) {
			switch {
			case !l.first && at == after:
			case len(out.Items) < l.limit:
				out.Items = append(out.Items, accountOf(at, acc, height))
				last = at
			default:
				out.NextCursor = l.token(last[:])
				return nil
			}
		}
		return nil
	})
	return out, err
}

// ListStakes pages through the bonds.
func (s *server) ListStakes(ctx context.Context, req oas.ListStakesRequestObject) (oas.ListStakesResponseObject, error) {
	l, err := list(req.Params.Limit, req.Params.Cursor, "stakes")
	if err != nil {
		return nil, err
	}
	var out oas.ListStakes200JSONResponse
	err = s.pinned(ctx, &l, req.Params.Height, func(m *machine.Machine) error {
		out.Height = int64(m.Head().Height)
		out.Items, out.NextCursor, out.Total = page(&l, m.Staking().All(),
			func(b staking.Bond) []byte { return b.Node[:] },
			func(b staking.Bond) oas.Stake { return bondOf(m, b) })
		return nil
	})
	return out, err
}

// GetStake serves the bond of one node.
func (s *server) GetStake(ctx context.Context, req oas.GetStakeRequestObject) (oas.GetStakeResponseObject, error) {
	id, err := nodeID("node", req.Node)
	if err != nil {
		return nil, err
	}
	var out oas.Stake
	err = s.at(ctx, req.Params.Height, func(m *machine.Machine, _ chain.SealedHeader) error {
		b, ok := m.Staking().Bond(id)
		if !ok {
			return notFound(codeStakeUnknown, "node "+req.Node+" has no bond")
		}
		out = bondOf(m, b)
		return nil
	})
	return oas.GetStake200JSONResponse(out), err
}
