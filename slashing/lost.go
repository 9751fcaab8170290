package slashing

import (
	"bytes"
	"fmt"

	"tunic/chain"
	"tunic/chain/state"
	"tunic/chain/statement"
	"tunic/internal/table"
	"tunic/internal/wire"
)

// A lost message is a storage receipt whose challenge lapsed. Whose key signed it
// stands in no list but in the row of the challenge, which a ledger writes only of
// a node that it knows: a node that is leaving stands in no list of the day any
// more, and stays responsible for what it promised.

var lostParts = []part{partFirst, partHeader, partLapsed}

var lostQuestions = []question{
	{"receipt", false, askReceipt},
	{"fork", false, askFork},
	{"challenge", false, askLapsed},
	{"signature", false, askSignatures},
	{"header", true, askHeader},
}

func askReceipt(j *judgement) (string, *chain.Refusal) {
	s, err := statement.Decode(j.proof.First)
	if err != nil {
		return "", chain.Refuse(ErrMalformed.Code, "statement: %v", err)
	}
	if s.Label != statement.LabelReceipt {
		return "", chain.Refuse(ErrWrongStatement.Code, "a %s, not a storage receipt", s.Label)
	}
	s, x, err := readReceipt(j.proof.First)
	if err != nil {
		return "", chain.Refuse(ErrMalformed.Code, "statement: %v", err)
	}
	j.statements, j.promise = []statement.Statement{s}, x
	return fmt.Sprintf("node %s promised to keep %d chunks until %d ms", s.Node, x.Class, x.Until), nil
}

// askLapsed reads the row, which stands under the id of the offence and names the
// receipt itself.
func askLapsed(j *judgement) (string, *chain.Refusal) {
	h := j.proof.Header.Header
	c, err := j.proof.lapsed()
	switch {
	case err != nil:
		return "", chain.Refuse(ErrBadState.Code, "challenge at height %d: %v", h.Height, err)
	case c.Lapsed == nil:
		return "", chain.Refuse(ErrNotLapsed.Code, "after block %d the challenge was open", h.Height)
	case c.Lapsed.Epoch > h.DirEpoch || h.DirEpoch > c.Lapsed.Epoch+ListLag:
		return "", chain.Refuse(ErrWrongEpoch.Code, "a header of epoch %d, the challenge lapsed in epoch %d; use one of at most %d epochs later", h.DirEpoch, c.Lapsed.Epoch, ListLag)
	}
	j.lapsed = c
	return fmt.Sprintf("opened at height %d, chunk %d drawn in epoch %d, due at %d ms; it lapsed at height %d", c.Height, c.Chunk, c.Drawn, c.Due, c.Lapsed.Height), nil
}

// lapsed is the row of the challenge under the proof's header.
func (p Proof) lapsed() (Challenge, error) {
	s, _, err := readReceipt(p.First)
	if err != nil {
		return Challenge{}, err
	}
	id := ChallengeID(p.Genesis, s)
	value, ok, err := p.Lapsed.Verify(p.Header.Header.State, ChallengeKey(id))
	switch {
	case err != nil:
		return Challenge{}, err
	case p.Lapsed.Part != state.PartOffences || !ok:
		return Challenge{}, fmt.Errorf("%w: it shows no challenge of this receipt", state.ErrProof)
	}
	c, err := DecodeChallenge(value)
	if err != nil {
		return c, err
	}
	if own, _, err := readReceipt(c.Receipt); err != nil || c.ID != id || own.Node != s.Node || !bytes.Equal(own.Body, s.Body) {
		return c, fmt.Errorf("%w: its row is of another receipt", state.ErrProof)
	}
	return c, nil
}

// claimOfLost: one offence of a node for each receipt, whoever challenges it.
func claimOfLost(p Proof) (claim, bool) {
	s, _, err := readReceipt(p.First)
	if err != nil {
		return claim{}, false
	}
	c, err := p.lapsed()
	if err != nil || c.Lapsed == nil {
		return claim{}, false
	}
	return claim{node: s.Node, about: s.Body, epoch: c.Lapsed.Epoch}, true
}

