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
	// Of fixed length but for the message, which therefore stands last.
	question := chain.SHA256([]byte("signature"), node[:], sig[:], d.message(l, body))
	if !v.Once(question, func() bool { return d.VerifyRaw(node, l, body, sig) == nil }) {
		return ErrSignature
	}
	return nil
}

// Statement is Statement.Verify.
func (v *Verified) Statement(d Domain, s Statement) error {
	if s.Fork != d.Fork {
		return ErrFork
	}
	return v.Raw(d, s.Node, s.Label, s.signed(), s.Sig)
}
