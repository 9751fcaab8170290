package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/node"
	"tunic/registry"
	"tunic/staking"
)

// registration is the transaction that registers a node.
func registration(ctx context.Context, r *remote, k node.RelayKeys, who chain.Address, h chain.Head, fee chain.BasisPoints, stake string) (m registry.Register, err error) {
	in, _, err := r.inForce(ctx)
	if err != nil {
		return m, err
	}
	x := in.Params.StakingRequirement
	if stake != "" {
		if x, err = chain.ParseTUN(stake); err != nil {
			return m, usage("--stake: %v", err)
		}
	}
	acc, err := r.account(ctx, who, nil)
	if err != nil {
		return m, err
	}
	if err := affords(r.net.Core.Dev, &in.Params, who, acc.Balance, x, h.Fee); err != nil {
		return m, err
	}
	sig, vrf := k.Register(r.net.Genesis, who)
	return registry.Register{Head: h, Node: k.ID, VRFKey: k.VRF, FeeBps: fee, Amount: x, NodeSignature: sig, VRFProof: vrf}, nil
}

// affords says what it takes to register a node, and how an account comes to it,
// where it has too little for a stake and the fee.
func affords(dev bool, p *genesis.Params, who chain.Address, has, stake, fee chain.Amount) error {
	if rest, ok := has.Sub(fee); ok && rest >= stake {
		return nil
	}
	part := ""
	if least := staking.LeastOpening(p); least < p.StakingRequirement {
		part = fmt.Sprintf("; as operator it may stake a part, %s TUN at least (--stake %s), and others add the rest with `tunic relay stake`", least, least)
	}
	get := fmt.Sprintf("who has some sends it with `tunic tx transfer %s TUN`; the first ones were given out at genesis, so ask whoever runs the ledger", who)
	if dev {
		get = fmt.Sprintf("on this dev network `tunic dev fund %s TUN` gives some", who)
	}
	return fail(exitRefused, staking.CodeInsufficientBalance, "the account has too little for that",
		"%s has %s TUN, and %s of stake and %s of fee are needed. The network requires %s TUN of stake for a relay%s. How to get more: %s",
		who, has, stake, fee, p.StakingRequirement, part, get)
}

func (a *app) relayStake() *cobra.Command {
	var f txFlags
	var at relayPlace
	c := &cobra.Command{
		Use: "stake TUN", Short: "Add to the stake of the relay in a folder", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			x, err := chain.ParseTUN(args[0])
			if err != nil {
				return err
			}
			k, err := at.keys()
			if err != nil {
				return err
			}
			return send(a, cmd, f, staking.ContributeType, func(_ *remote, _ chain.Address, h chain.Head) (staking.Contribute, error) {
				return staking.Contribute{Head: h, Node: k.ID, Amount: x}, nil
			})
		},
	}
	at.flags(c, &f.network)
	f.add(c)
	f.waits(c)
	return c
}

func (a *app) relayWithdraw() *cobra.Command {
	var f txFlags
	var at relayPlace
	c := &cobra.Command{
		Use: "withdraw", Short: "Take out the relay's rewards and, once it is free, the stake", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, err := at.keys()
			if err != nil {
				return err
			}
			return a.withdraw(cmd, f, k.ID, "tunic relay leave "+at.args)
		},
	}
	at.flags(c, &f.network)
	f.add(c)
	f.waits(c)
	return c
}

// withdraw takes out what is due to the account that signs; leave is the command
// that asks for the stake.
func (a *app) withdraw(cmd *cobra.Command, f txFlags, id chain.NodeID, leave string) error {
	err := send(a, cmd, f, staking.WithdrawType, func(_ *remote, _ chain.Address, h chain.Head) (staking.Withdraw, error) {
		return staking.Withdraw{Head: h, Node: id}, nil
	})
	var p *problem
	if !errors.As(err, &p) || p.Code != staking.CodeNothingDue {
		return err
	}
	r, s, failed := a.asked(cmd.Context(), f.network)
	if failed != nil {
		return err
	}
	n, failed := r.known(cmd.Context(), id)
	if failed != nil || n == nil {
		return err
	}
	return nothingDue(n, s.TimeMs, leave)
}

