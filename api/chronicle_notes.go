package api

import (
	"cmp"
	"iter"
	"slices"
	"unique"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/slashing"
	"tunic/staking"
)

// epochNotes is what is remembered of an epoch.
type epochNotes struct {
	first, last chain.Header // of the blocks that were read
	whole       bool         // no block of it is missing before first
	listed      bool         // its list is known

	accounts, heartbeats, commitments, votes int // transactions of accounts, and statements

	nodes map[uint32]*nodeNotes
}

// size is how many notes it has.
func (e *epochNotes) size() int {
	n := len(e.nodes)
	for _, x := range e.nodes {
		n += len(x.ballots)
	}
	return n
}

// nodeNotes is what is remembered of a node in an epoch.
type nodeNotes struct {
	heartbeats  uint32
	now, next   bool // one of them was for this epoch, or for the next
	listed      bool
	performance chain.Permille // where it is listed
	ballots     []noted        // on it
}

// noted is a registry.Ballot with the number of its voter.
type noted struct {
	voter   uint32
	reasons statement.Reasons
	score   chain.Permille
}

// ballots are the votes on a node, ascending by voter.
func (c *chronicle) ballots(n *nodeNotes) []registry.Ballot {
	out := make([]registry.Ballot, len(n.ballots))
	for i, b := range n.ballots {
		out[i] = registry.Ballot{Voter: c.ids[b.voter], Reasons: b.reasons, Score: b.score}
	}
	slices.SortFunc(out, func(a, b registry.Ballot) int { return compareNodes(a.Voter, b.Voter) })
	return out
}

// median is the score that these votes come to; nil without any.
func median(votes []registry.Ballot) *int {
	if len(votes) == 0 {
		return nil
	}
	score := int(registry.MedianScore(votes))
	return &score
}

// take notes what a block says, which is before all others where older is set.
func (c *chronicle) take(e *epochNotes, b chain.Block, results []machine.Result, older bool) (cost int) {
	cost = costOfBlock + len(b.Txs)
	for i := range b.Txs {
		at := i
		if older {
			at = len(b.Txs) - 1 - i
		}
		raw := b.Txs[at]
		if len(raw) == 0 {
			continue // no block has one
		}
		kind := chain.Kind(raw[0])
		to, signed := &c.statements, kind != chain.KindPublish // a dev network's own stand with those of accounts
		if signed {
			to = &c.accounts
		}
		if kind.Signed() {
			e.accounts++
		}
		if older && to.full(b.Header.Height) && signed {
			continue
		}
		n := noteOf(raw)
		n.id, n.height, n.index, n.time = results[at].Tx, b.Header.Height, uint32(at), b.Header.Time
		n.result = unique.Make(results[at].Code).Value()
		if kind.Signed() {
			n.sender = c.sender(raw)
			cost += costOfSender
		}
		if n.result == "" && !signed {
			c.heard(e, n, older)
		}
		to.add(n, older)
	}
	return cost
}

// heard notes a statement that was applied.
func (c *chronicle) heard(e *epochNotes, n note, older bool) {
	switch n.label {
	case statement.LabelHeartbeat:
		e.heartbeats++
		x := c.node(e, n.node)
		x.heartbeats++
		switch n.epoch {
		case e.last.DirEpoch:
			x.now = true
		case e.last.DirEpoch + 1:
			x.next = true
		}
	case statement.LabelCommitment:
		e.commitments++
	case statement.LabelVote:
		e.votes++
		x, b := c.node(e, n.about), noted{c.number(n.node), n.reasons, n.score}
		// After a revert a voter may vote again: the later vote counts.
		switch i := slices.IndexFunc(x.ballots, func(o noted) bool { return o.voter == b.voter }); {
		case i < 0:
			x.ballots = append(x.ballots, b)
			c.notes++
		case !older:
			x.ballots[i] = b
		}
	}
}

func (c *chronicle) sender(raw []byte) chain.Address {
	tx, err := chain.DecodeTx(raw)
	if err != nil {
		return chain.Address{}
	}
	schema, ok := machine.SchemaOf(tx.Kind)
	if !ok {
		return chain.Address{}
	}
	a, _ := c.ledger.Domain().Sender(schema, tx)
	return a
}

// note is a transaction in few words. What it has not is zero.
type note struct {
	id      chain.Hash
	height  chain.Height
	index   uint32
	time    chain.Time // of its block
	kind    chain.Kind
	label   statement.Label
	result  string // empty: applied
	sender  chain.Address
	to      chain.Address
	node    chain.NodeID // that it is about, or of the statement
	about   chain.NodeID // whom a vote or a reported proof is about
	amount  chain.Amount
	epoch   chain.Epoch       // of a statement
	reasons statement.Reasons // of a vote
	score   chain.Permille
}

