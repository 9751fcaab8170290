package statement

import (
	"sync"

	"tunic/chain"
)

// verifiedMost bounds each of the two generations that a Verified remembers.
const verifiedMost = 1 << 15

// Verified remembers what was found valid, so that one process asks once: a
// sealer verifies a statement when it is submitted and not again when it is
// proposed, and the relays of a network in one process do not each verify the
// header that all of them get. It remembers hashes of whole questions (domain,
// key, message and signature), of which the oldest are forgotten: what differs
// in a bit is another question. A nil Verified remembers nothing and verifies
// every time, as replay and import do. Safe for concurrent use.
type Verified struct {
	mu         sync.Mutex
	young, old map[chain.Hash]struct{}
}

// NewVerified remembers nothing yet. Its memory is at most about 5 MiB.
func NewVerified() *Verified { return &Verified{young: map[chain.Hash]struct{}{}} }

// Once reports whether the question is known to be answered with yes, or
// answers it by verify. A no is not remembered.
func (v *Verified) Once(question chain.Hash, verify func() bool) bool {
	if v == nil {
		return verify()
	}
	if v.knows(question) {
		return true
	}
	if !verify() {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.young) >= verifiedMost {
		v.young, v.old = map[chain.Hash]struct{}{}, v.young
	}
	v.young[question] = struct{}{}
	return true
}

func (v *Verified) knows(question chain.Hash) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, ok := v.young[question]
	if !ok {
		_, ok = v.old[question]
	}
	return ok
}

// Raw is Domain.VerifyRaw.
func (v *Verified) Raw(d Domain, node chain.NodeID, l Label, body []byte, sig [64]byte) error {
	if v == nil {
		return d.VerifyRaw(node, l, body, sig)
	}
	var head [headMost]byte
	question := chain.SHA256(signatureQuestion, node[:], sig[:], d.appendHead(head[:0], l), body)
	if !v.Once(question, func() bool { return d.VerifyRaw(node, l, body, sig) == nil }) {
		return ErrSignature
	}
	return nil
}

// signatureQuestion begins what is asked of a signature. All that follows is of
// fixed length but for the message, which therefore stands last.
var signatureQuestion = []byte("signature")

// Statement is Statement.Verify.
func (v *Verified) Statement(d Domain, s Statement) error {
	if s.Fork != d.Fork {
		return ErrFork
	}
	if v == nil {
		return d.VerifyRaw(s.Node, s.Label, s.signed(), s.Sig)
	}
	// The message in its parts: it is long where it is asked for most often.
	var head [headMost]byte
	var front [signedFront]byte
	question := chain.SHA256(signatureQuestion, s.Node[:], s.Sig[:], d.appendHead(head[:0], s.Label), s.appendFront(front[:0]), s.Body)
	if !v.Once(question, func() bool { return d.VerifyRaw(s.Node, s.Label, s.signed(), s.Sig) == nil }) {
		return ErrSignature
	}
	return nil
}
