package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/registry/directory"
)

func (a *app) directoryDiff() *cobra.Command {
	var net string
	c := &cobra.Command{
		Use: "diff A B", Short: "What changed from one list to another: epochs, or files that get kept", Args: cobra.ExactArgs(2),
		Long: `Say what changed from one list to another: who came (+), who left (-), and whose
members changed (~). Each list is an epoch's, fetched from the ledger, or a file
that ` + "`tunic directory get --out`" + ` kept (./7 for a file whose name is a number).
Both are verified first; with two files no ledger is asked.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var sources [2]source
			for i, s := range args {
				var err error
				if sources[i], err = sourceOf(s); err != nil {
					return err
				}
			}
			n, err := network(net)
			if err != nil {
				return err
			}
			var lists [2]*directory.List
			for i, s := range sources {
				if lists[i], err = s.list(cmd.Context(), n); err != nil {
					return err
				}
			}
			return a.showDiff(lists[0], lists[1])
		},
	}
	networkFlag(c, &net)
	return c
}

// source is where a list comes from: an epoch, or a file.
type source struct {
	epoch chain.Epoch
	file  string
}

func sourceOf(text string) (source, error) {
	if strings.Trim(text, "-0123456789") != "" {
		return source{file: text}, nil
	}
	e, err := strconv.ParseUint(text, 10, 44)
	if err != nil || e == 0 {
		return source{}, usage("%q is no epoch; the first that lists anybody is 1", text)
	}
	return source{epoch: chain.Epoch(e)}, nil
}

// list is s' list, verified.
func (s source) list(ctx context.Context, n genesis.Network) (*directory.List, error) {
	if s.file != "" {
		k, err := readKept(n, s.file)
		if err == nil && k.list == nil {
			err = fail(exitFailed, "no_list", s.file+" holds no list", "keep one with `tunic directory get --out FILE`")
		}
		return k.list, err
	}
	r, err := newRemote(n)
	if err != nil {
		return nil, err
	}
	l, _, err := r.list(ctx, s.epoch)
	return l, err
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
	Node   chain.NodeID               `json:"node"`
	Fields []string                   `json:"fields"`
	Was    map[string]json.RawMessage `json:"was"`
	Is     map[string]json.RawMessage `json:"is"`

	text []string // for people, one for each field
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
		v.Changed = append(v.Changed, changeOf(from.Entries[c.Index], c.New, c.Fields.Names()))
	}
	return v
}

// changeOf is what differs in the given members of an entry.
func changeOf(was, is directory.Entry, names []string) changeView {
	v := changeView{Node: is.Node, Fields: names, Was: map[string]json.RawMessage{}, Is: map[string]json.RawMessage{}}
	before, after := membersOf(viewOf(was, chain.Header{})), membersOf(viewOf(is, chain.Header{}))
	for _, name := range names {
		v.Was[name], v.Is[name] = before[name], after[name]
		text := ""
		switch name {
		case "vrf_key":
			text = "another VRF key"
		case "operator":
			text = fmt.Sprintf("operator %s, was %s", is.Operator, was.Operator)
		case "endpoints":
			text = fmt.Sprintf("endpoints %s, was %s", strings.Join(is.Endpoints, " "), strings.Join(was.Endpoints, " "))
		case "family":
			text = fmt.Sprintf("family of %d, was %d", len(is.Family), len(was.Family))
		case "swarm":
			text = fmt.Sprintf("swarm %s, was %s", swarmName(is.Swarm), swarmName(was.Swarm))
		case "previous_swarm":
			text = fmt.Sprintf("previous swarm %s, was %s", swarmName(is.PreviousSwarm), swarmName(was.PreviousSwarm))
		case "version":
			text = fmt.Sprintf("version %s, was %s", is.Version, was.Version)
		case "stake":
			text = fmt.Sprintf("stake %s TUN, was %s TUN", is.Stake, was.Stake)
		case "onion":
			text = fmt.Sprintf("onion key from epoch %d", is.Onion.First)
		case "onion_next":
			text = fmt.Sprintf("next onion key from epoch %d", is.OnionNext.First)
		case "performance":
			text = fmt.Sprintf("performance %d/1000, was %d/1000", is.Performance, was.Performance)
		}
		v.text = append(v.text, text)
	}
	return v
}

// membersOf is an entry's JSON by member.
func membersOf(e entryView) (m map[string]json.RawMessage) {
	b, err := json.Marshal(e)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		panic("tunic: internal error: an entry has no JSON: " + err.Error())
	}
	return m
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
		rows = append(rows, []string{"~", c.Node.String(), strings.Join(c.text, "; ")})
	}
	table(w, rows...)
}

func (a *app) showDiff(from, to *directory.List) error {
	d := directory.Diff(from, to)
	v := diffOf(from, to, d)
	size := len(d.Encode())
	return a.show(struct {
		diffView
		FromCount int `json:"from_count"`
		ToCount   int `json:"to_count"`
		Bytes     int `json:"delta_bytes"`
	}{v, len(from.Entries), len(to.Entries), size}, func(w io.Writer) {
		fmt.Fprintf(w, "epoch %d to %d: %d to %d relays, %d bytes as a delta\n", v.From, v.To, len(from.Entries), len(to.Entries), size)
		if len(v.Added)+len(v.Removed)+len(v.Changed) == 0 {
			fmt.Fprintln(w, "nothing changed")
		}
		v.print(w)
	})
}
