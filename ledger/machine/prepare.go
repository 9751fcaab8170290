package machine

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/merkle"
	"tunic/registry"
	"tunic/slashing"
	"tunic/staking"
)

// Prepared is a transaction with all that can be known of it without state:
// decoded, hashed and, for an account's, its signature recovered. It costs one
// public-key recovery; make it once, when the transaction is first seen.
type Prepared struct {
	Bytes  []byte // the canonical encoding
	ID     chain.Hash
	Tx     chain.Tx
	Head   chain.Head          // zero for a publish
	Sender chain.Address       // zero for a publish
	St     statement.Statement // a publish's statement; its signature is not checked yet
	Err    *chain.Refusal      // why no state could accept it, or nil

	leaf merkle.Hash
	msg  any // *T of the kind's TypeDef
}

// IsPublish reports whether p carries a node's statement.
func (p *Prepared) IsPublish() bool { return p.Tx.Kind == chain.KindPublish }

// Cost is the most that p takes from its sender's balance: the fee and what it
// moves or bonds. What would not fit is all there can be.
func (p *Prepared) Cost() chain.Amount {
	var moved chain.Amount
	switch v := p.msg.(type) {
	case *Transfer:
		moved = v.Amount
	case *registry.Register:
		moved = v.Amount
	case *staking.Contribute:
		moved = v.Amount
	case *slashing.OpenChallenge:
		moved = v.Deposit
	case *slashing.CommitDisclosure:
		moved = v.Deposit
	}
	if sum, ok := p.Head.Fee.Add(moved); ok {
		return sum
	}
	return ^chain.Amount(0)
}

// Prepare decodes one transaction and recovers its sender. The result aliases tx.
func (in *Intake) Prepare(tx []byte) Prepared {
	p := Prepared{Bytes: tx, ID: chain.SHA256(tx), leaf: merkle.Leaf(tx)}
	t, err := chain.DecodeTx(tx)
	if err != nil {
		p.Err = chain.Refuse(CodeMalformed, "%v", err)
		return p
	}
	p.Tx = t
	if t.Kind == chain.KindPublish {
		if p.St, err = statement.Decode(t.Payload); err != nil {
			p.Err = chain.Refuse(CodeMalformed, "%v", err)
		}
		return p
	}
	if t.Kind == chain.KindMisbehaviour {
		if p.msg, err = DecodeMisbehaviour(t.Payload); err != nil {
			p.Err = chain.Refuse(CodeMalformed, "%v", err)
		}
		return p
	}
	if t.Kind == chain.KindDev {
		d, err := DecodeDev(t.Payload)
		if err != nil {
			p.Err = chain.Refuse(CodeMalformed, "%v", err)
		}
		p.msg = &d
		return p
	}
	k, ok := kinds[t.Kind]
	if !ok {
		p.Err = chain.Refuse(CodeUnknownKind, "kind %d", t.Kind)
		return p
	}
	if p.msg, p.Head, err = k.decode(t.Payload); err != nil {
		p.Err = chain.Refuse(CodeMalformed, "%v", err)
		return p
	}
	if p.Sender, err = in.domain.Sender(k.schema, t); err != nil {
		code := CodeMalformed
		if errors.Is(err, chain.ErrSignature) {
			code = CodeBadSignature
		}
		p.Err = chain.Refuse(code, "%v", err)
	}
	return p
}

// PrepareAll prepares many transactions on all cores; the order is kept.
func (in *Intake) PrepareAll(txs [][]byte) []Prepared {
	out := make([]Prepared, len(txs))
	workers := min(runtime.GOMAXPROCS(0), (len(txs)+7)/8)
	if workers <= 1 {
		for i, tx := range txs {
			out[i] = in.Prepare(tx)
		}
		return out
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				at := int(next.Add(8)) - 8
				if at >= len(txs) {
					return
				}
				for i := at; i < min(at+8, len(txs)); i++ {
					out[i] = in.Prepare(txs[i])
				}
			}
		})
	}
	wg.Wait()
	return out
}

// Intake is what Prepare needs of a network: safe for concurrent use, immutable.
type Intake struct {
	domain chain.Domain
}

// NewIntake makes it for one network.
func NewIntake(chainID uint64, genesis chain.Hash) *Intake {
	return &Intake{chain.NewDomain(chainID, genesis)}
}
