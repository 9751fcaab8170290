package slashing

import (
	"fmt"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/state"
	"tunic/internal/wire"
)

// InForce shows the parameters in force: a proof of their row in the state after
// the block of a sealed header. That header may be later than the offence, and
// another than that of the list: the row says since when it holds.
type InForce struct {
	Header chain.SealedHeader
	Proof  state.Proof
}

func appendInForce(b []byte, p Proof) []byte {
	b = append(b, p.Params.Header.Encode()...)
	return append(b, p.Params.Proof.Encode()...)
}

func readInForce(r *wire.Reader, p *Proof) {
	p.Params = InForce{chain.ReadSealedHeader(r), state.ReadProof(r)}
}

// askInForce reads the row. The header must be of the proof's genesis and fork
// and from the offence's epoch on, as late as a list may be; since is the epoch
// from which on what the row says of the matter holds.
func (j *judgement) askInForce(offence chain.Epoch, since func(genesis.InForce) chain.Epoch) (string, *chain.Refusal) {
	p, h := j.proof, j.proof.Params.Header.Header
	switch {
	case h.Genesis != p.Genesis:
		return "", chain.Refuse(ErrForeignNetwork.Code, "the proof is of genesis %s, the header of the parameters of %s", p.Genesis, h.Genesis)
	case h.Fork != p.Fork:
		return "", chain.Refuse(ErrWrongFork.Code, "the proof is of fork %d, the header of the parameters of %d", p.Fork, h.Fork)
	case h.DirEpoch < offence || h.DirEpoch > offence+ListLag: // offence is below 2^44
		return "", chain.Refuse(ErrWrongEpoch.Code, "parameters of epoch %d for an offence of epoch %d; use those of epoch %d to %d",
			h.DirEpoch, offence, offence, offence+ListLag)
	}
	row, err := p.Params.Proof.InForce(h.State)
	if err != nil {
		return "", chain.Refuse(ErrBadState.Code, "parameters in force at height %d: %v", h.Height, err)
	}
	from := since(row)
	if from > offence {
		return "", chain.Refuse(ErrWrongEpoch.Code, "they are in force since epoch %d, the offence is of epoch %d", from, offence)
	}
	j.inForce = row
	return fmt.Sprintf("change %d of the parameters, in force from epoch %d to %d at least", row.Number, from, h.DirEpoch), nil
}

// askHeaders holds both carried headers against the anchor.
func askHeaders(j *judgement) (string, *chain.Refusal) {
	say, no := askHeader(j)
	if no != nil {
		return say, no
	}
	h := j.proof.Params.Header
	if err := j.anchor.CheckHeader(h); err != nil {
		return "", chain.Refuse(ErrBadHeader.Code, "height %d, of the parameters: %v", h.Header.Height, err)
	}
	return fmt.Sprintf("%s, and so is %s at height %d", say, h.Header.Hash(), h.Header.Height), nil
}
