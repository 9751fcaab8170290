package slashing

import (
	"cmp"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/table"
)

// SubmitProof is the account transaction that carries a proof; the reporter's
// part goes to its sender.
type SubmitProof struct {
	chain.Head
	Proof []byte
}

// SubmitProofType describes SubmitProof.
var SubmitProofType = chain.Define(chain.KindSubmitProof, "SubmitProof", func(v *SubmitProof) *chain.Head { return &v.Head },
	chain.Bytes("proof", MaxProof, func(v *SubmitProof) *[]byte { return &v.Proof }))

// Context is the block that punishes.
type Context struct {
	Height chain.Height
	Time   chain.Time
	Epoch  chain.Epoch
	Fork   uint32
	Bonded chain.Amount // behind all nodes, before anything in the block was done

	// Verified remembers which statements were found valid; nil where each must
	// be verified, as in blocks of others.
	Verified *statement.Verified
}

// Loss is what one account lost.
type Loss struct {
	Account chain.Address
	Amount  chain.Amount
}

// Slashed is what a slash took: Total = Reward + Burned = the sum of Losses.
type Slashed struct {
	Total        chain.Amount
	OperatorLoss chain.Amount // the operator's own part of Total
	Reward       chain.Amount // to the reporter
	Burned       chain.Amount
	Losses       []Loss // operator first
}

// Taking is what is to be taken from a bond.
type Taking struct {
	Amount    chain.Amount      // or what is left, if that is less
	Reporter  *chain.Address    // nil: nobody reported, and all burns
	Share     chain.BasisPoints // of the operator's own loss, to the reporter
	HoldUntil chain.Time        // what is left cannot be withdrawn before; the bond stays open where it is
	Withhold  bool              // the reporter's part is kept by slashing, and nobody is credited yet
}

// Bonds is what slashing needs of the stakes.
type Bonds interface {
	// Bonded is what is bonded to node now; zero if there is no bond.
	Bonded(node chain.NodeID) chain.Amount
	// StakeAt is what was bonded to node in epoch e; zero if nothing was.
	StakeAt(node chain.NodeID, e chain.Epoch) chain.Amount
	// Slash takes from the node's bond: operator first, then contributors by
	// share. It cannot fail.
	Slash(node chain.NodeID, t Taking) Slashed
}

// Nodes is what slashing needs of the registry.
type Nodes interface {
	// Known reports whether the registry has ever known the node.
	Known(node chain.NodeID) bool
	// Tombstone puts the node out for good; it does nothing where it is already.
	Tombstone(node chain.NodeID, reason string, proof chain.Hash)
	// Decommission takes an active node out of the lists to come; it does nothing
	// to any other.
	Decommission(node chain.NodeID, reason string, proof chain.Hash)
}

// Slashing is the reducer of the offences.
type Slashing struct {
	core    *genesis.Core
	genesis chain.Hash
	records *table.Table[chain.Hash, Record]
	pending *table.Table[moment, struct{}] // records to settle, by due time
	order   *table.Table[moment, struct{}] // records that correlate, by the time of their punishment
	commits *table.Table[CommitKey, Commit]
	rounds  *table.Table[chain.Epoch, Round]

	challenges *table.Table[chain.Hash, Challenge] // open and lapsed
	lapses     *table.Table[moment, struct{}]      // challenges by when they are due; Challenge.moment
	openPer    *table.Table[chain.NodeID, uint8]   // how many are open of each node
}

// New declares the tables on the part of the offences. hash is the genesis hash.
func New(p *table.Part, core *genesis.Core, hash chain.Hash) *Slashing {
	return &Slashing{core: core, genesis: hash, records: table.New(p, recordCodec),
		pending: table.New(p, momentCodec(prefixPending)), order: table.New(p, momentCodec(prefixOrder)),
		commits: table.New(p, commitCodec), rounds: table.New(p, roundCodec),
		challenges: table.New(p, challengeCodec), lapses: table.New(p, momentCodec(prefixLapse)), openPer: table.New(p, openCodec)}
}

