package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/durable"
)

// The exit codes, as `tunic help exit-codes` prints them.
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

const exitHelp = `Exit codes

  0  done
  1  failed
  2  usage: a flag or argument is wrong
  3  checked, and the answer is no
  4  unreachable, or not in time
  5  refused by the ledger

proof verify also

  6  malformed: not a proof
  7  expired: too old to be punished
  8  already punished
`

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
	case errors.Is(err, syscall.EADDRINUSE):
		return fail(exitFailed, "address_in_use", "address in use", "%v; choose another with the listen flag, or stop the program that has it", err)
	case errors.As(err, &op):
		return fail(exitUnreachable, "unreachable", "unreachable", "%v; is the other side running?", err)
	case errors.Is(err, durable.ErrLocked):
		return fail(exitFailed, "locked", "data directory in use", "%v", err)
	case errors.Is(err, genesis.ErrGenesis), errors.Is(err, genesis.ErrParams):
		return fail(exitFailed, "bad_network_file", "unusable genesis or network file", "%s", strings.TrimPrefix(err.Error(), genesis.ErrGenesis.Error()+": "))
	case errors.Is(err, chain.ErrID), errors.Is(err, chain.ErrAmount):
		return usage("%v", err)
	}
	return fail(exitFailed, "failed", "failed", "%v", err)
}
