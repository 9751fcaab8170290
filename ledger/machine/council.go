package machine

import (
	"bytes"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
)

// Refusal codes of a ChangeParams, in the order in which they are asked.
const (
	CodeNotCouncil      = "not_council"
	CodeMalformedParams = "malformed_params"
	CodeChangePending   = "change_pending" // one is scheduled already
	CodeWrongNumber     = "wrong_number"
	CodeTooEarly        = "too_early"
	CodeTooLate         = "too_late"
	CodeImmutable       = "immutable_parameter"
	CodeParamsRejected  = "params_rejected" // they contradict each other
	CodeNoChange        = "no_change"
	CodeAlreadyApproved = "already_approved"
)

// MaxParamsAhead is how many epochs ahead a change may be agreed on.
const MaxParamsAhead = 10_000

// ChangeParams is one council member's approval of a change of parameters. Where
// council_min members have sent the same content, the change is scheduled.
type ChangeParams struct {
	Head   chain.Head
	Number uint32
	Epoch  chain.Epoch
	Params []byte // genesis.Params.Encode
}

// ChangeParamsType is the table of ChangeParams.
var ChangeParamsType = chain.Define(chain.KindChangeParams, "ChangeParams", func(t *ChangeParams) *chain.Head { return &t.Head },
	chain.Uint32("number", func(t *ChangeParams) *uint32 { return &t.Number }),
	chain.Uint64("epoch", func(t *ChangeParams) *chain.Epoch { return &t.Epoch }),
	chain.Bytes("params", genesis.MaxParams, func(t *ChangeParams) *[]byte { return &t.Params }))

// Approval is a change that council members have approved, too few of them yet.
type Approval struct {
	genesis.Change
	Members []chain.Address // ascending
}

// InForce is the parameters in force, with their number.
func (m *Machine) InForce() genesis.InForce { return m.inForce }

// Scheduled is the change that is agreed on and not in force yet.
func (m *Machine) Scheduled() (genesis.Change, bool) { return m.scheduled.Get(struct{}{}) }

// Approvals are the changes that some members want, ascending by hash.
func (m *Machine) Approvals() []Approval {
	var out []Approval
	for _, a := range m.approvals.All() {
		out = append(out, a)
	}
	return out
}

// setInForce is how the parameters change: everybody reads them through core.
func (m *Machine) setInForce(f genesis.InForce) {
	m.inForce, m.core.Params = f, f.Params
	m.params.Set(keyParams, f.Encode())
}

// beginParams is the first thing that happens in the first block of epoch e: a
// scheduled change comes into force, and approvals lapse whose epoch can no
// longer be kept.
func (m *Machine) beginParams(e chain.Epoch) {
	if c, ok := m.Scheduled(); ok && e >= c.Epoch {
		m.scheduled.Delete(struct{}{})
		m.setInForce(m.inForce.After(c, e))
	}
	for hash, a := range m.approvals.All() {
		if a.Epoch < m.earliest(e) {
			m.approvals.Delete(hash)
		}
	}
}

// earliest is the first epoch for which a change can be agreed on in epoch e.
func (m *Machine) earliest(e chain.Epoch) chain.Epoch {
	return e + chain.Epoch(m.core.Params.ParamsDelay)
}

// checkChange asks all that is asked of a ChangeParams and changes nothing.
func (m *Machine) checkChange(b *block, sender chain.Address, t *ChangeParams) (genesis.Change, error) {
	c := genesis.Change{Number: t.Number, Epoch: t.Epoch}
	if !slices.Contains(m.core.Council, sender) {
		return c, chain.Refuse(CodeNotCouncil, "genesis names %d council members, and this account is none", len(m.core.Council))
	}
	var err error
	if c.Params, err = genesis.DecodeParams(t.Params); err != nil {
		return c, chain.Refuse(CodeMalformedParams, "%v", err)
	}
	if s, ok := m.Scheduled(); ok {
		return c, chain.Refuse(CodeChangePending, "number %d comes into force in epoch %d", s.Number, s.Epoch)
	}
	earliest, latest := m.earliest(b.epoch), b.epoch+MaxParamsAhead
	switch {
	case c.Number != m.inForce.Number+1:
		return c, chain.Refuse(CodeWrongNumber, "number %d after %d", c.Number, m.inForce.Number)
	case c.Epoch < earliest:
		return c, chain.Refuse(CodeTooEarly, "for epoch %d, at the earliest for %d", c.Epoch, earliest)
	case c.Epoch > latest:
		return c, chain.Refuse(CodeTooLate, "for epoch %d, at the latest for %d", c.Epoch, latest)
	}
	changed := m.inForce.Params.Diff(c.Params)
	for _, key := range changed {
		if !genesis.Changeable(key) {
			return c, chain.Refuse(CodeImmutable, "%s cannot be changed", key)
		}
	}
	if err := c.Params.Validate(); err != nil {
		return c, chain.Refuse(CodeParamsRejected, "%v", err)
	}
	if len(changed) == 0 {
		return c, chain.Refuse(CodeNoChange, "these parameters are in force")
	}
	if a, ok := m.approvals.Get(c.Hash()); ok && slices.Contains(a.Members, sender) {
		return c, chain.Refuse(CodeAlreadyApproved, "by this account")
	}
	return c, nil
}

// changeParams notes an approval, in place of the member's former one, and
// schedules what enough members have approved.
func (m *Machine) changeParams(b *block, _ *purse, sender chain.Address, t *ChangeParams) error {
	c, err := m.checkChange(b, sender, t)
	if err != nil {
		return err
	}
	m.withdrawApproval(sender)
	hash := c.Hash()
	a, _ := m.approvals.Get(hash)
	members := append(slices.Clone(a.Members), sender)
	if len(members) < int(m.core.CouncilMin) {
		slices.SortFunc(members, func(x, y chain.Address) int { return bytes.Compare(x[:], y[:]) })
		m.approvals.Set(hash, Approval{Change: c, Members: members})
		return nil
	}
	m.scheduled.Set(struct{}{}, c)
	for other := range m.approvals.All() {
		m.approvals.Delete(other)
	}
	return nil
}

// withdrawApproval takes back what member has approved before: a council of n
// has at most n contents open.
func (m *Machine) withdrawApproval(member chain.Address) {
	for hash, a := range m.approvals.All() {
		i := slices.Index(a.Members, member)
		switch {
		case i < 0:
		case len(a.Members) == 1:
			m.approvals.Delete(hash)
		default:
			a.Members = slices.Delete(slices.Clone(a.Members), i, i+1)
			m.approvals.Set(hash, a)
		}
	}
}
