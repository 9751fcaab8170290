package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/cmd/internal/cli"
	"tunic/internal/durable"
	"tunic/ledger/comet"
	"tunic/ledger/wallet"
	"tunic/node"
	"tunic/registry"
)

// Ports of a validator that has an address of its own, and from where on validators of
// one address have theirs.
const (
	linkPort, apiPort, adminPort = 26656, 8400, 9400
	basePort                     = 26600
)

// accountBalance is what each account of a testnet holds beside bonds.
const accountBalance = 10_000 * chain.TUN

// testnetFlags are the flags of `testnet`.
type testnetFlags struct {
	genesisFlags
	dir, seed, baseIP, genesisFile string
	hosts                          []string
	validators, accounts, basePort int
}

func (p *program) testnetCommand() *cobra.Command {
	var f testnetFlags
	c := &cobra.Command{
		Use: "testnet", Short: "Make a network of several validators, for tests", Args: cobra.NoArgs,
		Long: `Make a network of several validators, for tests: a folder for each, the network file,
and accounts whose keys are printed. They are on this machine, at ports from --base-port
on or at addresses from --base-ip on; or one on each of --hosts, to which the folders are
then copied.

Whoever has the folder has all keys: a network that holds something of worth begins with
tunic-validator init on each machine.

A folder validator1, validator2, ... that has a node.key already keeps it. With --genesis
the network is that of the file, whose validators these have to be.`,
		Example: `  tunic-validator testnet --dir mynet
  tunic-validator testnet --dir mynet --validators 7 --base-ip 127.20.0.1 --accounts 20
  tunic-validator testnet --dir mynet --hosts a.example.org,b.example.org,c.example.org,d.example.org`,
		RunE: func(*cobra.Command, []string) error { return p.testnet(f) },
	}
	c.Flags().StringVar(&f.dir, "dir", "", "folder to make")
	c.Flags().IntVar(&f.validators, "validators", 4, "how many")
	c.Flags().IntVar(&f.accounts, "accounts", 10, fmt.Sprintf("accounts of %s TUN beside the operators", accountBalance))
	c.Flags().StringVar(&f.seed, "seed", "", "text from which all keys are made (default: chance)")
	c.Flags().IntVar(&f.basePort, "base-port", basePort, "ports of the first validator are this and the two after it, of the next ones ten on")
	c.Flags().StringVar(&f.baseIP, "base-ip", "", "address of the first validator, such as 127.20.0.1; the next ones have those after it, and all the same ports")
	c.Flags().StringSliceVar(&f.hosts, "hosts", nil, "HOST,...: the machines of the validators, one for each")
	c.Flags().StringVar(&f.genesisFile, "genesis", "", "genesis.json of the network, instead of a new one")
	f.add(c, 0)
	return c
}

// place is where one validator of a testnet is.
type place struct {
	listen, http, admin string // where it listens
	reach               string // HOST:PORT for its links
	url                 string
}

// places are where the validators are.
func (f *testnetFlags) places() ([]place, error) {
	var out []place
	at := func(host, listen string, link, api, admin int) {
		out = append(out, place{listen: fmt.Sprintf("%s:%d", listen, link), http: fmt.Sprintf("%s:%d", listen, api), admin: fmt.Sprintf("127.0.0.1:%d", admin),
			reach: fmt.Sprintf("%s:%d", host, link), url: fmt.Sprintf("http://%s:%d", host, api)})
	}
	switch {
	case len(f.hosts) > 0 && (len(f.hosts) != f.validators || f.baseIP != ""):
		return nil, cli.Usage("--hosts names %d machines of %d validators; name one for each, without --base-ip", len(f.hosts), f.validators)
	case len(f.hosts) > 0:
		for _, host := range f.hosts {
			at(host, "0.0.0.0", linkPort, apiPort, adminPort)
		}
	case f.baseIP != "":
		ip, err := netip.ParseAddr(f.baseIP)
		if err != nil || !ip.Is4() {
			return nil, cli.Usage("--base-ip %q is no IPv4 address such as 127.20.0.1", f.baseIP)
		}
		for range f.validators {
			at(ip.String(), ip.String(), linkPort, apiPort, adminPort)
			if ip.IsLoopback() {
				out[len(out)-1].admin = ip.String() + ":" + strconv.Itoa(adminPort)
			}
			ip = ip.Next()
		}
	default:
		if f.basePort < 1 || f.basePort+10*f.validators > 1<<16 {
			return nil, cli.Usage("--base-port %d is out of range, 1 to %d with %d validators", f.basePort, 1<<16-10*f.validators, f.validators)
		}
		for i := range f.validators {
			port := f.basePort + 10*i
			at("127.0.0.1", "127.0.0.1", port, port+1, port+2)
		}
	}
	return out, nil
}

