package main

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tunic/chain"
	"tunic/node"
	"tunic/relay"
	"tunic/staking"
)

func (a *app) relayCommand() *cobra.Command {
	return noun("relay", "A relay: it carries packets and keeps mailboxes",
		a.relayKeys(), a.relayRun(), a.relayStatus(), a.relayLeave())
}

func relayDir(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "dir", "", "the relay's folder: its keys and state")
}

func (a *app) relayKeys() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "keys", Short: "Show the relay's node id; make its keys if there are none", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := need("dir", dir, "relay1"); err != nil {
				return err
			}
			k, created, err := node.CreateRelayKeys(dir)
			if err != nil {
				return relayFailed(dir, err)
			}
			file := filepath.Join(dir, node.RelayKeyFile)
			v := map[string]any{"node": k.ID, "vrf_key": hex.EncodeToString(k.VRF[:]), "file": file, "created": created}
			return a.show(v, func(w io.Writer) {
				fmt.Fprintln(w, k.ID)
				if created {
					fmt.Fprintf(w, "kept in %s; keep a copy, and never run two relays with it\n", file)
				}
			})
		},
	}
	relayDir(c, &dir)
	return c
}

// loadKeys reads the keys of a relay's folder.
func loadKeys(dir string) (node.RelayKeys, error) {
	if err := need("dir", dir, "relay1"); err != nil {
		return node.RelayKeys{}, err
	}
	k, err := node.LoadRelayKeys(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return k, fail(exitFailed, "no_keys", "no node keys in "+dir, "make them with `tunic relay keys --dir %s`", dir)
	}
	return k, relayFailed(dir, err)
}

func (a *app) relayRun() *cobra.Command {
	var dir, net, listen, advertise, ready string
	var family []string
	c := &cobra.Command{
		Use: "run", Short: "Run a relay, until interrupted", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cmp.Or(need("dir", dir, "relay1"), need("listen", listen, "203.0.113.7:9001")); err != nil {
				return err
			}
			if at := cmp.Or(advertise, listen); !reachable(at) {
				return usage("%q is no address and port that others can reach; pass --listen IP:PORT and, behind a NAT, --advertise IP:PORT", at)
			}
			ids := make([]chain.NodeID, len(family))
			for i, s := range family {
				var err error
				if ids[i], err = chain.ParseNodeID(s); err != nil {
					return usage("--family: %v", err)
				}
			}
			log, err := a.logger()
			if err != nil {
				return err
			}
			r, err := a.remote(net)
			if err != nil {
				return err
			}
			k, _, err := node.CreateRelayKeys(dir)
			if err != nil {
				return relayFailed(dir, err)
			}
			// A ledger that is down now may come back; one of another network will not.
			var p *problem
			if _, err = r.header(cmd.Context(), "latest"); err == nil {
				_, err = r.node(cmd.Context(), k.ID.String(), nil)
			}
			switch {
			case err == nil || cmd.Context().Err() != nil:
			case !errors.As(err, &p) || p.exit == exitUnreachable:
				log.Warn("no ledger answers; the relay waits for it", "why", oneLine(err.Error()))
			case p.exit == exitFalse:
				return err
			}
			unregistered := p != nil && p.Code == "node_not_found"
			var after error
			err = node.RunRelay(cmd.Context(), node.RelayConfig{
				Dir: dir, Network: r.net, Listen: listen, Advertise: advertise, Family: ids, Logger: log,
				Ready: func(id chain.NodeID) {
					claim := r.net.Params.Claim()
					after = a.ready(ready, map[string]any{"ready": true, "node": id, "listen": listen, "claim": claim},
						fmt.Sprintf("relay %s ready at %s (%s: %s)", id, listen, r.net.Profile, claim))
					if unregistered {
						log.Warn("this node is not registered, so nobody uses it", "stake", "tunic tx register --relay "+dir)
					}
				},
			})
			return cmp.Or(verified(relayFailed(dir, err)), after)
		},
	}
	relayDir(c, &dir)
	networkFlag(c, &net)
	c.Flags().StringVar(&listen, "listen", "", "IP address and port to accept links on")
	c.Flags().StringVar(&advertise, "advertise", "", "IP address and port that others are told (default: --listen)")
	c.Flags().StringSliceVar(&family, "family", nil, "node ids of the same owner's other relays")
	readyFlag(c, &ready)
	return c
}

// relayFailed says what to do about a relay that does not start.
func relayFailed(dir string, err error) error {
	switch {
	case errors.Is(err, node.ErrMailDamaged):
		return fail(exitFailed, "corrupt", "the mailboxes are damaged", "%s; `tunic db repair --dir %s` keeps what can be read", strings.TrimSuffix(err.Error(), "; stop the relay and run tunic db repair"), dir)
	case errors.Is(err, relay.ErrKeyFile) && strings.Contains(err.Error(), "one folder for each network"):
		return fail(exitFailed, "foreign_keys", "the relay's folder is of another network", "%v", err)
	case errors.Is(err, relay.ErrKeyFile):
		return fail(exitFailed, "bad_keys", "a file of the relay is damaged", "%v; restore it in %s from a copy, or begin with a new folder and register that node", err, dir)
	}
	return err
}

func reachable(s string) bool {
	at, err := netip.ParseAddrPort(s)
	return err == nil && at.Port() != 0 && !at.Addr().IsUnspecified()
}

func (a *app) relayStatus() *cobra.Command {
	var dir, net string
	c := &cobra.Command{
		Use: "status", Short: "What the ledger says of the relay in a folder", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, err := loadKeys(dir)
			if err != nil {
				return err
			}
			r, s, err := a.asked(cmd.Context(), net)
			if err != nil {
				return err
			}
			n, err := r.node(cmd.Context(), k.ID.String(), nil)
			var p *problem
			if errors.As(err, &p) && p.Code == "node_not_found" {
				v := map[string]any{"node": k.ID, "state": "unregistered", "listed": false}
				return a.show(v, func(w io.Writer) {
					fmt.Fprintf(w, "%s\nnot registered; `tunic tx register --relay %s` stakes for it\n", k.ID, dir)
				})
			}
			if err != nil {
				return err
			}
			in, _, err := r.inForce(cmd.Context())
			if err != nil {
				return err
			}
			return a.showNode(r, s, n, in)
		},
	}
	relayDir(c, &dir)
	networkFlag(c, &net)
	return c
}

func (a *app) relayLeave() *cobra.Command {
	var dir string
	var f txFlags
	c := &cobra.Command{
		Use: "leave", Short: "Begin to unlock the relay's stake: it leaves the network", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, err := loadKeys(dir)
			if err != nil {
				return err
			}
			return send(a, cmd, f, staking.RequestUnlockType, func(_ *remote, _ chain.Address, h chain.Head) (staking.RequestUnlock, error) {
				return staking.RequestUnlock{Head: h, Node: k.ID}, nil
			})
		},
	}
	relayDir(c, &dir)
	f.add(c)
	return c
}
