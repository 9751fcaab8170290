package main

import (
	"errors"
	"fmt"

	"tunic/cmd/internal/cli"
	"tunic/ledger/comet"
)

// problemOf finds the exit code and the words for any error.
func problemOf(err error) *cli.Problem {
	if p := (*cli.Problem)(nil); errors.As(err, &p) {
		return p
	}
	if errors.Is(err, comet.ErrSigned) {
		return unsigned("", err)
	}
	return cli.ProblemOf(err)
}

// unsigned says what to do where nobody knows what a validator signed last.
func unsigned(dir string, err error) *cli.Problem {
	if dir == "" {
		dir = "DIR"
	}
	return cli.Fail(cli.Failed, "signed_unknown", "what this validator signed last is not known",
		"%v. Were it to vote now it might vote twice at one height, which costs its stake. Make sure that no copy of it runs anywhere, "+
			"take the height of the network from another ledger (`tunic status`), and start once with `tunic-validator start --dir %s --signed-up-to HEIGHT`, ten above that: "+
			"it votes from there on", err, dir)
}

// noKeys is the problem of a folder without a validator's key.
func noKeys(dir string, err error) *cli.Problem {
	return cli.Fail(cli.Failed, "no_keys", "no validator's key in "+dir, "%s", fmt.Sprintf("%v; make one with `tunic-validator init --dir %s`, or restore node.key from a copy and run no other with it", cli.Reason(err), dir))
}
