package slashing

import (
	"errors"
	"fmt"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/state"
	"tunic/internal/wire"
)

// Where validators decide blocks together, nobody seals alone: a double-seal is two
// votes of one validator on one question of CometBFT. Its proof carries them as one
// piece of evidence, with the row of the state that shows that the node was a
// validator then.

// formBallots is the first byte of First in such a proof. It is no version of a
// header.
const formBallots = 0x80

// byBallots reports whether a double-seal is shown by votes and not by two headers.
func (p *Proof) byBallots() bool {
	return p.Kind == DoubleSeal && len(p.First) > 0 && p.First[0] == formBallots
}

// partBallotSeat is header and row, which follow votes alone.
var partBallotSeat = part{
	func(b []byte, p Proof) []byte {
		if !p.byBallots() {
			return b
		}
		return partSeat.put(partHeader.put(b, p), p)
	},
	func(r *wire.Reader, p *Proof) {
		if p.byBallots() {
			partHeader.get(r, p)
			partSeat.get(r, p)
		}
	},
}

// ballotQuestions are those of a double-seal by votes.
var ballotQuestions = []question{
	{"ballots", false, askBallots},
	{"fork", false, askBallotFork},
	{"validator", false, askValidator},
	{"signatures", false, askBallotSignatures},
	{"header", true, askHeader},
}

// AssembleBallots makes the proof of a double-seal from a validator's two votes, a
// committed header from two heights below theirs up to their own, and the state
// proof of the validator's row under it. It validates what it made.
func AssembleBallots(d cometbft.DuplicateVote, header chain.SealedHeader, row state.Proof) (Proof, error) {
	p := Proof{Version: Version, Kind: DoubleSeal, Genesis: header.Header.Genesis, Fork: header.Header.Fork, Header: header, Seat: row}
	p.First = append([]byte{formBallots}, d.Encode()...)
	return p, p.Validate()
}

// SeatHeights are those of the headers that a proof of votes at this height may
// carry: the validators after block h - 2 decide h, and a header of the time of the
// offence leaves nobody to choose until when it is punished.
func SeatHeights(h chain.Height) (from, to chain.Height) {
	return max(h, 3) - 2, max(h, 2)
}

// Ballots are the two votes of such a proof, unjudged.
func (p Proof) Ballots() (cometbft.DuplicateVote, bool) {
	if !p.byBallots() {
		return cometbft.DuplicateVote{}, false
	}
	d, err := cometbft.DecodeDuplicateVote(p.First[1:])
	return d, err == nil
}

func askBallots(j *judgement) (string, *chain.Refusal) {
	d, err := cometbft.DecodeDuplicateVote(j.proof.First[1:])
	switch {
	case errors.Is(err, cometbft.ErrDuplicate):
		return "", chain.Refuse(ErrWrongPair.Code, "%v", err)
	case err != nil:
		return "", chain.Refuse(ErrMalformed.Code, "%v", err)
	case len(j.proof.Second) > 0:
		return "", chain.Refuse(ErrMalformed.Code, "%d bytes beside the votes", len(j.proof.Second))
	}
	j.ballots = d
	return fmt.Sprintf("two %ss of validator %s at height %d, round %d: for %s and for %s", d.Type, d.Validator, d.Height, d.Round,
		choice(d.First), choice(d.Second)), nil
}

// choice is what a vote is for, in words.
func choice(b cometbft.Ballot) string {
	if b.BlockID.IsNil() {
		return "no block"
	}
	return "block " + b.BlockID.Hash.String()
}

func askBallotFork(j *judgement) (string, *chain.Refusal) { return j.askForkOf("validator's row") }

// askValidator asks that the state of the carried header has the node among the
// validators, since a block that is early enough.
func askValidator(j *judgement) (string, *chain.Refusal) {
	p, at := &j.proof, j.proof.Header.Header.Height
	from, to := SeatHeights(j.ballots.Height)
	if at < from || at > to {
		return "", chain.Refuse(ErrWrongEpoch.Code, "the header is of height %d; what was done at height %d is shown by one from %d to %d", at, j.ballots.Height, from, to)
	}
	v, err := p.Seat.Validator(p.Header.Header.State, j.ballots.Validator)
	switch {
	case err != nil:
		return "", chain.Refuse(ErrBadState.Code, "%v", err)
	case v.Since > from:
		return "", chain.Refuse(ErrNotListed.Code, "node %s is a validator from height %d on, the votes are of %d", j.ballots.Validator, v.Since+2, j.ballots.Height)
	}
	return fmt.Sprintf("the state at height %d has the node among the validators", at), nil
}

func askBallotSignatures(j *judgement) (string, *chain.Refusal) {
	if err := j.ballots.Verify(cometbft.ChainID(j.proof.Genesis)); err != nil {
		return "", chain.Refuse(ErrBadSignature.Code, "%v", err)
	}
	return "the validator's key signed both", nil
}

// claimOfBallots: one offence of a validator for each height, whatever it voted for
// besides.
func claimOfBallots(p Proof) (claim, bool) {
	d, ok := p.Ballots()
	return claim{node: d.Validator, number: uint64(d.Height), epoch: p.Header.Header.DirEpoch}, ok
}
