// Command tunic-validator runs a ledger whose blocks validators decide together, over
// CometBFT: the same files, API, relays and clients as a ledger that one sealer makes.
// `tunic-validator help` lists the commands. It is a program of its own so that tunic
// carries no CometBFT.
//
// A validator's folder holds genesis.json and network.json; node.key, its identity,
// in the form of a relay's, so that it is registered like one; validator.yaml, its
// configuration; db, the ledger; and engine, CometBFT's files, among which
// engine/config/node_key.json names its links and engine/data/last_signed.json says
// what it signed last.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"tunic/cmd/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// program is what every command shares.
type program struct{ cli.Shell }

// run is the program without its process: arguments in, exit code out.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return cli.Program{Name: "tunic-validator", Problem: problemOf, Root: func(s cli.Shell) (*cobra.Command, *cli.Shell) {
		p := &program{s}
		return p.root(), &p.Shell
	}}.Run(ctx, args, stdin, stdout, stderr)
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "tunic-validator",
		Short: "A ledger whose blocks validators decide together",
		Long: `tunic-validator runs a ledger whose blocks validators decide together, over CometBFT:
with four of them, any one may fail, and no one can make a block alone. Files, API,
relays and clients are those of tunic.

Try ` + "`tunic-validator testnet --dir mynet`.",
	}
	p.Prepare(root, func() {
		root.AddCommand(p.initCommand(), p.genesisCommand(), p.startCommand(), p.showCommand(), p.configCommand(), p.testnetCommand(), p.benchCommand(), p.VersionCommand(), p.exitCodes())
	})
	return root
}

func (p *program) exitCodes() *cobra.Command {
	return p.ExitCodesCommand([]cli.Meaning{
		{Code: cli.Done, Meaning: "done"},
		{Code: cli.Failed, Meaning: "failed"},
		{Code: cli.BadUsage, Meaning: "usage: a flag or argument is wrong"},
		{Code: cli.False, Meaning: "checked, and the answer is no: of bench, a goal is missed"},
		{Code: cli.Unreachable, Meaning: "unreachable, or not in time"},
	}, "")
}
