package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tunic/api/client"
	"tunic/chain"
	"tunic/ledger/machine"
	"tunic/ledger/wallet"
	"tunic/registry"
	"tunic/slashing"
	"tunic/staking"
)

// defaultValid is for how many blocks a transaction may wait.
const defaultValid = 120

func (a *app) txCommand() *cobra.Command {
	return noun("tx", "Transactions: transfer, stake, withdraw, report",
		a.txTransfer(), a.txRegister(), a.txContribute(), a.txUnlock(), a.txWithdraw(), a.txValidate(), a.txResign(), a.txProof("proof FILE"), a.txStatus(), a.txList())
}

// txFlags are what every transaction takes.
type txFlags struct {
	from, keys, pass, network, fee string
	nonce, valid                   uint64
	dryRun, wait                   bool
	timeout                        time.Duration
	note                           map[string]any // what build has to say with -o json; nil: nothing

	// deliver brings the signed transaction to the ledger; nil: over its API.
	deliver func(context.Context, *remote, chain.Tx) error
}

func (f *txFlags) add(c *cobra.Command) {
	networkFlag(c, &f.network)
	walletDir(c, &f.keys)
	passphraseFlag(c, &f.pass)
	c.Flags().StringVar(&f.from, "from", "", "account that signs (default: the only one in --keys)")
	c.Flags().StringVar(&f.fee, "tx-fee", "", "TUN to pay for the transaction (default: the least that the network takes)")
	c.Flags().Uint64Var(&f.nonce, "nonce", 0, "number of the account's transaction (default: the next)")
	c.Flags().Uint64Var(&f.valid, "valid", defaultValid, "blocks for which it may wait")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "print what would be signed (EIP-712), and sign nothing")
	c.Flags().BoolVar(&f.wait, "wait", false, "wait until it is in a block")
	waitFlag(c, &f.timeout)
}

func waitFlag(c *cobra.Command, d *time.Duration) {
	c.Flags().DurationVar(d, "timeout", time.Minute, "how long to wait at most")
}

// send makes a transaction of kind d with what build fills in, signs and
// submits it.
func send[T any](a *app, cmd *cobra.Command, f txFlags, d *chain.TypeDef[T], build func(*remote, chain.Address, chain.Head) (T, error)) error {
	ctx := cmd.Context()
	r, err := a.remote(f.network)
	if err != nil {
		return err
	}
	who, err := chooseKey(f.keys, f.from)
	if err != nil {
		return err
	}
	h, err := r.txHead(ctx, who, f, cmd.Flags().Changed("nonce"))
	if err != nil {
		return err
	}
	msg, err := build(r, who, h)
	if err != nil {
		return err
	}
	tx := d.Unsigned(msg)
	if f.dryRun {
		return a.showTyped(r, who, d.Schema(), tx)
	}
	key, err := a.openKey(f.keys, who.String(), f.pass)
	if err != nil {
		return err
	}
	if tx, err = key.Sign(r.domain(), d.Schema(), tx); err != nil {
		return err
	}
	id := tx.ID().String()
	if f.deliver != nil {
		err = f.deliver(ctx, r, tx)
	} else {
		id, err = r.submit(ctx, tx)
	}
	if err != nil {
		return err
	}
	v := map[string]any{"id": id, "kind": kindName(d.Schema()), "from": who, "nonce": h.Nonce, "fee": h.Fee, "status": client.Pending}
	maps.Copy(v, f.note)
	if !f.wait {
		return a.show(v, func(w io.Writer) {
			fmt.Fprintf(w, "%s\nwaiting for a block; `tunic tx status %s --wait` tells what became of it\n", id, id)
		})
	}
	return a.await(ctx, r, id, f.timeout)
}

// chooseKey is the account that from names, or the only one in dir.
func chooseKey(dir, from string) (chain.Address, error) {
	if from != "" {
		who, err := chain.ParseAddress(from)
		if err != nil {
			return who, usage("--from: %v", err)
		}
		return who, nil
	}
	l, err := wallet.List(dir)
	if err != nil {
		return chain.Address{}, err
	}
	if len(l) == 0 {
		return chain.Address{}, usage("which account? there is none in %s; make one with `tunic wallet new`, or pass --keys FOLDER", dir)
	}
	if len(l) != 1 {
		return chain.Address{}, usage("which account? there are %d keys in %s; pass --from ADDRESS", len(l), dir)
	}
	return l[0], nil
}

// txHead fills in nonce, fee and validity. The parameters in force are verified,
// so that a ledger of another network is found out before anything is signed for it.
func (r *remote) txHead(ctx context.Context, who chain.Address, f txFlags, numbered bool) (chain.Head, error) {
	h := chain.Head{Nonce: f.nonce}
	in, at, err := r.inForce(ctx)
	if err != nil {
		return h, err
	}
	h.Fee = in.Params.MinFee
	if f.fee != "" {
		if h.Fee, err = chain.ParseTUN(f.fee); err != nil {
			return h, usage("--tx-fee: %v", err)
		}
	}
	if f.valid == 0 || f.valid > math.MaxUint32 {
		return h, usage("--valid %d is not a number of blocks", f.valid)
	}
	h.ValidUntil = at.Header.Height + chain.Height(f.valid)
	if !numbered {
		acc, err := r.account(ctx, who, nil)
		if err != nil {
			return h, err
		}
		h.Nonce = acc.Nonce
	}
	return h, nil
}

func (r *remote) submit(ctx context.Context, tx chain.Tx) (string, error) {
	res, err := r.api.SubmitTransactionWithBodyWithResponse(ctx, "application/octet-stream", bytes.NewReader(tx.Encode()))
	if err != nil {
		return "", answer(0, nil, err)
	}
	return tx.ID().String(), answer(res.StatusCode(), res.Body, nil)
}

