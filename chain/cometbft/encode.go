package cometbft

import (
	"fmt"
	"unicode/utf8"

	"tunic/chain"
	"tunic/internal/wire"
)

// encodingVersion is the version of the encodings: the first byte of each.
const encodingVersion = 1

// What sets a certificate has, in its second byte.
const (
	noSets   = 0
	onlySet  = 1
	onlyNext = 2
	bothSets = 3
	oneSet   = 4 // which signs the next height too
)

// Encode gives the canonical bytes of a header that Validate accepts.
func (h *Header) Encode() []byte { return h.append([]byte{encodingVersion}) }

// DecodeHeader reads what Encode gives: ErrMalformed for anything else. It asks
// for the form alone, not what Validate asks.
func DecodeHeader(b []byte) (Header, error) { return decode(b, "header", readHeader) }

// Encode gives the canonical bytes of a commit that Validate accepts.
func (c *Commit) Encode() []byte { return c.append([]byte{encodingVersion}) }

// DecodeCommit reads what Encode gives: ErrMalformed for anything else, more
// than MaxValidators places included.
func DecodeCommit(b []byte) (Commit, error) { return decode(b, "commit", readCommit) }

// Encode gives the canonical bytes of the set.
func (s *Set) Encode() []byte { return s.append([]byte{encodingVersion}) }

// DecodeSet reads what Encode gives: ErrMalformed for anything else, and ErrSet
// beside it where the validators make no set or are not in order.
func DecodeSet(b []byte) (*Set, error) { return decode(b, "set", readSet) }

// Encode gives the canonical bytes of a certificate that Validate accepts.
func (c *Certificate) Encode() []byte {
	b := c.Commit.append(c.Header.append([]byte{encodingVersion, c.sets()}))
	if c.Set != nil {
		b = c.Set.append(b)
	}
	if c.Next != nil && c.sets() != oneSet {
		b = c.Next.append(b)
	}
	return b
}

func (c *Certificate) sets() byte {
	switch {
	case c.Set == nil && c.Next == nil:
		return noSets
	case c.Next == nil:
		return onlySet
	case c.Set == nil:
		return onlyNext
	case c.Set.hash == c.Next.hash:
		return oneSet
	}
	return bothSets
}

// DecodeCertificate reads what Encode gives: ErrMalformed for anything else. It
// asks for the form alone, not what Validate asks.
func DecodeCertificate(b []byte) (Certificate, error) {
	return decode(b, "certificate", func(r *wire.Reader) (c Certificate) {
		sets := r.Uint8()
		c.Header, c.Commit = readHeader(r), readCommit(r)
		switch sets {
		case noSets:
		case onlySet, oneSet:
			c.Set = readSet(r)
			if sets == oneSet {
				c.Next = c.Set
			}
		case onlyNext:
			c.Next = readSet(r)
		case bothSets:
			c.Set, c.Next = readSet(r), readSet(r)
			if r.Err() == nil && c.Set.hash == c.Next.hash {
				r.Fail(wire.ErrInvalid)
			}
		default:
			r.Fail(wire.ErrInvalid)
		}
		return c
	})
}

// Encode gives the canonical bytes of a vote.
func (v *Vote) Encode() []byte {
	b := appendQuestion([]byte{encodingVersion}, v.Type, v.Height, v.Round)
	b = append(b, v.Validator[:]...)
	return ballot(*v).append(b)
}

// DecodeVote reads what Encode gives: ErrMalformed for anything else.
func DecodeVote(b []byte) (Vote, error) {
	return decode(b, "vote", func(r *wire.Reader) (v Vote) {
		v.Type, v.Height, v.Round = readQuestion(r)
		r.Copy(v.Validator[:])
		given := readBallot(r)
		v.BlockID, v.Time, v.Signature = given.BlockID, given.Time, given.Signature
		return v
	})
}

// Encode gives the canonical bytes of evidence that Validate accepts.
func (d *DuplicateVote) Encode() []byte {
	b := append([]byte{encodingVersion}, d.Validator[:]...)
	b = appendQuestion(b, d.Type, d.Height, d.Round)
	return d.Second.append(d.First.append(b))
}

// DecodeDuplicateVote reads what Encode gives and validates it: ErrMalformed for
// other bytes, ErrDuplicate as Validate.
func DecodeDuplicateVote(b []byte) (DuplicateVote, error) {
	d, err := decode(b, "duplicate vote", func(r *wire.Reader) (d DuplicateVote) {
		r.Copy(d.Validator[:])
		d.Type, d.Height, d.Round = readQuestion(r)
		d.First, d.Second = readBallot(r), readBallot(r)
		return d
	})
	if err == nil {
		err = d.Validate()
	}
	if err != nil {
		return DuplicateVote{}, err
	}
	return d, nil
}

// decode reads version, value and end.
func decode[T any](b []byte, what string, read func(*wire.Reader) T) (T, error) {
	r := wire.NewReader(b)
	if r.Uint8() != encodingVersion {
		r.Fail(wire.ErrInvalid)
	}
	v := read(r)
	if err := r.Done(); err != nil {
		var none T
		return none, fmt.Errorf("%w: %s: %w", ErrMalformed, what, err)
	}
	return v, nil
}

