package api

import (
	"bytes"
	"context"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/ledger/machine"
	"tunic/slashing"
)

// challengeState is how far a challenge has come.
func challengeState(c slashing.Challenge) string {
	switch {
	case c.Lapsed != nil:
		return "lapsed"
	case c.Drawn != 0:
		return "open"
	}
	return "waiting"
}

func challengeOf(c slashing.Challenge) oas.Challenge {
	st, promise := c.Promise()
	out := oas.Challenge{
		Id: c.ID.String(), State: challengeState(c), Node: st.Node.String(), Operator: c.Operator.String(), Challenger: c.Challenger.String(),
		Deposit: amount(c.Deposit), Receipt: bytes.Clone(c.Receipt), Chunks: int(promise.Class), UntilMs: int64(min(promise.Until, 1<<63-1)),
		Height: int64(c.Height), TimeMs: int64(c.Time),
	}
	if c.Drawn != 0 {
		epoch, chunk, due := int64(c.Drawn), int(c.Chunk), int64(c.Due)
		out.DrawnEpoch, out.Chunk, out.DueMs = &epoch, &chunk, &due
	}
	if l := c.Lapsed; l != nil {
		out.Lapsed = &oas.Lapse{Height: int64(l.Height), TimeMs: int64(l.Time), Epoch: int64(l.Epoch), UntilMs: int64(min(l.Until, 1<<63-1))}
	}
	return out
}

// ListChallenges pages through the challenges that stand in the state.
func (s *server) ListChallenges(ctx context.Context, req oas.ListChallengesRequestObject) (oas.ListChallengesResponseObject, error) {
	node, state := text(req.Params.Node), text(req.Params.State)
	l, err := list(req.Params.Limit, req.Params.Cursor, "challenges", node, state)
	if err != nil {
		return nil, err
	}
	var out oas.ListChallenges200JSONResponse
	err = s.pinned(ctx, &l, req.Params.Height, func(m *machine.Machine) error {
		all := func(yield func(slashing.Challenge) bool) {
			for c := range m.Slashing().Challenges() {
				if (node == "" || c.Node().String() == node) && (state == "" || challengeState(c) == state) && !yield(c) {
					return
				}
			}
		}
		out.Height = int64(m.Head().Height)
		out.Items, out.NextCursor, out.Total = page(&l, all, func(c slashing.Challenge) []byte { return c.ID[:] }, challengeOf)
		return nil
	})
	return out, err
}

// GetChallenge serves one challenge.
func (s *server) GetChallenge(ctx context.Context, req oas.GetChallengeRequestObject) (oas.GetChallengeResponseObject, error) {
	id, err := chain.ParseHash(req.Challenge)
	if err != nil {
		return nil, field(codeInvalidRequest, "challenge", "is not a hash")
	}
	var c slashing.Challenge
	err = s.at(ctx, req.Params.Height, func(m *machine.Machine, _ chain.SealedHeader) error {
		var ok bool
		if c, ok = m.Slashing().Challenge(id); !ok {
			return notFound(codeChallengeGone, "challenge "+req.Challenge+" is not open and has not lapsed: there was none, it was answered, or its loss can be punished no more")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return oas.GetChallenge200JSONResponse(challengeOf(c)), nil
}
