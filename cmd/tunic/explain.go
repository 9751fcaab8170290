package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/registry/explain"
	"tunic/registry/path"
)

func (a *app) explainCommand() *cobra.Command {
	return noun("explain", "Why things are as they are, recomputed: an epoch, a message, a node, a path",
		a.explainEpoch(), a.explainMessage(), a.explainNode(), a.explainPath())
}

// memberView is what is proven of a node in one epoch's list.
type memberView struct {
	Epoch   chain.Epoch `json:"epoch"`
	Listed  bool        `json:"listed"`
	Removed bool        `json:"removed"` // since the epoch began
	Proven  bool        `json:"proven"`  // false where the ledger has the list no more
}

func (m memberView) words() string {
	switch {
	case !m.Proven:
		return "unknown, the ledger keeps that list no more"
	case m.Removed:
		return "no, removed since the epoch began (proven)"
	}
	return yesNo(m.Listed) + " (proven)"
}

// member proves a node to be in an epoch's list or not.
func (r *remote) member(cmd *cobra.Command, id chain.NodeID, e chain.Epoch) (memberView, error) {
	out := memberView{Epoch: e}
	found, _, err := r.membership(cmd.Context(), id, e)
	if p := (*problem)(nil); errors.As(err, &p) && p.Exit == exitFailed {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.Listed, out.Removed, out.Proven = found.Listed(), found.Removed, true
	return out, nil
}

func (a *app) explainNode() *cobra.Command {
	var net string
	c := &cobra.Command{
		Use: "node NODE", Short: "Why a node is listed or not, and what to do", Args: cobra.ExactArgs(1),
		Long: "Ask of a node what decides whether it is listed, one question after the other, and say what to do;\n" +
			"then what its judges said, how long it may be out, and what follows.\n" +
			"That it is listed or not, now and in the epoch before, is verified; the rest is the ledger's word.",
		RunE: func(cmd *cobra.Command, args []string) error {
			r, s, err := a.asked(cmd.Context(), net)
			if err != nil {
				return err
			}
			id, err := r.nodeID(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			n, err := r.node(cmd.Context(), id.String(), nil)
			if err != nil {
				return err
			}
			v, err := r.nodeWhy(cmd, id, n, s)
			if err != nil {
				return err
			}
			var progress io.Writer
			if terminal(a.Err) && !a.json() {
				progress = a.Err
			}
			if v.Score, err = r.score(cmd, id, n, progress); err != nil {
				return err
			}
			return a.show(v, func(w io.Writer) { v.print(a, w, r.net.Core, s.TimeMs) })
		},
	}
	networkFlag(c, &net)
	return c
}

// whyView says why a node is listed or not.
type whyView struct {
	*client.NodeDetail
	Because   string             `json:"because"`
	Now       memberView         `json:"now"`
	Before    *memberView        `json:"before,omitempty"`
	Swarm     *explain.Line      `json:"swarm_because,omitempty"` // why it is in its swarm, by the verified list
	Questions []explain.Question `json:"questions"`
	Score     *scoreView         `json:"score"`
	Judgement *explain.Outlook   `json:"judgement,omitempty"`
	Slashes   []client.Slash     `json:"slashes"`
}

func (r *remote) nodeWhy(cmd *cobra.Command, id chain.NodeID, n *client.NodeDetail, s *client.Status) (*whyView, error) {
	e := chain.Epoch(s.Epoch)
	in, _, err := r.inForce(cmd.Context())
	if err != nil {
		return nil, err
	}
	core := r.net.Core
	core.Params = in.Params
	v := &whyView{NodeDetail: n}
	if v.Now, err = r.member(cmd, id, e); err != nil {
		return nil, err
	}
	if e > 1 { // epoch 0 lists nobody
		before, err := r.member(cmd, id, e-1)
		if err != nil {
			return nil, err
		}
		v.Before = &before
	}
	if v.Now.Listed {
		l, _, err := r.list(cmd.Context(), e)
		if err != nil {
			return nil, err
		}
		if why, ok := explain.WhySwarm(l, id, core.Params); ok {
			v.Swarm = &why
		}
	}
	if v.Slashes, err = r.slashes(cmd.Context(), &n.Node, nil); err != nil {
		return nil, err
	}
	if v.Now.Proven {
		n.Listed = v.Now.Listed // what is proven stands above the ledger's word
	}
	told, at := asTold(n), asOf(core, s, n)
	v.Questions, v.Judgement = explain.Questions(told, at), explain.Ahead(told, at)
	failing := slices.IndexFunc(v.Questions, func(q explain.Question) bool { return !q.OK })
	switch {
	case n.Listed && failing >= 0:
		q := v.Questions[failing]
		v.Because = fmt.Sprintf("it is listed until epoch %d ends, but %s", e, strings.TrimSuffix(q.Found+"; "+q.Do, "; "))
	case n.Listed:
		v.Because = "it is listed, and nothing speaks against the next epoch"
	default:
		v.Because = "it is not listed: " + explain.NotListed(told, at)
	}
	return v, nil
}

func (v *whyView) print(a *app, w io.Writer, core genesis.Core, now int64) {
	rows := [][]string{
		{"node", v.Node}, {"operator", v.Operator}, {"state", string(v.State)},
		{fmt.Sprintf("listed in epoch %d", v.Now.Epoch), v.Now.words()},
	}
	if v.Before != nil {
		rows = append(rows, []string{fmt.Sprintf("listed in epoch %d", v.Before.Epoch), v.Before.words()})
	}
	rows = append(rows, []string{"stake", fmt.Sprintf("%s of %s", tun(v.Staked), tun(v.Requirement))},
		[]string{"heartbeat", ago(v.LastHeartbeatMs, now)})
	if d, seq, ok := descriptorOf(v.NodeDetail); ok {
		keys := fmt.Sprintf("of epoch %d", seq.Epoch())
		for _, e := range []chain.Epoch{v.Now.Epoch, v.Now.Epoch + 1} {
			_, has := d.KeyFor(e)
			keys += fmt.Sprintf("; onion key for epoch %d: %s", e, yesNo(has))
		}
		rows = append(rows, []string{"descriptor", keys})
	}
	table(w, rows...)
	if v.Swarm != nil {
		fmt.Fprintf(w, "\n%s\n", v.Swarm.Sentence().Text)
	}
	fmt.Fprintf(w, "\nfor the list of epoch %d\n", v.Now.Epoch+1)
	rows = nil
	for _, q := range v.Questions {
		rows = append(rows, []string{"  " + q.Asked + "?", yesNo(q.OK), q.Found})
	}
	table(w, rows...)
	a.printJudgement(w, core, v.NodeDetail, v.Judgement)
	if gone(v.State) {
		fmt.Fprintf(w, "\nscore: nobody judges it any more, since it is %s\n", v.State)
	} else {
		v.Score.print(w)
	}
	fmt.Fprintln(w, "\nhistory")
	a.printHistory(w, v.History)
	for _, s := range v.Slashes {
		fmt.Fprintf(w, "slashed at height %d for %s: lost %s; `tunic slash show %s` tells more\n", s.Height, s.Kind, tun(s.Slashed), short(s.Offence))
	}
	fmt.Fprintf(w, "\n%s\n", v.Because)
}

// operatorShare is what one operator holds of the list.
type operatorShare struct {
	Operator chain.Address  `json:"operator"`
	Relays   int            `json:"relays"`
	Stake    chain.Amount   `json:"stake"`
	Share    chain.Permille `json:"stake_permille"`
	Weight   uint64         `json:"weight"`
	Drawn    chain.Permille `json:"weight_permille"` // how often a first draw finds it
}

// shares adds up stake and weight by operator, the heaviest first. Relays that
// were removed have none.
func shares(k *path.Picker) []operatorShare {
	by := map[chain.Address]*operatorShare{}
	var stake chain.Amount
	var weight uint64
	for i, e := range k.List().Entries {
		if k.Weight(i) == 0 {
			continue
		}
		o := by[e.Operator]
		if o == nil {
			o = &operatorShare{Operator: e.Operator}
			by[e.Operator] = o
		}
		o.Relays, o.Stake, o.Weight = o.Relays+1, o.Stake+e.Stake, o.Weight+k.Weight(i)
		stake, weight = stake+e.Stake, weight+k.Weight(i)
	}
	out := make([]operatorShare, 0, len(by))
	for _, o := range by {
		if stake > 0 {
			o.Share = chain.Permille(chain.Amount(1000).MulDiv(uint64(o.Stake), uint64(stake)))
		}
		o.Drawn = chain.Permille(o.Weight * 1000 / weight) // below 2^54: weights are below 2^23
		out = append(out, *o)
	}
	slices.SortFunc(out, func(x, y operatorShare) int {
		return cmp.Or(cmp.Compare(y.Weight, x.Weight), strings.Compare(x.Operator.String(), y.Operator.String()))
	})
	return out
}

func permille(p chain.Permille) string { return percent(chain.BasisPoints(p) * 10) }

const (
	maxExclusions = 30 // shown per hop
	maxOperators  = 20 // shown
)

func (a *app) explainPath() *cobra.Command {
	var net, member, seed string
	var hops int
	c := &cobra.Command{
		Use: "path", Short: "Draw a path from the directory, and say how each hop came about", Args: cobra.NoArgs,
		Long: "Draw a path from the verified directory, as a client does, but from a seed that is known: the same seed\n" +
			"over the same list gives the same path. Clients draw from their own randomness and keep their guards.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if hops < 1 || hops > path.MaxHops {
				return usage("--hops %d: 1 to %d", hops, path.MaxHops)
			}
			r, err := a.remote(net)
			if err != nil {
				return err
			}
			o := path.Options{Hops: hops}
			if member != "" {
				if o.Target, err = r.nodeID(cmd.Context(), member); err != nil {
					return err
				}
			}
			l, s, err := r.list(cmd.Context(), 0)
			if err != nil {
				return err
			}
			from := s.Header.Beacon
			if seed != "" {
				from = chain.SHA256([]byte(seed))
			}
			k := path.New(l, s.Header.Removals, r.net.Params)
			drawn, err := k.Choose(o, beacon.NewDraw(from, "explain path"))
			switch {
			case errors.Is(err, path.ErrTooFew):
				return fail(exitFailed, "too_few_relays", "no such path", "%s", strings.TrimPrefix(err.Error(), "path: "))
			case errors.Is(err, path.ErrOptions):
				return fail(exitFailed, "no_path", "no such path", "%s; `tunic explain node` says why", strings.TrimPrefix(err.Error(), "path: "))
			case err != nil:
				return err
			}
			v := pathView{Epoch: l.Epoch, Height: s.Header.Height, Seed: from, Explanation: k.Explain(drawn, o), Operators: shares(k), Verified: true}
			for _, i := range drawn {
				v.Path = append(v.Path, l.Entries[i].Node)
			}
			return a.show(v, func(w io.Writer) { v.print(a, w) })
		},
	}
	networkFlag(c, &net)
	c.Flags().IntVar(&hops, "hops", path.DefaultHops, "hops before the member")
	c.Flags().StringVar(&member, "member", "", "node that the path leads to, such as a mailbox's member")
	c.Flags().StringVar(&seed, "seed", "", "any text (default: the epoch's beacon)")
	return c
}

