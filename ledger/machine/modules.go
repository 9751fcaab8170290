package machine

import (
	"cmp"
	"fmt"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/registry"
	"tunic/registry/directory"
	"tunic/slashing"
	"tunic/staking"
)

// Event is a change in a node's life.
type Event = registry.Event

// modules are the three reducers; what one needs of another goes through the
// adapters below.
type modules struct {
	staking  *staking.Staking
	registry *registry.Registry
	slashing *slashing.Slashing
}

func newModules(m *Machine) modules {
	return modules{
		staking:  staking.New(m.parts[PartStakes], m.parts[PartParams], &m.core.Params),
		registry: registry.New(m.parts[PartNodes], &m.core, m.genesis),
		slashing: slashing.New(m.parts[PartOffences], &m.core, m.genesis),
	}
}

// Staking is the stakes, to read.
func (m *Machine) Staking() *staking.Staking { return m.staking }

// Registry is the nodes, to read.
func (m *Machine) Registry() *registry.Registry { return m.registry }

// Slashing is the offences, to read.
func (m *Machine) Slashing() *slashing.Slashing { return m.slashing }

func (m *Machine) fund(pool chain.Amount) { m.staking.Init(pool) }
func (m *Machine) burn(x chain.Amount)    { m.staking.AddBurned(x) }
func (m *Machine) reward()                { m.staking.Reward(m.core.Params.BlockReward) }

func (m *Machine) contributions(e chain.Epoch) []beacon.Contribution {
	return m.registry.Contributions(e)
}

func (m *Machine) beginEpoch(b *block, seed chain.Hash) (*directory.List, error) {
	return m.registry.BeginEpoch(b.epoch, b.time, b.height, seed, m.staking)
}

// judge counts the votes of the epoch that ends with b, while its list, beacon
// and parameters are still the present ones.
func (m *Machine) judge(b *block) {
	m.registry.Judge(b.registry(), func(v registry.Verdict) chain.Hash { return m.judged(b, v) })
}

// judged does what a verdict brings beside the node's step, which follows: it
// records one that puts the node out, and locks the stake of whoever is
// deregistered. From and To of a verdict that only sets the performance are
// equal. The hash, that of the offence, enters the node's history; zero where
// nothing is recorded.
func (m *Machine) judged(b *block, v registry.Verdict) (proof chain.Hash) {
	if v.From == v.To || v.Any == 0 {
		return chain.Hash{}
	}
	gone := v.To == registry.Deregistered
	if gone {
		m.staking.Lock(v.Subject, b.time+chain.Time(m.core.Params.DeregisterLock))
	}
	return m.slashing.RecordVerdict(slashing.QuorumVerdict{Node: v.Subject, Operator: v.Operator, Epoch: v.Epoch,
		Judged: slashing.Judged{All: v.All, Any: v.Any, Score: v.Score, Deregistered: gone, Votes: v.Votes}}, b.slashing()).ID
}

func (m *Machine) removals() []chain.NodeID { return m.registry.Removals() }

func (b *block) registry() registry.Context {
	return registry.Context{Height: b.height, Time: b.time, Epoch: b.epoch, Fork: b.fork, List: b.list, Beacon: b.beacon, Verified: b.verified}
}

func (b *block) slashing() slashing.Context {
	return slashing.Context{Height: b.height, Time: b.time, Epoch: b.epoch, Fork: b.fork, Bonded: b.bonded, Verified: b.verified}
}

// opener lets the registry open a bond with the sender's balance.
type opener struct {
	m *Machine
	p *purse
}

func (o opener) Open(node chain.NodeID, operator chain.Address, fee chain.BasisPoints, amount chain.Amount, epoch chain.Epoch) error {
	return o.m.staking.Open(node, operator, fee, amount, epoch, o.p)
}

func (m *Machine) register(b *block, p *purse, sender chain.Address, t *registry.Register) error {
	return m.registry.Register(sender, *t, b.registry(), opener{m, p})
}

func (m *Machine) contribute(b *block, p *purse, sender chain.Address, t *staking.Contribute) error {
	return m.staking.Contribute(sender, *t, b.epoch, p)
}

