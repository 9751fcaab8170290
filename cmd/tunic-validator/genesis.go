package main

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/cmd/internal/cli"
	"tunic/internal/durable"
	"tunic/node"
)

// genesisFlags are what a new network is made of beside its validators.
type genesisFlags struct {
	profile, pool, allocations string
	alloc, params, council     []string
	councilMin                 uint16
	chainID                    uint64
	wait                       time.Duration
}

// add adds the flags; wait is the default of --start-in.
func (f *genesisFlags) add(c *cobra.Command, wait time.Duration) {
	c.Flags().StringVar(&f.profile, "profile", string(genesis.Private), "parameters: private, mainnet, or dev (fast, without mixing; its clock cannot be moved here)")
	c.Flags().Uint64Var(&f.chainID, "chain-id", 31337, "EIP-712 chain id; networks differ by their genesis in any case")
	c.Flags().StringArrayVar(&f.alloc, "alloc", nil, "ADDRESS=TUN: who holds how much at the start (repeat)")
	c.Flags().StringVar(&f.allocations, "allocations", "", "file with more of these, as genesis.json has them: [{\"address\":...,\"balance\":...},...]")
	c.Flags().StringVar(&f.pool, "reward-pool", "1000000", "TUN from which blocks pay rewards")
	c.Flags().StringArrayVar(&f.params, "param", nil, "NAME=VALUE: change one parameter of the profile (repeat)")
	c.Flags().StringSliceVar(&f.council, "council", nil, "ADDRESS,...: accounts that may change parameters (default: nobody)")
	c.Flags().Uint16Var(&f.councilMin, "council-min", 0, "how many of them have to agree (default: more than half)")
	c.Flags().DurationVar(&f.wait, "start-in", wait, "until epoch 1, the first that lists anybody, begins; 0s: an epoch")
}

// genesis is what the flags ask for, without validators; sorted by address.
func (f *genesisFlags) genesis(now time.Time) (g genesis.Genesis, err error) {
	p, err := genesis.For(genesis.Profile(f.profile))
	if err != nil {
		return g, cli.Usage("--profile %q is unknown; use dev, private or mainnet", f.profile)
	}
	if p, err = cli.WithParams("param", p, f.params); err != nil {
		return g, err
	}
	pool, err := chain.ParseTUN(f.pool)
	if err != nil {
		return g, cli.Usage("--reward-pool: %v", err)
	}
	g.Core = genesis.Core{ChainID: f.chainID, Profile: genesis.Profile(f.profile), Clock: genesis.ClockReal, Engine: genesis.EngineComet,
		Time: node.GenesisTime(now, p, cmp.Or(f.wait, time.Duration(p.EpochLength)*time.Millisecond)), RewardPool: pool, Params: p}
	if g.Council, g.CouncilMin, err = cli.Council(f.council, f.councilMin); err != nil {
		return g, err
	}
	if g.Allocations, err = cli.Allocations(f.alloc); err != nil {
		return g, err
	}
	if f.allocations != "" {
		b, err := cli.ReadInput(f.allocations, 64<<20)
		if err != nil {
			return g, err
		}
		var more []genesis.Allocation
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		if err := d.Decode(&more); err != nil {
			return g, cli.Usage("--allocations %s: %v; it is a list of {\"address\":...,\"balance\":...}, balances as decimal strings of units", f.allocations, err)
		}
		g.Allocations = append(g.Allocations, more...)
	}
	return g, nil
}

// with completes a genesis by its validators, sorts it and judges it.
func with(g genesis.Genesis, validators []card) (genesis.Genesis, error) {
	slices.SortFunc(validators, func(a, b card) int { return bytes.Compare(a.Node[:], b.Node[:]) })
	for _, k := range validators {
		if k.Operator == nil {
			return g, cli.Usage("validator %s names no operator; init it with --operator ADDRESS", k.Node)
		}
		g.Sealers, g.Operators = append(g.Sealers, k.Node), append(g.Operators, *k.Operator)
	}
	slices.SortFunc(g.Allocations, func(a, b genesis.Allocation) int { return bytes.Compare(a.Address[:], b.Address[:]) })
	if err := g.Validate(); err != nil {
		return g, cli.Usage("%s", strings.TrimPrefix(err.Error(), genesis.ErrGenesis.Error()+": "))
	}
	return g, nil
}

func (p *program) genesisCommand() *cobra.Command {
	var f genesisFlags
	var out string
	var urls []string
	c := &cobra.Command{
		Use: "genesis CARD...", Short: "Make the genesis of a new network from its validators' cards", Args: cobra.MinimumNArgs(1),
		Long: `Make the genesis of a new network from its validators' cards, which init wrote on each
machine. Each validator's operator needs an allocation of at least its bond.

It prints what each of them runs then. All should compare the hash of the genesis over
another way before they start.`,
		Example: `  tunic-validator genesis --out net --alloc 0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf=5000 --alloc ... v1.json v2.json v3.json v4.json`,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := cli.Need("out", out, "net"); err != nil {
				return err
			}
			var all []card
			for _, path := range args {
				b, err := cli.ReadInput(path, 1<<16)
				if err != nil {
					return err
				}
				var k card
				d := json.NewDecoder(bytes.NewReader(b))
				d.DisallowUnknownFields()
				if err := d.Decode(&k); err != nil {
					return cli.Usage("%s is no validator's card: %v", path, err)
				}
				all = append(all, k)
			}
			g, err := f.genesis(time.Now())
			if err != nil {
				return err
			}
			if _, err := rand.Read(g.Nonce[:]); err != nil {
				return fmt.Errorf("draw nonce: %w", err)
			}
			if g, err = with(g, all); err != nil {
				return err
			}
			for _, k := range all {
				if k.URL != "" && len(urls) < len(all) {
					urls = append(urls, k.URL)
				}
			}
			return p.showGenesis(out, g, all, urls)
		},
	}
	c.Flags().StringVar(&out, "out", "", "folder for genesis.json and network.json")
	c.Flags().StringArrayVar(&urls, "url", nil, "URL of a ledger, for the network file (repeat; default: those of the cards)")
	f.add(c, time.Minute)
	return c
}

func (p *program) showGenesis(out string, g genesis.Genesis, all []card, urls []string) error {
	unlock, err := lock(out)
	if err != nil {
		return err
	}
	defer unlock()
	if err := putGenesis(out, g, urls...); err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(out, node.NetworkFile), g.Network(urls...).Encode(), 0o644); err != nil {
		return err
	}
	v := map[string]any{"genesis": g.Hash(), "genesis_file": filepath.Join(out, node.GenesisFile), "network_file": filepath.Join(out, node.NetworkFile), "validators": all}
	return p.Show(v, func(w io.Writer) {
		cli.Table(w,
			[]string{"network", g.Hash().String()},
			[]string{string(g.Profile), g.Params.Claim()},
			[]string{filepath.Join(out, node.GenesisFile), "for all validators"},
			[]string{filepath.Join(out, node.NetworkFile), "what relays and clients need: give it to them"})
		for _, k := range all {
			var peers strings.Builder
			for _, other := range all {
				if other.Node != k.Node && other.Peer != "" {
					fmt.Fprintf(&peers, " --peer %s", other.Peer)
				}
			}
			fmt.Fprintf(w, "\nvalidator %s: tunic-validator init --dir DIR --genesis %s%s\n", k.Node.Short(), node.GenesisFile, peers.String())
		}
	})
}
