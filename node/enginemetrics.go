package node

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tunic/chain"
)

// EngineState is what an engine may say of itself, for metrics: an Engine with a
// method State() (EngineState, bool) is asked for it.
type EngineState struct {
	Height     chain.Height // that is being decided
	Round      int          // of it; above 0 where validators did not agree at once
	Peers      int          // links to other validators that are open
	Validators int          // who decide it
	Votes      bool         // this one is among them
	Signed     int          // of those who could sign the newest block, who did
	Signers    int          // and those
	Block      time.Time    // time of the newest block; zero before the first
	Waiting    int          // transactions that it spreads
	Syncing    bool         // it fetches blocks and does not vote
}

// stateOf finds what an engine says of itself.
func stateOf(e Engine) func() (EngineState, bool) {
	if x, ok := e.(interface{ State() (EngineState, bool) }); ok {
		return x.State
	}
	return nil
}

// Watch shows an engine's state beside the ledger's; state is asked for each time.
func (m *Metrics) Watch(state func() (EngineState, bool)) {
	m.registry.MustRegister(engineCollector(state))
}

type engineCollector func() (EngineState, bool)

// engineGauges are the metrics of an engine.
var engineGauges = []struct {
	desc  *prometheus.Desc
	value func(EngineState) float64
}{
	{engineDesc("height", "Height that is being decided."), func(s EngineState) float64 { return float64(s.Height) }},
	{engineDesc("round", "Round of that height; above 0 where validators did not agree at once."), func(s EngineState) float64 { return float64(s.Round) }},
	{engineDesc("peers", "Links to other validators that are open."), func(s EngineState) float64 { return float64(s.Peers) }},
	{engineDesc("validators", "Validators that decide it."), func(s EngineState) float64 { return float64(s.Validators) }},
	{engineDesc("votes", "1 where this one is among them."), func(s EngineState) float64 { return oneIf(s.Votes) }},
	{engineDesc("last_commit_signed", "Validators whose vote for the newest block was seen."), func(s EngineState) float64 { return float64(s.Signed) }},
	{engineDesc("last_commit_signers", "Validators that could vote for it."), func(s EngineState) float64 { return float64(s.Signers) }},
	{engineDesc("last_block_time_seconds", "Time of the newest block, in seconds since the Unix epoch; 0 before the first."), func(s EngineState) float64 {
		if s.Block.IsZero() {
			return 0
		}
		return float64(s.Block.UnixMilli()) / 1000
	}},
	{engineDesc("mempool_transactions", "Transactions that it spreads among validators."), func(s EngineState) float64 { return float64(s.Waiting) }},
	{engineDesc("syncing", "1 while it fetches blocks of others, and does not vote."), func(s EngineState) float64 { return oneIf(s.Syncing) }},
}

func engineDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("tunic_engine_"+name, help, nil, nil)
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Describe names what Collect gives.
func (engineCollector) Describe(to chan<- *prometheus.Desc) {
	for _, g := range engineGauges {
		to <- g.desc
	}
}

// Collect reads the state once; nothing of an engine that has ended.
func (state engineCollector) Collect(to chan<- prometheus.Metric) {
	s, ok := state()
	if !ok {
		return
	}
	for _, g := range engineGauges {
		to <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.value(s))
	}
}
