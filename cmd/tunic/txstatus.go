package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"tunic/api/client"
	"tunic/chain"
)

func (a *app) txStatus() *cobra.Command {
	var net string
	var wait bool
	var timeout time.Duration
	c := &cobra.Command{
		Use: "status ID", Short: "What became of a transaction", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := chain.ParseHash(args[0])
			if err != nil {
				return err
			}
			r, err := a.remote(net)
			if err != nil {
				return err
			}
			if wait {
				return a.await(cmd.Context(), r, id.String(), timeout)
			}
			t, err := r.transaction(cmd.Context(), id.String())
			if err != nil {
				return err
			}
			return a.showTx(cmd.Context(), r, t)
		},
	}
	networkFlag(c, &net)
	c.Flags().BoolVar(&wait, "wait", false, "wait until it is in a block")
	waitFlag(c, &timeout)
	return c
}

func (r *remote) transaction(ctx context.Context, id string) (*client.Transaction, error) {
	res, err := r.api.GetTransactionWithResponse(ctx, id)
	if err != nil {
		return nil, answer(0, nil, err)
	}
	return decoded(res.StatusCode(), res.Body, res.JSON200)
}

// await asks until the transaction is in a block or refused.
func (a *app) await(ctx context.Context, r *remote, id string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		t, err := r.transaction(ctx, id)
		if err != nil && ctx.Err() == nil {
			return err
		}
		if err == nil && t.Status != client.Pending {
			return a.showTx(ctx, r, t)
		}
		select {
		case <-ctx.Done():
			if ctx.Err() == context.DeadlineExceeded {
				return fail(exitUnreachable, "timeout", "not in time", "transaction %s waits still; ask again with `tunic tx status %s --wait`", id, id)
			}
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// showTx prints a transaction; one that was refused is a problem too.
func (a *app) showTx(ctx context.Context, r *remote, t *client.Transaction) error {
	result := deref(t.Result)
	v := struct {
		*client.Transaction
		Withdrawn *payout `json:"withdrawn,omitempty"`
	}{t, r.paidOut(ctx, t)}
	refused := t.Status == client.Refused || (t.Status == client.Included && result != "ok")
	if !refused || a.json() {
		if err := a.show(v, func(w io.Writer) {
			rows := [][]string{{"transaction", t.Id}, {"kind", deref(t.Kind)}}
			if t.Sender != nil {
				rows = append(rows, []string{"from", *t.Sender})
			}
			if t.Status == client.Included {
				rows = append(rows, []string{"status", fmt.Sprintf("included at height %d", deref(t.Height))})
				if t.TimeMs != nil {
					rows = append(rows, []string{"block", fmt.Sprintf("of %s, %d deep", instant(*t.TimeMs), deref(t.Confirmations))})
				}
				if t.Fee != nil {
					rows = append(rows, []string{"fee", tun(*t.Fee)})
				}
				if v.Withdrawn != nil {
					rows = append(rows, []string{"taken out", v.Withdrawn.String()})
				}
				if ev := t.Event; ev != nil {
					rows = append(rows, []string{"brought about", fmt.Sprintf("node %s is %s", short(cmp.Or(deref(t.About), deref(t.Node))), ev.To)})
				}
				if t.Offence != nil {
					rows = append(rows, []string{"punished", "offence " + *t.Offence})
				}
			} else {
				rows = append(rows, []string{"status", "waiting for a block"})
			}
			table(w, rows...)
		}); err != nil {
			return err
		}
	}
	if !refused {
		return nil
	}
	detail := deref(t.Detail)
	if detail == "" {
		detail = "at height " + fmt.Sprint(deref(t.Height))
	}
	return fail(exitRefused, result, "refused: "+result, "%s (transaction %s)", detail, t.Id)
}
