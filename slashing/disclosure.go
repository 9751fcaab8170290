package slashing

import (
	"fmt"

	"tunic/chain"
	"tunic/chain/state"
	"tunic/chain/statement"
	"tunic/internal/wire"
	"tunic/registry/directory"
)

// A key-disclosure is shown by whoever knows a node's key: by a signature with
// that key over the beacon of an epoch after a commit to it. One sealed header
// serves for all: its beacon was signed, its list names the key, and its state
// holds the commit. The key itself is published nowhere.

// Opening is what shows whom a commit spoke of, and that its reporter knows the
// key. The node is that of the proof's entry, the epoch that of its header.
//
//	key 1 | first 8 | reporter 20 | salt 32 | committed 8 | signature 64 | state proof
type Opening struct {
	Key       statement.KeyKind
	First     chain.Epoch // of the onion key; 0 for the identity key
	Reporter  chain.Address
	Salt      [32]byte
	Committed chain.Epoch // in which the commit was made
	Sig       [64]byte
	Commit    state.Proof // of the commit's row, under the header's state root
}

var disclosureParts = []part{partOpening, partEntry, partHeader}

var disclosureQuestions = []question{
	{"opening", false, askOpening},
	{"fork", false, askDisclosureFork},
	{"entry", false, askDiscloser},
	{"key", false, askKey},
	{"commit", false, askCommit},
	{"beacon", false, askBeacon},
	{"signature", false, askDisclosed},
	{"header", true, askHeader},
}

func appendOpening(b []byte, p Proof) []byte {
	o := p.Opening
	b = append(b, byte(o.Key))
	b = wire.AppendUint64(b, uint64(o.First))
	b = append(b, o.Reporter[:]...)
	b = append(b, o.Salt[:]...)
	b = wire.AppendUint64(b, uint64(o.Committed))
	b = append(b, o.Sig[:]...)
	return append(b, o.Commit.Encode()...)
}

func readOpening(r *wire.Reader, p *Proof) {
	o := &p.Opening
	o.Key, o.First = statement.KeyKind(r.Uint8()), chain.Epoch(r.Uint64())
	r.Copy(o.Reporter[:])
	r.Copy(o.Salt[:])
	o.Committed = chain.Epoch(r.Uint64())
	r.Copy(o.Sig[:])
	o.Commit = state.ReadProof(r)
}

// Commitment is what a CommitDisclosure holds: it hides node and key from whoever
// does not know the salt.
//
//	SHA-256("tunic disclosure commitment" | genesis 32 | node 32 | key 1 | first 8 | reporter 20 | salt 32)
func Commitment(genesis chain.Hash, node chain.NodeID, key statement.KeyKind, first chain.Epoch, reporter chain.Address, salt [32]byte) chain.Hash {
	b := append([]byte("tunic disclosure commitment"), genesis[:]...)
	b = append(b, node[:]...)
	b = append(b, byte(key))
	b = wire.AppendUint64(b, uint64(first))
	b = append(b, reporter[:]...)
	return chain.SHA256(append(b, salt[:]...))
}

// commitKey is that of the commit which a key-disclosure opens.
func (p Proof) commitKey() CommitKey {
	o := p.Opening
	return CommitKey{o.Committed, o.Reporter, Commitment(p.Genesis, p.Entry.Node, o.Key, o.First, o.Reporter, o.Salt)}
}

// disclosure is what the signature is over.
func (p Proof) disclosure() statement.Disclosure {
	h := p.Header.Header
	return statement.Disclosure{Node: p.Entry.Node, Key: p.Opening.Key, First: p.Opening.First, Epoch: h.DirEpoch, Reporter: p.Opening.Reporter, Beacon: h.Beacon}
}

func askOpening(j *judgement) (string, *chain.Refusal) {
	switch o := j.proof.Opening; {
	case !o.Key.Known():
		return "", chain.Refuse(ErrMalformed.Code, "a %s", o.Key)
	case o.Key == statement.KeyIdentity && o.First != 0:
		return "", chain.Refuse(ErrMalformed.Code, "an identity key of epoch %d: it has none", o.First)
	}
	return fmt.Sprintf("the %s of node %s, to the credit of %s", j.proof.Opening.words(), j.proof.Entry.Node, j.proof.Opening.Reporter), nil
}

func (o Opening) words() string {
	if o.Key == statement.KeyOnion {
		return fmt.Sprintf("onion key of epoch %d", o.First)
	}
	return o.Key.String() + " key"
}

func askDisclosureFork(j *judgement) (string, *chain.Refusal) { return j.askForkOf("signature") }

func askDiscloser(j *judgement) (string, *chain.Refusal) { return j.askEntryOf(j.proof.Entry.Node) }

