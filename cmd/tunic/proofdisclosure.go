package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/state"
	"tunic/chain/statement"
	"tunic/ledger/wallet"
	"tunic/relay"
	"tunic/slashing"
)

func (a *app) makeDisclosure() *cobra.Command {
	var f txFlags
	var onionKey, nodeKey, out string
	var noReveal bool
	c := &cobra.Command{
		Use: "disclosure --onion-key FILE | --node-key FILE", Short: "Show that a relay's key is known: commit, wait for the next beacon, reveal", Args: cobra.NoArgs,
		Long: `Show that a relay's private key is known, and have the relay punished for it. The
key is read from a file as a relay keeps it in its folder: onion.keys with
--onion-key, node.key with --node-key. It stays on this machine: what is published
is a signature.

In three steps: a commit, which burns its fee and leaves a deposit; the beacon of
the next epoch, over which the key signs; the reveal, within twenty blocks of that
epoch's first. The deposit comes back when the commit ends. The reporter's part,
half of what the operator itself loses at most, comes with it, unless an older
commit to the same key was opened.

The proof is written to --out. Between commit and reveal OUT.commit holds what
opens the commit: the command goes on from there when it is started again.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (onionKey == "") == (nodeKey == "") {
				return usage("which key? pass one of --onion-key FILE and --node-key FILE")
			}
			if err := need("out", out, "offence.proof"); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
			defer cancel()
			t, err := a.newTeller(f, out)
			if err != nil {
				return err
			}
			if err := t.readKeys(onionKey, nodeKey); err != nil {
				return err
			}
			defer t.wipe()
			if err := a.tell(ctx, t, noReveal); err != nil {
				return t.late(ctx, err)
			}
			return nil
		},
	}
	f.add(c)
	for _, name := range []string{"nonce", "dry-run", "wait"} { // there are two transactions, and both are waited for
		_ = c.Flags().MarkHidden(name)
	}
	_ = c.Flags().Lookup("timeout").Value.Set("3h") // over an epoch of mainnet
	c.Flags().Lookup("timeout").DefValue = "3h0m0s"
	c.Flags().StringVar(&onionKey, "onion-key", "", "file with the relay's onion keys (onion.keys of its folder)")
	c.Flags().StringVar(&nodeKey, "node-key", "", "file with the relay's identity key (node.key of its folder)")
	c.Flags().StringVar(&out, "out", "", "file to write the proof to")
	c.Flags().BoolVar(&noReveal, "no-submit", false, "write the proof and submit nothing; \"tunic proof submit\" does, within the same epoch")
	return c
}

// teller is one run of the command.
type teller struct {
	r    *remote
	f    txFlags
	who  chain.Address
	key  wallet.Key
	keys []*relay.KnownKey
	own  *relay.KnownKey // the one of the opening
	open opening
	out  string
}

func (a *app) newTeller(f txFlags, out string) (*teller, error) {
	r, err := a.remote(f.network)
	if err != nil {
		return nil, err
	}
	who, err := chooseKey(f.keys, f.from)
	if err != nil {
		return nil, err
	}
	key, err := a.openKey(f.keys, who.String(), f.pass)
	return &teller{r: r, f: f, who: who, key: key, out: out}, err
}

func (t *teller) readKeys(onionKey, nodeKey string) (err error) {
	path := onionKey + nodeKey
	if nodeKey != "" {
		var k *relay.KnownKey
		k, err = relay.ReadIdentityKey(path)
		t.keys = []*relay.KnownKey{k}
	} else {
		t.keys, err = relay.ReadOnionKeys(path, t.r.net.Genesis)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fail(exitFailed, "no_key_file", "no key file at "+path, "a relay's folder has node.key and onion.keys")
	case err != nil:
		return fail(exitFailed, "bad_key_file", "cannot read the key file "+path, "%v", reason(err))
	case len(t.keys) == 0:
		return fail(exitFailed, "bad_key_file", "no key in "+path, "the relay has not drawn any yet")
	}
	return nil
}

func (t *teller) wipe() {
	for _, k := range t.keys {
		if k != nil {
			k.Wipe()
		}
	}
}

// late says how to go on where the time ran out.
func (t *teller) late(ctx context.Context, err error) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return err
	}
	return fail(exitUnreachable, "timeout", "not in time", "%v passed; the same command goes on from %s", t.f.timeout, t.out+openingSuffix)
}

// tell commits, unless an opening waits, and reveals.
func (a *app) tell(ctx context.Context, t *teller, noReveal bool) error {
	resumed, err := t.resume()
	if err != nil {
		return err
	}
	if !resumed {
		if err := t.choose(ctx); err != nil {
			return err
		}
		a.say("the %s key of node %s is in force, and will be in the next epoch", t.own.Kind, t.open.Node.Short())
		if err := a.commit(ctx, t); err != nil {
			return err
		}
	}
	a.say("committed in epoch %d; waiting for the next beacon", t.open.Committed)
	var txID string
	for {
		p, err := t.prove(ctx)
		if err != nil {
			return err
		}
		if err := writeOutput(t.out, p.Encode()); err != nil {
			return err
		}
		a.say("signed over the beacon of epoch %d; offence %s, kept in %s", p.Header.Header.DirEpoch, p.ID(), t.out)
		if noReveal {
			return a.told(t, p, "", 0)
		}
		txID, err = signAndSubmit(ctx, t, slashing.SubmitProofType, func(h chain.Head) slashing.SubmitProof {
			return slashing.SubmitProof{Head: h, Proof: p.Encode()}
		})
		var no *problem
		if errors.As(err, &no) && no.Code == slashing.ErrExpired.Code { // an epoch began meanwhile
			continue
		}
		if err != nil {
			return err
		}
		at, err := t.included(ctx, txID)
		if errors.As(err, &no) && no.Code == slashing.ErrExpired.Code {
			continue
		}
		if err != nil {
			return err
		}
		_ = os.Remove(t.out + openingSuffix) // what it opens is open
		return a.told(t, p, txID, at)
	}
}

// told prints what came of it.
func (a *app) told(t *teller, p slashing.Proof, tx string, at chain.Height) error {
	v := map[string]any{"offence": p.ID(), "kind": p.Kind, "node": t.open.Node, "key": t.open.Key, "first_epoch": t.open.First,
		"committed_epoch": t.open.Committed, "epoch": p.Header.Header.DirEpoch, "reporter": t.who, "deposit": t.open.Deposit, "file": t.out}
	if tx != "" {
		v["transaction"], v["height"] = tx, at
	}
	return a.show(v, func(w io.Writer) {
		if tx == "" {
			fmt.Fprintf(w, "submit it before epoch %d ends: tunic proof submit %s\n", p.Header.Header.DirEpoch, t.out)
			return
		}
		fmt.Fprintf(w, "revealed at height %d: node %s is punished\n", at, t.open.Node.Short())
		fmt.Fprintf(w, "the deposit of %s, and the reporter's part if no older commit is opened, come when the commit ends; `tunic slash show %s` tells\n",
			units(t.open.Deposit), short(p.ID().String()))
	})
}

// choose finds the node whose key it is, and asks that the key will be in force
// under the next beacon.
func (t *teller) choose(ctx context.Context) error {
	l, s, err := t.r.list(ctx, 0)
	if err != nil {
		return err
	}
	var old []string
	for _, k := range t.keys {
		for i := range l.Entries {
			e := &l.Entries[i]
			o := opening{Network: t.r.net.Genesis, Node: e.Node, Key: k.Kind.String(), Reporter: t.who, kind: k.Kind}
			switch {
			case k.Kind == statement.KeyIdentity && e.Node == k.Node:
			case k.Kind == statement.KeyOnion && e.OnionNext.Key == k.Public:
				o.First = e.OnionNext.First
			case k.Kind == statement.KeyOnion && e.Onion.Key == k.Public:
				old = append(old, fmt.Sprintf("node %s rotates its key when epoch %d ends, before a commit could be opened", e.Node.Short(), s.Header.DirEpoch))
				continue
			default:
				continue
			}
			if slices.Contains(s.Header.Removals, e.Node) {
				old = append(old, fmt.Sprintf("node %s is out of the list since epoch %d began, and the next list will not have it; `tunic node show %s` says why",
					e.Node.Short(), s.Header.DirEpoch, e.Node.Short()))
				continue
			}
			t.own, t.open = k, o
			return nil
		}
	}
	detail := "no node of the newest list has this key; a key that is not used any more is no offence"
	if len(old) > 0 {
		detail = old[0]
	}
	return fail(exitRefused, slashing.ErrKeyNotInForce.Code, "the key is not in force", "%s", detail)
}

// commit sends the commit and keeps what opens it, before it is sent.
func (a *app) commit(ctx context.Context, t *teller) error {
	if _, err := rand.Read(t.open.Salt[:]); err != nil {
		return err
	}
	t.open.commitment = slashing.Commitment(t.r.net.Genesis, t.open.Node, t.open.kind, t.open.First, t.who, t.open.Salt)
	in, _, err := t.r.inForce(ctx)
	if err != nil {
		return err
	}
	t.open.Deposit = slashing.LeastDeposit(&in.Params)
	a.say("committing: a fee is burned, and %s are left as a deposit", units(t.open.Deposit))
	if err := t.keep(); err != nil {
		return err
	}
	id, err := signAndSubmit(ctx, t, slashing.CommitDisclosureType, func(h chain.Head) slashing.CommitDisclosure {
		return slashing.CommitDisclosure{Head: h, Commitment: t.open.commitment, Deposit: t.open.Deposit}
	})
	if err != nil {
		_ = os.Remove(t.out + openingSuffix) // nothing was committed
		return err
	}
	at, err := t.included(ctx, id)
	if err != nil {
		return err
	}
	s, err := t.r.header(ctx, fmt.Sprint(at))
	if err != nil {
		return err
	}
	t.open.Committed = s.Header.DirEpoch
	return t.keep()
}

// prove waits for a later epoch than the commit's, and makes the proof under its
// head.
func (t *teller) prove(ctx context.Context) (slashing.Proof, error) {
	key := slashing.CommitKey{Epoch: t.open.Committed, Account: t.who, Hash: t.open.commitment}
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		s, shown, err := t.r.stateProof(ctx, state.PartOffences, key.Key(), 0)
		if err != nil {
			return slashing.Proof{}, err
		}
		h := s.Header
		if h.DirEpoch > t.open.Committed {
			if _, live, err := shown.Verify(h.State, key.Key()); err != nil || !live {
				return slashing.Proof{}, fail(exitRefused, slashing.ErrCommitLapsed.Code, "the commit is gone",
					"it lapsed before it was opened; remove %s to begin anew", t.out+openingSuffix)
			}
			l, _, err := t.r.list(ctx, h.DirEpoch)
			if err != nil {
				return slashing.Proof{}, err
			}
			o := slashing.Opening{Key: t.open.kind, First: t.open.First, Reporter: t.who, Salt: t.open.Salt, Committed: t.open.Committed, Commit: shown}
			x, err := slashing.Disclosing(s, l, t.open.Node, o)
			if err != nil {
				return slashing.Proof{}, (&judgement{err: err}).refused()
			}
			if o.Sig, err = t.own.Disclose(statement.Domain{Genesis: h.Genesis, Fork: h.Fork}, x, rand.Reader); err != nil {
				return slashing.Proof{}, err
			}
			p, err := slashing.AssembleDisclosure(s, l, t.open.Node, o)
			if err != nil {
				return p, (&judgement{err: err}).refused()
			}
			return p, nil
		}
		select {
		case <-ctx.Done():
			return slashing.Proof{}, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// signAndSubmit signs a transaction of the teller's account and submits it.
func signAndSubmit[T any](ctx context.Context, t *teller, d *chain.TypeDef[T], of func(chain.Head) T) (string, error) {
	h, err := t.r.txHead(ctx, t.who, t.f, false)
	if err != nil {
		return "", err
	}
	tx, err := t.key.Sign(t.r.domain(), d.Schema(), d.Unsigned(of(h)))
	if err != nil {
		return "", err
	}
	return t.r.submit(ctx, tx)
}

// included waits until a transaction is applied and returns the block's height.
func (t *teller) included(ctx context.Context, id string) (chain.Height, error) {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		x, err := t.r.transaction(ctx, id)
		if err != nil && ctx.Err() == nil {
			return 0, err
		}
		if err == nil && x.Status != client.Pending {
			if result := deref(x.Result); x.Status == client.Refused || result != "ok" {
				return 0, fail(exitRefused, result, "refused: "+result, "%s (transaction %s)", deref(x.Detail), id)
			}
			return chain.Height(deref(x.Height)), nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(pause):
		}
	}
}
