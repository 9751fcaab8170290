package machine

import (
	"tunic/chain"
	"tunic/registry"
	"tunic/slashing"
	"tunic/staking"
)

// Refusal codes of the machine itself; the reducers add theirs.
// docs/spec/chain.md lists all of them.
const (
	CodeMalformed         = "malformed_transaction"
	CodeUnknownKind       = "unknown_kind"
	CodeBadSignature      = "bad_signature"
	CodeNonceUsed         = "nonce_used"
	CodeNonceGap          = "nonce_gap"
	CodeExpired           = "expired"
	CodeFeeTooLow         = "fee_too_low"
	CodeInsufficientFunds = "insufficient_funds"
	CodeZeroAmount        = "zero_amount"
	CodeZeroAddress       = "zero_address"
	CodeUnknownLabel      = "unknown_label"
	CodeTooManyPublishes  = "too_many_publishes"
	CodeWrongFork         = "wrong_fork"
	CodeUnknownNode       = "unknown_node"
	CodeDevOnly           = "dev_only"      // a control of dev networks, elsewhere or from outside
	CodeEngineOnly        = "engine_only"   // what only the engine of a network says of a validator
	CodeDevMisplaced      = "dev_misplaced" // of another height or fork, or not where a fork begins
	CodeRefused           = "refused"       // a reducer's error without a code of its own
)

// Transfer moves Amount from the sender to To.
type Transfer struct {
	Head   chain.Head
	To     chain.Address
	Amount chain.Amount
}

// TransferType is the table of Transfer.
var TransferType = chain.Define(chain.KindTransfer, "Transfer", func(t *Transfer) *chain.Head { return &t.Head },
	chain.Addr("to", func(t *Transfer) *chain.Address { return &t.To }),
	chain.Uint64("amount", func(t *Transfer) *chain.Amount { return &t.Amount }))

// kind joins a kind of account transaction to its table and its reducer.
type kind struct {
	schema *chain.Schema
	decode func(payload []byte) (msg any, head chain.Head, err error)
	apply  func(m *Machine, b *block, p *purse, sender chain.Address, msg any) error
}

func join[T any](d *chain.TypeDef[T], head func(*T) *chain.Head, apply func(*Machine, *block, *purse, chain.Address, *T) error) kind {
	return kind{
		schema: d.Schema(),
		decode: func(payload []byte) (any, chain.Head, error) {
			v, err := d.Decode(payload)
			return &v, *head(&v), err
		},
		apply: func(m *Machine, b *block, p *purse, sender chain.Address, msg any) error {
			return apply(m, b, p, sender, msg.(*T))
		},
	}
}

// kinds is the one table from kind to TypeDef and reducer.
var kinds = map[chain.Kind]kind{
	chain.KindTransfer:      join(TransferType, func(t *Transfer) *chain.Head { return &t.Head }, (*Machine).transfer),
	chain.KindRegister:      join(registry.RegisterType, func(t *registry.Register) *chain.Head { return &t.Head }, (*Machine).register),
	chain.KindContribute:    join(staking.ContributeType, func(t *staking.Contribute) *chain.Head { return &t.Head }, (*Machine).contribute),
	chain.KindRequestUnlock: join(staking.RequestUnlockType, func(t *staking.RequestUnlock) *chain.Head { return &t.Head }, (*Machine).requestUnlock),
	chain.KindWithdraw:      join(staking.WithdrawType, func(t *staking.Withdraw) *chain.Head { return &t.Head }, (*Machine).withdraw),
	chain.KindSubmitProof:   join(slashing.SubmitProofType, func(t *slashing.SubmitProof) *chain.Head { return &t.Head }, (*Machine).submitProof),
	chain.KindChallenge:     join(slashing.ChallengeType, func(t *slashing.OpenChallenge) *chain.Head { return &t.Head }, (*Machine).challenge),
	chain.KindChangeParams:  join(ChangeParamsType, func(t *ChangeParams) *chain.Head { return &t.Head }, (*Machine).changeParams),

	chain.KindCommitDisclosure: join(slashing.CommitDisclosureType, func(t *slashing.CommitDisclosure) *chain.Head { return &t.Head }, (*Machine).commitDisclosure),

	chain.KindValidate: join(registry.ValidateType, func(t *registry.Validate) *chain.Head { return &t.Head }, (*Machine).validate),
	chain.KindResign:   join(registry.ResignType, func(t *registry.Resign) *chain.Head { return &t.Head }, (*Machine).resign),
}

// order is how Schemas lists the kinds.
var order = []chain.Kind{chain.KindTransfer, chain.KindRegister, chain.KindContribute,
	chain.KindRequestUnlock, chain.KindWithdraw, chain.KindSubmitProof, chain.KindChangeParams, chain.KindChallenge, chain.KindCommitDisclosure,
	chain.KindValidate, chain.KindResign}

// Schemas are the EIP-712 tables of all account transactions, by kind.
func Schemas() []*chain.Schema {
	out := make([]*chain.Schema, 0, len(order))
	for _, k := range order {
		if d, ok := kinds[k]; ok {
			out = append(out, d.schema)
		}
	}
	return out
}

// SchemaOf is the table of one kind; false for a publish and unknown kinds.
func SchemaOf(k chain.Kind) (*chain.Schema, bool) {
	d, ok := kinds[k]
	return d.schema, ok
}

// check asks what needs no state.
func (t *Transfer) check() error {
	switch {
	case t.Amount == 0:
		return chain.Refuse(CodeZeroAmount, "a transfer of nothing")
	case t.To.IsZero():
		return chain.Refuse(CodeZeroAddress, "nobody can spend from the zero address")
	}
	return nil
}

func (m *Machine) transfer(_ *block, p *purse, sender chain.Address, t *Transfer) error {
	if err := t.check(); err != nil {
		return err
	}
	if p.Balance(sender) < t.Amount {
		return chain.Refuse(CodeInsufficientFunds, "balance %s after the fee, transfer of %s", p.Balance(sender), t.Amount)
	}
	p.Debit(sender, t.Amount)
	p.Credit(t.To, t.Amount)
	return nil
}
