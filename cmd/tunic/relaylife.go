package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/node"
	"tunic/registry"
	"tunic/staking"
)

// waits makes a command wait for its block unless told otherwise.
func (f *txFlags) waits(c *cobra.Command) {
	f.wait = true
	c.Flags().Lookup("wait").DefValue = "true"
}

// known asks for a node; nil where the ledger does not know it.
func (r *remote) known(ctx context.Context, id chain.NodeID) (*client.NodeDetail, error) {
	n, err := r.node(ctx, id.String(), nil)
	if isUnknown(err) {
		return nil, nil
	}
	return n, err
}

func (a *app) relayRegister() *cobra.Command {
	var f txFlags
	var at relayPlace
	var stake, fee string
	c := &cobra.Command{
		Use: "register", Short: "Stake for the relay of a folder and register it", Args: cobra.NoArgs,
		Long: `Stake for the relay of a folder and register it, with keys that are made where the
folder has none. It waits until that is in a block, and says what comes next.

The account that signs becomes the operator. With --stake it stakes a part of what
the network requires; others add the rest with tunic relay stake.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			bps, err := parsePercent(fee)
			if err != nil {
				return err
			}
			k, created, err := at.makeKeys()
			if err != nil {
				return err
			}
			if created {
				fmt.Fprintf(a.Err, "node %s made in %s; keep a copy of %s there, and never run two relays with it\n", k.ID, at.dir, node.RelayKeyFile)
			}
			err = send(a, cmd, f, registry.RegisterType, func(r *remote, who chain.Address, h chain.Head) (m registry.Register, err error) {
				n, err := r.known(cmd.Context(), k.ID)
				if err != nil {
					return m, err
				}
				if n != nil {
					return m, registeredAlready(at.args, n)
				}
				return registration(cmd.Context(), r, k, who, h, bps, stake)
			})
			if err != nil || f.dryRun || !f.wait {
				return err
			}
			a.say("\nNext: `%s`. It is listed in the epoch after its first heartbeat; `tunic relay status %s` tells.", at.start(), at.args)
			return nil
		},
	}
	at.flags(c, &f.network)
	c.Flags().StringVar(&stake, "stake", "", "TUN to stake (default: all that the network requires)")
	c.Flags().StringVar(&fee, "fee", "0", "operator's fee: percent of the rewards, taken before they are shared")
	f.add(c)
	f.waits(c)
	return c
}

// registeredAlready says what to do with a node that is known; at names its relay.
func registeredAlready(at string, n *client.NodeDetail) error {
	switch n.State {
	case client.Deregistered, client.Left, client.Tombstoned, client.Unlocking:
		return fail(exitRefused, "node_exists", "this node has been registered before", "it is %s, and a node's life is one: register another folder, which gets new keys; `tunic relay status %s` says what became of this one", n.State, at)
	}
	return fail(exitRefused, "node_exists", "this node is registered", "it is %s; `tunic relay status %s` says what there is to do, `tunic relay stake` adds to its stake", n.State, at)
}

func (a *app) relayLeave() *cobra.Command {
	var at relayPlace
	var f txFlags
	c := &cobra.Command{
		Use: "leave", Short: "Leave the network: ask for the stake, and say until when the relay has to run", Args: cobra.NoArgs,
		Long: `Leave the network: ask for the stake of the relay in a folder, and say until when
it has to run.

The list of the present epoch names it still, and it has promised to keep messages:
who cannot show one that it signed for loses stake. So it goes on running until
those promises are over. With --wait this command ends when the relay may be
stopped; it may be interrupted and given again.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, err := at.keys()
			if err != nil {
				return err
			}
			stay := f.wait
			f.wait = true
			r, err := a.remote(f.network)
			if err != nil {
				return err
			}
			n, err := r.known(cmd.Context(), k.ID)
			if err != nil {
				return err
			}
			if n == nil {
				return fail(exitFailed, "node_not_found", "this node is not registered", "there is nothing to leave; `tunic relay register %s` stakes for it", at.args)
			}
			if leaving := n.State == client.Unlocking || n.State == client.Left; !leaving || f.dryRun {
				err := send(a, cmd, f, staking.RequestUnlockType, func(_ *remote, _ chain.Address, h chain.Head) (staking.RequestUnlock, error) {
					return staking.RequestUnlock{Head: h, Node: k.ID}, nil
				})
				if err != nil || f.dryRun {
					return err
				}
			}
			return a.seeOff(cmd.Context(), r, k.ID, at.args, stay)
		},
	}
	at.flags(c, &f.network)
	f.add(c)
	c.Flags().Lookup("wait").Usage = "wait until the relay may be stopped"
	return c
}

