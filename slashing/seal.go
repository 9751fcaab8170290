package slashing

import (
	"errors"
	"fmt"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
)

// Where one sealer makes blocks, the proof of a double-seal carries two sealed
// headers where other kinds carry statements, and nothing after them: who may seal
// stands in genesis and in no directory, so that there is no entry and no further
// header. Where validators do, see ballots.go.

var sealParts = []part{partFirst, partSecond, partBallotSeat}

// TwoHeads is what an anchor's CheckHeader returns for a header that passes but
// for being the second of its height that the anchor has seen.
type TwoHeads interface {
	error
	Heads() (first, second chain.SealedHeader)
}

// sealQuestions are those of a double-seal.
var sealQuestions = []question{
	{"headers", false, askTwoHeaders},
	{"pair", false, askSealPair},
	{"fork", false, askSealFork},
	{"content", false, askSealContent},
	{"seals", false, askSeals},
	{"sealer", true, askSealer},
}

// AssembleSeals makes the proof of a double-seal from two sealed headers, in any
// order. It validates what it made. Two headers with hundreds of removals do not
// fit a proof.
func AssembleSeals(a, b chain.SealedHeader) (Proof, error) {
	p := Proof{Version: Version, Kind: DoubleSeal, Genesis: a.Header.Genesis, Fork: a.Header.Fork}
	p.First, p.Second = ordered(a.Encode(), b.Encode())
	return p, p.Validate()
}

func askTwoHeaders(j *judgement) (_ string, no *chain.Refusal) {
	for i, b := range [][]byte{j.proof.First, j.proof.Second} {
		s, err := chain.DecodeSealedHeader(b)
		if err != nil {
			return "", chain.Refuse(ErrMalformed.Code, "%s header: %v", ordinal(i), err)
		}
		j.seals[i] = s
	}
	return j.ascending("header")
}

func askSealPair(j *judgement) (string, *chain.Refusal) {
	a, b := j.seals[0].Header, j.seals[1].Header
	switch {
	case a.Height != b.Height:
		return "", chain.Refuse(ErrWrongPair.Code, "of two heights, %d and %d", a.Height, b.Height)
	case a.Proposer != b.Proposer:
		return "", chain.Refuse(ErrWrongPair.Code, "of two proposers, %s and %s", a.Proposer, b.Proposer)
	}
	return fmt.Sprintf("two headers of proposer %s for height %d", a.Proposer, a.Height), nil
}

func askSealFork(j *judgement) (string, *chain.Refusal) {
	p := j.proof
	for i, s := range j.seals {
		if s.Header.Genesis != p.Genesis {
			return "", chain.Refuse(ErrForeignNetwork.Code, "the proof is of genesis %s, its %s header of %s", p.Genesis, ordinal(i), s.Header.Genesis)
		}
	}
	if a, b := j.seals[0].Header.Fork, j.seals[1].Header.Fork; a != p.Fork || b != p.Fork {
		return "", chain.Refuse(ErrWrongFork.Code, "the proof is of fork %d, the headers of %d and %d", p.Fork, a, b)
	}
	return fmt.Sprintf("both headers are of fork %d", p.Fork), nil
}

func askSealContent(j *judgement) (string, *chain.Refusal) {
	a, b := j.seals[0].Header.Hash(), j.seals[1].Header.Hash()
	if a == b {
		return "", chain.Refuse(ErrSameContent.Code, "the headers differ only in their seals")
	}
	return fmt.Sprintf("they differ: hashes %s and %s", a, b), nil
}

func askSeals(j *judgement) (string, *chain.Refusal) {
	d := statement.Domain{Genesis: j.proof.Genesis, Fork: j.proof.Fork}
	for i, s := range j.seals {
		hash := s.Header.Hash()
		if err := d.VerifyRaw(s.Header.Proposer, statement.LabelSeal, hash[:], s.Seal); err != nil {
			return "", chain.Refuse(ErrBadSignature.Code, "%s header: %v", ordinal(i), err)
		}
	}
	return "the proposer's key sealed both", nil
}

// askSealer needs one header that the anchor takes: the other has the same
// proposer and a valid seal, and whatever else it says only its sealer can have
// said. On a ledger that is the one of its own history, offline any that the
// sealer of genesis could have shown.
func askSealer(j *judgement) (string, *chain.Refusal) {
	var why error
	for _, s := range j.seals {
		err := j.anchor.CheckHeader(s)
		var two TwoHeads
		if err == nil || errors.As(err, &two) {
			return fmt.Sprintf("%s is a sealer of this network, and header %s is of it", s.Header.Proposer, s.Header.Hash()), nil
		}
		if why == nil {
			why = err
		}
	}
	return "", chain.Refuse(ErrBadHeader.Code, "neither header for height %d is this network's: %v", j.seals[0].Header.Height, why)
}

// unbonded is why the ledger takes a double-seal for a proof and for no penalty.
func unbonded(core *genesis.Core) *chain.Refusal {
	if core.Engine == genesis.EngineComet {
		return nil
	}
	if len(core.Sealers) == 1 {
		return chain.Refuse(ErrSingleSealer.Code, "the proof holds, but who seals alone cannot be punished by its own ledger; clients and relays halt")
	}
	return chain.Refuse(ErrUnbondedSealer.Code, "the proof holds, but the %d sealers of genesis have no bond that could be slashed", len(core.Sealers))
}

// claimOfSeals takes the later epoch: a sealer that dates one of its headers
// early gains nothing.
func claimOfSeals(p Proof) (claim, bool) {
	if p.byBallots() {
		return claimOfBallots(p)
	}
	a, err := chain.DecodeSealedHeader(p.First)
	if err != nil {
		return claim{}, false
	}
	c := claim{node: a.Header.Proposer, number: uint64(a.Header.Height), epoch: a.Header.DirEpoch}
	if b, err := chain.DecodeSealedHeader(p.Second); err == nil {
		c.epoch = max(c.epoch, b.Header.DirEpoch)
	}
	return c, true
}