// sizeOfLost is the size class of the lost message, in chunks.
func sizeOfLost(p Proof) uint8 {
	_, x, err := readReceipt(p.First)
	if err != nil {
		return 0
	}
	return x.Class
}

// AssembleLost makes the proof of a lost message from a sealed header and the
// state proof of the lapsed challenge's row under it, which holds the receipt. It
// validates what it made.
func AssembleLost(header chain.SealedHeader, row state.Proof) (Proof, error) {
	p := Proof{Version: Version, Kind: LostMessage, Genesis: header.Header.Genesis, Fork: header.Header.Fork, Header: header, Lapsed: row}
	if len(row.Row.Rows) != 1 {
		return Proof{}, chain.Refuse(ErrBadState.Code, "the state proof shows no row: no such challenge is open or has lapsed")
	}
	c, err := DecodeChallenge(row.Row.Rows[0].Value)
	if err != nil {
		return Proof{}, chain.Refuse(ErrBadState.Code, "%v", err)
	}
	p.First = bytes.Clone(c.Receipt)
	return p, p.Validate()
}

// ChallengeKey is the row key of a challenge in the offences part, for state proofs.
func ChallengeKey(id chain.Hash) []byte { return append([]byte{prefixChallenge}, id[:]...) }

// DecodeChallenge reads the value of a challenge's row.
func DecodeChallenge(value []byte) (Challenge, error) {
	r := wire.NewReader(value)
	c := readChallenge(r)
	if err := r.Done(); err != nil {
		return c, fmt.Errorf("decode challenge: %w", err)
	}
	return c, nil
}

var challengeCodec = table.Codec[chain.Hash, Challenge]{
	Prefix:      prefixChallenge,
	AppendKey:   func(b []byte, id chain.Hash) []byte { return append(b, id[:]...) },
	ReadKey:     func(r *wire.Reader) (id chain.Hash) { r.Copy(id[:]); return id },
	AppendValue: appendChallenge,
	ReadValue:   readChallenge,
}

func appendChallenge(b []byte, c Challenge) []byte {
	b = append(b, c.ID[:]...)
	b = wire.AppendBytes(b, c.Receipt)
	b = append(b, c.Challenger[:]...)
	b = append(b, c.Operator[:]...)
	for _, x := range []uint64{uint64(c.Deposit), uint64(c.Height), uint64(c.Time), uint64(c.Drawn)} {
		b = wire.AppendUint64(b, x)
	}
	b = append(b, c.Chunk)
	b = wire.AppendUint64(b, uint64(c.Due))
	b = wire.AppendBool(b, c.Lapsed != nil)
	if l := c.Lapsed; l != nil {
		for _, x := range []uint64{uint64(l.Height), uint64(l.Time), uint64(l.Epoch), uint64(l.Until)} {
			b = wire.AppendUint64(b, x)
		}
	}
	return b
}

func readChallenge(r *wire.Reader) (c Challenge) {
	r.Copy(c.ID[:])
	c.Receipt = r.Bytes(statement.MaxReceipt)
	r.Copy(c.Challenger[:])
	r.Copy(c.Operator[:])
	c.Deposit, c.Height, c.Time, c.Drawn = chain.Amount(r.Uint64()), chain.Height(r.Uint64()), chain.Time(r.Uint64()), chain.Epoch(r.Uint64())
	c.Chunk, c.Due = r.Uint8(), chain.Time(r.Uint64())
	if r.Bool() {
		c.Lapsed = &Lapse{Height: chain.Height(r.Uint64()), Time: chain.Time(r.Uint64()), Epoch: chain.Epoch(r.Uint64()), Until: chain.Time(r.Uint64())}
	}
	return c
}

var openCodec = table.Codec[chain.NodeID, uint8]{
	Prefix:      prefixOpen,
	AppendKey:   func(b []byte, id chain.NodeID) []byte { return append(b, id[:]...) },
	ReadKey:     func(r *wire.Reader) (id chain.NodeID) { r.Copy(id[:]); return id },
	AppendValue: func(b []byte, n uint8) []byte { return append(b, n) },
	ReadValue:   (*wire.Reader).Uint8,
}
