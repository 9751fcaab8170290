package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/durable"
	"tunic/ledger/light"
	"tunic/slashing"
)

func (a *app) proofCommand() *cobra.Command {
	return noun("proof", "Proofs of offences: files that anyone can judge",
		a.proofVerify(), a.proofShow(), a.txProof("submit FILE"), a.proofGet(), a.proofMake())
}

// step is one question that is asked of a proof.
type step struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Code   string `json:"code,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// judgement is what `proof verify` and `proof show` print.
type judgement struct {
	Verdict  string         `json:"verdict,omitempty"`
	Code     string         `json:"code,omitempty"`
	Offence  *chain.Hash    `json:"offence,omitempty"`
	Kind     string         `json:"kind,omitempty"`
	Basis    slashing.Basis `json:"basis,omitempty"`
	Node     *chain.NodeID  `json:"node,omitempty"`
	Operator *chain.Address `json:"operator,omitempty"`
	Epoch    chain.Epoch    `json:"epoch,omitempty"`
	Until    chain.Time     `json:"punishable_until_ms,omitempty"`
	Steps    []step         `json:"steps"`

	offence slashing.Offence
	err     error // the refusal that the judgement ended with
}

// add notes an answer; a refusal ends the judgement.
func (j *judgement) add(name, detail string, err error) {
	s := step{Name: name, OK: err == nil, Detail: detail}
	var r *chain.Refusal
	if errors.As(err, &r) {
		s.Code, s.Detail = r.Code, r.Detail
	}
	if err != nil {
		j.err = err
	}
	j.Steps = append(j.Steps, s)
}

// judge asks what can be asked without a ledger.
func judge(p slashing.Proof, anchor slashing.Anchor) *judgement {
	j := &judgement{Steps: []step{}}
	for _, s := range slashing.Steps(p, anchor) {
		j.Steps = append(j.Steps, step{s.Name, s.OK, s.Code, s.Detail})
	}
	if anchor == nil {
		j.err = p.Validate()
	} else {
		j.offence, j.err = slashing.Verify(p, anchor)
	}
	j.Kind, j.Basis = p.Kind.String(), p.Kind.Basis()
	if node, epoch, ok := p.Accused(); ok {
		id := p.ID()
		j.Offence, j.Node, j.Epoch = &id, &node, epoch
	}
	if len(p.Entry.Entries) == 1 {
		j.Operator = &p.Entry.Entries[0].Operator
	}
	return j
}

func (j *judgement) print(w io.Writer) {
	rows := [][]string{}
	for _, s := range j.Steps {
		mark, detail := "ok", s.Detail
		if !s.OK {
			mark, detail = "NO", strings.TrimPrefix(s.Code+": "+s.Detail, ": ")
		}
		rows = append(rows, []string{mark, s.Name, detail})
	}
	table(w, rows...)
}

// exitOf is the exit code of each verdict.
var exitOf = map[slashing.Verdict]int{
	slashing.Valid: exitDone, slashing.Invalid: exitFalse, slashing.Malformed: exitMalformed,
	slashing.Expired: exitExpired, slashing.AlreadyPunished: exitPunished,
}

// refused is a judgement's refusal as a problem.
func (j *judgement) refused() error {
	if j.err == nil {
		return nil
	}
	v := slashing.VerdictOf(j.err)
	code, detail := v.String(), j.err.Error()
	var r *chain.Refusal
	if errors.As(j.err, &r) {
		code, detail = r.Code, r.Detail
	}
	return fail(exitOf[v], code, "the proof is "+v.String(), "%s", detail)
}

// readProof reads a proof file; what is none is malformed.
func readProof(path string) (slashing.Proof, []byte, error) {
	b, err := readInput(path, slashing.MaxProof)
	if errors.Is(err, durable.ErrTooLarge) {
		err = fail(exitMalformed, slashing.ErrMalformed.Code, "the proof is malformed", "%s has over %d bytes", path, slashing.MaxProof)
	}
	if err != nil {
		return slashing.Proof{}, nil, err
	}
	p, err := slashing.Decode(b)
	if err != nil {
		return p, b, (&judgement{err: err}).refused()
	}
	return p, b, nil
}

func (a *app) proofVerify() *cobra.Command {
	var net string
	var height uint64
	var online bool
	c := &cobra.Command{
		Use: "verify FILE", Short: "Judge a proof, step by step, with the network file alone", Args: cobra.ExactArgs(1),
		Long: `Judge a proof, step by step, with the network file alone.

With --ledger the ledger is asked what only it knows: its time, and whether the
offence was punished already. --at HEIGHT judges as of that block. A double-seal
is a proof and no penalty, and nothing more is asked of it.

