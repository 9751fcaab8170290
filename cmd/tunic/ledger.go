package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/cmd/internal/cli"
	"tunic/internal/durable"
	"tunic/ledger/wallet"
	"tunic/node"
)

// What `ledger init` takes where no flag says otherwise.
const (
	defaultHTTP    = cli.DefaultHTTP
	defaultChainID = 31337
	devAccounts    = 10
	devBalance     = 10_000 * chain.TUN
	accountsFile   = "accounts.json"
)

func (a *app) ledgerCommand() *cobra.Command {
	return noun("ledger", "The ledger that lists the relays", a.ledgerInit(), a.ledgerRun(), a.ledgerValidators(), a.ledgerCheckpoint())
}

// initFlags are the flags of `ledger init`.
type initFlags struct {
	dir, profile, http, pool string
	chainID                  uint64
	alloc, params, council   []string
	councilMin               uint16
	wait                     time.Duration
	accounts                 bool
}

func (a *app) ledgerInit() *cobra.Command {
	var f initFlags
	c := &cobra.Command{
		Use: "init", Short: "Make a new network: its genesis, sealer key and network file", Args: cobra.NoArgs,
		Long: `Make a new network: its genesis, sealer key and network file.

Profiles are dev (fast, no mixing, its clock can be moved), private and mainnet.
--param changes one parameter, by its name in genesis.json, such as
--param epoch_length_ms=60000.

--council names the accounts that may change some parameters later, of whom
--council-min have to agree (see tunic params); without them nothing changes.`,
		RunE: func(*cobra.Command, []string) error { return a.initLedger(f) },
	}
	c.Flags().StringVar(&f.dir, "dir", "", "folder to make")
	c.Flags().StringVar(&f.profile, "profile", string(genesis.Dev), "parameters: dev, private or mainnet")
	c.Flags().StringVar(&f.http, "http", "http://"+defaultHTTP, "URL at which others reach the ledger, for the network file")
	c.Flags().Uint64Var(&f.chainID, "chain-id", defaultChainID, "EIP-712 chain id; networks differ by their genesis in any case")
	c.Flags().StringArrayVar(&f.alloc, "alloc", nil, "ADDRESS=TUN: who holds how much at the start (repeat)")
	c.Flags().StringVar(&f.pool, "reward-pool", "1000000", "TUN from which blocks pay rewards")
	c.Flags().StringArrayVar(&f.params, "param", nil, "NAME=VALUE: change one parameter of the profile (repeat)")
	c.Flags().StringSliceVar(&f.council, "council", nil, "ADDRESS,...: accounts that may change parameters (default: nobody)")
	c.Flags().Uint16Var(&f.councilMin, "council-min", 0, "how many of them have to agree (default: more than half)")
	c.Flags().DurationVar(&f.wait, "start-in", time.Minute, "until epoch 1, the first that lists anybody (a dev network begins when it is run)")
	c.Flags().BoolVar(&f.accounts, "dev-accounts", false, fmt.Sprintf("make %d accounts of %s TUN and print their keys (dev only)", devAccounts, devBalance))
	return c
}

type devAccount struct {
	Address chain.Address `json:"address"`
	Key     string        `json:"private_key"`
	Balance chain.Amount  `json:"balance"`
}

