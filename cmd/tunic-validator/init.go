package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/cmd/internal/cli"
	"tunic/internal/durable"
	"tunic/ledger/comet"
	"tunic/node"
)

// card is what others need to know of a validator before the network is there.
type card struct {
	Node     chain.NodeID   `json:"node"`
	Operator *chain.Address `json:"operator,omitempty"` // whose allocation bonds it in genesis
	Peer     string         `json:"peer,omitempty"`     // ID@HOST:PORT, where others find it
	URL      string         `json:"url,omitempty"`      // of its API
}

// cardFile is the name of a card in a validator's folder.
const cardFile = "card.json"

func (p *program) initCommand() *cobra.Command {
	var dir, operator, host, url, file, listen string
	var peers []string
	c := &cobra.Command{
		Use: "init", Short: "Make a validator's folder, or put a network's genesis into it", Args: cobra.NoArgs,
		Long: `Make a validator's folder: its key, and a card that says who it is.

For a new network, each validator runs init with --operator and --host and gives its
` + cardFile + ` to one of them, who makes the genesis (tunic-validator genesis). Each then
runs init again with --genesis and the others as --peer.

To join a network that runs, give its genesis and peers at once; the validator follows
it. Its operator registers its node with ` + "`tunic tx register --relay DIR` and makes it a\nvalidator with `tunic tx validate NODE`.",
		Example: `  tunic-validator init --dir v1 --operator 0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf --host v1.example.org
  tunic-validator init --dir v1 --genesis genesis.json --peer 6d6c...@v2.example.org:26656`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cli.Need("dir", dir, "validator1"); err != nil {
				return err
			}
			if err := peersOf(peers); err != nil {
				return err
			}
			var k card
			if operator != "" {
				who, err := chain.ParseAddress(operator)
				if err != nil {
					return cli.Usage("--operator: %v; `tunic wallet new` makes an account", err)
				}
				k.Operator = &who
			}
			var g *genesis.Genesis
			if file != "" {
				x, err := readGenesisFile(file)
				if err != nil {
					return err
				}
				g = &x
			}
			return p.initFolder(dir, k, host, url, listen, peers, g)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "folder to make, or to complete")
	c.Flags().StringVar(&operator, "operator", "", "address of the account that bonds this validator in genesis")
	c.Flags().StringVar(&host, "host", "", "name or address at which other validators find this machine")
	c.Flags().StringVar(&url, "url", "", "URL at which others reach its API, for the network file (default: http://HOST:8400)")
	c.Flags().StringVar(&listen, "listen", defaultListen, "IP address and port for links with other validators")
	c.Flags().StringVar(&file, "genesis", "", "the network's genesis.json")
	c.Flags().StringSliceVar(&peers, "peer", nil, "another validator, as ID@HOST:PORT (repeat)")
	return c
}

func readGenesisFile(path string) (genesis.Genesis, error) {
	b, err := cli.ReadInput(path, 64<<20)
	if err != nil {
		return genesis.Genesis{}, err
	}
	g, err := genesis.Parse(b)
	if err == nil && g.Engine != genesis.EngineComet {
		err = fmt.Errorf("%w: %s is of a network that one sealer makes; validators decide those whose engine is cometbft", genesis.ErrGenesis, path)
	}
	return g, err
}

