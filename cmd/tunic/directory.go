package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tunic/api/client"
	"tunic/chain"
	"tunic/internal/wire"
	"tunic/ledger/light"
	"tunic/registry/directory"
)

// maxDirectory bounds a directory file in bytes.
const maxDirectory = 128 << 20

func (a *app) directoryCommand() *cobra.Command {
	return noun("directory", "The list of active relays, verified against the network file",
		a.directoryGet(), a.directoryVerify(), a.directoryProve(), a.directoryDiff())
}

// directoryView is a list as JSON.
type directoryView struct {
	Epoch    chain.Epoch    `json:"epoch"`
	Root     chain.Hash     `json:"root"`
	Count    int            `json:"count"`
	Height   chain.Height   `json:"height"` // of the header that it was verified against
	Time     chain.Time     `json:"time_ms"`
	Removals []chain.NodeID `json:"removals"`
	Verified bool           `json:"verified"`
	Entries  []entryView    `json:"entries,omitempty"`
}

type entryView struct {
	Node        chain.NodeID   `json:"node"`
	Operator    chain.Address  `json:"operator"`
	Stake       chain.Amount   `json:"stake"`
	Endpoints   []string       `json:"endpoints"`
	Family      []chain.NodeID `json:"family"`
	Swarm       string         `json:"swarm"`
	Version     string         `json:"version"`
	Performance chain.Permille `json:"performance"`
}

func viewOf(l *directory.List, s chain.SealedHeader) directoryView {
	v := directoryView{Epoch: l.Epoch, Root: l.Root(), Count: len(l.Entries), Height: s.Header.Height, Time: s.Header.Time,
		Removals: append([]chain.NodeID{}, s.Header.Removals...), Verified: true}
	for _, e := range l.Entries {
		v.Entries = append(v.Entries, entryView{e.Node, e.Operator, e.Stake, e.Endpoints, append([]chain.NodeID{}, e.Family...),
			swarmName(e.Swarm), e.Version, e.Performance})
	}
	return v
}

func swarmName(s directory.SwarmID) string {
	if s == directory.NoSwarm {
		return "none"
	}
	return strconv.FormatUint(uint64(s), 10)
}

// summary prints what was verified.
func (v directoryView) summary(w io.Writer) {
	table(w,
		[]string{"epoch", fmt.Sprint(v.Epoch)},
		[]string{"relays", fmt.Sprint(v.Count)},
		[]string{"removed since", fmt.Sprint(len(v.Removals))},
		[]string{"root", v.Root.String()},
		[]string{"verified by", fmt.Sprintf("the header at height %d, %s", v.Height, instant(int64(v.Time)))})
}

func epochFlag(c *cobra.Command, e *uint64) {
	c.Flags().Uint64Var(e, "epoch", 0, "epoch of the list (default: the newest)")
}

func (a *app) directoryGet() *cobra.Command {
	var net, out string
	var epoch uint64
	c := &cobra.Command{
		Use: "get", Short: "Fetch the list of an epoch, verify it, show or keep it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.remote(net)
			if err != nil {
				return err
			}
			l, s, err := r.list(cmd.Context(), chain.Epoch(epoch))
			if err != nil {
				return err
			}
			v := viewOf(l, s)
			if out != "" {
				if err := writeOutput(out, append(wire.AppendBytes(nil, s.Encode()), l.Encode()...)); err != nil {
					return err
				}
				v.Entries = nil
				return a.show(struct {
					directoryView
					File string `json:"file"`
				}{v, out}, func(w io.Writer) {
					v.summary(w)
					fmt.Fprintf(w, "kept in %s; `tunic directory verify %s` verifies it without the ledger\n", out, out)
				})
			}
			return a.show(v, func(w io.Writer) {
				v.summary(w)
				if len(v.Entries) == 0 {
					return
				}
				fmt.Fprintln(w)
				rows := [][]string{a.head("node", "stake", "performance", "swarm", "version", "endpoints")}
				for _, e := range v.Entries {
					id := e.Node.String()
					if light.Removed(s.Header, e.Node) {
						id += " (removed)"
					}
					rows = append(rows, []string{id, e.Stake.String() + " TUN", fmt.Sprintf("%d/1000", e.Performance), e.Swarm, e.Version, strings.Join(e.Endpoints, " ")})
				}
				table(w, rows...)
			})
		},
	}
	networkFlag(c, &net)
	epochFlag(c, &epoch)
	c.Flags().StringVar(&out, "out", "", "file to keep it in, in its canonical bytes")
	return c
}

