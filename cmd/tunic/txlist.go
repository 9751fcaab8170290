package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tunic/api/client"
	"tunic/chain"
	"tunic/ledger/machine"
)

func (a *app) txList() *cobra.Command {
	var net, account, node, kind string
	var pending bool
	var most int
	c := &cobra.Command{
		Use: "list", Short: "The latest transactions, newest first, or those that wait", Args: cobra.NoArgs,
		Long: "The latest transactions of blocks, newest first, or with --pending those that wait for one.\n" +
			"Without --kind, --account or --node statements of nodes are left out; --kind publish shows them.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if most < 1 || most > pageSize {
				return usage("--limit %d: 1 to %d", most, pageSize)
			}
			if known := txKinds(); kind != "" && !slices.Contains(known, kind) {
				return usage("--kind %s: one of %s", kind, strings.Join(known, ", "))
			}
			r, err := a.remote(net)
			if err != nil {
				return err
			}
			p := client.ListTransactionsParams{Limit: &most}
			if pending {
				status := string(client.Pending)
				p.Status = &status
			}
			if account != "" {
				at, err := chain.ParseAddress(account)
				if err != nil {
					return usage("--account: %v", err)
				}
				text := at.String()
				p.Account = &text
			}
			if node != "" {
				id, err := r.nodeID(cmd.Context(), node)
				if err != nil {
					return err
				}
				text := id.String()
				p.Node = &text
			}
			if kind == "" && account == "" && node == "" {
				kind = "signed"
			}
			if kind != "" {
				p.Kind = &kind
			}
			res, err := r.api.ListTransactionsWithResponse(cmd.Context(), &p)
			if err != nil {
				return answer(0, nil, err)
			}
			page, err := decoded(res.StatusCode(), res.Body, res.JSON200)
			if err != nil {
				return err
			}
			return a.show(page, func(w io.Writer) { a.printTxs(w, page, pending) })
		},
	}
	networkFlag(c, &net)
	c.Flags().StringVar(&account, "account", "", "only those that this account signed, or that pay it")
	c.Flags().StringVar(&node, "node", "", "only those about this node, its statements included")
	c.Flags().StringVar(&kind, "kind", "", "only this kind, such as transfer; publish: statements of nodes; signed: all of accounts")
	c.Flags().BoolVar(&pending, "pending", false, "those that wait for a block")
	c.Flags().IntVar(&most, "limit", 20, "how many at most")
	return c
}

// txKinds are what --kind takes.
func txKinds() []string {
	out := []string{"signed", "publish", "dev"}
	for _, schema := range machine.Schemas() {
		out = append(out, kindName(schema))
	}
	return out
}

func (a *app) printTxs(w io.Writer, page *client.TransactionPage, pending bool) {
	switch {
	case page.Total == 0 && pending:
		fmt.Fprintln(w, "nothing waits")
		return
	case page.Total == 0:
		fmt.Fprintf(w, "none since block %d; `tunic status` tells of the head\n", page.SinceHeight)
		return
	}
	rows := [][]string{a.head("height", "kind", "from", "to or node", "tun", "result", "transaction")}
	for _, t := range page.Items {
		height, kind, from := "waits", t.Kind, "-"
		if t.Height != nil {
			height = fmt.Sprint(*t.Height)
		}
		to := deref(t.To)
		if t.Node != nil {
			to = "node " + short(*t.Node)
		}
		switch {
		case t.Sender != nil:
			from = *t.Sender
		case t.Label != nil:
			kind, from, to = *t.Label, "node "+short(deref(t.Node)), ""
			if t.About != nil {
				to = "node " + short(*t.About)
			}
		}
		amount := ""
		if t.Amount != nil {
			amount = amountOf(*t.Amount).String()
		}
		rows = append(rows, []string{height, kind, from, cmp.Or(to, "-"), cmp.Or(amount, "-"), cmp.Or(deref(t.Result), "-"), t.Id})
	}
	table(w, rows...)
	if int64(len(page.Items)) < page.Total {
		fmt.Fprintf(w, "\n%d of %d; --limit shows more\n", len(page.Items), page.Total)
	}
	fmt.Fprintln(w, "\n`tunic tx status TRANSACTION` tells more")
}