func (m *Machine) validate(b *block, _ *purse, sender chain.Address, t *registry.Validate) error {
	return m.registry.Validate(sender, *t, b.registry(), m.staking)
}

func (m *Machine) resign(_ *block, _ *purse, sender chain.Address, t *registry.Resign) error {
	return m.registry.Resign(sender, *t)
}

func (m *Machine) requestUnlock(b *block, _ *purse, sender chain.Address, t *staking.RequestUnlock) error {
	if err := m.registry.CheckUnlock(t.Node); err != nil {
		return err
	}
	if err := m.staking.RequestUnlock(sender, *t, b.time); err != nil {
		return err
	}
	bond, _ := m.staking.Bond(t.Node)
	// An open bond belongs to a node that is registered, active or
	// decommissioned, and each of them can unlock.
	if err := m.registry.Unlocking(t.Node, bond.UnlockAt, b.registry()); err != nil {
		panic("machine: internal error: the bond unlocks and the node cannot: " + err.Error())
	}
	return nil
}

func (m *Machine) withdraw(b *block, p *purse, sender chain.Address, t *staking.Withdraw) error {
	_, err := m.staking.Withdraw(sender, *t, b.time, p)
	return err
}

func (m *Machine) commitDisclosure(b *block, p *purse, sender chain.Address, t *slashing.CommitDisclosure) error {
	return m.slashing.Commit(sender, *t, b.epoch, b.height, p)
}

// lapse ends the commits to disclosures whose time is over in b.
func (m *Machine) lapse(b *block, begins bool) {
	paid, burned := m.slashing.Lapse(b.height, begins)
	p := purse{m: m}
	for _, x := range paid {
		p.Credit(x.To, x.Deposit+x.Reward)
	}
	p.keep()
	if burned > 0 {
		m.burn(burned)
	}
}

func (m *Machine) submitProof(b *block, p *purse, sender chain.Address, t *slashing.SubmitProof) error {
	return m.punish(b, p, t.Proof, sender)
}

func (m *Machine) punish(b *block, p *purse, proof []byte, reporter chain.Address) error {
	x, err := slashing.Decode(proof)
	if err != nil {
		return err
	}
	r, err := m.slashing.Punish(x, reporter, b.slashing(), m, bonds{m, b, p}, nodes{m, b})
	if err != nil {
		return err
	}
	m.emptied(b, r)
	return nil
}

// emptied takes an active node out of the lists to come, and a validator out of
// those that seal, whose last stake r has taken: nobody serves with nothing at stake.
func (m *Machine) emptied(b *block, r slashing.Record) {
	if m.staking.Total(r.Node) == 0 {
		m.registry.Retire(r.Node)
		nodes{m, b}.Decommission(r.Node, "no stake left", r.ID)
	}
}

// publish takes a node's statement.
func (m *Machine) publish(b *block, p *purse, st statement.Statement) error {
	switch {
	case registry.Published(st.Label):
		return m.registry.Publish(st, b.registry())
	case st.Label == statement.LabelProof:
		reporter, err := m.reporter(b, st)
		if err != nil {
			return err
		}
		return m.punish(b, p, st.Body, reporter)
	case st.Label == statement.LabelAnswer:
		return m.slashing.Answer(st, b.slashing(), p)
	}
	return chain.Refuse(CodeUnknownLabel, "a %s is not published", st.Label)
}

// reporter is the operator of the node that reports a proof. Reports are free
// of fee, so that the node must have stake at work.
func (m *Machine) reporter(b *block, st statement.Statement) (chain.Address, error) {
	n, ok := m.registry.Node(st.Node)
	switch {
	case !ok:
		return chain.Address{}, chain.Refuse(CodeUnknownNode, "node %s is not registered", st.Node.Short())
	case n.State == registry.Tombstoned:
		return chain.Address{}, chain.Refuse(registry.CodeTombstoned, "node %s is out for good", st.Node.Short())
	case n.State == registry.Left || n.State == registry.Deregistered:
		return chain.Address{}, chain.Refuse(registry.CodeNotServing, "node %s is %s", st.Node.Short(), n.State)
	}
	return n.Operator, b.verified.Statement(statement.Domain{Genesis: m.genesis, Fork: b.fork}, st)
}

