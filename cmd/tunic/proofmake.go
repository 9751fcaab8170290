package main

import (
	"cmp"
	"context"
	"errors"

	"github.com/spf13/cobra"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/ledger/light"
	"tunic/slashing"
)

func (a *app) proofMake() *cobra.Command {
	var net, out, kind, heads, heartbeat, verdict, node, challenge string
	c := &cobra.Command{
		Use: "make STATEMENT STATEMENT | make --two-heads FILE | --heartbeat FILE | --node NODE | --verdict OFFENCE | --challenge ID", Short: "Make a proof of statements, headers, votes or a challenge",
		Long: `Make a proof
  of two statements by one node (files in canonical bytes): descriptors or votes;
  of the two headers for one height that a relay or client saved when it halted
  (--two-heads): the network file alone is needed or, where validators committed
  them, a ledger besides, and --node where several signed both;
  of a heartbeat with a version that is not allowed (--heartbeat, a file in
  canonical bytes), or of the newest such one of a node that blocks hold (--node);
  of the votes that put a node out of the list (--verdict, as in "slash list");
  of a challenge that lapsed (--challenge, as in "proof challenges").
That a relay's private key is known is shown by "make disclosure".`,
		Args: func(_ *cobra.Command, args []string) error {
			given := 0
			for _, x := range []string{heads, heartbeat, verdict, node, challenge} {
				if x != "" {
					given++
				}
			}
			if heads != "" && node != "" {
				given-- // which of several validators
			}
			switch {
			case given == 0 && len(args) != 2:
				return usage("make takes two files of statements, or one of --two-heads, --heartbeat, --node, --verdict, --challenge")
			case given > 1 || given == 1 && len(args) != 0:
				return usage("make takes two files of statements, or one of --two-heads, --heartbeat, --node, --verdict, --challenge, and not more")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := need("out", out, "offence.proof"); err != nil {
				return err
			}
			ctx := cmd.Context()
			build, proves := func() (slashing.Proof, error) { return a.makePair(ctx, net, kind, args) }, slashing.Kind(0)
			switch {
			case heads != "":
				build, proves = func() (slashing.Proof, error) { return a.makeDoubleSeal(ctx, net, heads, node) }, slashing.DoubleSeal
			case heartbeat != "":
				build, proves = func() (slashing.Proof, error) { return a.makeSoftware(ctx, net, heartbeat) }, slashing.Unauthorised
			case node != "":
				build, proves = func() (slashing.Proof, error) { return a.findSoftware(ctx, net, node) }, slashing.Unauthorised
			case verdict != "":
				build, proves = func() (slashing.Proof, error) { return a.makeVerdict(ctx, net, verdict) }, slashing.Unavailable
			case challenge != "":
				build, proves = func() (slashing.Proof, error) { return a.makeLost(ctx, net, challenge) }, slashing.LostMessage
			}
			if proves != 0 && kind != "" && kind != proves.String() {
				return usage("--kind: that proves %s", proves)
			}
			p, err := build()
			if err != nil {
				return err
			}
			return a.keepProof(p, out)
		},
	}
	networkFlag(c, &net)
	f := c.Flags()
	f.StringVar(&out, "out", "", "file to write")
	f.StringVar(&heads, "two-heads", "", "file with two sealed headers, as a relay or client saved it")
	f.StringVar(&heartbeat, "heartbeat", "", "file with a heartbeat in canonical bytes")
	f.StringVar(&node, "node", "", "node whose heartbeats are looked for in the blocks; with --two-heads the validator that signed both")
	f.StringVar(&verdict, "verdict", "", "recorded unavailable, by its offence's id")
	f.StringVar(&challenge, "challenge", "", "challenge that lapsed, by its id")
	f.StringVar(&kind, "kind", "", "what two statements prove (default: what they are of)")
	c.AddCommand(a.makeDisclosure())
	return c
}

// makePair makes a proof of two files of statements: of kind, or of what they are.
func (a *app) makePair(ctx context.Context, net, kind string, files []string) (slashing.Proof, error) {
	k := slashing.DoubleDescriptor
	if kind != "" {
		var err error
		if k, err = slashing.ParseKind(kind); err != nil {
			return slashing.Proof{}, usage("--kind: %v", err)
		}
	}
	switch k {
	case slashing.KeyDisclosure:
		return slashing.Proof{}, usage("a key-disclosure is made with the key: `tunic proof make disclosure`")
	case slashing.DoubleSeal:
		return slashing.Proof{}, usage("a double-seal is made of two headers: pass --two-heads FILE")
	case slashing.Unauthorised:
		return slashing.Proof{}, usage("unauthorised-software is made of one heartbeat: pass --heartbeat FILE or --node NODE")
	case slashing.Unavailable:
		return slashing.Proof{}, usage("an unavailable is made of a recorded verdict: pass --verdict OFFENCE")
	case slashing.LostMessage:
		return slashing.Proof{}, usage("a lost-message is made of a challenge that lapsed: pass --challenge ID")
	}
	var raw [2][]byte
	for i, path := range files {
		var err error
		if raw[i], err = readInput(path, slashing.MaxProof); err != nil {
			return slashing.Proof{}, err
		}
	}
	first, err := statement.Decode(raw[0])
	if err != nil {
		return slashing.Proof{}, fail(exitMalformed, slashing.ErrMalformed.Code, "no statement", "%s: %v", files[0], err)
	}
	if kind == "" && first.Label == statement.LabelVote {
		k = slashing.DoubleVote
	}
	r, err := a.remote(net)
	if err != nil {
		return slashing.Proof{}, err
	}
	return r.assemble(ctx, first, func(e chain.Epoch) (slashing.Proof, error) {
		l, s, err := r.list(ctx, e)
		if err != nil {
			return slashing.Proof{}, err
		}
		return slashing.Assemble(k, raw[0], raw[1], s, l)
	})
}

// makeVerdict fetches the proof of a verdict that the ledger recorded.
func (a *app) makeVerdict(ctx context.Context, net, offence string) (slashing.Proof, error) {
	r, err := a.remote(net)
	if err != nil {
		return slashing.Proof{}, err
	}
	s, err := r.slash(ctx, offence)
	if err != nil {
		return slashing.Proof{}, err
	}
	if s.Kind != slashing.Unavailable.String() {
		return slashing.Proof{}, usage("offence %s is a %s; `tunic proof get` fetches its proof", short(s.Offence), s.Kind)
	}
	return r.proofOf(ctx, s.Offence)
}

// assemble makes a proof with the list of the statement's epoch or, where the
// ledger no longer has it, the newest, and verifies what it made.
func (r *remote) assemble(ctx context.Context, first statement.Statement, of func(chain.Epoch) (slashing.Proof, error)) (slashing.Proof, error) {
	var why error // the refusal by the list of the time says more than that by another
	for _, e := range []chain.Epoch{first.Sequence.Epoch(), 0} {
		p, err := of(e)
		if err == nil {
			var anchor *light.Verifier
			if anchor, err = judgeOf(ctx, r.net, r, p); err != nil {
				return p, err
			}
			_, err = slashing.Verify(p, anchor)
		}
		if err == nil {
			return p, nil
		}
		if p := (*problem)(nil); !errors.As(err, &p) {
			err = (&judgement{err: err}).refused()
			why = cmp.Or(why, err)
		} else if e == 0 {
			why = cmp.Or(why, err)
		}
	}
	return slashing.Proof{}, why
}
