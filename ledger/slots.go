package ledger

import (
	"bytes"
	"cmp"

	"tunic/chain"
	"tunic/chain/statement"
)

// slot is where a statement waits: one per node and kind, votes also per subject
// and answers per challenge.
type slot struct {
	node    chain.NodeID
	label   statement.Label
	subject [32]byte
}

func slotOf(st statement.Statement) slot {
	s := slot{node: st.Node, label: st.Label}
	switch st.Label { // the machine has asked
	case statement.LabelVote:
		v, _ := statement.DecodeVote(st.Body)
		s.subject = v.Subject
	case statement.LabelAnswer:
		a, _ := statement.DecodeAnswer(st.Body)
		s.subject = a.Challenge
	}
	return s
}

// urgency is the order in which blocks take the kinds: first what a node is
// listed by, last what is large and has a whole epoch's time.
func urgency(l statement.Label) int {
	switch l {
	case statement.LabelHeartbeat:
		return 0
	case statement.LabelDescriptor:
		return 1
	case statement.LabelVote:
		return 2
	case statement.LabelCommitment:
		return 4
	}
	return 3
}

// compare orders statements as they wait: by urgency of their kind, node and
// subject.
func (s slot) compare(t slot) int {
	return cmp.Or(cmp.Compare(urgency(s.label), urgency(t.label)), bytes.Compare(s.node[:], t.node[:]),
		cmp.Compare(s.label, t.label), bytes.Compare(s.subject[:], t.subject[:]))
}