// initFolder makes what is not there yet.
func (p *program) initFolder(dir string, k card, host, url, listen string, peers []string, g *genesis.Genesis) error {
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	keys, created, err := node.CreateRelayKeys(dir)
	if err != nil {
		return err
	}
	link, err := comet.LinkID(engineDir(dir))
	if err != nil {
		return err
	}
	if created {
		// The key is new, so it has signed nothing.
		if err := comet.ForbidUpTo(engineDir(dir), 0); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	cfg := defaults()
	cfg.Listen, cfg.Peers = listen, peers
	if cfg.Peers == nil {
		cfg.Peers = []string{}
	}
	if err := cfg.validate(); err != nil {
		return err
	}
	path := filepath.Join(dir, configFile)
	switch _, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		err = writeConfig(dir, cfg)
		if err != nil {
			return err
		}
	case err != nil:
		return err
	case len(peers) > 0: // those who were not known before
		old := defaults()
		if err := old.read(dir); err != nil {
			return err
		}
		old.Peers = peers
		if err := writeConfig(dir, old); err != nil {
			return err
		}
	}
	k.Node = keys.ID
	if host != "" {
		k.Peer = link + "@" + host + ":" + portOf(listen)
		if k.URL = url; url == "" {
			k.URL = "http://" + host + ":" + portOf(cli.DefaultHTTP)
		}
	}
	if k.Operator != nil || k.Peer != "" {
		if err := writeJSON(filepath.Join(dir, cardFile), k, 0o644); err != nil {
			return err
		}
	}
	if g != nil {
		if err := putGenesis(dir, *g); err != nil {
			return err
		}
	}
	v := map[string]any{"dir": dir, "node": keys.ID, "link": link, "created": created}
	if k.Operator != nil {
		v["operator"] = k.Operator
	}
	if k.Peer != "" {
		v["peer"] = k.Peer
	}
	return p.Show(v, func(w io.Writer) {
		rows := [][]string{{"node", keys.ID.String()}, {"link", link}}
		if k.Operator != nil {
			rows = append(rows, []string{"operator", k.Operator.String()})
		}
		if k.Peer != "" {
			rows = append(rows, []string{"peer", k.Peer}, []string{"card", filepath.Join(dir, cardFile)})
		}
		rows = append(rows, []string{"key", filepath.Join(dir, node.RelayKeyFile) + ": keep a copy where nobody else finds it, and never run two validators with it"})
		cli.Table(w, rows...)
		switch {
		case g != nil:
			fmt.Fprintf(w, "\nnext: tunic-validator start --dir %s\n", dir)
		case k.Peer != "" && k.Operator != nil:
			fmt.Fprintf(w, "\nnext: give %s to whoever makes the genesis (tunic-validator genesis)\n", filepath.Join(dir, cardFile))
		default:
			fmt.Fprintf(w, "\nnext: tunic-validator init --dir %s --genesis FILE --peer ID@HOST:PORT, with the network's\n", dir)
		}
	})
}

// lock claims a validator's folder, which is made if missing, for one that writes it.
func lock(dir string) (func(), error) {
	if err := durable.MkdirAll(dir); err != nil {
		return nil, err
	}
	return durable.Lock(dir)
}

func portOf(at string) string { return at[strings.LastIndexByte(at, ':')+1:] }

// putGenesis writes a network's genesis and network file into a folder that is of no
// other network.
func putGenesis(dir string, g genesis.Genesis, urls ...string) error {
	if old, err := node.ReadGenesis(dir); err == nil {
		if old.Hash() != g.Hash() {
			return cli.Fail(cli.Failed, "foreign_network", "the folder is of another network", "%s has the genesis %s already, and not %s; use one folder for each network", dir, old.Hash(), g.Hash())
		}
	} else if _, err := os.Stat(filepath.Join(dir, node.GenesisFile)); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return cli.Fail(cli.Failed, "bad_genesis", "there is an unusable genesis in "+dir, "move %s away first", filepath.Join(dir, node.GenesisFile))
	}
	if err := writeJSON(filepath.Join(dir, node.GenesisFile), g, 0o644); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, node.NetworkFile)); err == nil && len(urls) == 0 {
		return nil
	}
	return durable.WriteFile(filepath.Join(dir, node.NetworkFile), g.Network(urls...).Encode(), 0o644)
}

func writeJSON(path string, v any, perm fs.FileMode) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(path, append(b, '\n'), perm)
}

func writeConfig(dir string, cfg config) error {
	return durable.WriteFrom(filepath.Join(dir, configFile), 0o644, func(w io.Writer) error {
		if _, err := fmt.Fprint(w, "# A validator's configuration: tunic-validator start --dir DIR\n\n"); err != nil {
			return err
		}
		return node.WriteSettings(w, cfg)
	})
}
