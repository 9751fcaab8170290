package api

import (
	"context"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/internal/table"
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

// GetAccount serves one account, with a state proof if wanted.
func (s *server) GetAccount(_ context.Context, req oas.GetAccountRequestObject) (oas.GetAccountResponseObject, error) {
	a, err := address("address", req.Address)
	if err != nil {
		return nil, err
	}
	var (
		out   oas.Account
		nonce uint64
		proof = req.Params.Proof != nil && *req.Params.Proof
	)
	s.atHead(func(m *machine.Machine, head chain.SealedHeader) {
		if proof && head.Header.Height == 0 {
			err = errNoHead()
			return
		}
		acc := m.Account(a)
		out, nonce = accountOf(a, acc, head.Header.Height), acc.Nonce
		stakes := []oas.AccountStake{}
		for b := range m.Staking().All() {
			if i := b.Index(a); i >= 0 {
				role := oas.Contributor
				if a == b.Operator {
					role = oas.Operator
				}
				stakes = append(stakes, oas.AccountStake{Node: b.Node.String(), Amount: amount(b.Contributions[i].Amount), Role: role})
			}
		}
		out.Stakes = &stakes
		if proof {
			out.Proof = stateProof(m, head, machine.PartAccounts, m.AccountKey(a))
		}
	})
	if err != nil {
		return nil, err
	}
	next := decimal(max(nonce, s.ledger.NextNonce(a)))
	out.NextNonce = &next
	return oas.GetAccount200JSONResponse(out), nil
}

func accountOf(a chain.Address, acc machine.Account, height chain.Height) oas.Account {
	return oas.Account{Address: a.String(), Balance: amount(acc.Balance), Nonce: decimal(acc.Nonce), Height: int64(height)}
}

// stateProof proves a row, or its absence, against the head's header.
func stateProof(m *machine.Machine, head chain.SealedHeader, part machine.Part, key []byte) *oas.StateProof {
	p := m.Prove(part, key)
	out := &oas.StateProof{Header: head.Encode(), Part: part.String(), Key: key, Membership: table.AppendMembership(nil, p.Row)}
	for i, root := range p.Roots {
		out.Parts = append(out.Parts, struct {
			Count int64    `json:"count"`
			Name  string   `json:"name"`
			Root  oas.Hash `json:"root"`
		}{int64(root.Count), machine.Part(i).String(), chain.Hash(root.Root).String()})
	}
	return out
}

// ListAccounts pages through the accounts.
func (s *server) ListAccounts(_ context.Context, req oas.ListAccountsRequestObject) (oas.ListAccountsResponseObject, error) {
	l, err := list(req.Params.Limit, req.Params.Cursor, "accounts")
	if err != nil {
		return nil, err
	}
	var after chain.Address
	if !l.first && len(l.after.key) != len(after) {
		return nil, field(codeInvalidCursor, "cursor", "not a next_cursor of this list with these filters")
	}
	copy(after[:], l.after.key)
	out := oas.ListAccounts200JSONResponse{Items: []oas.Account{}}
	s.ledger.View(func(m *machine.Machine) {
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
				out.NextCursor = l.token(height, last[:])
				return
			}
		}
	})
	return out, nil
}

// ListStakes pages through the bonds.
func (s *server) ListStakes(_ context.Context, req oas.ListStakesRequestObject) (oas.ListStakesResponseObject, error) {
	l, err := list(req.Params.Limit, req.Params.Cursor, "stakes")
	if err != nil {
		return nil, err
	}
	var out oas.ListStakes200JSONResponse
	s.ledger.View(func(m *machine.Machine) {
		out.Height = int64(m.Head().Height)
		out.Items, out.NextCursor, out.Total = page(l, m.Head().Height, m.Staking().All(),
			func(b staking.Bond) []byte { return b.Node[:] },
			func(b staking.Bond) oas.Stake { return stakeOf(b, m.Core().Params.StakingRequirement) })
	})
	return out, nil
}

// GetStake serves the bond of one node.
func (s *server) GetStake(_ context.Context, req oas.GetStakeRequestObject) (oas.GetStakeResponseObject, error) {
	id, err := nodeID("node", req.Node)
	if err != nil {
		return nil, err
	}
	var (
		out oas.Stake
		ok  bool
	)
	s.ledger.View(func(m *machine.Machine) {
		var b staking.Bond
		if b, ok = m.Staking().Bond(id); ok {
			out = stakeOf(b, m.Core().Params.StakingRequirement)
		}
	})
	if !ok {
		return nil, notFound(codeStakeUnknown, "node "+req.Node+" has no bond")
	}
	return oas.GetStake200JSONResponse(out), nil
}
