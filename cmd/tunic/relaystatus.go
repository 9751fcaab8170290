package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/durable"
	"tunic/node"
	"tunic/registry/explain"
)

// localRelay is the process that has a relay's folder, as far as it tells.
type localRelay struct {
	Running bool              `json:"running"`
	Report  *node.RelayReport `json:"report,omitempty"` // of its admin listener
	Note    string            `json:"note,omitempty"`   // why there is none
}

// relayDuty is something that is due.
type relayDuty struct {
	What  string `json:"what"`
	DueMS int64  `json:"due_ms"`
}

// relayStatus is what process and ledger say of a relay.
type relayStatus struct {
	*client.NodeDetail
	NotListed string           `json:"not_listed_because,omitempty"`
	Judgement *explain.Outlook `json:"judgement,omitempty"`
	Local     localRelay       `json:"local"`
	Reasons   []explain.Line   `json:"reasons"`
	Actions   []explain.Line   `json:"actions"`
	Duties    []relayDuty      `json:"duties"`
	Leaving   *farewell        `json:"leaving,omitempty"`
}

func (a *app) relayStatus() *cobra.Command {
	var at relayPlace
	var net, admin string
	var ready bool
	c := &cobra.Command{
		Use: "status", Short: "The relay of a folder: its process, what the ledger says, and what there is to do", Args: cobra.NoArgs,
		Long: `The relay of a folder: its process, what the ledger says, and what there is to do.

With --ready it asks the process alone, and no ledger: exit code 0 where it is ready,
3 where it is not or does not run. That is a probe for whatever watches a relay; it
needs the admin listener.`,
		Example: `  tunic relay status --dir relay1
  tunic relay status --config relay.yaml --ready`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, err := at.keys()
			if err != nil {
				return err
			}
			if ready {
				return a.probe(cmd.Context(), k.ID, at, admin)
			}
			local := lookLocally(cmd.Context(), at.dir, admin)
			r, s, err := a.asked(cmd.Context(), net)
			if err != nil {
				return err
			}
			n, err := r.known(cmd.Context(), k.ID)
			if err != nil {
				return err
			}
			if n == nil {
				v := map[string]any{"node": k.ID, "state": "unregistered", "listed": false, "local": local}
				return a.show(v, func(w io.Writer) {
					fmt.Fprintf(w, "%s\n%s\nnot registered; `tunic relay register %s` stakes for it\n", k.ID, local.words(s), at.args)
				})
			}
			in, _, err := r.inForce(cmd.Context())
			if err != nil {
				return err
			}
			core := r.net.Core
			core.Params = in.Params
			v := statusOf(core, s, n, local)
			return a.show(v, func(w io.Writer) { a.printRelay(w, core, s, v, at.args) })
		},
	}
	at.flags(c, &net)
	networkFlag(c, &net)
	c.Flags().StringVar(&admin, "admin", "", "`address` and port of its --admin listener (default: what it wrote into its folder)")
	c.Flags().BoolVar(&ready, "ready", false, "ask the process alone whether it is ready: exit code 0, or 3 where it is not")
	return c
}

// probe says whether the relay is ready. It leaves the folder's lock alone, which
// a relay that starts in this moment wants.
func (a *app) probe(ctx context.Context, id chain.NodeID, place relayPlace, admin string) error {
	at := admin
	if at == "" {
		at = adminOf(place.dir)
	}
	no := func(why string) error { return fail(exitFalse, "not_ready", "not ready", "%s", why) }
	if at == "" && place.file != "" && place.admin == "" {
		return fail(exitFailed, "no_admin", "nobody can be asked", "%s sets no admin, the address to ask at; set one such as 127.0.0.1:9401", place.file)
	}
	if at == "" {
		return no("no relay runs here, or it has no admin listener: --admin 127.0.0.1:9401 gives it one")
	}
	r, err := askAdmin(ctx, at)
	switch {
	case err != nil:
		return no("its admin listener at " + at + " does not answer as one")
	case r.Node != id:
		return no("another relay answers at " + at)
	case !r.Ready:
		return no(r.Why)
	}
	return a.show(r, func(w io.Writer) { fmt.Fprintf(w, "ready: epoch %d, height %d; %s\n", r.Epoch, r.Height, r.State) })
}

// isUnknown reports whether the ledger does not know a node.
func isUnknown(err error) bool {
	var p *problem
	return errors.As(err, &p) && p.Code == "node_not_found"
}

