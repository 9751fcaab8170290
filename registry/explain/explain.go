// Package explain says of one node why it is in the directory or not, what
// follows for it, and what there is to do. It implements docs/spec/explain.md,
// section A node.
//
// Most callers fill in a Node, from the state or from what a ledger told, and
// ask for Why: the REST server and the command line give the same answer.
// Questions are the ones that decide whether a list takes it, Ahead is what its
// judges bring.
//
// It promises: the questions are those of registry.Eligible, in their order, so
// that all of them are answered yes where a list would take the node; every
// reason has a code that stays.
package explain

import (
	"fmt"
	"strings"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/registry"
)

// Node is what has to be known of a node. What is not there is zero.
type Node struct {
	ID    chain.NodeID
	State registry.State
	// Listed says whether the present list names it and it was not removed since.
	Listed              bool
	Staked, Requirement chain.Amount
	// FreeAt is when stake that is on its way out can be withdrawn.
	FreeAt chain.Time

	// Descriptor is its newest, nil if there is none; DescriptorEpoch what its
	// sequence says.
	Descriptor      *statement.Descriptor
	DescriptorEpoch chain.Epoch
	// LastHeartbeat is the time of the block that took the newest, 0 if there was
	// none; HeartbeatEpoch the epoch that it is for.
	LastHeartbeat  chain.Time
	HeartbeatEpoch chain.Epoch
	Version        string

	// Credit is what it is now; the others are of a decommissioned node.
	Credit              chain.Duration
	Performance         chain.Permille
	DecommissionedAt    chain.Time
	DecommissionedEpoch chain.Epoch
	Stay                uint16 // epochs for which it is out at least; 0: it carried well

	// Last is the newest event of its history.
	Last registry.Event
}

// Now is when it is asked: at the head.
type Now struct {
	Core   genesis.Core // with the parameters in force
	Epoch  chain.Epoch  // the head's
	Time   chain.Time   // the head's
	Others int          // how many the present list holds beside the node
}

// Question is one of those that decide whether a list takes a node.
type Question struct {
	Asked string `json:"question"`
	OK    bool   `json:"ok"`
	Found string `json:"found"`
	// Code names the answer no, Do says what helps then, Action names that; all
	// are empty where the answer is yes.
	Code   string `json:"code,omitempty"`
	Do     string `json:"do,omitempty"`
	Action string `json:"action,omitempty"`
}

// Codes of reasons, beside those that are a state's word.
const (
	CodeListed       = "listed"                  // and nothing speaks against the next list
	CodeUntilEnd     = "listed_until_epoch_ends" // what speaks against the next list follows
	CodeWaits        = "waits_for_epoch"         // nothing speaks against the next list
	CodeStake        = "stake_missing"
	CodeNotAnnounced = "not_announced"
	CodeEarly        = "descriptor_early"
	CodeHeartbeat    = "heartbeat_old"
	CodeVersion      = "version_not_allowed"
	CodeOnionKey     = "onion_key_missing"
	CodeHistory      = "history" // how it came into its state
)

// Codes of actions.
const (
	ActStart      = "start_relay"
	ActContribute = "contribute"
	ActWait       = "wait"
	ActUpdate     = "update_software"
	ActMend       = "mend"
	ActWithdraw   = "withdraw"
	ActRegister   = "register_anew" // with new keys
)

// Questions asks whether the list of the epoch after now's could take n. Where
// nothing was published the later questions are left out.
func Questions(n Node, now Now) []Question {
	p, next := &now.Core.Params, now.Epoch+1
	out := []Question{stands(n, now), staked(n)}
	if n.Descriptor == nil || n.LastHeartbeat == 0 {
		return append(out, Question{Asked: "has it announced itself", Found: "it has not announced itself", Code: CodeNotAnnounced,
			Do: "start it with `tunic relay run`", Action: ActStart})
	}
	const running = "is `tunic relay run` running, and can it reach the ledger?"
	add := func(ok bool, asked, found, no, code, do, action string) {
		if ok {
			out = append(out, Question{Asked: asked, OK: true, Found: found})
			return
		}
		out = append(out, Question{Asked: asked, Found: no, Code: code, Do: do, Action: action})
	}
	of := fmt.Sprintf("it is of epoch %d", n.DescriptorEpoch)
	add(n.DescriptorEpoch <= next, "is its descriptor in force", of, of, CodeEarly, "wait for that epoch", ActWait)

	age, valid := now.Time-min(now.Time, n.LastHeartbeat), Span(p.HeartbeatValid)
	add(n.LastHeartbeat+chain.Time(p.HeartbeatValid) > now.Time, "is its last heartbeat recent enough",
		fmt.Sprintf("%s ago, and it holds for %s", Span(chain.Duration(age)), valid),
		fmt.Sprintf("its last heartbeat, of epoch %d, is %s old; one counts for less than %s", n.HeartbeatEpoch, Span(chain.Duration(age)), valid),
		CodeHeartbeat, running, ActStart)

	add(p.Allows(n.Version), "is its software version allowed", "it runs "+n.Version,
		fmt.Sprintf("its software version %s is not allowed", n.Version), CodeVersion,
		"update it: allowed is "+strings.Join(p.Versions, ", "), ActUpdate)

	// A list names the key of its epoch and that of the next.
	k, has := n.Descriptor.KeyFor(next)
	missing := next
	if has {
		if _, has = n.Descriptor.KeyFor(next + 1); !has {
			missing = next + 1
		}
	}
	add(has, fmt.Sprintf("has it onion keys for epochs %d and %d", next, next+1), fmt.Sprintf("its key serves epochs %d to %d", k.First, k.Last),
		fmt.Sprintf("its descriptor has no onion key for epoch %d", missing), CodeOnionKey, running, ActStart)
	return out
}

