package relay

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/statement"
)

// outgoing is a signed statement on its way into a block.
type outgoing struct {
	statement.Statement
	encoded []byte
	pooled  bool         // the ledger has it
	at      chain.Height // when it was offered last
	tried   bool         // at that height
	done    bool         // in a block, or of no more use
	stale   bool         // the chain knows a higher sequence, or does not ask for this answer
	signed  int          // how often its body was signed
}

// patience is after how many blocks a statement that the ledger took, but no
// block holds, is sent again, byte for byte.
const patience = 3

// sign makes a statement for epoch under the next sequence. skip is how far to
// jump above the last.
func (o *owner) sign(l statement.Label, epoch chain.Epoch, body []byte, skip uint32) (*outgoing, error) {
	if k := (markKey{o.head.Fork, l}); epoch == o.syncEpoch+1 && !o.begun[k] {
		// The one epoch for which a former life may have signed, with marks
		// that a restored backup does not hold: begin at random, in the first
		// quarter of the counters that are left, so that many starts in one
		// epoch do not use them up.
		var b [8]byte
		if _, err := io.ReadFull(o.cfg.Rand, b[:]); err != nil {
			return nil, err
		}
		skip += uint32(binary.BigEndian.Uint64(b[:]) % max(1, uint64(o.marks.left(k, epoch)/4)))
		o.begun[k] = true
	}
	seq, err := o.marks.next(o.head.Fork, l, epoch, skip)
	if err != nil {
		return nil, err
	}
	s := o.cfg.Signer.Sign(o.domain(), l, seq, body)
	return &outgoing{Statement: s, encoded: s.Encode(), signed: 1}, nil
}

// describe keeps a descriptor on the ledger that serves the next epoch. It is
// signed in the epoch before the one that it is for.
func (o *owner) describe(ctx context.Context) {
	target := o.head.DirEpoch + 1
	if target <= o.syncEpoch {
		return
	}
	before := o.keys.epochs()
	keys, err := o.keys.cover(target)
	if err != nil {
		o.log.Error("cannot make onion keys", "error", err)
		return
	}
	if !slices.Equal(before, o.keys.epochs()) {
		o.keepTags()
	}
	want := statement.Descriptor{Version: o.cfg.Version, Endpoints: o.endpoints, Family: o.cfg.Family, Keys: keys}
	d := o.descriptor
	if d == nil || d.stale || !d.done && d.Sequence.Epoch() < o.head.DirEpoch || !serves(o.content, want) {
		skip := uint32(0)
		if d != nil && d.stale {
			skip = 1 << 14
		}
		fresh, err := o.sign(statement.LabelDescriptor, target, want.Encode(), skip)
		if err != nil {
			o.log.Error("cannot sign a descriptor", "error", err)
			return
		}
		o.descriptor, o.content = fresh, want
	}
	o.offer(ctx, o.descriptor)
}

// serves reports whether a descriptor says what want says, with at least its
// keys.
func serves(have, want statement.Descriptor) bool {
	for _, k := range want.Keys {
		if !slices.Contains(have.Keys, k) {
			return false
		}
	}
	return have.Version == want.Version && slices.Equal(have.Endpoints, want.Endpoints) && slices.Equal(have.Family, want.Family)
}

// beat sends a heartbeat each period, and one at the start of each epoch, so
// that every epoch's beacon has this node's part.
func (o *owner) beat(ctx context.Context) {
	target := max(o.head.DirEpoch, o.syncEpoch+1)
	if target > o.head.DirEpoch+1 {
		return
	}
	if !o.inForce.Params.Allows(o.cfg.Version) {
		if !o.versionBad {
			o.log.Error("no heartbeat: this version is not among those that the network allows; update it", "version", o.cfg.Version)
			o.versionBad = true
		}
		return
	}
	o.versionBad = false
	now, hb := o.now(), o.heartbeat
	if hb == nil || hb.stale || hb.Sequence.Epoch() < target || now >= o.beatAt+chain.Time(o.params.HeartbeatEvery) {
		skip := uint32(0)
		if hb != nil && hb.stale {
			skip = 1 << 14
		}
		body := statement.Heartbeat{
			Version: o.cfg.Version, Height: o.head.Height, VRF: o.vrfFor(target),
		}.Encode()
		fresh, err := o.sign(statement.LabelHeartbeat, target, body, skip)
		if err != nil {
			o.log.Error("cannot sign a heartbeat", "error", err)
			return
		}
		o.heartbeat, o.beatAt = fresh, now
	}
	o.offer(ctx, o.heartbeat)
}