// adminOf is where the admin listener of a folder's relay is; "" where it has
// none or does not run.
func adminOf(dir string) string {
	b, err := durable.ReadFile(filepath.Join(dir, node.RelayAdminFile), 1024)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// lookLocally asks who has the folder, and the admin listener where there is one.
func lookLocally(ctx context.Context, dir, admin string) (l localRelay) {
	unlock, err := durable.Lock(dir)
	if err == nil {
		unlock()
	}
	l.Running = errors.Is(err, durable.ErrLocked)
	at := admin
	if at == "" && l.Running {
		if at = adminOf(dir); at == "" {
			l.Note = "it has no admin listener; --admin 127.0.0.1:9401 gives it one"
		}
	}
	if at == "" {
		return l
	}
	if l.Report, err = askAdmin(ctx, at); err != nil {
		l.Note = "its admin listener at " + at + " does not answer as one"
	}
	return l
}

// askAdmin asks an admin listener what it reports.
func askAdmin(ctx context.Context, at string) (*node.RelayReport, error) {
	if !strings.Contains(at, "://") {
		at = "http://" + at
	}
	ctx, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"/status", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	r := new(node.RelayReport)
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(r); err != nil {
		return nil, err
	}
	return r, nil
}

// words say how the process is, in one line.
func (l localRelay) words(s *client.Status) string {
	switch r := l.Report; {
	case r != nil && r.Ready:
		return fmt.Sprintf("running for %s, version %s, at height %d of %d; %s", span(time.Now().UnixMilli()-r.StartMS), r.Version, r.Height, s.Height, r.State)
	case r != nil:
		return "running, and not ready: " + r.Why
	case l.Running:
		return "running; " + l.Note
	case l.Note != "":
		return "not running here; " + l.Note
	}
	return "not running here: `tunic relay run` starts it"
}

func statusOf(core genesis.Core, s *client.Status, n *client.NodeDetail, local localRelay) relayStatus {
	told, at := asTold(n), asOf(core, s, n)
	why := explain.Why(told, at)
	v := relayStatus{NodeDetail: n, NotListed: explain.NotListed(told, at), Judgement: explain.Ahead(told, at), Local: local,
		Reasons: why.Reasons, Actions: append([]explain.Line{}, why.Actions...), Duties: []relayDuty{}}
	switch n.State {
	case client.Registered, client.Active, client.Decommissioned:
		beat := s.TimeMs
		if n.LastHeartbeatMs != nil {
			beat = *n.LastHeartbeatMs + int64(core.Params.HeartbeatEvery)
		}
		v.Duties = append(v.Duties, relayDuty{"heartbeat", beat},
			relayDuty{fmt.Sprintf("epoch %d: heartbeat, probe commitment and votes", s.Epoch+1), int64(core.EpochStart(asOf(core, s, n).Epoch + 1))})
		if !local.Running && n.State != client.Registered {
			v.Actions = append(v.Actions, explain.Line{Code: explain.ActStart, Text: "No relay has this folder here: start it with `tunic relay run`, unless it runs elsewhere."})
		}
	case client.Unlocking:
		f := partingOf(core, n, s.TimeMs)
		v.Leaving = &f
	}
	return v
}

// todo is what there is to do, each thing once: of a relay that leaves, when its
// stake is free is told with until when it has to run. at names it.
func (v relayStatus) todo(at string) (out []string) {
	for _, x := range v.Actions {
		if v.Leaving == nil || x.Code != explain.ActWithdraw {
			out = append(out, x.Text)
		}
	}
	if v.Leaving != nil {
		out = append(out, v.Leaving.words(at))
	}
	return out
}

func (a *app) printRelay(w io.Writer, core genesis.Core, s *client.Status, v relayStatus, at string) {
	n := v.NodeDetail
	listed := "yes"
	switch why, _, _ := strings.Cut(v.NotListed, "; "); {
	case v.Leaving != nil && why != "": // what there is to do comes below
		listed = "no: " + why
	case why != "":
		listed = "no: " + v.NotListed
	}
	rows := [][]string{
		{"node", n.Node}, {"process", v.Local.words(s)}, {"operator", n.Operator}, {"state", string(n.State)}, {"listed", listed},
		{"stake", fmt.Sprintf("%s of %s", tun(n.Staked), tun(n.Requirement))},
	}
	if st := n.Stake; st != nil {
		if st.UnlockAtMs != nil {
			rows = append(rows, []string{"unlocks", instant(*st.UnlockAtMs)})
		}
		if st.LockedUntilMs != nil {
			rows = append(rows, []string{"locked until", instant(*st.LockedUntilMs)})
		}
	}
	swarm := n.Swarm
	if swarm == noSwarm {
		swarm = "none"
	}
	rows = append(rows, []string{"score", fmt.Sprintf("%d of 1000", n.Performance)}, []string{"credit", span(n.CreditMs)}, []string{"swarm", swarm},
		[]string{"endpoints", cmp.Or(strings.Join(deref(n.Endpoints), " "), "-")}, []string{"version", cmp.Or(deref(n.Version), "-")},
		[]string{"heartbeat", ago(n.LastHeartbeatMs, s.TimeMs)})
	for _, d := range v.Duties {
		due := "due"
		if d.DueMS > s.TimeMs {
			due = "in " + span(d.DueMS-s.TimeMs)
		}
		rows = append(rows, []string{"next", d.What + ", " + due})
	}
	table(w, rows...)
	a.printJudgement(w, core, n, v.Judgement)
	fmt.Fprintln(w, "\nwhat there is to do")
	todo := v.todo(at)
	if len(todo) == 0 {
		todo = []string{"nothing"}
	}
	for _, x := range todo {
		fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(x, "\n", "\n  "))
	}
	fmt.Fprintln(w, "\nhistory")
	a.printHistory(w, n.History)
}
