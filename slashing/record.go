package slashing

import (
	"fmt"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/table"
	"tunic/internal/wire"
	"tunic/registry/directory"
)

// Prefixes of the tables in the offences part.
const (
	prefixRecord  = 1 // by offence id
	prefixPending = 2 // by due time and offence id
	prefixOrder   = 3 // by time of punishment and offence id

	prefixChallenge = 4 // by id
	prefixLapse     = 5 // by due time and id
	prefixOpen      = 6 // by node
)

// Record is one punished offence, with the evidence: a proof or, of an
// unavailable, the votes that the ledger counted.
type Record struct {
	Offence
	Slashed
	Stake       chain.Amount // at the offence; the penalty is a share of it
	Proof       []byte       // canonical encoding
	Reporter    chain.Address
	At          chain.Height // of the block that punished
	Time        chain.Time   // of that block
	Correlation Correlation  // zero where the kind has none
	Judged      *Judged      // of an unavailable
	Concluded   *Conclusion  // of a double-seal that the engine found
}

// Judged is what a quorum found, as the ledger counted it.
type Judged struct {
	All, Any     statement.Reasons // bits in every vote, in at least one
	Score        chain.Permille    // the median of the votes
	Deregistered bool              // otherwise decommissioned
	Votes        [][]byte          // encoded statements
}

// RecordKey is the row key of an offence in the offences part, for state proofs.
func RecordKey(id chain.Hash) []byte { return append([]byte{prefixRecord}, id[:]...) }

// DecodeRecord reads the value of a record's row.
func DecodeRecord(b []byte) (Record, error) {
	r := wire.NewReader(b)
	x := readRecord(r)
	if err := r.Done(); err != nil {
		return x, fmt.Errorf("decode record of an offence: %w", err)
	}
	return x, nil
}

var recordCodec = table.Codec[chain.Hash, Record]{
	Prefix:      prefixRecord,
	AppendKey:   func(b []byte, id chain.Hash) []byte { return append(b, id[:]...) },
	ReadKey:     func(r *wire.Reader) (id chain.Hash) { r.Copy(id[:]); return id },
	AppendValue: appendRecord,
	ReadValue:   readRecord,
}

// maxLosses is the most accounts that one bond has: params allow 64 contributors.
const maxLosses = 64

// maxVote bounds one encoded vote.
const maxVote = 256

func appendSlashed(b []byte, s Slashed) []byte {
	for _, x := range []chain.Amount{s.Total, s.OperatorLoss, s.Reward, s.Burned} {
		b = wire.AppendUint64(b, uint64(x))
	}
	b = wire.AppendUint32(b, uint32(len(s.Losses)))
	for _, l := range s.Losses {
		b = append(b, l.Account[:]...)
		b = wire.AppendUint64(b, uint64(l.Amount))
	}
	return b
}

func readSlashed(r *wire.Reader) (s Slashed) {
	for _, p := range []*chain.Amount{&s.Total, &s.OperatorLoss, &s.Reward, &s.Burned} {
		*p = chain.Amount(r.Uint64())
	}
	for range r.Count(maxLosses, 28) {
		var l Loss
		r.Copy(l.Account[:])
		l.Amount = chain.Amount(r.Uint64())
		s.Losses = append(s.Losses, l)
	}
	return s
}

// What a record rests on.
const (
	hasProof     = 0
	hasJudged    = 1
	hasConcluded = 2
)