func (h *Header) append(b []byte) []byte {
	b = wire.AppendUint64(b, h.Version.Block)
	b = wire.AppendUint64(b, h.Version.App)
	b = wire.AppendString(b, h.ChainID)
	b = wire.AppendUint64(b, uint64(h.Height))
	b = h.LastBlockID.append(h.Time.append(b))
	for _, hash := range h.hashes() {
		b = append(b, hash[:]...)
	}
	return append(b, h.ProposerAddress[:]...)
}

// hashes are the header's hashes in CometBFT's order.
func (h *Header) hashes() [8]*chain.Hash {
	return [8]*chain.Hash{&h.LastCommitHash, &h.DataHash, &h.ValidatorsHash, &h.NextValidatorsHash,
		&h.ConsensusHash, &h.AppHash, &h.LastResultsHash, &h.EvidenceHash}
}

func readHeader(r *wire.Reader) (h Header) {
	h.Version = Version{Block: r.Uint64(), App: r.Uint64()}
	h.ChainID = r.String(MaxChainID)
	if !utf8.ValidString(h.ChainID) {
		r.Fail(wire.ErrInvalid)
	}
	h.Height = readHeight(r)
	h.Time, h.LastBlockID = readTime(r), readBlockID(r)
	for _, hash := range h.hashes() {
		r.Copy(hash[:])
	}
	r.Copy(h.ProposerAddress[:])
	return h
}

func (c *Commit) append(b []byte) []byte {
	b = wire.AppendUint64(b, uint64(c.Height))
	b = wire.AppendUint32(b, uint32(c.Round))
	b = c.BlockID.append(b)
	b = wire.AppendUint32(b, uint32(len(c.Signatures)))
	for i := range c.Signatures {
		s := &c.Signatures[i]
		b = append(b, byte(s.Flag))
		if s.Flag != FlagAbsent {
			b = s.Time.append(append(b, s.Validator[:]...))
			b = append(b, s.Signature[:]...)
		}
	}
	return b
}

func readCommit(r *wire.Reader) (c Commit) {
	c.Height, c.Round, c.BlockID = readHeight(r), readRound(r), readBlockID(r)
	c.Signatures = make([]CommitSig, r.Count(MaxValidators, 1))
	for i := range c.Signatures {
		s := &c.Signatures[i]
		switch s.Flag = Flag(r.Uint8()); s.Flag {
		case FlagAbsent:
		case FlagCommit, FlagNil:
			r.Copy(s.Validator[:])
			s.Time = readTime(r)
			r.Copy(s.Signature[:])
		default:
			r.Fail(wire.ErrInvalid)
		}
	}
	return c
}

func (s *Set) append(b []byte) []byte {
	b = wire.AppendUint32(b, uint32(len(s.validators)))
	for _, v := range s.validators {
		b = wire.AppendUint64(append(b, v.Key[:]...), uint64(v.Power))
	}
	return b
}

// readSet returns nil after a failure.
func readSet(r *wire.Reader) *Set {
	validators := make([]Validator, r.Count(MaxValidators, 40))
	for i := range validators {
		r.Copy(validators[i].Key[:])
		validators[i].Power = Power(r.Uint64()) // a negative one makes no set
	}
	if r.Err() != nil {
		return nil
	}
	s, err := orderedSet(validators)
	if err != nil {
		r.Fail(err)
		return nil
	}
	return s
}

func appendQuestion(b []byte, t VoteType, height chain.Height, round Round) []byte {
	return wire.AppendUint32(wire.AppendUint64(append(b, byte(t)), uint64(height)), uint32(round))
}

func readQuestion(r *wire.Reader) (VoteType, chain.Height, Round) {
	t := VoteType(r.Uint8())
	if t != Prevote && t != Precommit {
		r.Fail(wire.ErrInvalid)
	}
	return t, readHeight(r), readRound(r)
}

func (g Ballot) append(b []byte) []byte {
	return append(g.Time.append(g.BlockID.append(b)), g.Signature[:]...)
}

func readBallot(r *wire.Reader) (g Ballot) {
	g.BlockID, g.Time = readBlockID(r), readTime(r)
	r.Copy(g.Signature[:])
	return g
}

func (t Time) append(b []byte) []byte {
	return wire.AppendUint32(wire.AppendUint64(b, uint64(t.Seconds)), t.Nanos)
}

func readTime(r *wire.Reader) Time {
	t := Time{int64(r.Uint64()), r.Uint32()}
	if !t.Valid() {
		r.Fail(wire.ErrInvalid)
	}
	return t
}

func (id BlockID) append(b []byte) []byte {
	b = wire.AppendUint32(append(b, id.Hash[:]...), id.Parts.Total)
	return append(b, id.Parts.Hash[:]...)
}

func readBlockID(r *wire.Reader) (id BlockID) {
	r.Copy(id.Hash[:])
	id.Parts.Total = r.Uint32()
	r.Copy(id.Parts.Hash[:])
	return id
}

func readHeight(r *wire.Reader) chain.Height {
	h := chain.Height(r.Uint64())
	if h == 0 || h > MaxHeight {
		r.Fail(wire.ErrInvalid)
	}
	return h
}

func readRound(r *wire.Reader) Round {
	n := Round(r.Uint32())
	if n > MaxRound {
		r.Fail(wire.ErrInvalid)
	}
	return n
}
