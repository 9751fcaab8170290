package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tunic/chain/genesis"
	"tunic/cmd/internal/cli"
	"tunic/ledger/comet"
	"tunic/node"
)

func (p *program) showCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "show", Short: "Who a folder's validator is: node, address, links, peers", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := cli.Need("dir", dir, "validator1"); err != nil {
				return err
			}
			cfg := defaults()
			if err := cfg.read(dir); err != nil {
				return err
			}
			keys, err := node.LoadRelayKeys(dir)
			if errors.Is(err, fs.ErrNotExist) {
				return noKeys(dir, err)
			}
			if err != nil {
				return err
			}
			link, err := comet.LinkID(engineDir(dir))
			if err != nil {
				return err
			}
			v := map[string]any{"node": keys.ID, "address": comet.AddressOf(keys.ID), "link": link, "listen": cfg.Listen, "peers": cfg.Peers, "http": cfg.HTTP}
			rows := [][]string{{"node", keys.ID.String()}, {"address", comet.AddressOf(keys.ID) + " in CometBFT's headers"},
				{"link", link + "@" + cfg.Listen}, {"API", cfg.HTTP}}
			for i, peer := range cfg.Peers {
				rows = append(rows, []string{[]string{"peers", ""}[min(i, 1)], peer})
			}
			signed, err := comet.ReadSigned(engineDir(dir))
			switch {
			case err == nil:
				v["signed"] = signed
				rows = append(rows, []string{"signed", fmt.Sprintf("up to height %d, round %d, step %d", signed.Height, signed.Round, signed.Step)})
			default:
				rows = append(rows, []string{"signed", "not known; start says what to do"})
			}
			g, err := node.ReadGenesis(dir)
			switch at := slices.Index(g.Sealers, keys.ID); {
			case err != nil && !strings.Contains(err.Error(), "no "+node.GenesisFile):
				return err
			case err != nil:
				rows = append(rows, []string{"network", "none yet; tunic-validator init --dir " + dir + " --genesis FILE"})
			case at >= 0:
				v["genesis"], v["operator"], v["in_genesis"] = g.Hash(), g.Operators[at], true
				rows = append(rows, network(g), []string{"operator", g.Operators[at].String() + ", in genesis"})
			default:
				v["genesis"], v["in_genesis"] = g.Hash(), false
				rows = append(rows, network(g))
			}
			return p.Show(v, func(w io.Writer) { cli.Table(w, rows...) })
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "the validator's folder")
	return c
}

func network(g genesis.Genesis) []string {
	return []string{"network", fmt.Sprintf("%s, %d validators in genesis", g.Hash(), len(g.Sealers))}
}
