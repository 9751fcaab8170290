package bench

import (
	"crypto/ed25519"
	"fmt"
	"time"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/statement"
	"tunic/ledger"
	"tunic/onion"
)

// Ops are single operations, each the median of some rounds, in nanoseconds on
// one core.
type Ops struct {
	SignNS      int64 `json:"sign_ns"`       // Ed25519
	VerifyNS    int64 `json:"verify_ns"`     // Ed25519
	VRFProveNS  int64 `json:"vrf_prove_ns"`  // ECVRF-EDWARDS25519-SHA512-ELL2
	VRFVerifyNS int64 `json:"vrf_verify_ns"` // the same
	WrapNS      int64 `json:"wrap_ns"`       // one packet of four layers
	PeelNS      int64 `json:"peel_ns"`       // one layer of it
}

// measureOps takes about 50 ms.
func measureOps() (Ops, error) {
	const rounds, batch = 15, 8
	seed := chain.SHA256([]byte("tunic bench op"))
	key, vrf := ed25519.NewKeyFromSeed(seed[:]), beacon.NewKey(seed)
	node := chain.NodeID(key.Public().(ed25519.PublicKey))
	domain := statement.Domain{Genesis: seed}
	body := make([]byte, 128) // about a heartbeat
	sig := domain.SignRaw(key, statement.LabelHeartbeat, body)
	proof := vrf.Prove(body)
	packets, err := newPeelSubject(onion.Small, statement.ProbeLayers, batch)
	if err != nil {
		return Ops{}, err
	}
	each := func(op func() error) func() (int64, error) {
		return func() (int64, error) {
			begin := time.Now()
			for range batch {
				if err := op(); err != nil {
					return 0, err
				}
			}
			return int64(time.Since(begin)) / batch, nil
		}
	}
	timers := []func() (int64, error){
		each(func() error { domain.SignRaw(key, statement.LabelHeartbeat, body); return nil }),
		each(func() error { return domain.VerifyRaw(node, statement.LabelHeartbeat, body, sig) }),
		each(func() error { vrf.Prove(body); return nil }),
		each(func() error { _, err := beacon.Verify(vrf.Public(), body, proof); return err }),
		each(func() error { _, err := packets.wrap(); return err }),
		func() (int64, error) {
			packets.restore()
			begin := time.Now()
			err := packets.peelAll(batch)
			return int64(time.Since(begin)) / batch, err
		},
	}
	took := make([][]int64, len(timers))
	for round := -1; round < rounds; round++ { // the first round warms up
		for i, t := range timers {
			ns, err := t()
			if err != nil {
				return Ops{}, err
			}
			if round >= 0 {
				took[i] = append(took[i], ns)
			}
		}
	}
	return Ops{SignNS: median(took[0]), VerifyNS: median(took[1]), VRFProveNS: median(took[2]),
		VRFVerifyNS: median(took[3]), WrapNS: median(took[4]), PeelNS: median(took[5])}, nil
}

// work is what blocks show that nobody could leave out.
type work struct {
	blocks     int // sealed
	statements int // signed and verified
	proofs     int // VRF proofs made and verified; heartbeats of one epoch share theirs
	probes     int // packets of four layers
}

// proven is what a VRF proof is made for.
type proven struct {
	node  chain.NodeID
	epoch chain.Epoch
	label statement.Label
}

// countWork reads the blocks from from to to.
func countWork(l *ledger.Ledger, from, to chain.Height) (work, error) {
	var w work
	known := map[proven]bool{}
	for h := from; h <= to; h++ {
		b, err := l.Block(h)
		if err != nil {
			return w, fmt.Errorf("read what was advanced through: %w", err)
		}
		w.blocks++
		for _, encoded := range b.Txs {
			tx, err := chain.DecodeTx(encoded)
			if err != nil || tx.Kind != chain.KindPublish {
				continue
			}
			s, err := statement.Decode(tx.Payload)
			if err != nil {
				continue
			}
			w.statements++
			if n, ok := reveals(s); ok {
				w.probes += n
				known[proven{s.Node, s.Sequence.Epoch(), s.Label}] = true
			}
		}
	}
	w.proofs = len(known)
	return w, nil
}

// reveals reports whether s carries a VRF proof, and of how many probes it shows
// that they were sent.
func reveals(s statement.Statement) (probes int, ok bool) {
	switch s.Label {
	case statement.LabelHeartbeat:
		return 0, true
	case statement.LabelCommitment:
		if c, err := statement.DecodeCommitment(s.Body); err == nil && c.Reveal != nil {
			return len(c.Reveal.Probes), true
		}
	}
	return 0, false
}

// least is what w takes on one core if nothing is done twice and nothing else
// is done at all.
func (w work) least(o Ops) time.Duration {
	ns := int64(w.blocks+w.statements)*(o.SignNS+o.VerifyNS) + int64(w.proofs)*(o.VRFProveNS+o.VRFVerifyNS) +
		int64(w.probes)*(o.WrapNS+statement.ProbeLayers*o.PeelNS)
	return time.Duration(ns)
}
