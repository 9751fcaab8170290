package api

import (
	"context"
	"sync"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/ledger/machine"
	"tunic/registry"
)

// GetHealth says that the process is alive.
func (s *server) GetHealth(context.Context, oas.GetHealthRequestObject) (oas.GetHealthResponseObject, error) {
	return oas.GetHealth200JSONResponse{Status: oas.Ok, Height: int64(s.ledger.Head().Header.Height)}, nil
}

// GetReady says whether the ledger can be used.
func (s *server) GetReady(context.Context, oas.GetReadyRequestObject) (oas.GetReadyResponseObject, error) {
	if err := s.ledger.Err(); err != nil {
		return nil, err
	}
	head := s.ledger.Head().Header.Height
	if head == 0 {
		return nil, errNoHead()
	}
	return oas.GetReady200JSONResponse{Status: oas.Ok, Height: int64(head)}, nil
}

// GetNetwork serves the network file.
func (s *server) GetNetwork(context.Context, oas.GetNetworkRequestObject) (oas.GetNetworkResponseObject, error) {
	return oas.GetNetwork200JSONResponse(s.network), nil
}

// GetStatus sums the network up.
func (s *server) GetStatus(context.Context, oas.GetStatusRequestObject) (oas.GetStatusResponseObject, error) {
	core := s.ledger.Core()
	out := oas.GetStatus200JSONResponse{
		Version: s.cfg.Version, ChainId: int64(core.ChainID), GenesisHash: s.cfg.Network.Genesis.String(),
		Profile: string(core.Profile), Dev: core.Dev, Engine: oas.StatusEngine(core.Engine), Claim: core.Params.Claim(), Supply: amount(s.supply),
		Pending: s.ledger.Waiting(), Nodes: map[string]int{},
	}
	for state := registry.Registered; state <= registry.Tombstoned; state++ {
		out.Nodes[state.String()] = 0
	}
	s.ledger.View(func(m *machine.Machine) {
		h, st := m.Head(), m.Staking()
		out.EpochEndsMs, out.BlockIntervalMs = int64(core.EpochStart(h.DirEpoch+1)), int64(m.Core().Params.BlockInterval)
		taken := s.losses.of(m)
		out.Slashes, out.Slashed = taken.count, amount(taken.total)
		out.Height, out.TimeMs, out.Head = int64(h.Height), int64(h.Time), m.HeadHash().String()
		out.Epoch, out.Fork = int64(h.DirEpoch), int64(m.Fork())
		for n := range m.Registry().All() {
			out.Nodes[n.State.String()]++
			if n.Listed {
				out.Listed++
			}
		}
		bonded, burned, pool, due := st.Bonded(), st.Burned(), st.Pool(), st.Outstanding()
		out.Bonded, out.Burned, out.RewardPool, out.RewardsOutstanding = amount(bonded), amount(burned), amount(pool), amount(due)
		out.Held = amount(taken.held)
		out.Circulating = amount(s.supply - bonded - burned - pool - due - taken.held)
	})
	return out, nil
}

// losses sums up what all offences have cost, once per block: a status is asked
// for often. Safe for concurrent use.
type losses struct {
	mu   sync.Mutex
	head chain.Hash
	sum  taken // after head
}

// taken is what offences have cost.
type taken struct {
	count int          // offences, those that took nothing included
	total chain.Amount // correlation included
	held  chain.Amount // deposits, and reporters' parts that wait
}

func (l *losses) of(m *machine.Machine) taken {
	l.mu.Lock()
	defer l.mu.Unlock()
	if head := m.HeadHash(); l.head != head {
		l.head, l.sum = head, taken{held: m.Slashing().Held()}
		for _, r := range m.Slashing().All() {
			l.sum.count++
			l.sum.total += r.Total
			if x := r.Correlation.Settled; x != nil {
				l.sum.total += x.Total
			}
		}
	}
	return l.sum
}
