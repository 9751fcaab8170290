package slashing

import (
	"fmt"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/table"
	"tunic/internal/wire"
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
	Fork   uint32
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

// Bonds is what slashing needs of the stakes.
type Bonds interface {
	// Bonded is what is bonded to node now; zero if there is no bond.
	Bonded(node chain.NodeID) chain.Amount
	// StakeAt is what was bonded to node in epoch e; zero if nothing was.
	StakeAt(node chain.NodeID, e chain.Epoch) chain.Amount
	// Slash takes amount for an offence of epoch e from the node's bond, or what
	// is left of it: operator first, then contributors by share. The share of
	// the operator's own loss goes to reporter, the rest burns. It cannot fail.
	Slash(node chain.NodeID, amount chain.Amount, e chain.Epoch, reporter chain.Address, share chain.BasisPoints) Slashed
}

// Nodes is what slashing needs of the registry.
type Nodes interface {
	// Known reports whether the registry has ever known the node.
	Known(node chain.NodeID) bool
	// Tombstone puts the node out for good; it does nothing where it is already.
	Tombstone(node chain.NodeID, reason string, proof chain.Hash)
}

// Record is one punished offence, with the evidence.
type Record struct {
	Offence
	Slashed
	Stake    chain.Amount // at the offence; the penalty is a share of it
	Proof    []byte       // canonical encoding
	Reporter chain.Address
	At       chain.Height // of the block that punished
	Time     chain.Time   // of that block
}

// Slashing is the reducer of the offences.
type Slashing struct {
	core    *genesis.Core
	records *table.Table[chain.Hash, Record]
}

// prefixRecord is the table of records in the offences part, by offence id.
const prefixRecord = 1

// New declares the records on the part of the offences.
func New(p *table.Part, core *genesis.Core) *Slashing {
	return &Slashing{core: core, records: table.New(p, table.Codec[chain.Hash, Record]{
		Prefix:      prefixRecord,
		AppendKey:   func(b []byte, id chain.Hash) []byte { return append(b, id[:]...) },
		ReadKey:     func(r *wire.Reader) (id chain.Hash) { r.Copy(id[:]); return id },
		AppendValue: appendRecord,
		ReadValue:   readRecord,
	})}
}

// Punish verifies p and punishes what it shows, once. It asks all of Verify,
// then: is the proof of the ledger's fork, can its kind be punished here (a
// double-seal cannot: sealers have no bond), is anything bonded to the node, is
// the offence young enough, is it punished already. A refusal changes nothing.
//
// The penalty is a share of the stake in the epoch of the offence or, where
// nothing was bonded yet, in that of the carried list.
func (s *Slashing) Punish(p Proof, reporter chain.Address, ctx Context, a Anchor, bonds Bonds, nodes Nodes) (Record, error) {
	o, err := s.check(p, ctx, a, bonds, nodes)
	if err != nil {
		return Record{}, err
	}
	epoch, stake := o.Epoch, bonds.StakeAt(o.Node, o.Epoch)
	if stake == 0 {
		epoch, stake = o.ListEpoch, bonds.StakeAt(o.Node, o.ListEpoch)
	}
	prm := &s.core.Params
	rec := Record{Offence: o, Stake: stake, Proof: p.Encode(), Reporter: reporter, At: ctx.Height, Time: ctx.Time}
	rec.Slashed = bonds.Slash(o.Node, o.Kind.Penalty(prm).Of(stake), epoch, reporter, prm.ReporterShare)
	if o.Kind.Tombstones() {
		nodes.Tombstone(o.Node, o.Kind.String(), o.ID)
	}
	s.records.Set(o.ID, rec)
	return rec, nil
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
	if p.Fork != ctx.Fork {
		return o, chain.Refuse(ErrWrongFork.Code, "the proof is of fork %d, the ledger on fork %d", p.Fork, ctx.Fork)
	}
	if o.Kind == DoubleSeal {
		return o, unpunishable(len(s.core.Sealers))
	}
	if !nodes.Known(o.Node) {
		return o, chain.Refuse(ErrUnknownNode.Code, "node %s is not registered", o.Node)
	}
	if until := PunishableUntil(o, *s.core); ctx.Time > until {
		return o, chain.Refuse(ErrExpired.Code, "the offence of epoch %d was punishable until %d ms, it is %d ms", o.Epoch, until, ctx.Time)
	}
	if r, ok := s.records.Get(o.ID); ok {
		return o, chain.Refuse(ErrAlreadyPunished.Code, "offence %s was punished at height %d", o.ID, r.At)
	}
	// Whoever has nothing left to lose could otherwise fill the state with
	// offences, each kept with its proof, for nothing.
	if bonds.Bonded(o.Node) == 0 {
		return o, chain.Refuse(ErrUnknownNode.Code, "nothing is bonded to node %s any more", o.Node)
	}
	return o, nil
}

// Record is the punished offence of this id.
func (s *Slashing) Record(id chain.Hash) (Record, bool) { return s.records.Get(id) }

// Key is the row key of an offence in its part, for state proofs.
func (s *Slashing) Key(id chain.Hash) []byte { return s.records.Key(id) }

// All gives the punished offences, ascending by id.
func (s *Slashing) All() []Record {
	all := make([]Record, 0, s.records.Len())
	for _, r := range s.records.All() {
		all = append(all, r)
	}
	return all
}

// CheckAll is the invariant of the offences: each record has a proof that
// validates and shows it, and its amounts add up.
func (s *Slashing) CheckAll() error {
	for id, r := range s.records.All() {
		p, err := Decode(r.Proof)
		if err == nil {
			err = p.Validate()
		}
		var sum chain.Amount
		for _, l := range r.Losses {
			sum += l.Amount
		}
		switch {
		case err != nil:
			return fmt.Errorf("check offence %s: %w", id, err)
		case p.ID() != id || r.ID != id:
			return fmt.Errorf("check offence %s: its proof shows offence %s", id, p.ID())
		case sum != r.Total || r.Reward+r.Burned != r.Total || r.Reward > r.OperatorLoss/2:
			return fmt.Errorf("check offence %s: amounts do not add up", id)
		}
	}
	return nil
}

// maxLosses is the most accounts that one bond has: params allow 64 contributors.
const maxLosses = 64

func appendRecord(b []byte, r Record) []byte {
	b = append(b, r.ID[:]...)
	b = append(b, byte(r.Kind))
	b = append(b, r.Node[:]...)
	b = append(b, r.Operator[:]...)
	b = wire.AppendUint64(b, uint64(r.Epoch))
	b = wire.AppendUint64(b, uint64(r.ListEpoch))
	b = wire.AppendUint64(b, uint64(r.Height))
	b = wire.AppendBytes(b, r.Proof)
	b = append(b, r.Reporter[:]...)
	for _, x := range []chain.Amount{r.Stake, r.Total, r.OperatorLoss, r.Reward, r.Burned} {
		b = wire.AppendUint64(b, uint64(x))
	}
	b = wire.AppendUint64(b, uint64(r.At))
	b = wire.AppendUint64(b, uint64(r.Time))
	b = wire.AppendUint32(b, uint32(len(r.Losses)))
	for _, l := range r.Losses {
		b = append(b, l.Account[:]...)
		b = wire.AppendUint64(b, uint64(l.Amount))
	}
	return b
}

func readRecord(r *wire.Reader) Record {
	var x Record
	r.Copy(x.ID[:])
	x.Kind = Kind(r.Uint8())
	x.Basis = x.Kind.Basis()
	r.Copy(x.Node[:])
	r.Copy(x.Operator[:])
	x.Epoch = chain.Epoch(r.Uint64())
	x.ListEpoch = chain.Epoch(r.Uint64())
	x.Height = chain.Height(r.Uint64())
	x.Proof = r.Bytes(MaxProof)
	r.Copy(x.Reporter[:])
	for _, p := range []*chain.Amount{&x.Stake, &x.Total, &x.OperatorLoss, &x.Reward, &x.Burned} {
		*p = chain.Amount(r.Uint64())
	}
	x.At = chain.Height(r.Uint64())
	x.Time = chain.Time(r.Uint64())
	for range r.Count(maxLosses, 28) {
		var l Loss
		r.Copy(l.Account[:])
		l.Amount = chain.Amount(r.Uint64())
		x.Losses = append(x.Losses, l)
	}
	return x
}
