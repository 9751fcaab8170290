package main

import (
	"cmp"
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"tunic/node"
)

// relayPlace says which relay a command is about: by its folder, or by the
// configuration that it runs with.
type relayPlace struct {
	dir, file string
	admin     string // the configuration's; "" for none
	args      string // how a command line names it
}

func relayDir(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "dir", "", "the relay's `folder`: its keys and state")
}

// flags adds --dir and --config, and finds the relay before the command runs. Of
// the configuration its network file counts too, where net is the command's and
// neither flag names another.
func (p *relayPlace) flags(c *cobra.Command, net *string) {
	relayDir(c, &p.dir)
	c.Flags().StringVar(&p.file, "config", "", "the relay's configuration `file`, in place of --dir and --network")
	c.PreRunE = func(c *cobra.Command, _ []string) error { return p.find(c, net) }
}

func (p *relayPlace) find(c *cobra.Command, net *string) error {
	if p.file == "" {
		p.args = "--dir " + p.dir
		return need("dir", p.dir, "relay1")
	}
	p.args = "--config " + p.file
	cfg := node.DefaultRelay()
	if err := cfg.Load(p.file); err != nil {
		return settingsFailed(err)
	}
	if p.dir != "" {
		p.args += " --dir " + p.dir
	}
	if p.dir = cmp.Or(p.dir, cfg.Dir); p.dir == "" {
		return usage("%s names no dir, the relay's folder; name it there, or pass --dir", p.file)
	}
	p.admin = cfg.Admin
	if net != nil && !c.Flags().Changed("network") {
		*net = cmp.Or(cfg.NetworkFile, *net)
	}
	return nil
}

// start is the command that runs the relay.
func (p *relayPlace) start() string {
	if p.file != "" {
		return "tunic relay run " + p.args
	}
	return "tunic relay run " + p.args + " --listen IP:PORT"
}

// keys reads the relay's keys.
func (p *relayPlace) keys() (node.RelayKeys, error) {
	k, err := node.LoadRelayKeys(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return k, fail(exitFailed, "no_keys", "no node keys in "+p.dir, "make them with `tunic relay keys %s`", p.args)
	}
	return k, relayFailed(p.dir, err)
}

// makeKeys reads them, and makes them where there are none.
func (p *relayPlace) makeKeys() (k node.RelayKeys, created bool, err error) {
	k, created, err = node.CreateRelayKeys(p.dir)
	return k, created, relayFailed(p.dir, err)
}
