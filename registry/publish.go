package registry

import (
	"bytes"
	"slices"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/statement"
)

// Publish takes a node's descriptor, heartbeat, vote or probe commitment. It
// asks, cheap questions first: is the label published here, is the node known
// and serving, is it of this fork, of this epoch or the next, does the body
// decode, is it newer than the last and not too soon after it, is its content
// allowed (of a vote: has the node a seat), is it signed.
func (r *Registry) Publish(st statement.Statement, ctx Context) error {
	n, err := r.check(st, ctx)
	switch {
	case err != nil:
		return err
	case st.Label == statement.LabelVote:
		r.cast(st)
	default:
		r.put(n)
	}
	return nil
}

// CheckPublish says what Publish would, and changes nothing.
func (r *Registry) CheckPublish(st statement.Statement, ctx Context) error {
	_, err := r.check(st, ctx)
	return err
}

// check returns the node as it stands after st.
func (r *Registry) check(st statement.Statement, ctx Context) (Node, error) {
	if !Published(st.Label) {
		return Node{}, chain.Refuse(CodeUnsupported, "a %s", st.Label)
	}
	n, ok := r.Node(st.Node)
	switch {
	case !ok:
		return n, chain.Refuse(CodeUnknownNode, "node %s is not registered", st.Node.Short())
	case n.State == Tombstoned:
		return n, chain.Refuse(CodeTombstoned, "node %s is out for good", st.Node.Short())
	case !n.State.serving():
		return n, chain.Refuse(CodeNotServing, "node %s is %s", st.Node.Short(), n.State)
	case st.Fork != ctx.Fork:
		return n, chain.Refuse(CodeWrongFork, "signed for fork %d; this is %d", st.Fork, ctx.Fork)
	case st.Sequence.Epoch() != ctx.Epoch && st.Sequence.Epoch() != ctx.Epoch+1:
		return n, chain.Refuse(CodeWrongEpoch, "of epoch %d; this is %d", st.Sequence.Epoch(), ctx.Epoch)
	}
	switch st.Label {
	case statement.LabelDescriptor:
		return r.checkDescriptor(n, st, ctx)
	case statement.LabelVote:
		return n, r.checkVote(st, ctx)
	case statement.LabelCommitment:
		return r.checkCommitment(n, st, ctx)
	}
	return r.checkHeartbeat(n, st, ctx)
}

// Published reports whether statements of label l are for the registry.
func Published(l statement.Label) bool {
	switch l {
	case statement.LabelDescriptor, statement.LabelHeartbeat, statement.LabelVote, statement.LabelCommitment:
		return true
	}
	return false
}

func (r *Registry) checkDescriptor(n Node, st statement.Statement, ctx Context) (Node, error) {
	d, err := statement.DecodeDescriptor(st.Body)
	if err != nil {
		return n, chain.Refuse(CodeMalformed, "%v", err)
	}
	enc := st.Encode()
	if len(n.Descriptor) > 0 {
		if err := r.checkOrder(st.Sequence, n.DescriptorSequence, bytes.Equal(enc, n.Descriptor), ctx.Time, n.DescriptorAt); err != nil {
			return n, err
		}
	}
	if err := r.checkKeys(d, st.Sequence.Epoch()); err != nil {
		return n, err
	}
	if err := r.checkVersion(d.Version); err != nil {
		return n, err
	}
	if err := r.checkSignature(st, ctx); err != nil {
		return n, err
	}
	n.Descriptor, n.DescriptorSequence, n.DescriptorAt = enc, st.Sequence, ctx.Time
	return n, nil
}

