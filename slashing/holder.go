package slashing

import (
	"errors"
	"fmt"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/registry/directory"
)

// What shows whose key signed: the offender's directory entry with its path, and
// the sealed header that the path leads to. The statements of a judgement are all
// of one node and sequence by the time these are asked.

// ListLag is how many epochs after the offence's the carried list may be: twice
// the longest life of an onion key that a genesis allows, so that whoever holds
// a descriptor that still counts can use the directory of the day. It may be
// one epoch older than the offence's, since a descriptor is signed and shown in
// the epoch before the one that it is for.
const ListLag = 128

// hold puts the node's entry and the header of its list into p.
func (p *Proof) hold(node chain.NodeID, header chain.SealedHeader, list *directory.List) error {
	if err := list.Check(header.Header); err != nil {
		return chain.Refuse(ErrNotListed.Code, "the list is not the header's: %v", err)
	}
	p.Entry, p.Header = list.Prove(node), header
	return nil
}

func askFork(j *judgement) (string, *chain.Refusal) {
	p := j.proof
	for _, s := range j.statements {
		if s.Fork != p.Fork || p.Header.Header.Fork != p.Fork {
			return "", chain.Refuse(ErrWrongFork.Code, "the proof is of fork %d, a statement of %d, the header of %d", p.Fork, s.Fork, p.Header.Header.Fork)
		}
	}
	if p.Header.Header.Genesis != p.Genesis {
		return "", chain.Refuse(ErrForeignNetwork.Code, "the proof is of genesis %s, its header of %s", p.Genesis, p.Header.Header.Genesis)
	}
	return fmt.Sprintf("statements and header are of fork %d", p.Fork), nil
}

func askEpoch(j *judgement) (string, *chain.Refusal) {
	offence, list := j.statements[0].Sequence.Epoch(), j.proof.Header.Header.DirEpoch
	// offence is below 2^44, so that neither sum wraps around
	if offence > 0 && list < offence-1 || list > offence+ListLag {
		return "", chain.Refuse(ErrWrongEpoch.Code, "the list of epoch %d says nothing of an offence of epoch %d; use one of epoch %d to %d",
			list, offence, max(offence, 1)-1, offence+ListLag)
	}
	return fmt.Sprintf("offence of epoch %d, list of epoch %d", offence, list), nil
}

func askEntry(j *judgement) (string, *chain.Refusal) { return j.askEntryOf(j.statements[0].Node) }

func (j *judgement) askEntryOf(node chain.NodeID) (string, *chain.Refusal) {
	m := j.proof.Entry
	if m.Node != node {
		return "", chain.Refuse(ErrNotListed.Code, "the entry is of %s, what was signed of %s", m.Node, node)
	}
	listed, err := m.Verify(j.proof.Header.Header)
	switch {
	case errors.Is(err, directory.ErrMalformed):
		return "", chain.Refuse(ErrMalformed.Code, "entry: %v", err)
	case err != nil:
		return "", chain.Refuse(ErrNotListed.Code, "the entry does not stand in the header's list: %v", err)
	case !listed:
		return "", chain.Refuse(ErrNotListed.Code, "the carried path shows that the node is not in the list")
	}
	return fmt.Sprintf("the node is entry %d of %d, of operator %s", m.Places[0].Index+1, m.Places[0].Count, m.Entries[0].Operator), nil
}

func askSignatures(j *judgement) (string, *chain.Refusal) {
	d := statement.Domain{Genesis: j.proof.Genesis, Fork: j.proof.Fork}
	for _, s := range j.statements {
		if err := s.Verify(d); err != nil {
			return "", chain.Refuse(ErrBadSignature.Code, "%s with sequence %d: %v", s.Label, s.Sequence, err)
		}
	}
	return fmt.Sprintf("the node's key signed, for this network and fork %d", d.Fork), nil
}

// askHeader holds the header of the list against the anchor.
func askHeader(j *judgement) (string, *chain.Refusal) {
	h := j.proof.Header
	if err := j.anchor.CheckHeader(h); err != nil {
		return "", chain.Refuse(ErrBadHeader.Code, "height %d: %v", h.Header.Height, err)
	}
	return fmt.Sprintf("header %s at height %d is this network's", h.Header.Hash(), h.Header.Height), nil
}