// checkPublish says what publish would, and changes nothing.
func (m *Machine) checkPublish(b *block, st statement.Statement) error {
	switch {
	case registry.Published(st.Label):
		return m.registry.CheckPublish(st, b.registry())
	case st.Label == statement.LabelProof:
		reporter, err := m.reporter(b, st)
		if err != nil {
			return err
		}
		return m.checkProof(b, st.Body, reporter)
	case st.Label == statement.LabelAnswer:
		return m.slashing.CheckAnswer(st, b.slashing())
	}
	return chain.Refuse(CodeUnknownLabel, "a %s is not published", st.Label)
}

func (m *Machine) checkProof(b *block, proof []byte, reporter chain.Address) error {
	x, err := slashing.Decode(proof)
	if err != nil {
		return err
	}
	if err := m.slashing.Check(x, b.slashing(), m, bonds{m, b, nil}, nodes{m, b}); err != nil {
		return err
	}
	return x.ReportedBy(reporter)
}

// CheckProof says whether a block at the head's time would punish what proof
// shows; it changes nothing.
func (m *Machine) CheckProof(p slashing.Proof) error {
	o, err := slashing.Verify(p, m)
	if err != nil {
		return err
	}
	return m.Punishable(o, p.Fork)
}

// Punishable is CheckProof of a proof that was verified against this machine:
// its offence and fork.
func (m *Machine) Punishable(o slashing.Offence, fork uint32) error {
	return m.slashing.Punishable(o, fork, m.next(m.head.Time).slashing(), bonds{m: m}, nodes{m: m})
}

// checkKind asks before a block what an account transaction's kind can be asked
// without writing.
func (m *Machine) checkKind(b *block, t *Prepared) error {
	bonded := func(node chain.NodeID) error {
		if _, ok := m.staking.Bond(node); !ok {
			return chain.Refuse(staking.CodeUnknownBond, "node %s has no bond", node.Short())
		}
		return nil
	}
	switch msg := t.msg.(type) {
	case *Transfer:
		return msg.check()
	case *registry.Register:
		return m.registry.CheckRegister(t.Sender, *msg)
	case *slashing.SubmitProof:
		return m.checkProof(b, msg.Proof, t.Sender)
	case *slashing.OpenChallenge:
		return m.slashing.CheckOpen(t.Sender, *msg, b.slashing(), signers{m})
	case *slashing.CommitDisclosure:
		return m.slashing.CheckCommit(t.Sender, *msg, b.epoch, &purse{m: m})
	case *ChangeParams:
		_, err := m.checkChange(b, t.Sender, msg)
		return err
	case *registry.Validate:
		return m.registry.CheckValidate(t.Sender, *msg)
	case *registry.Resign:
		return m.registry.CheckResign(t.Sender, *msg)
	case *staking.Contribute:
		return bonded(msg.Node)
	case *staking.RequestUnlock:
		return cmp.Or(bonded(msg.Node), m.registry.CheckUnlock(msg.Node))
	case *staking.Withdraw:
		return bonded(msg.Node)
	}
	return nil
}

// bonds are the stakes as slashing sees them in one block.
type bonds struct {
	m *Machine
	b *block
	p *purse
}

func (x bonds) Bonded(node chain.NodeID) chain.Amount { return x.m.staking.Total(node) }

func (x bonds) StakeAt(node chain.NodeID, e chain.Epoch) chain.Amount {
	return x.m.staking.StakeAt(node, e)
}

// Slash writes its checkpoint into the present epoch, whenever the offence was.
func (x bonds) Slash(node chain.NodeID, t slashing.Taking) slashing.Slashed {
	var to staking.Accounts = x.p
	if t.Withhold {
		to = nobody{}
	}
	s := x.m.staking.Slash(node, t.Amount, x.b.epoch, t.Reporter, t.Share, to)
	x.m.staking.Hold(node, t.HoldUntil)
	out := slashing.Slashed{Total: s.Total, OperatorLoss: s.OperatorLoss, Reward: s.Reward, Burned: s.Burned}
	for _, l := range s.Losses {
		out.Losses = append(out.Losses, slashing.Loss{Account: l.Account, Amount: l.Amount})
	}
	return out
}

