package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tunic/chain"
	"tunic/slashing"
)

func (a *app) proofShow() *cobra.Command {
	return &cobra.Command{
		Use: "show FILE", Short: "What a proof file says, without judging whose network it is", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			p, b, err := readProof(args[0])
			if err != nil {
				return err
			}
			j := judge(p, nil)
			v := struct {
				*judgement
				Genesis chain.Hash   `json:"genesis"`
				Fork    uint32       `json:"fork"`
				Height  chain.Height `json:"height"`
				Bytes   int          `json:"bytes"`
			}{j, p.Genesis, p.Fork, heightOf(p), len(b)}
			return a.show(v, func(w io.Writer) {
				rows := [][]string{{"kind", j.Kind}, {"basis", string(j.Basis)}}
				if j.Offence != nil {
					rows = append(rows, []string{"offence", j.Offence.String()}, []string{"node", j.Node.String()}, []string{"of epoch", fmt.Sprint(j.Epoch)})
				}
				if j.Operator != nil {
					rows = append(rows, []string{"operator", j.Operator.String()})
				}
				rows = append(rows, []string{"network", p.Genesis.String()}, []string{"fork", fmt.Sprint(p.Fork)}, carried(p),
					[]string{"size", fmt.Sprintf("%d bytes", len(b))})
				table(w, rows...)
				fmt.Fprintln(w, "\nby itself, without a network")
				j.print(w)
			})
		},
	}
}

// heightOf is the height of the carried header or, of a double-seal, of what was
// sealed twice.
func heightOf(p slashing.Proof) chain.Height {
	if s, err := chain.DecodeSealedHeader(p.First); p.Kind == slashing.DoubleSeal && err == nil {
		return s.Header.Height
	}
	if d, ok := p.Ballots(); ok {
		return d.Height
	}
	return p.Header.Header.Height
}

// carried is a line about the headers in a proof.
func carried(p slashing.Proof) []string {
	switch h, params := p.Header.Header, p.Params.Header.Header; {
	case p.Kind == slashing.DoubleSeal && h.Height > 0:
		return []string{"header", fmt.Sprintf("height %d, with the validator in its state; votes of height %d", h.Height, heightOf(p))}
	case p.Kind == slashing.DoubleSeal:
		return []string{"headers", fmt.Sprintf("height %d", heightOf(p))}
	case p.Kind == slashing.LostMessage:
		return []string{"header", fmt.Sprintf("height %d, with the challenge in its state", h.Height)}
	case params.Height > 0:
		return []string{"headers", fmt.Sprintf("height %d, list of epoch %d; parameters as of height %d", h.Height, h.DirEpoch, params.Height)}
	default:
		return []string{"header", fmt.Sprintf("height %d, list of epoch %d", h.Height, h.DirEpoch)}
	}
}

func (a *app) proofGet() *cobra.Command {
	var net, out string
	c := &cobra.Command{
		Use: "get OFFENCE", Short: "Fetch the proof behind a slash", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := need("out", out, "offence.proof"); err != nil {
				return err
			}
			r, err := a.remote(net)
			if err != nil {
				return err
			}
			s, err := r.slash(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			p, err := r.proofOf(cmd.Context(), s.Offence)
			if err != nil {
				return err
			}
			return a.keepProof(p, out)
		},
	}
	networkFlag(c, &net)
	c.Flags().StringVar(&out, "out", "", "file to write")
	return c
}

// proofOf fetches the proof of a recorded offence and holds it against the
// network file.
func (r *remote) proofOf(ctx context.Context, offence string) (slashing.Proof, error) {
	b, err := r.fetch(ctx, "/v1/slashes/"+offence+"/proof", slashing.MaxProof)
	if err != nil {
		return slashing.Proof{}, err
	}
	p, err := slashing.Decode(b)
	if err != nil {
		return p, notVerified(err)
	}
	if p.ID().String() != offence {
		return p, fail(exitFalse, "not_verified", "does not verify", "the ledger served the proof of offence %s", p.ID())
	}
	anchor, err := judgeOf(ctx, r.net, r, p)
	if err != nil {
		return p, err
	}
	_, err = slashing.Verify(p, anchor)
	return p, (&judgement{err: err}).refused()
}

// keepProof writes a proof file.
func (a *app) keepProof(p slashing.Proof, out string) error {
	b := p.Encode()
	if err := writeOutput(out, b); err != nil {
		return err
	}
	v := map[string]any{"offence": p.ID(), "kind": p.Kind, "file": out, "bytes": len(b)}
	return a.show(v, func(w io.Writer) {
		fmt.Fprintf(w, "%s, offence %s\nkept in %s; `tunic proof verify %s` judges it\n", p.Kind, p.ID(), out, out)
	})
}
