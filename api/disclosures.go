package api

import (
	"context"
	"encoding/binary"
	"slices"

	"tunic/api/oas"
	"tunic/ledger/machine"
	"tunic/slashing"
)

// liveCommit is a live commit with its round.
type liveCommit struct {
	slashing.CommitKey
	slashing.Commit
	round slashing.Round
}

// age orders commits as they were made.
func (c liveCommit) age() []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, uint64(c.Epoch)), c.Number)
}

func disclosureOf(c liveCommit) oas.Disclosure {
	out := oas.Disclosure{Account: c.Account.String(), Commitment: c.Hash.String(), Epoch: int64(c.Epoch), Height: int64(c.Height),
		Number: int64(c.Number), Deposit: amount(c.Deposit), Held: amount(c.Held), Offence: named(c.Offence)}
	if at, begun := c.round.Lapses(); begun {
		lapses := int64(at)
		out.LapsesHeight = &lapses
	}
	return out
}

// ListDisclosures pages through the live commits to disclosures.
func (s *server) ListDisclosures(ctx context.Context, req oas.ListDisclosuresRequestObject) (oas.ListDisclosuresResponseObject, error) {
	who := text(req.Params.Account)
	l, err := list(req.Params.Limit, req.Params.Cursor, "disclosures", who)
	if err != nil {
		return nil, err
	}
	var out oas.ListDisclosures200JSONResponse
	err = s.pinned(ctx, &l, req.Params.Height, func(m *machine.Machine) error {
		var all []liveCommit
		for r := range m.Slashing().Rounds() {
			first := len(all)
			for k, c := range m.Slashing().CommitsOf(r.Epoch) {
				if who == "" || k.Account.String() == who {
					all = append(all, liveCommit{k, c, r})
				}
			}
			slices.SortFunc(all[first:], func(a, b liveCommit) int { return int(int64(a.Number) - int64(b.Number)) })
		}
		out.Height = int64(m.Head().Height)
		out.Items, out.NextCursor, out.Total = page(&l, slices.Values(all), liveCommit.age, disclosureOf)
		return nil
	})
	return out, err
}