type pathView struct {
	Epoch       chain.Epoch      `json:"epoch"`
	Height      chain.Height     `json:"height"` // of the header that the list was verified against
	Seed        chain.Hash       `json:"seed"`
	Path        []chain.NodeID   `json:"path"`
	Explanation path.Explanation `json:"explanation"`
	Operators   []operatorShare  `json:"operators"`
	Verified    bool             `json:"verified"`
}

func (v pathView) print(a *app, w io.Writer) {
	fmt.Fprintf(w, "epoch %d, verified by the header at height %d; seed %s\n", v.Epoch, v.Height, v.Seed)
	fmt.Fprint(w, v.Explanation)
	fmt.Fprintln(w, "\nwho could not be drawn, in the order of the draws")
	for _, s := range v.Explanation.Steps {
		if s.Given {
			continue
		}
		fmt.Fprintf(w, "  %s, %s\n", s.Role, count(len(s.Excluded), "relay"))
		var rows [][]string
		for i, x := range s.Excluded {
			if i == maxExclusions {
				rows = append(rows, []string{"    and " + strconv.Itoa(len(s.Excluded)-i) + " more; -o json has them all"})
				break
			}
			why := x.Reason.String()
			if at := slices.IndexFunc(v.Explanation.Steps, func(s path.Step) bool { return s.Index == x.With }); at >= 0 && x.With != x.Index {
				why += " as " + v.Explanation.Steps[at].Node.Short()
			}
			rows = append(rows, []string{"    " + x.Node.Short(), why})
		}
		table(w, rows...)
	}
	fmt.Fprintln(w, "\nwho holds the stake")
	rows := [][]string{a.head("  operator", "relays", "stake", "of all", "drawn first")}
	for i, o := range v.Operators {
		if i == maxOperators {
			rows = append(rows, []string{"  and " + strconv.Itoa(len(v.Operators)-i) + " more"})
			break
		}
		rows = append(rows, []string{"  " + o.Operator.String(), strconv.Itoa(o.Relays), o.Stake.String() + " TUN", permille(o.Share), permille(o.Drawn)})
	}
	table(w, rows...)
}