func appendRecord(b []byte, r Record) []byte {
	b = append(b, r.ID[:]...)
	b = append(b, byte(r.Kind))
	b = append(b, r.Node[:]...)
	b = append(b, r.Operator[:]...)
	for _, x := range []uint64{uint64(r.Epoch), uint64(r.ListEpoch), uint64(r.Height)} {
		b = wire.AppendUint64(b, x)
	}
	b = wire.AppendBytes(b, r.Proof)
	b = append(b, r.Reporter[:]...)
	for _, x := range []uint64{uint64(r.Stake), uint64(r.At), uint64(r.Time)} {
		b = wire.AppendUint64(b, x)
	}
	b = appendSlashed(b, r.Slashed)
	for _, x := range []uint64{uint64(r.Correlation.Due), uint64(r.Correlation.Bonded), uint64(r.Correlation.Before)} {
		b = wire.AppendUint64(b, x)
	}
	b = wire.AppendBool(b, r.Correlation.Settled != nil)
	if s := r.Correlation.Settled; s != nil {
		for _, x := range []uint64{uint64(s.At), uint64(s.Time), uint64(s.Sum), uint64(s.Stake)} {
			b = wire.AppendUint64(b, x)
		}
		b = appendSlashed(b, s.Slashed)
	}
	switch {
	case r.Judged != nil:
		b = append(b, hasJudged)
	case r.Concluded != nil:
		c := r.Concluded
		b = append(b, hasConcluded, byte(c.Fault))
		for _, x := range []uint64{uint64(c.Time), c.Power, c.Total} {
			b = wire.AppendUint64(b, x)
		}
	default:
		b = append(b, hasProof)
	}
	if j := r.Judged; j != nil {
		b = wire.AppendUint32(b, uint32(j.All))
		b = wire.AppendUint32(b, uint32(j.Any))
		b = wire.AppendUint16(b, uint16(j.Score))
		b = wire.AppendBool(b, j.Deregistered)
		b = wire.AppendUint32(b, uint32(len(j.Votes)))
		for _, v := range j.Votes {
			b = wire.AppendBytes(b, v)
		}
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
	x.Epoch, x.ListEpoch, x.Height = chain.Epoch(r.Uint64()), chain.Epoch(r.Uint64()), chain.Height(r.Uint64())
	if proof := r.Bytes(MaxProof); len(proof) > 0 {
		x.Proof = proof
	}
	r.Copy(x.Reporter[:])
	x.Stake, x.At, x.Time = chain.Amount(r.Uint64()), chain.Height(r.Uint64()), chain.Time(r.Uint64())
	x.Slashed = readSlashed(r)
	x.Correlation = Correlation{Due: chain.Time(r.Uint64()), Bonded: chain.Amount(r.Uint64()), Before: chain.Amount(r.Uint64())}
	if r.Bool() {
		s := Settlement{At: chain.Height(r.Uint64()), Time: chain.Time(r.Uint64()), Sum: chain.Amount(r.Uint64()), Stake: chain.Amount(r.Uint64())}
		s.Slashed = readSlashed(r)
		x.Correlation.Settled = &s
	}
	switch r.Uint8() {
	case hasProof:
	case hasConcluded:
		x.Concluded = &Conclusion{Fault: Fault(r.Uint8()), Node: x.Node, Height: x.Height, Time: chain.Time(r.Uint64()), Power: r.Uint64(), Total: r.Uint64()}
	case hasJudged:
		j := Judged{All: statement.Reasons(r.Uint32()), Any: statement.Reasons(r.Uint32()), Score: chain.Permille(r.Uint16()), Deregistered: r.Bool()}
		for range r.Count(directory.MaxDrawn, 4) {
			j.Votes = append(j.Votes, r.Bytes(maxVote))
		}
		x.Judged = &j
	default:
		r.Fail(wire.ErrInvalid)
	}
	return x
}

// put writes a new record and what finds it again.
func (s *Slashing) put(r Record) {
	s.records.Set(r.ID, r)
	if r.Correlation.Due != 0 {
		s.pending.Set(moment{r.Correlation.Due, r.ID}, struct{}{})
		s.order.Set(moment{r.Time, r.ID}, struct{}{})
	}
}

// moment is a key of the tables in order of time.
type moment struct {
	at chain.Time
	id chain.Hash
}

func momentCodec(prefix byte) table.Codec[moment, struct{}] {
	return table.Codec[moment, struct{}]{
		Prefix: prefix,
		AppendKey: func(b []byte, m moment) []byte {
			return append(wire.AppendUint64(b, uint64(m.at)), m.id[:]...)
		},
		ReadKey: func(r *wire.Reader) (m moment) {
			m.at = chain.Time(r.Uint64())
			r.Copy(m.id[:])
			return m
		},
		AppendValue: func(b []byte, _ struct{}) []byte { return b },
		ReadValue:   func(*wire.Reader) struct{} { return struct{}{} },
	}
}