// vrfFor is the proof of this node's part in the beacon after epoch e: the same
// in all of the epoch's heartbeats.
func (o *owner) vrfFor(e chain.Epoch) [beacon.ProofSize]byte {
	if o.proved == nil || o.proved.epoch != e {
		o.proved = &epochProof{e, o.vrf.Prove(beacon.EpochAlpha(o.cfg.Genesis, e))}
	}
	return o.proved.proof
}

// epochProof is a VRF proof and the epoch that it is for.
type epochProof struct {
	epoch chain.Epoch
	proof [beacon.ProofSize]byte
}

// offer submits a statement unless it waits in the ledger already. What was
// refused is offered again at the next head, since the reason may pass: the
// operator registers the node, the epoch comes, the pool has room.
func (o *owner) offer(ctx context.Context, s *outgoing) {
	switch {
	case s.done || s.stale, s.Sequence.Epoch() < o.head.DirEpoch && s.Label != statement.LabelAnswer: // which names no epoch
		return
	case s.pooled && o.head.Height < s.at+patience, s.tried && s.at == o.head.Height:
		return
	}
	call, stop := context.WithTimeout(ctx, callTimeout)
	defer stop()
	err := o.cfg.Ledger.Submit(call, s.encoded)
	if ctx.Err() != nil {
		return
	}
	var refusal *chain.Refusal
	s.at, s.tried, s.pooled = o.head.Height, true, false
	switch {
	case err == nil:
		s.pooled = true
		o.accepted(s)
	case !errors.As(err, &refusal):
		s.tried = false // the ledger may not have got it
		o.say(s.Label, "no answer")
	case refusal.Code == "duplicate":
		s.pooled = true
		o.accepted(s)
	case refusal.Code == "already_punished", refusal.Code == "too_soon" && (s.Label == statement.LabelHeartbeat || s.Label == statement.LabelCommitment),
		s.Label == statement.LabelVote: // a vote is final, and so is its refusal
		s.done = true
	case refusal.Code == "stale_sequence", refusal.Code == "wrong_answer",
		refusal.Code == "no_such_challenge": // answered, or over: the next epoch says
		s.stale = true
		o.say(s.Label, refusal.Code)
	default:
		o.unknown = refusal.Code == "unknown_node"
		o.say(s.Label, refusal.Code)
	}
}

func (o *owner) accepted(s *outgoing) {
	o.unknown = false
	if o.refused[s.Label] != "" {
		o.log.Info("statement accepted", "label", s.Label.String())
		delete(o.refused, s.Label)
	}
}

// say logs a refusal once until it changes.
func (o *owner) say(l statement.Label, code string) {
	if o.refused[l] != code {
		o.refused[l] = code
		o.log.Warn("statement not accepted; trying again", "label", l.String(), "code", code)
	}
}

// published notes a statement that stands in a block.
func (o *owner) published(encoded []byte) {
	s, err := statement.Decode(encoded)
	if err != nil || s.Fork != o.head.Fork {
		return
	}
	o.learn(s, encoded)
	if s.Node != o.id {
		switch s.Label {
		case statement.LabelDescriptor:
			o.watch.observe(o.domain(), s, encoded, false)
		case statement.LabelVote:
			o.ballots.observe(o.domain(), s, encoded, false)
		}
		return
	}
	ours := false
	for _, mine := range slices.Concat([]*outgoing{o.descriptor, o.heartbeat, o.history.commitment}, o.proofs, o.history.votes, o.answers()) {
		if mine != nil && bytes.Equal(mine.encoded, encoded) {
			mine.done, ours = true, true
		}
	}
	if ours || s.Verify(o.domain()) != nil {
		return
	}
	// Signed by a former life, or by a second one that must not be.
	if err := o.marks.raise(o.head.Fork, s.Label, s.Sequence); err != nil {
		o.log.Error("cannot save marks", "error", err)
	}
	if s.Label == statement.LabelDescriptor && o.descriptor != nil && s.Sequence > o.descriptor.Sequence {
		o.descriptor = nil // the chain no longer goes by it
		o.log.Warn("a descriptor of this node is on the ledger that this relay did not sign; do not run one node twice")
	}
}
