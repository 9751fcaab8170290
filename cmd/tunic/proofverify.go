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
	"tunic/chain/state"
	"tunic/internal/wire"
	"tunic/slashing"
)

// ofNetwork stands for --ledger without a URL: the ledger that the network file
// names.
const ofNetwork = "network"

func (a *app) proofVerify() *cobra.Command {
	var net, url string
	var height uint64
	c := &cobra.Command{
		Use: "verify FILE", Short: "Judge a proof, step by step, with the network file alone",
		Long: `Judge a proof, step by step, with the network file alone.

--at HEIGHT asks whether the offence was too old as of that block. With --ledger
URL, or --ledger for the one that the network file names, the ledger is asked
what only it knows: its time, whether the offence was punished already, and what
that cost; the record, or its absence, is proven under a verified header. Two
kinds are proofs and no penalty: of a double-seal nothing more is asked, of an
unavailable whether the ledger has counted it.

Exits with 0 valid, 3 invalid, 6 malformed, 7 too old to be punished, 8 already
punished.`,
		// "--ledger URL" leaves the URL among the arguments, since the flag
		// may also stand alone.
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 2 && url == ofNetwork && strings.Contains(args[1], "://") {
				url = args[1]
			} else if len(args) != 1 {
				return usage("verify takes one proof file")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			p, _, err := readProof(args[0])
			if err != nil {
				return err
			}
			n, err := network(net)
			if err != nil {
				return err
			}
			var r *remote
			if url != "" {
				if r, err = remoteOf(n, url); err != nil {
					return err
				}
			}
			anchor, err := judgeOf(cmd.Context(), n, r, p)
			if err != nil {
				return err
			}
			j := judge(p, anchor)
			if j.err == nil {
				if err := a.judgeOn(cmd.Context(), n, j, p, url, height, cmd.Flags().Changed("at")); err != nil {
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
	c.Flags().Uint64Var(&height, "at", 0, "whether it was too old as of this height; 0 is the head (asks a ledger)")
	c.Flags().StringVar(&url, "ledger", "", "`URL` of a ledger to ask for its time, and whether the offence was punished; without one, that of the network file")
	c.Flags().Lookup("ledger").NoOptDefVal = ofNetwork
	return c
}

// judgeOn asks of a valid proof what goes beyond the network file: its age, by a
// ledger's clock where one is asked, and the record.
func (a *app) judgeOn(ctx context.Context, n genesis.Network, j *judgement, p slashing.Proof, url string, height uint64, at bool) error {
	if p.Kind == slashing.DoubleSeal && n.Engine == genesis.EngineSealer {
		j.noPenalty(n.Core) // and so neither age nor record
		return nil
	}
	ages := p.Kind != slashing.Unavailable
	if ages {
		j.Until = slashing.PunishableUntil(j.offence, n.Core)
	}
	if url == "" && !at {
		if ages {
			j.age(n.Core)
		} else {
			j.add("penalty", "none by this proof (counted_on_chain): it costs credit, in the first block of the next epoch", nil)
		}
		return nil
	}
	r, err := remoteOf(n, url)
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
	if ages {
		if j.ageAt(s.Header.Time); j.err != nil {
			return nil
		}
	}
	if url == "" {
		return nil
	}
	return r.punished(ctx, j, p, s.Header.Height)
}

// remoteOf is the ledger at url or, without one, that of the network file.
func remoteOf(n genesis.Network, url string) (*remote, error) {
	if url != "" && url != ofNetwork {
		n.URLs = []string{url}
	}
	return newRemote(n)
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

// punished asks whether the offence was punished up to a height, and what it cost
// or would cost.
func (r *remote) punished(ctx context.Context, j *judgement, p slashing.Proof, until chain.Height) error {
	rec, found, head, err := r.record(ctx, j.offence.ID)
	switch {
	case err != nil:
		return err
	case !found:
		j.add("punished", fmt.Sprintf("the ledger has not punished it: proven at height %d", head), nil)
		j.cost(r.net.Params, p)
		return nil
	}
	total := rec.Total
	if x := rec.Correlation.Settled; x != nil {
		total += x.Total
	}
	j.Amount = &total
	detail := fmt.Sprintf("at height %d: %s were taken, %s from the operator itself", rec.At, units(total), units(rec.OperatorLoss))
	if rec.Judged != nil {
		detail = fmt.Sprintf("at height %d, by %d votes; all say %s", rec.At, len(rec.Judged.Votes), rec.Judged.All)
	} else if c := rec.Correlation; c.Due != 0 && c.Settled == nil {
		detail += ", and more by correlation at " + instant(int64(c.Due))
	}
	if rec.At > until {
		j.add("punished", "the ledger punished it later, "+detail, nil)
		return nil
	}
	j.add("punished", "", chain.Refuse(slashing.ErrAlreadyPunished.Code, "%s", detail))
	return nil
}

// cost says what the offence would cost by the stake in the carried list.
func (j *judgement) cost(prm genesis.Params, p slashing.Proof) {
	if p.Kind == slashing.Unavailable {
		j.add("penalty", "none by this proof (counted_on_chain): it costs credit, in the first block of the next epoch", nil)
		return
	}
	if len(p.Entry.Entries) != 1 { // the proof shows nobody's stake
		whole := prm.StakingRequirement
		j.add("penalty", fmt.Sprintf("%s of %s, or as much less as less was bonded in epoch %d", units(p.Penalty(&prm, whole)), units(whole), j.Epoch), nil)
		return
	}
	stake := p.Entry.Entries[0].Stake
	amount := p.Penalty(&prm, stake)
	j.Amount = &amount
	j.add("penalty", fmt.Sprintf("%s of %s bonded in epoch %d: %s", percent(p.Kind.Penalty(&prm)), units(stake), p.Header.Header.DirEpoch, units(amount)), nil)
}

func units(a chain.Amount) string { return a.String() + " TUN" }

// record fetches the record of an offence, or its absence, and verifies it under
// the ledger's head.
func (r *remote) record(ctx context.Context, id chain.Hash) (rec slashing.Record, found bool, at chain.Height, err error) {
	value, found, s, err := r.row(ctx, state.PartOffences, slashing.RecordKey(id))
	if err != nil || !found {
		return rec, false, s.Header.Height, err
	}
	if rec, err = slashing.DecodeRecord(value); err != nil {
		return rec, false, 0, notVerified(err)
	}
	return rec, true, s.Header.Height, nil
}

// row fetches a row of the state with its proof and verifies it under the
// ledger's head.
func (r *remote) row(ctx context.Context, part state.Part, key []byte) (value []byte, found bool, s chain.SealedHeader, err error) {
	s, p, err := r.stateProof(ctx, part, key, 0)
	if err != nil {
		return nil, false, s, err
	}
	value, found, err = p.Verify(s.Header.State, key)
	return value, found, s, verified(err)
}

// stateProof fetches a state proof, as of a height or 0 for the head, and the
// header that it is against, whose seal it verifies.
func (r *remote) stateProof(ctx context.Context, part state.Part, key []byte, at chain.Height) (s chain.SealedHeader, p state.Proof, err error) {
	path := fmt.Sprintf("/v1/state/%s/%x", part, key)
	if at > 0 {
		path += fmt.Sprintf("?height=%d", at)
	}
	b, err := r.fetch(ctx, path, maxStateProof)
	if err != nil {
		return s, p, err
	}
	in := wire.NewReader(b)
	s, p = chain.ReadSealedHeader(in), state.ReadProof(in)
	if err := in.Done(); err != nil {
		return s, p, answer(0, nil, err)
	}
	_, err = r.verifier(ctx, s)
	return s, p, err
}

// maxStateProof bounds a header and a state proof in bytes: two rows and paths.
const maxStateProof = 1 << 18