// account is one whose key a testnet tells.
type account struct {
	Address chain.Address `json:"address"`
	Key     string        `json:"private_key"`
	Balance chain.Amount  `json:"balance"`
	Of      string        `json:"operator_of,omitempty"` // the folder of its validator
}

// member is a validator of a testnet.
type member struct {
	card
	Dir    string `json:"dir"`
	Listen string `json:"listen"`
	HTTP   string `json:"http"`
	Admin  string `json:"admin"`
	key    node.RelayKeys
}

// draw gives bytes for one purpose, out of the seed where there is one.
func (f *testnetFlags) draw(purpose string, i int) ([64]byte, error) {
	var b [64]byte
	if f.seed == "" {
		_, err := rand.Read(b[:])
		return b, err
	}
	for half := range 2 {
		h := chain.SHA256([]byte("tunic testnet"), fmt.Appendf(nil, "%q %s %d %d", f.seed, purpose, i, half))
		copy(b[32*half:], h[:])
	}
	return b, nil
}

func (f *testnetFlags) account(purpose string, i int) (wallet.Key, error) {
	for try := 0; ; try++ {
		b, err := f.draw(fmt.Sprintf("%s %d", purpose, try), i)
		if err != nil {
			return wallet.Key{}, err
		}
		// Beyond the curve's order there is a chance of 2^-128: draw again.
		if k, err := wallet.NewKey([32]byte(b[:32])); err == nil {
			return k, nil
		}
	}
}

func (p *program) testnet(f testnetFlags) error {
	if err := cli.Need("dir", f.dir, "mynet"); err != nil {
		return err
	}
	if f.validators < 1 || f.validators > registry.MaxValidators || f.accounts < 0 || f.accounts > 10_000 {
		return cli.Usage("--validators must be 1 to %d, --accounts 0 to 10000", registry.MaxValidators)
	}
	at, err := f.places()
	if err != nil {
		return err
	}
	unlock, err := lock(f.dir)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := durable.ReadFile(filepath.Join(f.dir, node.NetworkFile), 1<<20); !errors.Is(err, fs.ErrNotExist) {
		return cli.Fail(cli.Failed, "exists", "a network is there already", "%s; choose another folder, or start its validators", f.dir)
	}
	members, accounts, err := f.people(at)
	if err != nil {
		return err
	}
	g, err := f.network(members, accounts)
	if err != nil {
		return err
	}
	return p.writeTestnet(f, g, members, accounts)
}

// people are the validators and the accounts: operators first.
func (f *testnetFlags) people(at []place) (members []*member, accounts []account, err error) {
	for i, where := range at {
		dir := filepath.Join(f.dir, fmt.Sprintf("validator%d", i+1))
		m := &member{Dir: dir, Listen: where.listen, HTTP: where.http, Admin: where.admin}
		if m.key, err = node.LoadRelayKeys(dir); errors.Is(err, fs.ErrNotExist) {
			var seed [64]byte
			if seed, err = f.draw("validator", i); err == nil {
				m.key, err = node.DeriveKeys(dir, seed)
			}
		}
		if err != nil {
			return nil, nil, err
		}
		link, err := comet.LinkID(engineDir(dir))
		if err != nil {
			return nil, nil, err
		}
		m.Node, m.Peer, m.URL = m.key.ID, link+"@"+where.reach, where.url
		members = append(members, m)
		if f.genesisFile != "" {
			continue
		}
		k, err := f.account("operator", i)
		if err != nil {
			return nil, nil, err
		}
		who := k.Address()
		m.Operator = &who
		accounts = append(accounts, account{Address: who, Key: k.Hex(), Of: filepath.Base(dir)})
	}
	for i := range f.accounts {
		if f.genesisFile != "" {
			break // they are the file's
		}
		k, err := f.account("account", i)
		if err != nil {
			return nil, nil, err
		}
		accounts = append(accounts, account{Address: k.Address(), Key: k.Hex()})
	}
	return members, accounts, nil
}

