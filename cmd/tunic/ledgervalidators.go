package main

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/ledger/light"
)

// sealing is who decides a height, as JSON.
type sealing struct {
	*client.Validators
	Verified bool  `json:"verified"` // the nodes, by the commit for that height
	Signed   []int `json:"-"`        // by node: a cometbft.Flag, 0 where there is no commit
}

func (a *app) ledgerValidators() *cobra.Command {
	var net string
	var height uint64
	c := &cobra.Command{
		Use: "validators", Short: "Who seals or decides blocks, and the last changes", Args: cobra.NoArgs,
		Long: `Who seals or decides blocks, and the last changes.

Where validators decide, those of a height are verified by the commit for it, and
it is shown who of them signed. The changes are the ledger's word.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.remote(net)
			if err != nil {
				return err
			}
			v, err := r.sealing(cmd.Context(), height)
			if err != nil {
				return err
			}
			return a.show(v, func(w io.Writer) { v.print(a, w) })
		},
	}
	networkFlag(c, &net)
	c.Flags().Var((*heightValue)(&height), "height", "who decides this height (default the one above the newest block)")
	return c
}

func (r *remote) sealing(ctx context.Context, height uint64) (*sealing, error) {
	asked, err := past(height)
	if err != nil {
		return nil, err
	}
	block := "latest"
	if height > 1 {
		block = fmt.Sprint(height - 1)
	}
	out := &sealing{}
	var signed *cometbft.Certificate
	want := r.net.Sealers
	if r.net.Engine == genesis.EngineComet && height != 1 {
		s, v, err := r.verifiedAt(ctx, block)
		if err != nil {
			return nil, err
		}
		c, err := cometbft.Of(v.Trusted(s))
		if err != nil || c.Set == nil {
			return nil, fail(exitFailed, "validators_unknown", "cannot be told", "who decided height %d", s.Header.Height+1)
		}
		signed, want = &c, c.Set.Nodes()
		h := int64(c.Header.Height)
		asked = &h
	}
	res, err := r.api.ListValidatorsWithResponse(ctx, &client.ListValidatorsParams{Height: asked})
	if err != nil {
		return nil, answer(0, nil, err)
	}
	if out.Validators, err = decoded(res.StatusCode(), res.Body, res.JSON200); err != nil {
		return nil, err
	}
	var got []chain.NodeID
	for _, x := range out.Validators.Validators {
		id, err := chain.ParseNodeID(x.Node)
		if err != nil {
			return nil, answer(0, nil, err)
		}
		got = append(got, id)
		flag := 0
		if signed != nil {
			if i, ok := signed.Set.Find(cometbft.AddressOf(id)); ok {
				flag = int(signed.Commit.Signatures[i].Flag)
			}
		}
		out.Signed = append(out.Signed, flag)
	}
	if !slices.Equal(got, want) {
		return nil, fail(exitFalse, "not_verified", "does not verify", "the ledger names other validators than those of the commit for height %d", out.Height)
	}
	out.Verified = true
	return out, nil
}

func (v *sealing) print(a *app, w io.Writer) {
	title, seals := "validators", "signed"
	if v.Engine != string(genesis.EngineComet) {
		title, seals = "sealers", ""
	}
	fmt.Fprintf(w, "%d %s decide height %d, from %d on\n", len(v.Validators.Validators), title, v.Height, v.From)
	rows := [][]string{a.head("node", "operator", seals)}
	for i, x := range v.Validators.Validators {
		signed := ""
		if f := v.Signed[i]; f != 0 {
			signed = cometbft.Flag(f).String()
		}
		operator := "-"
		if x.Operator != nil {
			operator = *x.Operator
		}
		rows = append(rows, []string{x.Node, operator, signed})
	}
	table(w, rows...)
	for _, c := range v.Changes {
		for _, n := range c.Joined {
			fmt.Fprintf(w, "from height %d on, %s decides too\n", c.From, short(n))
		}
		for _, n := range c.Left {
			fmt.Fprintf(w, "from height %d on, %s decides no more\n", c.From, short(n))
		}
	}
}

// verifiedAt is header, with the verifier that knows who committed it.
func (r *remote) verifiedAt(ctx context.Context, block string) (chain.SealedHeader, *light.Verifier, error) {
	s, err := r.fetchHeader(ctx, block)
	if err != nil {
		return s, nil, err
	}
	v, err := r.verifier(ctx, s)
	return s, v, err
}

func (a *app) ledgerCheckpoint() *cobra.Command {
	var net, out string
	var unverified bool
	c := &cobra.Command{
		Use: "checkpoint", Short: "Make a newer network file, from which others begin at the newest block", Args: cobra.NoArgs,
		Long: `Make a newer network file, from which others begin at the newest block.

A network file without a checkpoint begins at genesis. Where validators decide
blocks, that serves only for two thirds of the time for which the stake of a
validator who leaves stays bound; then whoever has not followed needs a newer
file, from where the first one came. The header is verified with the file that is
at hand. --unverified takes the ledger's word for it instead: only for who runs
that ledger.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.remote(net)
			if err != nil {
				return err
			}
			n, err := r.checkpoint(cmd.Context(), unverified)
			if err != nil {
				return err
			}
			if err := writeOutput(out, n.Encode()); err != nil {
				return err
			}
			p := n.Checkpoint
			return a.show(map[string]any{"height": p.Height, "hash": p.Hash, "file": out, "verified": !unverified}, func(w io.Writer) {
				fmt.Fprintf(w, "checkpoint at height %d, %s\nkept in %s, for whoever uses this network\n", p.Height, p.Hash, out)
			})
		},
	}
	networkFlag(c, &net)
	c.Flags().StringVar(&out, "out", "network-checkpoint.json", "the new `FILE`")
	c.Flags().BoolVar(&unverified, "unverified", false, "take the ledger's word: it is yours")
	return c
}

func (r *remote) checkpoint(ctx context.Context, unverified bool) (genesis.Network, error) {
	n := r.net
	s, err := r.fetchHeader(ctx, "latest")
	if err == nil && !unverified {
		_, err = r.verifier(ctx, s)
	}
	if err != nil {
		return n, err
	}
	n.Checkpoint = &genesis.Checkpoint{Height: s.Header.Height, Hash: s.Header.Hash()}
	if n.Engine == genesis.EngineComet {
		c, err := r.certificates(ctx)(s.Header.Height + 1)
		if err != nil {
			return n, err
		}
		n.Checkpoint.Commit, n.Checkpoint.Certificate = c.Header.Hash(), c.Encode()
	}
	// What is written has to begin there.
	v, err := light.New(n)
	if err == nil {
		err = v.CheckHeader(s)
	}
	return n, verified(err)
}
