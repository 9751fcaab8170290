package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/devnet"
	"tunic/internal/durable"
	"tunic/node"
	"tunic/onion/link"
)

// The exit codes, as `tunic exit-codes` prints them.
const (
	exitDone        = 0 // done
	exitFailed      = 1 // failed
	exitUsage       = 2 // flags or arguments are wrong
	exitFalse       = 3 // checked, and the answer is no
	exitUnreachable = 4 // nobody answered, or not in time
	exitRefused     = 5 // the ledger refused
	exitMalformed   = 6 // proof verify: not a proof
	exitExpired     = 7 // proof verify: too old to be punished
	exitPunished    = 8 // proof verify: punished already
)

// exitMeanings says what each code means, in order.
var exitMeanings = [...]string{
	exitDone:        "done",
	exitFailed:      "failed",
	exitUsage:       "usage: a flag or argument is wrong",
	exitFalse:       "checked, and the answer is no: of verify, a scenario, an expectation, a probe",
	exitUnreachable: "unreachable, or not in time",
	exitRefused:     "refused by the ledger, or by the recipient's mailbox",
	exitMalformed:   "malformed: not a proof",
	exitExpired:     "expired: too old to be punished",
	exitPunished:    "already punished",
}

func (a *app) exitCodesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "exit-codes", Short: "What the exit codes mean", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			type meaning struct {
				Code    int    `json:"code"`
				Meaning string `json:"meaning"`
			}
			var l []meaning
			for code, means := range exitMeanings {
				l = append(l, meaning{code, means})
			}
			return a.show(l, func(w io.Writer) {
				fmt.Fprint(w, "Exit codes\n\n")
				for _, x := range l {
					if x.Code == exitMalformed {
						fmt.Fprint(w, "\nproof verify also\n\n")
					}
					fmt.Fprintf(w, "  %d  %s\n", x.Code, x.Meaning)
				}
			})
		},
	}
}

// problem is an error with an exit code and, for -o json, a stable code.
type problem struct {
	exit   int
	Code   string `json:"code"`
	Title  string `json:"title"`
	Detail string `json:"detail,omitempty"`
}

func (p *problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

func fail(exit int, code, title, format string, args ...any) *problem {
	return &problem{exit: exit, Code: code, Title: title, Detail: fmt.Sprintf(format, args...)}
}

func usage(format string, args ...any) *problem {
	return fail(exitUsage, "usage", "usage", format, args...)
}

// problemOf finds the exit code and the words for any error.
func problemOf(err error) *problem {
	var p *problem
	var r *chain.Refusal
	var op *net.OpError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &r):
		return fail(exitRefused, r.Code, "refused", "%v", err)
	case errors.Is(err, context.DeadlineExceeded):
		return fail(exitUnreachable, "timeout", "not in time", "%v", err)
	case errors.Is(err, context.Canceled):
		return fail(exitFailed, "interrupted", "interrupted", "")
	case errors.Is(err, node.ErrAdmin):
		return usage("--admin: %s", strings.TrimPrefix(err.Error(), node.ErrAdmin.Error()+": "))
	case errors.Is(err, node.ErrTLS):
		return fail(exitFailed, "bad_certificate", "unusable certificate or key",
			"%s; --tls-cert takes a PEM file with the certificate and its chain, --tls-key the one with its private key",
			strings.TrimPrefix(err.Error(), node.ErrTLS.Error()+": "))
	case errors.Is(err, syscall.EADDRINUSE), errors.Is(err, link.ErrAddressInUse):
		return fail(exitFailed, "address_in_use", "address in use", "%v; choose another with --http, --admin or --listen, or stop the program that has it", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fail(exitFailed, "no_address", "no such address on this machine", "%v; choose another with --http or --listen", err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fail(exitFailed, "disk_full", "the disk is full", "%v; free some space and start again: what was acknowledged is kept", err)
	case errors.Is(err, syscall.EFBIG):
		return fail(exitFailed, "file_too_large", "a file may not grow further", "%v; raise the limit (ulimit -f) and start again: what was acknowledged is kept", err)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EROFS):
		return fail(exitFailed, "no_permission", "not allowed", "%v; choose a folder and ports that this user may use", err)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		return fail(exitFailed, "wrong_file", "a file where a folder should be, or a folder where a file should", "%v; check the path", err)
	case errors.Is(err, devnet.ErrSpec):
		return usage("%v", err)
	case errors.As(err, &op):
		return fail(exitUnreachable, "unreachable", "unreachable", "%v; is the other side running?", err)
	case errors.Is(err, durable.ErrLocked):
		return fail(exitFailed, "locked", "data directory in use", "%v", err)
	case errors.Is(err, genesis.ErrGenesis), errors.Is(err, genesis.ErrParams):
		return fail(exitFailed, "bad_network_file", "unusable genesis or network file", "%s", strings.Replace(err.Error(), genesis.ErrGenesis.Error()+": ", "", 1))
	case errors.Is(err, chain.ErrID), errors.Is(err, chain.ErrAmount):
		return usage("%s", strings.TrimPrefix(err.Error(), "chain: "))
	}
	return fail(exitFailed, "failed", "failed", "%v", err)
}
