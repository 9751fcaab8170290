package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/cmd/internal/cli"
	"tunic/ledger/machine"
)

func (a *app) paramsCommand() *cobra.Command {
	return noun("params", "The parameters in force, and how the council changes them", a.paramsShow(), a.paramsPropose(), a.paramsApprove())
}

// inForce is the parameters in force, verified.
func (r *remote) inForce(ctx context.Context) (genesis.InForce, chain.SealedHeader, error) {
	f, err := r.feed()
	if err != nil {
		return genesis.InForce{}, chain.SealedHeader{}, fed(err)
	}
	in, at, err := f.Params(ctx)
	return in, at, fed(err)
}

// council is what the ledger says of the parameters and the changes to come.
func (r *remote) council(ctx context.Context) (*client.Params, error) {
	res, err := r.api.GetParamsWithResponse(ctx, &client.GetParamsParams{})
	if err != nil {
		return nil, answer(0, nil, err)
	}
	return decoded(res.StatusCode(), res.Body, res.JSON200)
}

// paramsView is `params show` as JSON.
type paramsView struct {
	Height        chain.Height          `json:"height"` // of the header that shows what is in force
	Epoch         chain.Epoch           `json:"epoch"`
	Number        uint32                `json:"number"`
	Since         chain.Epoch           `json:"since_epoch"`
	VersionsSince chain.Epoch           `json:"versions_since_epoch"`
	Genesis       genesis.Params        `json:"genesis"`
	InForce       genesis.Params        `json:"in_force"`
	Council       []string              `json:"council"`
	CouncilMin    int                   `json:"council_min"`
	Scheduled     *client.ParamsChange  `json:"scheduled,omitempty"`
	Approvals     []client.ParamsChange `json:"approvals"`
}

func (a *app) paramsShow() *cobra.Command {
	var net string
	c := &cobra.Command{
		Use: "show", Short: "Each parameter: at genesis, in force, and scheduled", Args: cobra.NoArgs,
		Long: "Show each parameter as genesis has it and as it is in force, and what the council is about to change.\n" +
			"What is in force is verified against a sealed header; what is to come is the ledger's word.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.remote(net)
			if err != nil {
				return err
			}
			in, at, err := r.inForce(cmd.Context())
			if err != nil {
				return err
			}
			p, err := r.council(cmd.Context())
			if err != nil {
				return err
			}
			v := paramsView{Height: at.Header.Height, Epoch: at.Header.DirEpoch, Number: in.Number, Since: in.Since, VersionsSince: in.VersionsSince,
				Genesis: r.net.Params, InForce: in.Params, Council: p.Council, CouncilMin: p.CouncilMin, Scheduled: p.Scheduled, Approvals: p.Approvals}
			return a.show(v, func(w io.Writer) { v.print(a, w) })
		},
	}
	networkFlag(c, &net)
	return c
}

func (v paramsView) print(a *app, w io.Writer) {
	since := "those of genesis"
	if v.Number > 0 {
		since = fmt.Sprintf("number %d, since epoch %d", v.Number, v.Since)
	}
	rows := [][]string{{"in force", fmt.Sprintf("%s (height %d, epoch %d)", since, v.Height, v.Epoch)}}
	council := "nobody: nothing can be changed"
	if n := len(v.Council); n > 0 {
		council = fmt.Sprintf("%d of %d accounts have to agree", v.CouncilMin, n)
	}
	rows = append(rows, []string{"council", council})
	if s := v.Scheduled; s != nil {
		rows = append(rows, []string{"scheduled", fmt.Sprintf("number %d from epoch %d on: %s", s.Number, s.Epoch, strings.Join(s.Changed, ", "))})
	}
	for _, x := range v.Approvals {
		rows = append(rows, []string{"approved", fmt.Sprintf("%s by %d, for epoch %d: %s", x.Hash, len(x.ApprovedBy), x.Epoch, strings.Join(x.Changed, ", "))})
	}
	table(w, rows...)
	fmt.Fprintln(w)
	head := []string{"parameter", "genesis", "in force"}
	was, now := paramValues(v.Genesis), paramValues(v.InForce)
	var next map[string]string
	if v.Scheduled != nil {
		head = append(head, "scheduled")
		if p, err := genesis.DecodeParams(v.Scheduled.Encoding); err == nil {
			next = paramValues(p)
		}
	}
	rows = [][]string{a.head(head...)}
	same := func(x, than string) string {
		if x == than {
			return "same"
		}
		return x
	}
	for _, key := range genesis.Keys() {
		row := []string{key, was[key], same(now[key], was[key])}
		if next != nil {
			row = append(row, same(next[key], now[key]))
		}
		rows = append(rows, row)
	}
	table(w, rows...)
}

// paramValues are parameters as JSON has them, texts without quotes.
func paramValues(p genesis.Params) map[string]string {
	b, _ := json.Marshal(p) // plain values
	var raw map[string]json.RawMessage
	_ = json.Unmarshal(b, &raw)
	out := map[string]string{}
	for key, v := range raw {
		out[key] = strings.Trim(string(v), `"`)
		if string(v) == "null" {
			out[key] = "[]"
		}
	}
	return out
}