// nobody is credited with what slashing keeps.
type nobody struct{}

func (nobody) Balance(chain.Address) chain.Amount { return 0 }
func (nobody) Debit(chain.Address, chain.Amount)  {}
func (nobody) Credit(chain.Address, chain.Amount) {}

// nodes are the nodes as slashing sees them in one block.
type nodes struct {
	m *Machine
	b *block
}

func (x nodes) Known(node chain.NodeID) bool { return x.m.registry.Known(node) }

// Tombstone also locks what is left of the stake.
func (x nodes) Tombstone(node chain.NodeID, reason string, proof chain.Hash) {
	if n, ok := x.m.registry.Node(node); !ok || n.State == registry.Tombstoned {
		return
	}
	x.m.registry.Tombstone(node, reason, proof, x.b.registry())
	x.m.staking.Lock(node, x.b.time+chain.Time(x.m.core.Params.DeregisterLock))
}

// Decommission does nothing to a node that is not active: it is in no list to
// come, or on its way out.
func (x nodes) Decommission(node chain.NodeID, reason string, proof chain.Hash) {
	if n, ok := x.m.registry.Node(node); !ok || n.State != registry.Active {
		return
	}
	if err := x.m.registry.Decommission(node, reason, proof, x.b.registry()); err != nil {
		panic("machine: internal error: an active node cannot be decommissioned: " + err.Error())
	}
}

// settle takes what the correlation of offences costs that is due in b.
func (m *Machine) settle(b *block) {
	for _, r := range m.slashing.Settle(b.slashing(), bonds{m, b, nil}) { // nobody is credited: no purse
		m.emptied(b, r)
	}
}

// CheckHeader makes the machine the anchor of proofs: the header must be the
// one of its height in this history, and its seal valid by a sealer of genesis.
func (m *Machine) CheckHeader(s chain.SealedHeader) error {
	if m.core.Engine == genesis.EngineComet {
		if err := m.reaches(s.Header); err != nil {
			return err
		}
	}
	return m.checkHeader(s)
}

// known is the machine as the anchor of what it punished, however long ago.
type known struct{ *Machine }

func (m known) CheckHeader(s chain.SealedHeader) error { return m.checkHeader(s) }

func (m *Machine) checkHeader(s chain.SealedHeader) error {
	own, ok := m.headers.HeaderHash(s.Header.Height)
	if !ok || s.Header.Hash() != own || s.Header.Height == 0 {
		return fmt.Errorf("height %d of this history has another header or none", s.Header.Height)
	}
	if m.core.Engine != genesis.EngineComet {
		return VerifySeal(m.core, m.genesis, s)
	}
	// Whose commit that of the header is, those after the block below it have to say.
	nodes, ok := m.headers.ValidatorsAfter(s.Header.Height - 1)
	if !ok {
		return fmt.Errorf("the validators of height %d are not known", s.Header.Height+1)
	}
	set, err := cometbft.SetOf(nodes)
	if err != nil {
		return err
	}
	return set.VerifySealed(s)
}

// Reach is how old a header may be under which CometBFT's validators take
// evidence: all that can be punished, and some epochs for a header that was taken
// before. A copy that began with a snapshot has no more.
func Reach(p genesis.Params) chain.Time {
	return chain.Time(p.EvidenceAge) + 4*chain.Time(p.EpochLength)
}

// reaches asks of a header what no copy of a ledger under CometBFT may answer in
// another way: one of the head can have no commit yet that a block above carries,
// and one beyond Reach is known to some copies alone.
func (m *Machine) reaches(h chain.Header) error {
	switch {
	case h.Height >= m.head.Height:
		return fmt.Errorf("height %d is not below the head, %d", h.Height, m.head.Height)
	case h.Time < m.head.Time && m.head.Time-h.Time > Reach(m.core.Params):
		return fmt.Errorf("height %d is older than evidence may be", h.Height)
	}
	return nil
}