Exits with 0 valid, 3 invalid, 6 malformed, 7 too old to be punished, 8 already
punished.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, _, err := readProof(args[0])
			if err != nil {
				return err
			}
			n, err := network(net)
			if err != nil {
				return err
			}
			anchor, err := light.New(n)
			if err != nil {
				return err
			}
			j := judge(p, anchor)
			if j.err == nil && p.Kind == slashing.DoubleSeal {
				j.noPenalty(n.Core) // and so neither age nor record
			} else if j.err == nil {
				j.Until = slashing.PunishableUntil(j.offence, n.Core)
				if online || cmd.Flags().Changed("at") {
					err = a.judgeAt(cmd.Context(), net, j, height)
				} else {
					j.age(n.Core)
				}
				if err != nil {
					return err
				}
			}
			j.Verdict = strings.ReplaceAll(slashing.VerdictOf(j.err).String(), " ", "_")
			if r := (*chain.Refusal)(nil); errors.As(j.err, &r) {
				j.Code = r.Code
			}
			if err := a.show(j, func(w io.Writer) {
				j.print(w)
				if j.err == nil {
					fmt.Fprintf(w, "valid: %s by node %s in epoch %d, offence %s\n", j.Kind, j.Node, j.Epoch, j.Offence)
				}
			}); err != nil {
				return err
			}
			return j.refused()
		},
	}
	networkFlag(c, &net)
	c.Flags().Uint64Var(&height, "at", 0, "judge as of this height (asks the ledger)")
	c.Flags().BoolVar(&online, "ledger", false, "ask the ledger for its time and whether the offence was punished")
	return c
}

// age asks whether the offence is young enough, by the machine's clock.
func (j *judgement) age(core genesis.Core) {
	until := instant(int64(j.Until))
	if core.Clock == genesis.ClockLedger {
		j.add("age", "punishable until "+until+" of the ledger's clock; --ledger asks it", nil)
		return
	}
	j.ageAt(chain.Time(time.Now().UnixMilli()))
}

func (j *judgement) ageAt(now chain.Time) {
	until := instant(int64(j.Until))
	if now > j.Until {
		j.add("age", "", chain.Refuse(slashing.ErrExpired.Code, "it was punishable until %s, it is %s", until, instant(int64(now))))
		return
	}
	j.add("age", "punishable until "+until, nil)
}

// judgeAt asks what only a ledger knows, as of a height, 0 for the head.
func (a *app) judgeAt(ctx context.Context, net string, j *judgement, height uint64) error {
	r, err := a.remote(net)
	if err != nil {
		return err
	}
	block := "latest"
	if height > 0 {
		block = fmt.Sprint(height)
	}
	s, err := r.header(ctx, block)
	if err != nil {
		return err
	}
	if j.ageAt(s.Header.Time); j.err != nil {
		return nil
	}
	slash, err := r.slash(ctx, j.offence.ID.String())
	var p *problem
	switch {
	case errors.As(err, &p) && p.Code == "offence_not_found":
		j.add("punished", "the ledger has not punished it", nil)
	case err != nil:
		return err
	case chain.Height(slash.Height) > s.Header.Height:
		j.add("punished", fmt.Sprintf("the ledger punished it later, at height %d", slash.Height), nil)
	default:
		j.add("punished", "", chain.Refuse(slashing.ErrAlreadyPunished.Code, "the ledger punished offence %s at height %d", slash.Offence, slash.Height))
	}
	return nil
}

func (a *app) proofShow() *cobra.Command {
	return &cobra.Command{
		Use: "show FILE", Short: "What a proof file says, without judging whose network it is", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			p, b, err := readProof(args[0])
			if err != nil {
				return err
			}
			j := judge(p, nil)
			height := p.Header.Header.Height
			if s, err := chain.DecodeSealedHeader(p.First); p.Kind == slashing.DoubleSeal && err == nil {
				height = s.Header.Height
			}
			v := struct {
				*judgement
				Genesis chain.Hash   `json:"genesis"`
				Fork    uint32       `json:"fork"`
				Height  chain.Height `json:"height"`
				Bytes   int          `json:"bytes"`
			}{j, p.Genesis, p.Fork, height, len(b)}
			return a.show(v, func(w io.Writer) {
				rows := [][]string{{"kind", j.Kind}, {"basis", string(j.Basis)}}
				if j.Offence != nil {
					rows = append(rows, []string{"offence", j.Offence.String()}, []string{"node", j.Node.String()}, []string{"of epoch", fmt.Sprint(j.Epoch)})
				}
				if j.Operator != nil {
					rows = append(rows, []string{"operator", j.Operator.String()})
				}
				rows = append(rows, []string{"network", p.Genesis.String()}, []string{"fork", fmt.Sprint(p.Fork)})
				if p.Kind != slashing.DoubleSeal {
					rows = append(rows, []string{"header", fmt.Sprintf("height %d, list of epoch %d", p.Header.Header.Height, p.Header.Header.DirEpoch)})
				} else {
					rows = append(rows, []string{"headers", fmt.Sprintf("height %d", height)})
				}
				rows = append(rows, []string{"size", fmt.Sprintf("%d bytes", len(b))})
				table(w, rows...)
				fmt.Fprintln(w, "\nby itself, without a network")
				j.print(w)
			})
		},
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
			b, err := r.fetch(cmd.Context(), "/v1/slashes/"+s.Offence+"/proof", slashing.MaxProof)
			if err != nil {
				return err
			}
			p, err := slashing.Decode(b)
			if err != nil {
				return notVerified(err)
			}
			if p.ID().String() != s.Offence {
				return fail(exitFalse, "not_verified", "does not verify", "the ledger served the proof of offence %s", p.ID())
			}
			return a.keepProof(p, out)
		},
	}
	networkFlag(c, &net)
	c.Flags().StringVar(&out, "out", "", "file to write")
	return c
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