// askKey asks whether the key is the one of the header's epoch. An identity key
// is in force while its node is listed.
func askKey(j *judgement) (string, *chain.Refusal) {
	o, e := j.proof.Opening, j.proof.Entry.Entries[0]
	if o.Key == statement.KeyOnion && e.Onion.First != o.First {
		return "", chain.Refuse(ErrKeyNotInForce.Code, "in epoch %d the node's onion key is that of epoch %d, not of %d: it was rotated, or has not begun",
			j.proof.Header.Header.DirEpoch, e.Onion.First, o.First)
	}
	return fmt.Sprintf("it is in force in epoch %d", j.proof.Header.Header.DirEpoch), nil
}

func askCommit(j *judgement) (string, *chain.Refusal) {
	o, key := j.proof.Opening, j.proof.commitKey()
	value, ok, err := o.Commit.Verify(j.proof.Header.Header.State, key.Key())
	switch {
	case err != nil:
		return "", chain.Refuse(ErrBadState.Code, "commit: %v", err)
	case o.Commit.Part != state.PartOffences || !ok:
		return "", chain.Refuse(ErrBadState.Code, "it shows no commit of %s in epoch %d to this node, key and salt", o.Reporter, o.Committed)
	}
	c, err := DecodeCommit(value)
	if err != nil {
		return "", chain.Refuse(ErrBadState.Code, "%v", err)
	}
	return fmt.Sprintf("number %d of epoch %d, at height %d", c.Number, o.Committed, c.Height), nil
}

func askBeacon(j *judgement) (string, *chain.Refusal) {
	h := j.proof.Header.Header
	if h.DirEpoch <= j.proof.Opening.Committed {
		return "", chain.Refuse(ErrEarlyBeacon.Code, "the beacon is of epoch %d and was known when the commit was made in epoch %d", h.DirEpoch, j.proof.Opening.Committed)
	}
	return fmt.Sprintf("that of epoch %d, which nobody knew in epoch %d", h.DirEpoch, j.proof.Opening.Committed), nil
}

func askDisclosed(j *judgement) (string, *chain.Refusal) {
	p := j.proof
	d := statement.Domain{Genesis: p.Genesis, Fork: p.Fork}
	if err := d.VerifyDisclosure(p.disclosure(), p.Entry.Entries[0].Onion.Key, p.Opening.Sig); err != nil {
		return "", chain.Refuse(ErrBadSignature.Code, "by the %s: %v", p.Opening.words(), err)
	}
	return fmt.Sprintf("the %s signed for %s, in epoch %d or later", p.Opening.words(), p.Opening.Reporter, p.Header.Header.DirEpoch), nil
}

// claimOfDisclosure: one offence of a node for each of its keys.
func claimOfDisclosure(p Proof) (claim, bool) {
	o := p.Opening
	return claim{node: p.Entry.Node, number: uint64(o.First), about: []byte{byte(o.Key)}, epoch: p.Header.Header.DirEpoch}, o.Key.Known()
}

// ReportedBy refuses whoever is not the reporter that a key-disclosure names; of
// any other proof anybody may be.
func (p Proof) ReportedBy(who chain.Address) error {
	if p.Kind == KeyDisclosure && p.Opening.Reporter != who {
		return chain.Refuse(ErrWrongReporter.Code, "it is signed for %s, and %s submits it", p.Opening.Reporter, who)
	}
	return nil
}

// Disclosing is what a reporter's signature has to be over: header is one of an
// epoch after the commit, and list its list, which must hold the node.
// ErrNotListed where it does not, ErrKeyNotInForce where the node's onion key is
// another.
func Disclosing(header chain.SealedHeader, list *directory.List, node chain.NodeID, o Opening) (statement.Disclosure, error) {
	p := Proof{Version: Version, Kind: KeyDisclosure, Genesis: header.Header.Genesis, Fork: header.Header.Fork, Opening: o}
	if err := p.hold(node, header, list); err != nil {
		return statement.Disclosure{}, err
	}
	j := &judgement{proof: p}
	for _, ask := range []func(*judgement) (string, *chain.Refusal){askOpening, askDiscloser, askKey, askBeacon} {
		if _, no := ask(j); no != nil {
			return statement.Disclosure{}, no
		}
	}
	return p.disclosure(), nil
}

// AssembleDisclosure makes the proof of a key-disclosure from a header of an epoch
// after the commit, its list, which must hold the node, and the opening with the
// signature over Disclosing and the state proof under that header. It validates
// what it made.
func AssembleDisclosure(header chain.SealedHeader, list *directory.List, node chain.NodeID, o Opening) (Proof, error) {
	p := Proof{Version: Version, Kind: KeyDisclosure, Genesis: header.Header.Genesis, Fork: header.Header.Fork, Opening: o}
	if err := p.hold(node, header, list); err != nil {
		return Proof{}, err
	}
	return p, p.Validate()
}
