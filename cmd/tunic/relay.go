package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tunic/node"
	"tunic/relay"
)

func (a *app) relayCommand() *cobra.Command {
	c := noun("relay", "A relay: it carries packets and keeps mailboxes",
		a.relayKeys(), a.relayRegister(), a.relayRun(), a.relayStatus(), a.relayStake(), a.relayWithdraw(), a.relayLeave(), a.relayConfig())
	c.Long = "A relay carries packets and keeps mailboxes, for as long as its stake and its judges say so."
	c.Example = `  tunic relay register --dir relay1       stake, and make its keys if there are none
  tunic relay run --dir relay1 --listen 203.0.113.7:9001
  tunic relay status --dir relay1         is it listed, and what is there to do
  tunic relay leave --dir relay1 --wait   ask for the stake, and say when it may stop
  tunic relay withdraw --dir relay1`
	return c
}

func (a *app) relayKeys() *cobra.Command {
	var at relayPlace
	c := &cobra.Command{
		Use: "keys", Short: "Show the relay's node id; make its keys if there are none", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			k, created, err := at.makeKeys()
			if err != nil {
				return err
			}
			file := filepath.Join(at.dir, node.RelayKeyFile)
			v := map[string]any{"node": k.ID, "vrf_key": hex.EncodeToString(k.VRF[:]), "file": file, "created": created}
			return a.show(v, func(w io.Writer) {
				fmt.Fprintln(w, k.ID)
				if created {
					fmt.Fprintf(w, "kept in %s; keep a copy, and never run two relays with it\n", file)
				}
			})
		},
	}
	at.flags(c, nil)
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