func (a *app) initLedger(f initFlags) error {
	if err := need("dir", f.dir, "mynet"); err != nil {
		return err
	}
	listen, err := hostOf(f.http)
	if err != nil {
		return err
	}
	public, sealer, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("draw sealer key: %w", err)
	}
	g, err := f.genesis(chain.NodeID(public))
	if err != nil {
		return err
	}
	accounts := []devAccount{}
	if f.accounts {
		if accounts, err = drawAccounts(); err != nil {
			return err
		}
	}
	for _, x := range accounts {
		g.Allocations = append(g.Allocations, genesis.Allocation{Address: x.Address, Balance: x.Balance})
	}
	if len(g.Allocations) == 0 {
		return usage("nobody would hold a token; pass --alloc ADDRESS=TUN (`tunic wallet new` makes an address) or, on a dev network, --dev-accounts")
	}
	slices.SortFunc(g.Allocations, func(x, y genesis.Allocation) int { return bytes.Compare(x.Address[:], y.Address[:]) })
	if err := g.Validate(); err != nil {
		return usage("%v", err)
	}
	if err := node.InitLedger(f.dir, g, sealer, f.http); err != nil {
		if errors.Is(err, node.ErrExists) {
			return fail(exitFailed, "exists", "a ledger is there already", "%s; choose another folder, or run it with `tunic ledger run --dir %s`", f.dir, f.dir)
		}
		return err
	}
	if f.accounts {
		b, _ := json.MarshalIndent(accounts, "", "  ") // plain values
		if err := durable.WriteFile(filepath.Join(f.dir, accountsFile), append(b, '\n'), 0o600); err != nil {
			return fmt.Errorf("write accounts: %w", err)
		}
	}
	v := map[string]any{
		"dir": f.dir, "genesis": g.Hash(), "network_file": filepath.Join(f.dir, node.NetworkFile), "url": f.http,
		"profile": g.Profile, "claim": g.Params.Claim(), "accounts": accounts,
	}
	return a.show(v, func(w io.Writer) {
		table(w,
			[]string{"network", g.Hash().String()},
			[]string{string(g.Profile), g.Params.Claim()},
			[]string{filepath.Join(f.dir, node.NetworkFile), "what relays and clients need: give it to them"},
			[]string{filepath.Join(f.dir, node.SealerFile), "seals the blocks: keep it secret, and never run two copies"},
			[]string{filepath.Join(f.dir, node.GenesisFile), "how the ledger begins"})
		if len(accounts) > 0 {
			fmt.Fprintf(w, "\naccounts of %s TUN each, also in %s; their keys are for tests only\n", devBalance, filepath.Join(f.dir, accountsFile))
			for _, x := range accounts {
				fmt.Fprintf(w, "  %s  %s\n", x.Address, x.Key)
			}
		}
		next := "tunic ledger run --dir " + f.dir
		if listen != defaultHTTP {
			next += " --http " + listen
		}
		fmt.Fprintf(w, "\nnext: %s\n", next)
	})
}

// hostOf is the address and port of a ledger's URL.
func hostOf(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Opaque != "" || u.RawQuery != "" {
		return "", usage("--http %q is no URL such as http://%s", text, defaultHTTP)
	}
	return u.Host, nil
}

// genesis is what the flags ask for, without the dev accounts.
func (f initFlags) genesis(sealer chain.NodeID) (genesis.Genesis, error) {
	var g genesis.Genesis
	p, err := genesis.For(genesis.Profile(f.profile))
	if err != nil {
		return g, usage("--profile %q is unknown; use dev, private or mainnet", f.profile)
	}
	if p, err = cli.WithParams("param", p, f.params); err != nil {
		return g, err
	}
	dev := genesis.Profile(f.profile) == genesis.Dev
	if f.accounts && !dev {
		return g, usage("--dev-accounts needs --profile dev: whoever reads the terminal has the keys")
	}
	pool, err := chain.ParseTUN(f.pool)
	if err != nil {
		return g, usage("--reward-pool: %v", err)
	}
	g.Core = genesis.Core{
		ChainID: f.chainID, Profile: genesis.Profile(f.profile), Dev: dev, Clock: genesis.ClockReal, Engine: genesis.EngineSealer,
		Time: node.GenesisTime(time.Now(), p, f.wait), Sealers: []chain.NodeID{sealer}, RewardPool: pool, Params: p,
	}
	if dev {
		// The clock of a dev network begins at genesis, whenever it is run.
		g.Clock, g.Time = genesis.ClockLedger, chain.Time(time.Now().UnixMilli())
	}
	if _, err := rand.Read(g.Nonce[:]); err != nil {
		return g, fmt.Errorf("draw nonce: %w", err)
	}
	if g.Council, g.CouncilMin, err = cli.Council(f.council, f.councilMin); err != nil {
		return g, err
	}
	g.Allocations, err = cli.Allocations(f.alloc)
	return g, err
}

func drawAccounts() ([]devAccount, error) {
	var out []devAccount
	for len(out) < devAccounts {
		var b [32]byte
		if _, err := rand.Read(b[:]); err != nil {
			return nil, fmt.Errorf("draw accounts: %w", err)
		}
		// Beyond the curve's order there is a chance of 2^-128: draw again.
		if k, err := wallet.NewKey(b); err == nil {
			out = append(out, devAccount{k.Address(), k.Hex(), devBalance})
		}
	}
	return out, nil
}
