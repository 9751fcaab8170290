package slashing

import (
	"fmt"
	"math/bits"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/registry/directory"
)

// Unauthorised software is a heartbeat whose node declares a version that is not
// allowed. Nothing proves what really runs.

var softwareParts = []part{partFirst, partEntry, partHeader, partParams}

var softwareQuestions = []question{
	{"statement", false, askHeartbeat},
	{"fork", false, askFork},
	{"epoch", false, askEpoch},
	{"entry", false, askEntry},
	{"parameters", false, askVersionsInForce},
	{"version", false, askVersion},
	{"grace", false, askGrace},
	{"signature", false, askSignatures},
	{"headers", true, askHeaders},
}

func askHeartbeat(j *judgement) (string, *chain.Refusal) {
	s, err := statement.Decode(j.proof.First)
	if err != nil {
		return "", chain.Refuse(ErrMalformed.Code, "statement: %v", err)
	}
	if s.Label != statement.LabelHeartbeat {
		return "", chain.Refuse(ErrWrongStatement.Code, "a %s, not a heartbeat", s.Label)
	}
	h, err := statement.DecodeHeartbeat(s.Body)
	if err != nil {
		return "", chain.Refuse(ErrMalformed.Code, "statement: %v", err)
	}
	j.statements, j.version = []statement.Statement{s}, h.Version
	return fmt.Sprintf("a heartbeat of node %s for epoch %d", s.Node, s.Sequence.Epoch()), nil
}

func askVersionsInForce(j *judgement) (string, *chain.Refusal) {
	return j.askInForce(j.statements[0].Sequence.Epoch(), func(f genesis.InForce) chain.Epoch { return f.VersionsSince })
}

func askVersion(j *judgement) (string, *chain.Refusal) {
	allowed := j.inForce.Params.Versions
	switch {
	case len(allowed) == 0:
		return "", chain.Refuse(ErrVersionAllowed.Code, "every version was allowed")
	case j.inForce.Params.Allows(j.version):
		return "", chain.Refuse(ErrVersionAllowed.Code, "version %q was allowed", j.version)
	}
	return fmt.Sprintf("it declares version %q; allowed were %q", j.version, allowed), nil
}

// askGrace asks whether the heartbeat's epoch began after the time of grace,
// which begins with the epoch of the change. Both are counted in whole epochs
// from genesis, so that only their distance matters. No council changes the
// length of an epoch.
func askGrace(j *judgement) (string, *chain.Refusal) {
	p, since, at := j.inForce.Params, j.inForce.VersionsSince, j.statements[0].Sequence.Epoch()
	hi, span := bits.Mul64(uint64(at-since), uint64(p.EpochLength)) // since is at most at
	if hi == 0 && span < uint64(p.VersionGrace) {
		return "", chain.Refuse(ErrInGrace.Code, "signed for epoch %d, %d ms after the versions changed in epoch %d; %d ms are granted", at, span, since, p.VersionGrace)
	}
	return fmt.Sprintf("allowed since epoch %d, and %d ms of grace were over", since, p.VersionGrace), nil
}

// claimOfSoftware: one offence of a node for each change of the versions.
func claimOfSoftware(p Proof) (claim, bool) {
	s, err := statement.Decode(p.First)
	if err != nil {
		return claim{}, false
	}
	row, err := p.Params.Proof.InForce(p.Params.Header.Header.State)
	return claim{node: s.Node, number: uint64(row.VersionsSince), epoch: s.Sequence.Epoch()}, err == nil
}

// AssembleSoftware makes the proof of unauthorised software from an encoded
// heartbeat, a header with its list, which must hold the node, and the
// parameters in force. It validates what it made.
func AssembleSoftware(heartbeat []byte, header chain.SealedHeader, list *directory.List, params InForce) (Proof, error) {
	s, err := statement.Decode(heartbeat)
	if err != nil {
		return Proof{}, chain.Refuse(ErrMalformed.Code, "statement: %v", err)
	}
	p := Proof{Version: Version, Kind: Unauthorised, Genesis: header.Header.Genesis, Fork: s.Fork, First: slices.Clone(heartbeat), Params: params}
	if err := p.hold(s.Node, header, list); err != nil {
		return Proof{}, err
	}
	return p, p.Validate()
}