func (a *app) paramsPropose() *cobra.Command {
	var f txFlags
	var set []string
	var epoch string
	c := &cobra.Command{
		Use: "propose", Short: "As a council member, propose a change and approve it", Args: cobra.NoArgs,
		Long: `As a council member, propose a change of parameters and approve it.

--set NAME=VALUE changes one of those in force, by its name in params show; the
others stay. The change is in force from --epoch on: an epoch, or so many after
the present one (+24). The other members need time to approve it: each has to do
so params_delay_epochs before that epoch. What was proposed is named by a hash:

  tunic params propose --set min_fee=2000 --epoch +24
  tunic params approve HASH`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(set) == 0 {
				return usage("--set is missing; for example --set min_fee=2000")
			}
			if err := need("epoch", epoch, "+24"); err != nil {
				return err
			}
			f.note = map[string]any{}
			return send(a, cmd, f, machine.ChangeParamsType, func(r *remote, _ chain.Address, h chain.Head) (m machine.ChangeParams, err error) {
				in, at, err := r.inForce(cmd.Context())
				if err != nil {
					return m, err
				}
				c := genesis.Change{Number: in.Number + 1}
				if c.Epoch, err = epochFrom(epoch, at.Header.DirEpoch); err != nil {
					return m, err
				}
				if c.Params, err = cli.WithParams("set", in.Params, set); err != nil {
					return m, err
				}
				return machine.ChangeParams{Head: h, Number: c.Number, Epoch: c.Epoch, Params: c.Params.Encode()}, a.tellChange(in, c, f.note)
			})
		},
	}
	c.Flags().StringArrayVar(&set, "set", nil, "NAME=VALUE: change one parameter (repeat)")
	c.Flags().StringVar(&epoch, "epoch", "", "the first epoch in which it is in force: N, or +N from now")
	f.add(c)
	return c
}

func (a *app) paramsApprove() *cobra.Command {
	var f txFlags
	c := &cobra.Command{
		Use: "approve HASH", Short: "As a council member, approve what another has proposed", Args: cobra.ExactArgs(1),
		Long: "As a council member, approve what another has proposed: params show has its hash, and this prints what it\n" +
			"changes. Whether the content is that of the hash is checked here.",
		RunE: func(cmd *cobra.Command, args []string) error {
			hash, err := chain.ParseHash(args[0])
			if err != nil {
				return err
			}
			f.note = map[string]any{}
			return send(a, cmd, f, machine.ChangeParamsType, func(r *remote, _ chain.Address, h chain.Head) (m machine.ChangeParams, err error) {
				in, _, err := r.inForce(cmd.Context())
				if err != nil {
					return m, err
				}
				p, err := r.council(cmd.Context())
				if err != nil {
					return m, err
				}
				for _, x := range p.Approvals {
					if x.Hash != hash.String() {
						continue
					}
					c := genesis.Change{Number: uint32(x.Number), Epoch: chain.Epoch(x.Epoch)}
					if c.Params, err = genesis.DecodeParams(x.Encoding); err != nil || c.Hash() != hash {
						return m, fail(exitFalse, "not_verified", "does not verify", "the ledger gives other content for %s", hash)
					}
					return machine.ChangeParams{Head: h, Number: c.Number, Epoch: c.Epoch, Params: x.Encoding}, a.tellChange(in, c, f.note)
				}
				return m, fail(exitFailed, "not_proposed", "nobody has proposed it", "%s; `tunic params show` lists what is", hash)
			})
		},
	}
	f.add(c)
	return c
}

// epochFrom reads N or +N.
func epochFrom(text string, now chain.Epoch) (chain.Epoch, error) {
	digits, ahead := strings.CutPrefix(text, "+")
	n, err := strconv.ParseUint(digits, 10, 44)
	if err != nil {
		return 0, usage("--epoch %q is no epoch, and not so many from now (+24)", text)
	}
	if ahead {
		if n > math.MaxUint32 {
			return 0, usage("--epoch %q is too far", text)
		}
		n += uint64(now)
	}
	return chain.Epoch(n), nil
}

// tellChange shows what is about to be signed: to people at once, with -o json as a
// note beside the transaction.
func (a *app) tellChange(in genesis.InForce, c genesis.Change, note map[string]any) error {
	if a.json() {
		note["change"] = map[string]any{"hash": c.Hash(), "number": c.Number, "epoch": c.Epoch, "changed": in.Params.Diff(c.Params)}
		return nil
	}
	was, is := paramValues(in.Params), paramValues(c.Params)
	rows := [][]string{{"change", c.Hash().String()}, {"in force from", fmt.Sprintf("epoch %d on", c.Epoch)}}
	for _, key := range in.Params.Diff(c.Params) {
		rows = append(rows, []string{key, was[key] + " -> " + is[key]})
	}
	table(a.Out, rows...)
	return nil
}