// farewell is what is left to do for a relay that leaves.
type farewell struct {
	Node        string `json:"node"`
	State       string `json:"state"`
	Listed      bool   `json:"listed"`
	RunUntilMS  int64  `json:"run_until_ms"` // 0: it may be stopped at once
	MayStop     bool   `json:"may_stop"`
	StakeFreeMS int64  `json:"stake_free_ms,omitempty"`
}

// partingOf says until when a relay on its way out has to run: it is in the swarms
// of the epoch in which it asked and of the one after, where the former members
// count, and what it signed for last can be asked for until the receipt and the
// time to answer are over. Free stake ends all of it.
func partingOf(core genesis.Core, n *client.NodeDetail, now int64) farewell {
	f := farewell{Node: n.Node, State: string(n.State), Listed: n.Listed}
	if n.Stake != nil {
		f.StakeFreeMS = max(deref(n.Stake.UnlockAtMs), deref(n.Stake.LockedUntilMs))
	}
	served := slices.ContainsFunc(n.History, func(e client.NodeEvent) bool { return e.To == client.Active })
	for _, e := range n.History {
		if e.To == client.Unlocking && served {
			p := &core.Params
			over := core.EpochStart(core.EpochAt(chain.Time(max(0, e.TimeMs)))+2) + chain.Time(p.ReceiptHorizon+p.ChallengeWindow)
			f.RunUntilMS = int64(over)
			if f.StakeFreeMS > 0 {
				f.RunUntilMS = min(f.RunUntilMS, f.StakeFreeMS)
			}
		}
	}
	f.MayStop = !n.Listed && f.RunUntilMS <= now
	return f
}

// farewellPause is between two questions to the ledger, at most.
const farewellPause = 30 * time.Second

// seeOff says until when a relay that leaves has to run, and with wait until then.
// at names it on a command line.
func (a *app) seeOff(ctx context.Context, r *remote, id chain.NodeID, at string, wait bool) error {
	in, _, err := r.inForce(ctx)
	if err != nil {
		return err
	}
	core := r.net.Core
	core.Params = in.Params
	for said := false; ; said = true {
		s, err := r.status(ctx)
		if err != nil {
			return err
		}
		n, err := r.node(ctx, id.String(), nil)
		if err != nil {
			return err
		}
		f := partingOf(core, n, s.TimeMs)
		if wait && !f.MayStop {
			if !said {
				a.say("%s", f.words(at))
			}
			left := time.Duration(max(f.RunUntilMS-s.TimeMs, int64(core.Params.BlockInterval))) * time.Millisecond
			if err := sleep(ctx, min(farewellPause, max(time.Second/2, left/8))); err != nil {
				return err
			}
			continue
		}
		return a.show(f, func(w io.Writer) { fmt.Fprintln(w, f.words(at)) })
	}
}

// words say what comes next.
func (f farewell) words(at string) string {
	free := ""
	if f.StakeFreeMS > 0 {
		free = fmt.Sprintf("\nIts stake is free from %s on: `tunic relay withdraw %s`", instant(f.StakeFreeMS), at)
	}
	switch {
	case f.MayStop:
		return "The relay may be stopped." + free
	case f.RunUntilMS == 0:
		return "Keep the relay running until this epoch ends: the list names it still." + free
	}
	return fmt.Sprintf("Keep the relay running until %s: until then it can be asked for messages that it promised to keep, and would lose stake.\n`tunic relay leave %s --wait` ends when it may be stopped.%s", instant(f.RunUntilMS), at, free)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