func (r *Registry) checkHeartbeat(n Node, st statement.Statement, ctx Context) (Node, error) {
	h, err := statement.DecodeHeartbeat(st.Body)
	if err != nil {
		return n, chain.Refuse(CodeMalformed, "%v", err)
	}
	hash := chain.SHA256(st.Encode())
	if !n.HeartbeatHash.IsZero() {
		if err := r.checkOrder(st.Sequence, n.HeartbeatSequence, hash == n.HeartbeatHash, ctx.Time, n.LastHeartbeat); err != nil {
			return n, err
		}
	}
	if h.Height > ctx.Height {
		return n, chain.Refuse(CodeFutureHeight, "names height %d; this is %d", h.Height, ctx.Height)
	}
	// Of whatever version: what a node declares it runs is taken down.
	if err := r.checkSignature(st, ctx); err != nil {
		return n, err
	}
	epoch := st.Sequence.Epoch()
	out, err := verifyVRF(ctx.Verified, n.VRF, beacon.EpochAlpha(r.genesis, epoch), h.VRF)
	if err != nil {
		return n, chain.Refuse(CodeBadVRF, "the VRF proof for epoch %d does not verify", epoch)
	}
	n.LastHeartbeat, n.HeartbeatSequence, n.HeartbeatHash, n.Version = ctx.Time, st.Sequence, hash, h.Version
	n.Outputs = addOutput(n.Outputs, Output{epoch, out}, ctx.Epoch)
	return n, nil
}

// addOutput drops outputs of epochs before present and adds o. Sequences rise,
// so o is of the newest epoch.
func addOutput(outs []Output, o Output, present chain.Epoch) []Output {
	outs = slices.DeleteFunc(slices.Clone(outs), func(x Output) bool { return x.Epoch < present || x.Epoch == o.Epoch })
	return append(outs, o)
}

// checkOrder holds a statement against the last of its kind. The period binds
// within one epoch only: a statement for a newer epoch is always in time.
func (r *Registry) checkOrder(seq, last statement.Sequence, same bool, now, lastAt chain.Time) error {
	switch {
	case same:
		return chain.Refuse(CodeDuplicate, "taken already")
	case seq <= last:
		return chain.Refuse(CodeStaleSequence, "sequence %d; the last taken was %d", seq, last)
	case seq.Epoch() == last.Epoch() && now < lastAt+chain.Time(r.core.Params.HeartbeatEvery/2):
		return chain.Refuse(CodeTooSoon, "%d ms after the last; at least %d", now-lastAt, r.core.Params.HeartbeatEvery/2)
	}
	return nil
}

func (r *Registry) checkKeys(d statement.Descriptor, epoch chain.Epoch) error {
	for _, e := range []chain.Epoch{epoch, epoch + 1} {
		if _, ok := d.KeyFor(e); !ok {
			return chain.Refuse(CodeMissingKey, "no onion key for epoch %d", e)
		}
	}
	for _, k := range d.Keys {
		if k.Last-k.First >= chain.Epoch(r.core.Params.OnionKeyEpochs) {
			return chain.Refuse(CodeKeyLifetime, "an onion key for epochs %d to %d; at most %d", k.First, k.Last, r.core.Params.OnionKeyEpochs)
		}
		if k.Key == [32]byte{} {
			return chain.Refuse(CodeBadKey, "an onion key of zeros")
		}
	}
	return nil
}

func (r *Registry) checkVersion(v string) error {
	if !r.core.Params.Allows(v) {
		return chain.Refuse(CodeVersion, "version %q", v)
	}
	return nil
}

func (r *Registry) checkSignature(st statement.Statement, ctx Context) error {
	if err := ctx.Verified.Statement(statement.Domain{Genesis: r.genesis, Fork: ctx.Fork}, st); err != nil {
		return chain.Refuse(CodeBadSignature, "of the %s", st.Label)
	}
	return nil
}

// verifyVRF is beacon.Verify, which costs as much as three signatures, of what
// was not verified before.
func verifyVRF(v *statement.Verified, public [32]byte, alpha []byte, proof [beacon.ProofSize]byte) (out [beacon.OutputSize]byte, err error) {
	if v == nil {
		return beacon.Verify(public, alpha, proof)
	}
	known := true
	v.Once(chain.SHA256([]byte("vrf"), public[:], proof[:], alpha), func() bool {
		known = false
		out, err = beacon.Verify(public, alpha, proof)
		return err == nil
	})
	if known {
		out, err = beacon.Output(proof)
	}
	return out, err
}