func (a *app) directoryVerify() *cobra.Command {
	var net string
	c := &cobra.Command{
		Use: "verify FILE", Short: "Verify a kept list against the network file, offline", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			n, err := network(net)
			if err != nil {
				return err
			}
			b, err := readInput(args[0], maxDirectory)
			if err != nil {
				return err
			}
			v, err := light.New(n)
			if err != nil {
				return err
			}
			r := wire.NewReader(b)
			head := r.Bytes(maxHeader)
			body := r.Fixed(r.Len())
			if r.Err() != nil {
				return fail(exitFalse, "not_verified", "does not verify", "%s is no directory file: %v", args[0], r.Err())
			}
			s, err := chain.DecodeSealedHeader(head)
			var l *directory.List
			if err == nil {
				l, err = directory.Decode(body)
			}
			if err == nil {
				err = v.ListAt(l, s)
			}
			if err != nil {
				return notVerified(verified(err))
			}
			view := viewOf(l, s)
			view.Entries = nil
			return a.show(view, view.summary)
		},
	}
	networkFlag(c, &net)
	return c
}

// notVerified makes any error one that says: checked, and false.
func notVerified(err error) error {
	if p := problemOf(err); p.exit == exitFalse {
		return p
	}
	return fail(exitFalse, "not_verified", "does not verify", "%v", err)
}

func (a *app) directoryProve() *cobra.Command {
	var net string
	var epoch uint64
	c := &cobra.Command{
		Use: "prove NODE", Short: "Prove that a node is, or is not, in the directory", Args: cobra.ExactArgs(1),
		Long: "Fetch the proof that a node is, or is not, in the directory of an epoch, and verify it.\nExits with 0 where the node is listed, with 3 where it is proven that it is not.",
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := a.remote(net)
			if err != nil {
				return err
			}
			id, err := r.nodeID(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if epoch == 0 {
				head, err := r.header(cmd.Context(), "latest")
				if err != nil {
					return err
				}
				epoch = uint64(head.Header.DirEpoch)
			}
			m, s, err := r.membership(cmd, id, chain.Epoch(epoch))
			if err != nil {
				return err
			}
			in, err := m.Verify(s.Header)
			if err != nil {
				return notVerified(err)
			}
			removed := light.Removed(s.Header, id)
			listed := in && !removed
			v := map[string]any{"node": id, "epoch": epoch, "listed": listed, "removed": removed, "verified": true,
				"height": s.Header.Height, "time_ms": s.Header.Time}
			how := fmt.Sprintf("nobody stands at its place among the %d", s.Header.DirCount)
			switch {
			case s.Header.DirCount == 0:
				how = "the list is empty"
			case removed:
				how = "it was removed since the epoch began"
			case in:
				how = fmt.Sprintf("it is entry %d of %d", m.Places[0].Index+1, s.Header.DirCount)
			}
			if err := a.show(v, func(w io.Writer) {
				table(w, []string{"node", id.String()}, []string{"epoch", fmt.Sprint(epoch)}, []string{"listed", yesNo(listed) + ": " + how},
					[]string{"verified by", fmt.Sprintf("the header at height %d, %s", s.Header.Height, instant(int64(s.Header.Time)))})
			}); err != nil || listed {
				return err
			}
			return fail(exitFalse, "not_listed", "not listed", "proven for epoch %d; `tunic node show %s` says why", epoch, id.Short())
		},
	}
	networkFlag(c, &net)
	epochFlag(c, &epoch)
	return c
}