// noteOf reads of a transaction's encoding all but its id, place and sender.
func noteOf(raw []byte) note {
	tx, err := chain.DecodeTx(raw)
	n := note{kind: tx.Kind}
	if err != nil {
		return n
	}
	// A payload that does not decode leaves n as it is: such a transaction
	// was refused, where one is in a block at all.
	switch tx.Kind {
	case chain.KindPublish:
		n.statement(tx.Payload)
	case chain.KindTransfer:
		v, _ := machine.TransferType.Decode(tx.Payload)
		n.to, n.amount = v.To, v.Amount
	case chain.KindRegister:
		v, _ := registry.RegisterType.Decode(tx.Payload)
		n.node, n.amount = v.Node, v.Amount
	case chain.KindContribute:
		v, _ := staking.ContributeType.Decode(tx.Payload)
		n.node, n.amount = v.Node, v.Amount
	case chain.KindRequestUnlock:
		v, _ := staking.RequestUnlockType.Decode(tx.Payload)
		n.node = v.Node
	case chain.KindWithdraw:
		v, _ := staking.WithdrawType.Decode(tx.Payload)
		n.node = v.Node
	case chain.KindSubmitProof:
		v, _ := slashing.SubmitProofType.Decode(tx.Payload)
		n.node = accused(v.Proof)
	case chain.KindChallenge:
		v, _ := slashing.ChallengeType.Decode(tx.Payload)
		n.amount = v.Deposit
		if st, err := statement.Decode(v.Receipt); err == nil {
			n.node = st.Node
		}
	case chain.KindCommitDisclosure:
		v, _ := slashing.CommitDisclosureType.Decode(tx.Payload)
		n.amount = v.Deposit
	case chain.KindValidate:
		v, _ := registry.ValidateType.Decode(tx.Payload)
		n.node = v.Node
	case chain.KindResign:
		v, _ := registry.ResignType.Decode(tx.Payload)
		n.node = v.Node
	case chain.KindMisbehaviour:
		if c, err := machine.DecodeMisbehaviour(tx.Payload); err == nil {
			n.node = c.Node
		}
	case chain.KindDev:
		v, _ := machine.DecodeDev(tx.Payload)
		n.to, n.amount = v.To, v.Amount
	}
	return n
}

func (n *note) statement(payload []byte) {
	st, err := statement.Decode(payload)
	if err != nil {
		return
	}
	n.label, n.node, n.epoch = st.Label, st.Node, st.Sequence.Epoch()
	switch st.Label {
	case statement.LabelVote:
		if v, err := statement.DecodeVote(st.Body); err == nil {
			n.about, n.reasons, n.score = v.Subject, v.Reasons, v.Score
		}
	case statement.LabelProof:
		n.about = accused(st.Body)
	}
}

// accused is whose offence a proof shows.
func accused(proof []byte) chain.NodeID {
	p, err := slashing.Decode(proof)
	if err != nil {
		return chain.NodeID{}
	}
	return p.Entry.Node
}

// ring holds the last of many notes, at most keptTxs.
type ring struct {
	newer []note       // ascending
	older []note       // descending, all before newer
	lost  chain.Height // the newest block of which one is missing
}

func (r *ring) len() int { return len(r.newer) + len(r.older) }

// full reports whether an older note, of height h, has no place.
func (r *ring) full(h chain.Height) bool {
	if r.len() < keptTxs {
		return false
	}
	r.lost = max(r.lost, h)
	return true
}

// add keeps a note that is newer than all others, or older.
func (r *ring) add(n note, older bool) {
	if older {
		if !r.full(n.height) {
			r.older = append(r.older, n)
		}
		return
	}
	if r.len() == keptTxs {
		if last := len(r.older) - 1; last >= 0 {
			r.lost, r.older = max(r.lost, r.older[last].height), r.older[:last]
		} else {
			r.lost, r.newer = max(r.lost, r.newer[0].height), r.newer[1:]
		}
	}
	r.newer = append(r.newer, n)
}

// at is the note with i newer ones. It is not to be changed.
func (r *ring) at(i int) *note {
	if i < len(r.newer) {
		return &r.newer[len(r.newer)-1-i]
	}
	return &r.older[i-len(r.newer)]
}

// newest merges what rings hold, newest first.
func newest(rings ...*ring) iter.Seq[*note] {
	return func(yield func(*note) bool) {
		next := make([]int, len(rings))
		for {
			var best *note
			of := 0
			for i, r := range rings {
				if next[i] == r.len() {
					continue
				}
				n := r.at(next[i])
				if best == nil || cmp.Or(cmp.Compare(n.height, best.height), cmp.Compare(n.index, best.index)) > 0 {
					best, of = n, i
				}
			}
			if best == nil || !yield(best) {
				return
			}
			next[of]++
		}
	}
}
