package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"slices"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/ledger/machine"
	"tunic/staking"
)

// bondOf is a bond of the state with what each part of it has earned.
func bondOf(m *machine.Machine, b staking.Bond) oas.Stake {
	requirement := m.Core().Params.StakingRequirement
	out := oas.Stake{
		Node: b.Node.String(), Operator: b.Operator.String(), FeeBps: int(b.Fee), Total: amount(b.Total()),
		Requirement: amount(requirement), FullyStaked: !b.Closed() && b.Total() >= requirement,
		Contributions: make([]oas.Contribution, len(b.Contributions)),
		UnlockAtMs:    nonZero(b.UnlockAt), LockedUntilMs: nonZero(b.LockedUntil),
	}
	if b.Closed() {
		out.FreeAtMs = nonZero(b.MaturesAt())
	}
	due := m.Staking().Due(b.Node)
	for i, c := range b.Contributions {
		reward := amount(due[i].Amount)
		out.Contributions[i] = oas.Contribution{Account: c.Account.String(), Amount: amount(c.Amount), Reward: &reward}
	}
	return out
}

// ListUnlocking pages through the bonds on their way out, unlocking or locked,
// those that can be withdrawn first at the top.
func (s *server) ListUnlocking(ctx context.Context, req oas.ListUnlockingRequestObject) (oas.ListUnlockingResponseObject, error) {
	l, err := list(req.Params.Limit, req.Params.Cursor, "unlocking")
	if err != nil {
		return nil, err
	}
	var out oas.ListUnlocking200JSONResponse
	err = s.pinned(ctx, &l, req.Params.Height, func(m *machine.Machine) error {
		var closed []staking.Bond
		for b := range m.Staking().All() {
			if b.Closed() {
				closed = append(closed, b)
			}
		}
		slices.SortFunc(closed, func(a, b staking.Bond) int {
			return cmp.Or(cmp.Compare(a.MaturesAt(), b.MaturesAt()), bytes.Compare(a.Node[:], b.Node[:]))
		})
		out.Height = int64(m.Head().Height)
		out.Items, out.NextCursor, out.Total = page(&l, slices.Values(closed),
			func(b staking.Bond) []byte {
				return append(binary.BigEndian.AppendUint64(nil, uint64(b.MaturesAt())), b.Node[:]...)
			},
			func(b staking.Bond) oas.Stake { return bondOf(m, b) })
		return nil
	})
	return out, err
}

// GetRewards says what a block pays and from what, and how many share in it.
func (s *server) GetRewards(ctx context.Context, req oas.GetRewardsRequestObject) (oas.GetRewardsResponseObject, error) {
	var out oas.GetRewards200JSONResponse
	err := s.at(ctx, req.Params.Height, func(m *machine.Machine, of chain.SealedHeader) error {
		st := m.Staking()
		out = oas.GetRewards200JSONResponse{Height: int64(of.Header.Height), PerBlock: amount(m.Core().Params.BlockReward),
			Pool: amount(st.Pool()), Outstanding: amount(st.Outstanding()), Earning: int64(st.Earning())}
		return nil
	})
	return out, err
}