// membership fetches a proof with its header, which it verifies.
func (r *remote) membership(cmd *cobra.Command, id chain.NodeID, e chain.Epoch) (m directory.Membership, s chain.SealedHeader, err error) {
	at := int64(e)
	res, err := r.api.GetDirectoryProofWithResponse(cmd.Context(), id.String(), &client.GetDirectoryProofParams{Epoch: &at})
	if err != nil {
		return m, s, answer(0, nil, err)
	}
	p, err := decoded(res.StatusCode(), res.Body, res.JSON200)
	if err != nil {
		return m, s, err
	}
	if s, err = chain.DecodeSealedHeader(p.Header); err != nil {
		return m, s, notVerified(err)
	}
	b := wire.NewReader(p.Membership)
	m = directory.ReadMembership(b)
	if err := b.Done(); err != nil {
		return m, s, notVerified(err)
	}
	v, err := light.New(r.net)
	if err == nil {
		err = v.CheckHeader(s)
	}
	switch {
	case err != nil:
		return m, s, notVerified(verified(err))
	case m.Node != id || s.Header.DirEpoch != e:
		return m, s, fail(exitFalse, "not_verified", "does not verify", "the proof is of node %s in epoch %d", m.Node.Short(), s.Header.DirEpoch)
	}
	return m, s, nil
}

func (a *app) directoryDiff() *cobra.Command {
	var net string
	c := &cobra.Command{
		Use: "diff EPOCH EPOCH", Short: "What changed from one epoch's list to another's", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var epochs [2]chain.Epoch
			for i, s := range args {
				e, err := strconv.ParseUint(s, 10, 44)
				if err != nil || e == 0 {
					return usage("%q is no epoch; the first that lists anybody is 1", s)
				}
				epochs[i] = chain.Epoch(e)
			}
			r, err := a.remote(net)
			if err != nil {
				return err
			}
			from, _, err := r.list(cmd.Context(), epochs[0])
			if err != nil {
				return err
			}
			to, _, err := r.list(cmd.Context(), epochs[1])
			if err != nil {
				return err
			}
			return a.showDiff(from, to)
		},
	}
	networkFlag(c, &net)
	return c
}

// diffView is what changed from one list to another, as JSON.
type diffView struct {
	From    chain.Epoch    `json:"from"`
	To      chain.Epoch    `json:"to"`
	Added   []chain.NodeID `json:"added"`
	Removed []chain.NodeID `json:"removed"`
	Changed []changeView   `json:"changed"`
}

type changeView struct {
	Node   chain.NodeID `json:"node"`
	Fields []string     `json:"fields"`
}

func diffOf(from, to *directory.List, d directory.Delta) diffView {
	v := diffView{from.Epoch, to.Epoch, []chain.NodeID{}, []chain.NodeID{}, []changeView{}}
	for i := range d.Added {
		v.Added = append(v.Added, d.Added[i].Node)
	}
	for _, i := range d.Removed {
		v.Removed = append(v.Removed, from.Entries[i].Node)
	}
	for _, c := range d.Changed {
		v.Changed = append(v.Changed, changeView{from.Entries[c.Index].Node, c.Fields.Names()})
	}
	return v
}

func (v diffView) print(w io.Writer) {
	var rows [][]string
	for _, id := range v.Added {
		rows = append(rows, []string{"+", id.String()})
	}
	for _, id := range v.Removed {
		rows = append(rows, []string{"-", id.String()})
	}
	for _, c := range v.Changed {
		rows = append(rows, []string{"~", c.Node.String(), strings.Join(c.Fields, " ")})
	}
	table(w, rows...)
}

func (a *app) showDiff(from, to *directory.List) error {
	d := directory.Diff(from, to)
	v := diffOf(from, to, d)
	return a.show(v, func(w io.Writer) {
		fmt.Fprintf(w, "epoch %d to %d: %d to %d relays, %d bytes as a delta\n", v.From, v.To, len(from.Entries), len(to.Entries), len(d.Encode()))
		v.print(w)
	})
}
