package registry

import (
	"bytes"
	"slices"

	"tunic/chain"
	"tunic/chain/state"
	"tunic/internal/table"
	"tunic/registry/directory"
)

// MaxValidators bounds how many nodes seal together.
const MaxValidators = 100

// Refusal codes of validators.
const (
	CodeNoValidators     = "no_validators"     // the sealers of this network stand in genesis
	CodeNotOperator      = "not_operator"      // only the operator says what its node does
	CodeNotFullyStaked   = "not_fully_staked"  // a validator has the whole requirement at stake
	CodeAlreadyValidator = "already_validator" // it seals already
	CodeNotValidator     = "not_validator"
	CodeValidatorsFull   = "validators_full" // there are MaxValidators
	CodeLastValidator    = "last_validator"  // without it nobody would seal
)

// Validate makes a node one of the validators, and Resign ends that. Both act two
// blocks later. What the node publishes as a relay, if it is one, is another matter.
type (
	Validate struct {
		chain.Head
		Node chain.NodeID
	}
	Resign struct {
		chain.Head
		Node chain.NodeID
	}
)

// ValidateType and ResignType are the kinds of transactions.
var (
	ValidateType = chain.Define(chain.KindValidate, "Validate", func(v *Validate) *chain.Head { return &v.Head },
		chain.Bytes32("node", func(v *Validate) *chain.NodeID { return &v.Node }))
	ResignType = chain.Define(chain.KindResign, "Resign", func(v *Resign) *chain.Head { return &v.Head },
		chain.Bytes32("node", func(v *Resign) *chain.NodeID { return &v.Node }))
)

// Validator is what the state says of a node that seals.
type Validator = state.Validator

// ValidatorChange is a node that begins or ends to be a validator in a block.
type ValidatorChange struct {
	Node  chain.NodeID
	Seals bool
}

var validatorCodec = table.Codec[chain.NodeID, Validator]{
	Prefix: PrefixValidators, AppendKey: appendID, ReadKey: readID,
	AppendValue: state.AppendValidator, ReadValue: state.ReadValidator,
}

// Stakes says whether a node has its whole stake at work.
type Stakes interface {
	FullyStaked(node chain.NodeID) bool
}

// Found registers a validator of genesis, whose bond is open already. It has no VRF
// key and so can publish no heartbeat: it is no relay.
func (r *Registry) Found(id chain.NodeID, operator chain.Address, at chain.Time) {
	n := Node{ID: id, Operator: operator, Swarm: directory.NoSwarm, PreviousSwarm: directory.NoSwarm, Performance: 1000}
	r.enter(&n, Registered, "validator of genesis", chain.Hash{}, Context{Time: at})
	r.put(n)
	r.setValidator(id, true, 0)
}

// CheckValidate asks all of Validate's questions but those of the stake.
func (r *Registry) CheckValidate(sender chain.Address, tx Validate) error {
	n, err := r.owned(sender, tx.Node)
	switch {
	case err != nil:
		return err
	case !n.State.serving():
		return chain.Refuse(CodeWrongState, "node %s is %s", tx.Node.Short(), n.State)
	case r.IsValidator(tx.Node):
		return chain.Refuse(CodeAlreadyValidator, "node %s seals already", tx.Node.Short())
	case r.validators.Len() >= MaxValidators:
		return chain.Refuse(CodeValidatorsFull, "%d nodes seal; one must resign first", MaxValidators)
	}
	return nil
}

// Validate makes the sender's node a validator.
func (r *Registry) Validate(sender chain.Address, tx Validate, ctx Context, stakes Stakes) error {
	if err := r.CheckValidate(sender, tx); err != nil {
		return err
	}
	if !stakes.FullyStaked(tx.Node) {
		return chain.Refuse(CodeNotFullyStaked, "node %s has not its whole stake", tx.Node.Short())
	}
	r.setValidator(tx.Node, true, ctx.Height)
	return nil
}

// CheckResign asks all of Resign's questions.
func (r *Registry) CheckResign(sender chain.Address, tx Resign) error {
	if _, err := r.owned(sender, tx.Node); err != nil {
		return err
	}
	if !r.IsValidator(tx.Node) {
		return chain.Refuse(CodeNotValidator, "node %s does not seal", tx.Node.Short())
	}
	return r.CheckUnlock(tx.Node)
}

// Resign ends that the sender's node is a validator.
func (r *Registry) Resign(sender chain.Address, tx Resign) error {
	if err := r.CheckResign(sender, tx); err != nil {
		return err
	}
	r.setValidator(tx.Node, false, 0)
	return nil
}

// CheckUnlock refuses that the last validator unlocks.
func (r *Registry) CheckUnlock(node chain.NodeID) error {
	if r.IsValidator(node) && r.validators.Len() == 1 {
		return chain.Refuse(CodeLastValidator, "nobody but node %s seals; another must begin first", node.Short())
	}
	return nil
}

// Retire ends that a node is a validator, whoever wants it, but for the last one:
// a ledger cannot go on without any.
func (r *Registry) Retire(node chain.NodeID) {
	if r.IsValidator(node) && r.validators.Len() > 1 {
		r.setValidator(node, false, 0)
	}
}

// owned is the node of an operator, on a network that has validators.
func (r *Registry) owned(sender chain.Address, node chain.NodeID) (Node, error) {
	n, ok := r.Node(node)
	switch {
	case r.validators.Len() == 0:
		return n, chain.Refuse(CodeNoValidators, "the sealers of this network stand in genesis")
	case !ok:
		return n, chain.Refuse(CodeUnknownNode, "node %s is not registered", node.Short())
	case n.Operator != sender:
		return n, chain.Refuse(CodeNotOperator, "the operator of node %s is %s", node.Short(), n.Operator)
	}
	return n, nil
}

// IsValidator reports whether the node is one after the last block.
func (r *Registry) IsValidator(node chain.NodeID) bool {
	_, ok := r.validators.Get(node)
	return ok
}

// Validators are the nodes that seal from the second block after the last one on,
// ascending.
func (r *Registry) Validators() []chain.NodeID {
	out := make([]chain.NodeID, 0, r.validators.Len())
	for id := range r.validators.All() {
		out = append(out, id)
	}
	return out
}

// Validator is what the state says of a validator.
func (r *Registry) Validator(node chain.NodeID) (Validator, bool) { return r.validators.Get(node) }

func (r *Registry) setValidator(id chain.NodeID, on bool, height chain.Height) {
	if _, ok := r.turned[id]; !ok {
		r.turned[id] = r.IsValidator(id)
	}
	if on {
		r.validators.Set(id, Validator{Since: height})
	} else {
		r.validators.Delete(id)
	}
}

// TakeValidators returns what changed since the last call, ascending by node.
func (r *Registry) TakeValidators() []ValidatorChange {
	var out []ValidatorChange
	for id, was := range r.turned {
		if is := r.IsValidator(id); is != was {
			out = append(out, ValidatorChange{id, is})
		}
	}
	clear(r.turned)
	slices.SortFunc(out, func(a, b ValidatorChange) int { return bytes.Compare(a.Node[:], b.Node[:]) })
	return out
}