// network is the genesis; it says in accounts what each holds.
func (f *testnetFlags) network(members []*member, accounts []account) (genesis.Genesis, error) {
	if f.genesisFile != "" {
		g, err := readGenesisFile(f.genesisFile)
		if err != nil {
			return g, err
		}
		for _, m := range members {
			i := slices.Index(g.Sealers, m.Node)
			if i < 0 {
				return g, cli.Fail(cli.Failed, "foreign_network", "a validator is not of that network", "node %s in %s is not among the sealers of %s", m.Node.Short(), m.Dir, f.genesisFile)
			}
			m.Operator = &g.Operators[i]
		}
		return g, nil
	}
	g, err := f.genesis(time.Now())
	if err != nil {
		return g, err
	}
	nonce, err := f.draw("nonce", 0)
	if err != nil {
		return g, err
	}
	g.Nonce = chain.Hash(nonce[:32])
	var cards []card
	for _, m := range members {
		cards = append(cards, m.card)
	}
	for i := range accounts {
		accounts[i].Balance = accountBalance
		more := chain.Amount(0)
		if accounts[i].Of != "" {
			more = g.Params.StakingRequirement
		}
		g.Allocations = append(g.Allocations, genesis.Allocation{Address: accounts[i].Address, Balance: accountBalance + more})
	}
	return with(g, cards)
}

// writeTestnet writes the folders, and the network file last: a folder without one is
// not whole.
func (p *program) writeTestnet(f testnetFlags, g genesis.Genesis, members []*member, accounts []account) error {
	var urls []string
	for _, m := range members {
		urls = append(urls, m.URL)
	}
	for _, m := range members {
		cfg := defaults()
		cfg.Listen, cfg.HTTP, cfg.Admin, cfg.Local = m.Listen, m.HTTP, m.Admin, len(f.hosts) == 0
		for _, other := range members {
			if other != m {
				cfg.Peers = append(cfg.Peers, other.Peer)
			}
		}
		if err := comet.ForbidUpTo(engineDir(m.Dir), 0); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := putGenesis(m.Dir, g, urls...); err != nil {
			return err
		}
		if err := writeConfig(m.Dir, cfg); err != nil {
			return err
		}
	}
	if err := writeJSON(filepath.Join(f.dir, "accounts.json"), accounts, 0o600); err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(f.dir, node.NetworkFile), g.Network(urls...).Encode(), 0o644); err != nil {
		return err
	}
	v := map[string]any{"dir": f.dir, "genesis": g.Hash(), "network_file": filepath.Join(f.dir, node.NetworkFile), "profile": g.Profile, "claim": g.Params.Claim(), "validators": members, "accounts": accounts}
	return p.Show(v, func(w io.Writer) {
		cli.Table(w, []string{"network", g.Hash().String()}, []string{string(g.Profile), g.Params.Claim()},
			[]string{filepath.Join(f.dir, node.NetworkFile), "what relays and clients need"},
			[]string{filepath.Join(f.dir, "accounts.json"), "keys of " + cli.Count(len(accounts), "account") + ", for tests only"})
		fmt.Fprintln(w)
		rows := [][]string{{"VALIDATOR", "NODE", "API", "LINKS"}}
		for _, m := range members {
			rows = append(rows, []string{filepath.Base(m.Dir), m.Node.Short(), m.URL, m.Peer})
		}
		cli.Table(w, rows...)
		fmt.Fprintf(w, "\nnext, for each%s: tunic-validator start --dir %s\n", []string{"", " on its machine"}[min(len(f.hosts), 1)], strings.TrimSuffix(members[0].Dir, "1")+"1")
	})
}
