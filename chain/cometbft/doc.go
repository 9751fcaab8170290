// Package cometbft verifies what CometBFT v0.38 decides, without CometBFT: that
// a header is of a chain, that more than two thirds of its validators signed it,
// and that it follows from one that is trusted. It implements
// docs/spec/cometbft.md.
//
// Who follows a chain makes a Follower, from the validators of genesis or from a
// header that it trusts, and feeds it certificates with Accept, one after the
// other or far apart; Reach does the steps in between. Who holds a certificate
// and knows the validators asks Set.VerifyCommit. Who saw one validator vote
// twice makes a DuplicateVote.
//
// What it promises: it accepts and refuses what CometBFT's own light client
// accepts and refuses, but for the differences that the specification lists; no
// input makes it panic; nothing is allocated by a length that was not bounded;
// powers are added in integers that cannot overflow. It reads no clock and
// fetches nothing.
package cometbft

import "errors"

var (
	// ErrMalformed means that bytes are not the encoding of a value.
	ErrMalformed = errors.New("cometbft: malformed encoding")
	// ErrConfig means that a follower was given limits with which it cannot work.
	ErrConfig = errors.New("cometbft: unusable configuration")
	// ErrChain means that a header belongs to another chain.
	ErrChain = errors.New("cometbft: header of another chain")
	// ErrHeader means that a header is of another protocol, or a field of it is
	// out of range.
	ErrHeader = errors.New("cometbft: invalid header")
	// ErrCommit means that a commit has no valid form, or is not of the header
	// or of the validators that it is held against.
	ErrCommit = errors.New("cometbft: commit does not belong here")
	// ErrSet means that validators do not make a set, or are not those that a
	// header names.
	ErrSet = errors.New("cometbft: wrong validators")
	// ErrNoSet means that a certificate came without its validators, and the
	// follower does not know them.
	ErrNoSet = errors.New("cometbft: validators are not known; ask for the certificate with its set")
	// ErrSigner means that a signature stands in another validator's place, or
	// that one validator stands in two.
	ErrSigner = errors.New("cometbft: signature in the wrong place")
	// ErrSignature means that a signature is not the validator's.
	ErrSignature = errors.New("cometbft: invalid signature")
	// ErrPower means that those who signed do not have more than two thirds of
	// the power.
	ErrPower = errors.New("cometbft: too little power signed")
	// ErrTrust means that those of the trusted validators who signed do not have
	// more than a third of their power. From a Follower it is an *Intermediate.
	ErrTrust = errors.New("cometbft: too few of the trusted validators signed")
	// ErrCheckpoint means that a certificate is not of the trusted hash.
	ErrCheckpoint = errors.New("cometbft: header contradicts the checkpoint")
	// ErrExpired means that the newest header to start from is older than the
	// trusting period: its validators could have taken their stake and left.
	ErrExpired = errors.New("cometbft: trusted header too old; start from a newer checkpoint")
	// ErrFuture means that a header is ahead of the clock.
	ErrFuture = errors.New("cometbft: header ahead of the clock")
	// ErrOrder means that a header is not later than one below it.
	ErrOrder = errors.New("cometbft: header does not follow from the one below")
	// ErrOld means that a header is below all that the follower remembers.
	ErrOld = errors.New("cometbft: header below all that are remembered")
	// ErrTwoHeads means that two certificates contradict each other. The caller
	// saves both, shows them and halts. errors.As gives a *TwoHeads.
	ErrTwoHeads = errors.New("cometbft: two certificates that contradict each other")
	// ErrDuplicate means that two votes are not a validator's two votes on one
	// question.
	ErrDuplicate = errors.New("cometbft: not two votes on one question")
)
