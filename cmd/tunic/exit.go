package main

import (
	"errors"

	"github.com/spf13/cobra"

	"tunic/cmd/internal/cli"
	"tunic/devnet"
	"tunic/onion/link"
)

// The exit codes, as `tunic exit-codes` prints them.
const (
	exitDone        = cli.Done        // done
	exitFailed      = cli.Failed      // failed
	exitUsage       = cli.BadUsage    // flags or arguments are wrong
	exitFalse       = cli.False       // checked, and the answer is no
	exitUnreachable = cli.Unreachable // nobody answered, or not in time
	exitRefused     = cli.Refused     // the ledger refused
	exitMalformed   = 6               // proof verify: not a proof
	exitExpired     = 7               // proof verify: too old to be punished
	exitPunished    = 8               // proof verify: punished already
)

// exitMeanings says what each code means, in order.
var exitMeanings = []cli.Meaning{
	{Code: exitDone, Meaning: "done"},
	{Code: exitFailed, Meaning: "failed"},
	{Code: exitUsage, Meaning: "usage: a flag or argument is wrong"},
	{Code: exitFalse, Meaning: "checked, and the answer is no: of verify, a scenario, an expectation, a probe"},
	{Code: exitUnreachable, Meaning: "unreachable, or not in time"},
	{Code: exitRefused, Meaning: "refused by the ledger, or by the recipient's mailbox"},
}

func (a *app) exitCodesCommand() *cobra.Command {
	return a.ExitCodesCommand(exitMeanings, "proof verify",
		cli.Meaning{Code: exitMalformed, Meaning: "malformed: not a proof"},
		cli.Meaning{Code: exitExpired, Meaning: "expired: too old to be punished"},
		cli.Meaning{Code: exitPunished, Meaning: "already punished"})
}

// problem is an error with an exit code and, for -o json, a stable code.
type problem = cli.Problem

func fail(exit int, code, title, format string, args ...any) *problem {
	return cli.Fail(exit, code, title, format, args...)
}

func usage(format string, args ...any) *problem { return cli.Usage(format, args...) }

// problemOf finds the exit code and the words for any error.
func problemOf(err error) *problem {
	switch p := cli.ProblemOf(err); {
	case p.Code != "failed":
		return p
	case errors.Is(err, link.ErrAddressInUse):
		return cli.AddressInUse(err)
	case errors.Is(err, devnet.ErrSpec):
		return usage("%v", err)
	default:
		return p
	}
}