// nothingDue says when there will be something to take out.
func nothingDue(n *client.NodeDetail, now int64, leave string) error {
	free := int64(0)
	if n.Stake != nil {
		free = deref(n.Stake.FreeAtMs)
	}
	switch {
	case free > now:
		return fail(exitRefused, staking.CodeNothingDue, "nothing is due yet", "the stake is free from %s on, in %s; no reward has come since the last time", instant(free), span(free-now))
	case free > 0:
		return fail(exitRefused, staking.CodeNothingDue, "nothing is due", "the stake is free since %s, and this account has none of it left; nor has it rewards", instant(free))
	}
	return fail(exitRefused, staking.CodeNothingDue, "nothing is due yet", "no reward has come since the last time: a listed relay gets its part with each block. The stake is bound until some time after `%s`", leave)
}

// payout is what a withdrawal brought its account.
type payout struct {
	Stake  chain.Amount `json:"stake"`
	Reward chain.Amount `json:"reward"`
}

func (p payout) String() string {
	var parts []string
	if p.Stake > 0 {
		parts = append(parts, p.Stake.String()+" TUN of stake")
	}
	if p.Reward > 0 || p.Stake == 0 {
		parts = append(parts, p.Reward.String()+" TUN of rewards")
	}
	return strings.Join(parts, ", ")
}

// paidOut works out what a withdrawal brought, which no block says: from the
// account before its block and after. nil where it is none, or that cannot be
// known: the ledger does not keep the states, or more befell the account.
func (r *remote) paidOut(ctx context.Context, t *client.Transaction) *payout {
	if deref(t.Kind) != kindName(staking.WithdrawType.Schema()) || t.Status != client.Included || deref(t.Result) != "ok" ||
		t.Sender == nil || t.Node == nil || t.Fee == nil || deref(t.Height) < 1 {
		return nil
	}
	at := func(height int64) *client.Account {
		res, err := r.api.GetAccountWithResponse(ctx, *t.Sender, &client.GetAccountParams{Height: &height})
		if err != nil {
			return nil
		}
		return res.JSON200
	}
	before, after := at(*t.Height-1), at(*t.Height)
	res, err := r.api.GetRewardsWithResponse(ctx, &client.GetRewardsParams{Height: t.Height})
	if before == nil || after == nil || err != nil || res.JSON200 == nil {
		return nil
	}
	return payoutOf(before, after, *t.Node, amountOf(*t.Fee), amountOf(res.JSON200.PerBlock))
}

// payoutOf is what an account took out of a node in a block, for a fee, where a
// block pays so much to all nodes together. nil where the figures do not agree
// with that being all that befell it.
func payoutOf(before, after *client.Account, node string, fee, perBlock chain.Amount) *payout {
	was, err := strconv.ParseUint(before.Nonce, 10, 64)
	if is, more := strconv.ParseUint(after.Nonce, 10, 64); err != nil || more != nil || is != was+1 {
		return nil
	}
	stake, due := stakeIn(before, node)
	left, more := stakeIn(after, node)
	taken, ok := stake.Sub(left)
	had, paid := amountOf(before.Balance).Sub(fee)
	all, grew := amountOf(after.Balance).Sub(had)
	reward, enough := all.Sub(taken)
	// The block's own reward comes before its transactions.
	if !ok || !paid || !grew || !enough || more != 0 || reward < due || reward-due > perBlock {
		return nil
	}
	return &payout{taken, reward}
}

// stakeIn is an account's stake in a node, and what it has earned there.
func stakeIn(a *client.Account, node string) (stake, reward chain.Amount) {
	for _, s := range deref(a.Stakes) {
		if s.Node == node {
			return amountOf(s.Amount), amountOf(deref(s.Reward))
		}
	}
	return 0, 0
}
