package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/statement"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/staking"
)

// explained asks for one node, and holds the answer against what the next list
// would be made of.
func (w *world) explained(r *relay) (e oas.NodeExplanation, codes, actions []string) {
	w.Helper()
	w.ok("/v1/nodes/"+r.id.String()+"/explain", &e)
	w.ledger.View(func(m *machine.Machine) {
		n, _ := m.Registry().Node(r.id)
		ok, why := m.Registry().Eligible(r.id, m.Head().DirEpoch+1, m.Head().Time, m.Staking())
		if e.Eligible != ok || e.Listed != n.Listed || string(e.State) != n.State.String() || e.Height != int64(m.Head().Height) {
			w.Errorf("%+v, and eligible is %t: %s", e, ok, why)
		}
	})
	for _, x := range e.Reasons {
		if x.Text == "" {
			w.Errorf("%s says nothing", x.Code)
		}
		codes = append(codes, x.Code)
	}
	for _, x := range e.Actions {
		actions = append(actions, x.Code)
	}
	if e.Eligible != (len(e.Actions) == 0) {
		w.Errorf("eligible %t, and to do is %v", e.Eligible, actions)
	}
	return e, codes, actions
}

// A node's life, explained at each of its steps.
func TestExplainNode(t *testing.T) {
	w := judging(t)
	subject := w.relays[0]
	expect := func(when, code, action string) oas.NodeExplanation {
		t.Helper()
		e, codes, actions := w.explained(subject)
		if !slices.Contains(codes, code) || action == "" && len(actions) > 0 || action != "" && !slices.Contains(actions, action) {
			t.Errorf("%s: reasons %v, actions %v; want %s, %s", when, codes, actions, code, action)
		}
		for _, r := range w.relays[1:] {
			w.explained(r)
		}
		return e
	}
	expect("listed", "listed", "")
	for _, r := range w.relays[1:] {
		w.tell(w.vote(r, subject, statement.ReasonLoss, 500))
	}
	w.seal()
	w.epoch(2)
	e := expect("voted out", "decommissioned", "mend")
	if texts := textsOf(e.Reasons); !strings.Contains(texts, "unavailable: loss") || !strings.Contains(texts, "at the earliest") {
		t.Errorf("voted out: %s", texts)
	}
	w.epoch(4)
	other := w.relays[1]
	subject = other
	e = expect("silent", "heartbeat_old", "start_relay")
	if texts := textsOf(e.Reasons); !strings.Contains(texts, "one counts for less than 25.0 s") {
		t.Errorf("silent: %s", texts)
	}
	w.must(w.submit(sign(w, w.accounts[1], staking.RequestUnlockType, func(h chain.Head) staking.RequestUnlock {
		return staking.RequestUnlock{Head: h, Node: other.id}
	})))
	w.seal()
	expect("unlocking", "unlocking", "withdraw")
	w.refused(w.get("/v1/nodes/"+strings.Repeat("01", 32)+"/explain"), http.StatusNotFound, "node_not_found")

	// One that lacks stake and has never run.
	w = empty(t, nil)
	w.seal()
	w.register(w.relays[0], w.accounts[0], w.gen.Params.StakingRequirement/2)
	w.seal()
	subject = w.relays[0]
	w.relays = w.relays[:1]
	e = expect("new", "stake_missing", "contribute")
	if texts := textsOf(e.Actions); !strings.Contains(texts, "Contribute 1000 TUN: `tunic tx contribute "+subject.id.String()+" 1000`") || !strings.Contains(texts, "tunic relay run") {
		t.Errorf("new: %s", texts)
	}
	if e.State != oas.NodeState(registry.Registered.String()) || e.Eligible {
		t.Errorf("%+v", e)
	}
}

func textsOf(all []oas.Reason) string {
	var out []string
	for _, r := range all {
		out = append(out, r.Text)
	}
	return strings.Join(out, "\n")
}
