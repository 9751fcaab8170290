package main

import (
	"context"

	"github.com/spf13/cobra"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/ledger/light"
	"tunic/slashing"
)

func (a *app) proofMake() *cobra.Command {
	var net, out, kind, heads string
	c := &cobra.Command{
		Use: "make STATEMENT STATEMENT | make --two-heads FILE", Short: "Make a proof of two statements, or of two sealed headers",
		Long: `Make a proof of two statements (files in canonical bytes), or of the two sealed
headers for one height that a relay or client saved when it halted. The latter
needs the network file alone.`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case heads == "" && len(args) != 2:
				return usage("make takes two files of statements, or --two-heads FILE")
			case heads != "" && len(args) != 0:
				return usage("make takes two files of statements or --two-heads FILE, not both")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := need("out", out, "offence.proof"); err != nil {
				return err
			}
			if heads != "" {
				if cmd.Flags().Changed("kind") && kind != slashing.DoubleSeal.String() {
					return usage("--kind: two headers prove a double-seal")
				}
				p, err := makeDoubleSeal(net, heads)
				if err != nil {
					return err
				}
				return a.keepProof(p, out)
			}
			k, err := slashing.ParseKind(kind)
			if err != nil {
				return usage("--kind: %v", err)
			}
			if k == slashing.DoubleSeal {
				return usage("a double-seal is made of two headers: pass --two-heads FILE")
			}
			var raw [2][]byte
			for i, path := range args {
				if raw[i], err = readInput(path, slashing.MaxProof); err != nil {
					return err
				}
			}
			first, err := statement.Decode(raw[0])
			if err != nil {
				return fail(exitMalformed, slashing.ErrMalformed.Code, "no statement", "%s: %v", args[0], err)
			}
			r, err := a.remote(net)
			if err != nil {
				return err
			}
			p, err := r.assemble(cmd.Context(), k, raw[0], raw[1], first)
			if err != nil {
				return err
			}
			return a.keepProof(p, out)
		},
	}
	networkFlag(c, &net)
	c.Flags().StringVar(&out, "out", "", "file to write")
	c.Flags().StringVar(&heads, "two-heads", "", "file with two sealed headers, as a relay or client saved it")
	c.Flags().StringVar(&kind, "kind", slashing.DoubleDescriptor.String(), "what they prove")
	return c
}

// assemble takes the list of the statement's epoch or, where the ledger no
// longer has it, the newest, and verifies what it made.
func (r *remote) assemble(ctx context.Context, k slashing.Kind, a, b []byte, first statement.Statement) (slashing.Proof, error) {
	anchor, err := light.New(r.net)
	if err != nil {
		return slashing.Proof{}, err
	}
	var last error
	for _, e := range []chain.Epoch{first.Sequence.Epoch(), 0} {
		l, s, err := r.list(ctx, e)
		if err != nil {
			last = err
			continue
		}
		p, err := slashing.Assemble(k, a, b, s, l)
		if err == nil {
			_, err = slashing.Verify(p, anchor)
		}
		if err == nil {
			return p, nil
		}
		last = (&judgement{err: err}).refused()
	}
	return slashing.Proof{}, last
}