// kindName is the API's word for a kind.
func kindName(s *chain.Schema) string {
	var b strings.Builder
	for i, c := range s.Name {
		if i > 0 && c >= 'A' && c <= 'Z' {
			b.WriteByte('-')
		}
		b.WriteRune(c)
	}
	return strings.ToLower(b.String())
}

// showTyped prints what a wallet would be asked to sign.
func (a *app) showTyped(r *remote, who chain.Address, s *chain.Schema, tx chain.Tx) error {
	msg, err := s.MarshalMessage(tx.Payload)
	if err != nil {
		return err
	}
	digest, err := r.domain().Digest(s, tx.Payload)
	if err != nil {
		return err
	}
	field := func(name, typ string) map[string]string { return map[string]string{"name": name, "type": typ} }
	v := map[string]any{
		"from": who, "digest": "0x" + digest.String(),
		"typed_data": map[string]any{
			"types": map[string]any{
				"EIP712Domain": []any{field("name", "string"), field("version", "string"), field("chainId", "uint256"), field("salt", "bytes32")},
				s.Name:         s.Fields,
			},
			"primaryType": s.Name,
			"domain":      map[string]any{"name": chain.DomainName, "version": chain.DomainVersion, "chainId": r.net.ChainID, "salt": "0x" + r.net.Genesis.String()},
			"message":     msg,
		},
	}
	return a.show(v, func(w io.Writer) {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		_ = enc.Encode(v) // plain values
	})
}

func (a *app) txTransfer() *cobra.Command {
	var f txFlags
	c := &cobra.Command{
		Use: "transfer TO TUN", Short: "Send tokens to an account", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			to, err := chain.ParseAddress(args[0])
			if err != nil {
				return err
			}
			x, err := chain.ParseTUN(args[1])
			if err != nil {
				return err
			}
			return send(a, cmd, f, machine.TransferType, func(_ *remote, _ chain.Address, h chain.Head) (machine.Transfer, error) {
				return machine.Transfer{Head: h, To: to, Amount: x}, nil
			})
		},
	}
	f.add(c)
	return c
}

func (a *app) txRegister() *cobra.Command {
	var f txFlags
	var dir, stake, fee string
	c := &cobra.Command{
		Use: "register", Short: "Register a relay and stake for it as its operator", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := need("relay", dir, "relay1"); err != nil {
				return err
			}
			bps, err := parsePercent(fee)
			if err != nil {
				return err
			}
			k, err := (&relayPlace{dir: dir, args: "--dir " + dir}).keys()
			if err != nil {
				return err
			}
			return send(a, cmd, f, registry.RegisterType, func(r *remote, who chain.Address, h chain.Head) (m registry.Register, err error) {
				return registration(cmd.Context(), r, k, who, h, bps, stake)
			})
		},
	}
	c.Flags().StringVar(&dir, "relay", "", "the relay's folder, with its keys")
	c.Flags().StringVar(&stake, "stake", "", "TUN to stake (default: all that the network requires)")
	c.Flags().StringVar(&fee, "fee", "0", "operator's fee: percent of the rewards, taken before they are shared")
	f.add(c)
	return c
}

// parsePercent reads a percentage with up to two decimals.
func parsePercent(s string) (chain.BasisPoints, error) {
	whole, frac, dot := strings.Cut(strings.TrimSuffix(s, "%"), ".")
	if len(frac) <= 2 && (!dot || frac != "") {
		v, err := strconv.ParseUint(whole+frac+strings.Repeat("0", 2-len(frac)), 10, 16)
		if err == nil && v <= 10_000 && whole != "" {
			return chain.BasisPoints(v), nil
		}
	}
	return 0, usage("%q is no percentage from 0 to 100 with up to two decimals", s)
}

func (a *app) txContribute() *cobra.Command {
	var f txFlags
	c := &cobra.Command{
		Use: "contribute NODE TUN", Short: "Add stake to a node", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := chain.ParseNodeID(args[0])
			if err != nil {
				return err
			}
			x, err := chain.ParseTUN(args[1])
			if err != nil {
				return err
			}
			return send(a, cmd, f, staking.ContributeType, func(_ *remote, _ chain.Address, h chain.Head) (staking.Contribute, error) {
				return staking.Contribute{Head: h, Node: id, Amount: x}, nil
			})
		},
	}
	f.add(c)
	return c
}

func (a *app) txUnlock() *cobra.Command {
	return nodeTx(a, "unlock NODE", "Begin to unlock a node's whole stake", "", staking.RequestUnlockType,
		func(h chain.Head, id chain.NodeID) staking.RequestUnlock {
			return staking.RequestUnlock{Head: h, Node: id}
		})
}

func (a *app) txWithdraw() *cobra.Command {
	var f txFlags
	c := &cobra.Command{
		Use: "withdraw NODE", Short: "Take out rewards and, once unlocked, the stake", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := chain.ParseNodeID(args[0])
			if err != nil {
				return err
			}
			return a.withdraw(cmd, f, id, "tunic tx unlock "+id.String())
		},
	}
	f.add(c)
	return c
}

// txProof is `tx proof` and `proof submit`.
func (a *app) txProof(use string) *cobra.Command {
	var f txFlags
	c := &cobra.Command{
		Use: use, Short: "Submit a proof; the reporter's part goes to the account that signs", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, b, err := readProof(args[0])
			if err != nil {
				return err
			}
			return send(a, cmd, f, slashing.SubmitProofType, func(_ *remote, _ chain.Address, h chain.Head) (slashing.SubmitProof, error) {
				return slashing.SubmitProof{Head: h, Proof: b}, nil
			})
		},
	}
	f.add(c)
	return c
}
