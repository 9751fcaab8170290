package ledger

import (
	"bytes"
	"cmp"

	"tunic/chain"
	"tunic/chain/statement"
)

// slot is where a statement waits: one per node and kind, votes also per subject.
type slot struct {
	node    chain.NodeID
	label   statement.Label
	subject chain.NodeID
}

func slotOf(st statement.Statement) slot {
	s := slot{node: st.Node, label: st.Label}
	if st.Label == statement.LabelVote {
		v, _ := statement.DecodeVote(st.Body) // the machine has asked
		s.subject = v.Subject
	}
	return s
}

// compare orders statements as they wait: by node, kind and subject.
func (s slot) compare(t slot) int {
	return cmp.Or(bytes.Compare(s.node[:], t.node[:]), cmp.Compare(s.label, t.label), bytes.Compare(s.subject[:], t.subject[:]))
}