// stands asks whether the node's state lets it be listed.
func stands(n Node, now Now) Question {
	q := Question{Asked: "is it registered or active", OK: n.State == registry.Registered || n.State == registry.Active, Found: "it is " + n.State.String()}
	if q.OK {
		return q
	}
	const anew = "a relay with new keys can be registered"
	q.Code = n.State.String()
	switch n.State {
	case registry.Tombstoned:
		q.Found, q.Do, q.Action = "it is out for good, see its history", anew, ActRegister
	case registry.Decommissioned:
		q.Do, q.Action = "mend what its history names and keep it running: its judges let it back in", ActMend
	case registry.Left:
		q.Found = "it has left"
		q.Do, q.Action = fmt.Sprintf("`tunic tx withdraw %s` takes out what is left; %s", n.ID, anew), ActWithdraw
	default:
		when := "once its stake is free"
		if n.FreeAt > 0 {
			when = "from " + Instant(n.FreeAt) + " on"
		}
		if n.FreeAt > 0 && n.FreeAt <= now.Time {
			when = "its stake is free:"
		}
		q.Do, q.Action = fmt.Sprintf("%s `tunic tx withdraw %s` takes it out; %s", when, n.ID, anew), ActWithdraw
	}
	return q
}

func staked(n Node) Question {
	q := Question{Asked: "does its stake meet the requirement", OK: n.Staked >= n.Requirement, Found: fmt.Sprintf("%s of %s TUN", n.Staked, n.Requirement)}
	if !q.OK {
		missing := n.Requirement - n.Staked
		q.Found = fmt.Sprintf("%s TUN of stake are missing: it has %s of %s", missing, n.Staked, n.Requirement)
		q.Code, q.Do, q.Action = CodeStake, fmt.Sprintf("contribute %s TUN: `tunic tx contribute %s %s`", missing, n.ID, missing), ActContribute
	}
	return q
}

// Line is one reason, or one thing to do: a code that stays, and words.
type Line struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// Answer says why.
type Answer struct {
	Eligible bool   // the next list would name it, as things stand
	Reasons  []Line // the first sums up
	Actions  []Line // none where nothing has to be done
}

// Why says why n is listed or not, and will be, with what follows.
func Why(n Node, now Now) (a Answer) {
	var against []Question
	for _, q := range Questions(n, now) {
		if !q.OK {
			against = append(against, q)
		}
	}
	a.Eligible = len(against) == 0
	switch n.State {
	case registry.Unlocking, registry.Deregistered, registry.Left, registry.Tombstoned:
		against = against[:1] // nothing else would bring it back
	}
	ends := now.Core.EpochStart(now.Epoch + 1)
	left := Span(chain.Duration(ends - min(ends, now.Time)))
	switch {
	case n.Listed && a.Eligible:
		a.Reasons = append(a.Reasons, Line{CodeListed, fmt.Sprintf("it is listed in epoch %d, and nothing speaks against epoch %d", now.Epoch, now.Epoch+1)})
	case n.Listed:
		a.Reasons = append(a.Reasons, Line{CodeUntilEnd, fmt.Sprintf("it is listed until epoch %d ends, in %s, and not after that", now.Epoch, left)})
	case a.Eligible:
		a.Reasons = append(a.Reasons, Line{CodeWaits, fmt.Sprintf("nothing speaks against it: the list is made anew every %s, and that of epoch %d is due in %s",
			Span(now.Core.Params.EpochLength), now.Epoch+1, left)})
	}
	acts := map[string]bool{}
	for _, q := range against {
		a.Reasons = append(a.Reasons, Line{q.Code, q.Found})
		if q.Do != "" && !acts[q.Do] {
			acts[q.Do] = true
			a.Actions = append(a.Actions, Line{q.Action, q.Do})
		}
	}
	if s := n.State; s != registry.Registered && s != registry.Active && n.Last.Height > 0 {
		text := fmt.Sprintf("it became %s in block %d, %s: %s", s, n.Last.Height, Instant(n.Last.Time), n.Last.Reason)
		if !n.Last.Proof.IsZero() {
			text += fmt.Sprintf("; `tunic slash show %s` tells more", n.Last.Proof)
		}
		a.Reasons = append(a.Reasons, Line{CodeHistory, text})
	}
	if o := Ahead(n, now); o != nil {
		a.Reasons = append(a.Reasons, o.Words(n, now.Core)...)
	}
	a.sentences()
	return a
}

// sentences makes sentences of what stands in tables elsewhere.
func (a *Answer) sentences() {
	for _, lines := range [][]Line{a.Reasons, a.Actions} {
		for i, l := range lines {
			lines[i] = l.Sentence()
		}
	}
}

// Sentence is l as a sentence, with a capital and a full stop.
func (l Line) Sentence() Line {
	if c := l.Text[0]; 'a' <= c && c <= 'z' {
		l.Text = string(c-'a'+'A') + l.Text[1:]
	}
	if !strings.HasSuffix(l.Text, ".") && !strings.HasSuffix(l.Text, "?") {
		l.Text += "."
	}
	return l
}

// NotListed says in one sentence why n is not in the directory, and what to do;
// empty where it is.
func NotListed(n Node, now Now) string {
	if n.Listed {
		return ""
	}
	for _, q := range Questions(n, now) {
		switch {
		case q.OK:
		case q.Do == "":
			return q.Found
		default:
			return q.Found + "; " + q.Do
		}
	}
	return "nothing speaks against it; the list is made anew every epoch, which is " + Span(now.Core.Params.EpochLength)
}
