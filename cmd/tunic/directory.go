package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tunic/chain"
	"tunic/internal/wire"
	"tunic/registry/directory"
)

// maxDirectory bounds a directory file in bytes; as JSON it is three times as
// large.
const maxDirectory = 384 << 20

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

// summaryOf is what a header says of its list.
func summaryOf(h chain.Header) directoryView {
	return directoryView{Epoch: h.DirEpoch, Root: h.Directory, Count: int(h.DirCount), Height: h.Height, Time: h.Time,
		Removals: append([]chain.NodeID{}, h.Removals...), Verified: true}
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

// The forms in which a list is kept.
const (
	formBinary = "binary"
	formJSON   = "json"
)

func (a *app) directoryGet() *cobra.Command {
	var (
		net, out, form string
		epoch          uint64
		f              entryFlags
	)
	c := &cobra.Command{
		Use: "get", Short: "Fetch the list of an epoch, verify it, show or keep it", Args: cobra.NoArgs,
		Long: `Fetch the list of an epoch and verify it, whole, against the network file. Then
show it, or only the relays that the filters take; or keep it with --out, as the
bytes that the header commits to or as JSON. Both can be verified later without
a ledger, by ` + "`tunic directory verify`" + ` or by anyone who reads docs/spec/directory.md.
--format alone writes to standard output.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := f.read()
			if err != nil {
				return err
			}
			keep := out != "" || form != ""
			switch {
			case form != "" && form != formBinary && form != formJSON:
				return usage("--format %q is unknown; use %s or %s", form, formBinary, formJSON)
			case keep && f.any():
				return usage("a part of a list proves nothing: --out and --format take the whole list; leave out the filters and --order")
			}
			r, err := a.remote(net)
			if err != nil {
				return err
			}
			l, s, err := r.list(cmd.Context(), chain.Epoch(epoch))
			if err != nil {
				return err
			}
			if keep {
				return a.keepDirectory(l, s, out, form)
			}
			return a.showDirectory(l, s, f, filter)
		},
	}
	networkFlag(c, &net)
	epochFlag(c, &epoch)
	c.Flags().StringVar(&out, "out", "", "file to keep it in")
	c.Flags().StringVar(&form, "format", "", "keep it as binary (canonical bytes, the default) or json")
	f.add(c, strings.Join(directory.Orders, ", "))
	return c
}

// keepDirectory writes a verified list to a file, or to standard output.
func (a *app) keepDirectory(l *directory.List, s chain.SealedHeader, out, form string) error {
	b := append(wire.AppendBytes(nil, s.Encode()), l.Encode()...)
	if form == formJSON {
		var err error
		if b, err = json.Marshal(directoryFileOf(l, s)); err != nil {
			return err
		}
		b = append(b, '\n')
	}
	if out == "" {
		_, err := a.Out.Write(b)
		return err
	}
	if err := writeOutput(out, b); err != nil {
		return err
	}
	v := summaryOf(s.Header)
	return a.show(struct {
		directoryView
		File string `json:"file"`
	}{v, out}, func(w io.Writer) {
		v.summary(w)
		fmt.Fprintf(w, "kept in %s; `tunic directory verify %s` verifies it without the ledger\n", out, out)
	})
}

// showDirectory shows the entries of a verified list that f takes.
func (a *app) showDirectory(l *directory.List, s chain.SealedHeader, f entryFlags, filter directory.Filter) error {
	entries := make([]directory.Entry, 0, len(l.Entries))
	for i := range l.Entries {
		if filter.Match(&l.Entries[i]) {
			entries = append(entries, l.Entries[i])
		}
	}
	if err := directory.Order(entries, f.order); err != nil {
		return usage("--order %q is unknown; use %s, with a minus in front for the other way round", f.order, strings.Join(directory.Orders, ", "))
	}
	v := summaryOf(s.Header)
	for _, e := range entries {
		v.Entries = append(v.Entries, viewOf(e, s.Header))
	}
	return a.show(v, func(w io.Writer) {
		v.summary(w)
		switch {
		case len(l.Entries) == 0:
			return
		case len(entries) == 0:
			fmt.Fprintln(w, "\nno such relays in the list")
			return
		}
		fmt.Fprintln(w)
		rows := [][]string{a.head("node", "stake", "performance", "swarm", "version", "endpoints")}
		for _, e := range v.Entries {
			id := e.Node.String()
			if e.Removed {
				id += " (removed)"
			}
			rows = append(rows, []string{id, e.Stake.String() + " TUN", fmt.Sprintf("%d/1000", e.Performance), e.Swarm, e.Version, strings.Join(e.Endpoints, " ")})
		}
		table(w, rows...)
		if len(entries) < len(l.Entries) {
			fmt.Fprintf(w, "\n%d of %d relays\n", len(entries), len(l.Entries))
		}
	})
}
