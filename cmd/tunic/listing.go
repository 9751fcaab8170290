package main

import (
	"fmt"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
)

// question is one of those that decide whether a node is listed, in the order
// of docs/spec/registry.md.
type question struct {
	Asked string `json:"question"`
	OK    bool   `json:"ok"`
	Found string `json:"found"`
	Do    string `json:"do,omitempty"` // what helps, where the answer is no
}

// questions asks of a node whether the list of the epoch after e, which is the
// present one, could take it. Where nothing was published the later questions
// are left out.
func questions(p genesis.Params, n *client.NodeDetail, e chain.Epoch, now int64) []question {
	var have, want chain.Amount
	_ = have.UnmarshalText([]byte(n.Staked)) // zero where the ledger answers nonsense
	_ = want.UnmarshalText([]byte(n.Requirement))
	state := question{Asked: "is it registered or active", OK: n.State == client.Registered || n.State == client.Active, Found: "it is " + string(n.State)}
	switch n.State {
	case client.Tombstoned:
		state.Found, state.Do = "it is out for good, see its history", "a relay with new keys can be registered"
	case client.Unlocking, client.Deregistered:
		state.Do = "once its stake is free, `tunic tx withdraw` takes it out; a relay with new keys can be registered"
	case client.Left:
		state.Do = "`tunic tx withdraw` takes out what is left; a relay with new keys can be registered"
	case client.Decommissioned:
		state.Do = "mend what its history names and keep it running: its judges let it back in, which `tunic explain node` says more of"
	}
	stake := question{Asked: "does its stake meet the requirement", OK: have >= want, Found: fmt.Sprintf("%s of %s TUN", have, want)}
	if !stake.OK {
		stake.Found, stake.Do = fmt.Sprintf("%s TUN of stake are missing", want-have), "`tunic tx contribute` adds them"
	}
	out := []question{state, stake}

	d, seq, published := descriptorOf(n)
	if !published || n.LastHeartbeatMs == nil {
		return append(out, question{Asked: "has it announced itself", Found: "it has not announced itself", Do: "start it with `tunic relay run`"})
	}
	const running = "is `tunic relay run` running, and can it reach the ledger?"
	announced := question{Asked: "is its descriptor in force", OK: seq.Epoch() <= e+1, Found: fmt.Sprintf("it is of epoch %d", seq.Epoch()), Do: "wait for that epoch"}
	beat := question{Asked: "is its last heartbeat recent enough", OK: *n.LastHeartbeatMs+int64(p.HeartbeatValid) > now,
		Found: fmt.Sprintf("%s, and it holds for %s", ago(n.LastHeartbeatMs, now), span(int64(p.HeartbeatValid)))}
	if !beat.OK {
		beat.Found, beat.Do = "its last heartbeat is older than "+span(int64(p.HeartbeatValid)), running
	}
	version := question{Asked: "is its software version allowed", OK: p.Allows(deref(n.Version)),
		Found: "it runs " + deref(n.Version)}
	if !version.OK {
		version.Found, version.Do = "its software version is not allowed", "update it"
	}
	keys := question{Asked: fmt.Sprintf("has it onion keys for epoch %d", e+1)}
	if k, ok := d.KeyFor(e + 1); ok {
		keys.OK, keys.Found = true, fmt.Sprintf("its key serves epochs %d to %d", k.First, k.Last)
	} else {
		keys.Found, keys.Do = fmt.Sprintf("its descriptor has no onion key for epoch %d", e+1), running
	}
	for _, q := range []question{announced, beat, version, keys} {
		if q.OK {
			q.Do = ""
		}
		out = append(out, q)
	}
	return out
}

// descriptorOf is what a node published last of itself, as the ledger tells it.
func descriptorOf(n *client.NodeDetail) (d statement.Descriptor, seq statement.Sequence, ok bool) {
	if n.Descriptor == nil {
		return d, seq, false
	}
	st, err := statement.Decode(*n.Descriptor)
	if err != nil || st.Node.String() != n.Node {
		return d, seq, false
	}
	d, err = statement.DecodeDescriptor(st.Body)
	return d, st.Sequence, err == nil
}

// notListed says in plain words why a node is not in the directory, and what to
// do; empty where it is.
func notListed(p genesis.Params, n *client.NodeDetail, e chain.Epoch, now int64) string {
	if n.Listed {
		return ""
	}
	for _, q := range questions(p, n, e, now) {
		switch {
		case q.OK:
		case q.Do == "":
			return q.Found
		default:
			return q.Found + "; " + q.Do
		}
	}
	return fmt.Sprintf("nothing speaks against it; the list is made anew every epoch, which is %s", span(int64(p.EpochLength)))
}