// Punish verifies p and punishes what it shows, once. It asks all of Verify,
// then: is the proof of the ledger's fork, can its kind be punished by a proof
// here (a double-seal cannot: sealers have no bond; votes count where they are
// published), is the node known, is the offence young enough, is it punished
// already, is anything bonded to the node. Of a key-disclosure: is its commit
// live, and is reporter the one that it is signed for. A refusal changes nothing.
//
// The penalty is a share of the stake in the epoch of the offence or, where
// nothing was bonded yet, in that of the carried list. A key-disclosure that is
// punished already opens its commit, and takes over the reporter's part where that
// commit is the older one.
func (s *Slashing) Punish(p Proof, reporter chain.Address, ctx Context, a Anchor, bonds Bonds, nodes Nodes) (Record, error) {
	o, err := s.check(p, ctx, a, bonds, nodes)
	if err == nil {
		err = p.ReportedBy(reporter)
	}
	if err != nil {
		return Record{}, err
	}
	opens := o.Commit
	o.Commit = CommitKey{}
	if rec, ok := s.records.Get(o.ID); ok { // of a key-disclosure alone
		return s.open(opens, rec, p), nil
	}
	stake := bonds.StakeAt(o.Node, o.Epoch)
	if stake == 0 {
		stake = bonds.StakeAt(o.Node, o.ListEpoch)
	}
	prm := &s.core.Params
	rec := Record{Offence: o, Stake: stake, Proof: p.Encode(), Reporter: reporter, At: ctx.Height, Time: ctx.Time}
	if o.Kind.Correlates() {
		rec.Correlation = s.correlation(ctx)
	}
	rec.Slashed = bonds.Slash(o.Node, Taking{Amount: p.Penalty(prm, stake), Reporter: &reporter, Share: prm.ReporterShare, HoldUntil: rec.Correlation.Due,
		Withhold: o.Kind == KeyDisclosure})
	switch {
	case o.Kind.then(tombstone):
		nodes.Tombstone(o.Node, o.Kind.String(), o.ID)
	case o.Kind.then(decommission):
		nodes.Decommission(o.Node, o.Kind.String(), o.ID)
	}
	s.put(rec)
	if o.Kind == KeyDisclosure {
		return s.open(opens, rec, p), nil
	}
	return rec, nil
}

// Penalty is what p's offence costs of stake under the parameters: the kind's
// share of it or, where a kind goes by size, a part of that.
func (p Proof) Penalty(prm *genesis.Params, stake chain.Amount) chain.Amount {
	lost := p.Kind.Penalty(prm).Of(stake)
	if !p.Kind.Known() || rules[p.Kind].size == nil {
		return lost
	}
	whole := prm.ItemChunks()
	return lost.MulDiv(uint64(min(rules[p.Kind].size(p), whole)), uint64(whole))
}

// Check says whether Punish would accept p now; it changes nothing.
func (s *Slashing) Check(p Proof, ctx Context, a Anchor, bonds Bonds, nodes Nodes) error {
	_, err := s.check(p, ctx, a, bonds, nodes)
	return err
}

func (s *Slashing) check(p Proof, ctx Context, a Anchor, bonds Bonds, nodes Nodes) (Offence, error) {
	o, err := Verify(p, a)
	if err != nil {
		return o, err
	}
	return o, s.Punishable(o, p.Fork, ctx, bonds, nodes)
}

// Punishable asks of a verified proof's offence what only the ledger knows: what
// Punish asks beyond Verify. fork is the proof's.
func (s *Slashing) Punishable(o Offence, fork uint32, ctx Context, bonds Bonds, nodes Nodes) error {
	if fork != ctx.Fork {
		return chain.Refuse(ErrWrongFork.Code, "the proof is of fork %d, the ledger on fork %d", fork, ctx.Fork)
	}
	if why := rules[o.Kind].unpunish; why != nil {
		if no := why(s.core); no != nil {
			return cmp.Or[error](s.punished(o), no)
		}
	}
	return s.askable(o, ctx, bonds, nodes)
}

// askable is Punishable whatever the kind says of itself.
func (s *Slashing) askable(o Offence, ctx Context, bonds Bonds, nodes Nodes) error {
	if !nodes.Known(o.Node) {
		return chain.Refuse(ErrUnknownNode.Code, "node %s is not registered", o.Node)
	}
	if until := PunishableUntil(o, *s.core); ctx.Time > until {
		return chain.Refuse(ErrExpired.Code, "the offence of epoch %d was punishable until %d ms, it is %d ms", o.Epoch, until, ctx.Time)
	}
	if o.Kind == KeyDisclosure {
		if err := s.openable(o); err != nil {
			return err
		}
		if s.punished(o) != nil {
			return nil // the commit is opened, and nobody loses more
		}
	} else if err := s.punished(o); err != nil {
		return err
	}
	// Whoever has nothing left to lose could otherwise fill the state with
	// offences, each kept with its proof, for nothing.
	if bonds.Bonded(o.Node) == 0 {
		return chain.Refuse(ErrUnknownNode.Code, "nothing is bonded to node %s any more", o.Node)
	}
	return nil
}

func (s *Slashing) punished(o Offence) error {
	if r, ok := s.records.Get(o.ID); ok {
		return chain.Refuse(ErrAlreadyPunished.Code, "offence %s was punished at height %d", o.ID, r.At)
	}
	return nil
}

// Record is the punished offence of this id.
func (s *Slashing) Record(id chain.Hash) (Record, bool) { return s.records.Get(id) }

// Key is the row key of an offence in its part, for state proofs.
func (s *Slashing) Key(id chain.Hash) []byte { return RecordKey(id) }

// All gives the punished offences, ascending by id.
func (s *Slashing) All() []Record {
	all := make([]Record, 0, s.records.Len())
	for _, r := range s.records.All() {
		all = append(all, r)
	}
	return all
}
