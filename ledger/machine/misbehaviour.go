package machine

import (
	"fmt"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/wire"
	"tunic/slashing"
)

// MisbehaviourTx is the transaction by which an engine says what it found of a
// validator (docs/spec/chain.md, Misbehaviour): fault 1 | validator 32 | height 8 | time 8 |
// power 8 | total 8. It stands in blocks so that a replay gives the same state; an
// engine puts it before all others.
func MisbehaviourTx(c slashing.Conclusion) chain.Tx {
	b := append([]byte{byte(c.Fault)}, c.Node[:]...)
	for _, x := range []uint64{uint64(c.Height), uint64(c.Time), c.Power, c.Total} {
		b = wire.AppendUint64(b, x)
	}
	return chain.Tx{Kind: chain.KindMisbehaviour, Payload: b}
}

// DecodeMisbehaviour reads the payload of such a transaction.
func DecodeMisbehaviour(payload []byte) (slashing.Conclusion, error) {
	r := wire.NewReader(payload)
	c := slashing.Conclusion{Fault: slashing.Fault(r.Uint8())}
	r.Copy(c.Node[:])
	c.Height, c.Time = chain.Height(r.Uint64()), chain.Time(r.Uint64())
	c.Power, c.Total = r.Uint64(), r.Uint64()
	if !c.Fault.Known() && r.Err() == nil {
		r.Fail(fmt.Errorf("fault %d", c.Fault))
	}
	if err := r.Done(); err != nil {
		return slashing.Conclusion{}, fmt.Errorf("decode misbehaviour: %w", err)
	}
	return c, nil
}

func (m *Machine) misbehaved(b *block, p *purse, c slashing.Conclusion) error {
	switch {
	case m.core.Engine != genesis.EngineComet:
		return chain.Refuse(CodeEngineOnly, "the engine of this network finds no misbehaviour")
	case c.Height >= b.height || c.Time > b.time:
		return chain.Refuse(CodeMalformed, "misbehaviour of height %d in block %d", c.Height, b.height)
	}
	r, err := m.slashing.Conclude(c, b.slashing(), bonds{m, b, p}, nodes{m, b})
	if err != nil {
		return err
	}
	m.emptied(b, r)
	return nil
}
