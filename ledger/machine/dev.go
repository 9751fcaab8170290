package machine

import (
	"fmt"

	"tunic/chain"
	"tunic/internal/wire"
)

// DevOp is what a dev network's sealer did by hand.
type DevOp uint8

// The operations. Revert and load raise the fork number: they stand first in
// the first block of the new fork, and only they can raise it.
const (
	DevFund   DevOp = 1
	DevRevert DevOp = 2
	DevLoad   DevOp = 3
)

// Dev is the payload of a dev transaction, so that a replay of the blocks gives
// the same state. docs/spec/dev.md, section Transactions.
type Dev struct {
	Op     DevOp
	Height chain.Height  // of the block that holds it
	To     chain.Address // fund
	Amount chain.Amount  // fund: out of the reward pool
	Fork   uint32        // revert and load: that begins
}

// Tx is the transaction: op 1 | height 8, then address 20 | amount 8 or fork 4.
func (d Dev) Tx() chain.Tx {
	b := wire.AppendUint64([]byte{byte(d.Op)}, uint64(d.Height))
	if d.Op == DevFund {
		b = wire.AppendUint64(append(b, d.To[:]...), uint64(d.Amount))
	} else {
		b = wire.AppendUint32(b, d.Fork)
	}
	return chain.Tx{Kind: chain.KindDev, Payload: b}
}

// DecodeDev reads the payload of a dev transaction.
func DecodeDev(payload []byte) (Dev, error) {
	r := wire.NewReader(payload)
	d := Dev{Op: DevOp(r.Uint8()), Height: chain.Height(r.Uint64())}
	switch d.Op {
	case DevFund:
		r.Copy(d.To[:])
		d.Amount = chain.Amount(r.Uint64())
	case DevRevert, DevLoad:
		d.Fork = r.Uint32()
	default:
		r.Fail(fmt.Errorf("operation %d", d.Op))
	}
	if err := r.Done(); err != nil {
		return Dev{}, fmt.Errorf("decode dev transaction: %w", err)
	}
	return d, nil
}

// raises reports whether an input's first transaction says that its fork begins.
func raises(in Input) bool {
	if len(in.Txs) == 0 || in.Txs[0].Err != nil {
		return false
	}
	d, ok := in.Txs[0].msg.(*Dev)
	return ok && d.Op != DevFund && d.Fork == in.Fork && d.Height == in.Height
}

func (m *Machine) dev(b *block, p *purse, d *Dev) error {
	switch {
	case !m.core.Dev:
		return chain.Refuse(CodeDevOnly, "not a dev network")
	case d.Height != b.height:
		return chain.Refuse(CodeDevMisplaced, "of height %d", d.Height)
	case d.Op != DevFund:
		// follows has seen that the block's first transaction is the one that
		// raises the fork; there is no other.
		if !b.raise || d.Fork != b.fork {
			return chain.Refuse(CodeDevMisplaced, "fork %d does not begin here", d.Fork)
		}
		b.raise = false
		return nil
	case d.Amount == 0:
		return chain.Refuse(CodeZeroAmount, "nothing to fund with")
	case d.To.IsZero():
		return chain.Refuse(CodeZeroAddress, "nobody can spend from the zero address")
	case !m.staking.TakePool(d.Amount):
		return chain.Refuse(CodeInsufficientFunds, "the reward pool holds %s", m.staking.Pool())
	}
	p.Credit(d.To, d.Amount)
	return nil
}
