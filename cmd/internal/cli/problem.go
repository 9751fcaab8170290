package cli

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
	"tunic/ledger"
	"tunic/node"
)

// The exit codes that programs have in common.
const (
	Done        = 0 // done
	Failed      = 1 // failed
	BadUsage    = 2 // flags or arguments are wrong
	False       = 3 // checked, and the answer is no
	Unreachable = 4 // nobody answered, or not in time
	Refused     = 5 // the ledger refused
)

// Problem is an error with an exit code and, for -o json, a stable code.
type Problem struct {
	Exit   int    `json:"-"`
	Code   string `json:"code"`
	Title  string `json:"title"`
	Detail string `json:"detail,omitempty"`
}

func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

// Fail is a problem of an exit code.
func Fail(exit int, code, title, format string, args ...any) *Problem {
	return &Problem{Exit: exit, Code: code, Title: title, Detail: fmt.Sprintf(format, args...)}
}

// Usage is a problem of flags or arguments.
func Usage(format string, args ...any) *Problem {
	return Fail(BadUsage, "usage", "usage", format, args...)
}

// AddressInUse is the problem of a port that another program has.
func AddressInUse(err error) *Problem {
	return Fail(Failed, "address_in_use", "address in use", "%v; choose another with --http, --admin or --listen, or stop the program that has it", err)
}

// ProblemOf finds the exit code and the words for any error.
func ProblemOf(err error) *Problem {
	var p *Problem
	var r *chain.Refusal
	var op *net.OpError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &r):
		return Fail(Refused, r.Code, "refused", "%v", err)
	case errors.Is(err, context.DeadlineExceeded):
		return Fail(Unreachable, "timeout", "not in time", "%v", err)
	case errors.Is(err, context.Canceled):
		return Fail(Failed, "interrupted", "interrupted", "")
	case errors.Is(err, node.ErrAdmin):
		return Usage("--admin: %s", strings.TrimPrefix(err.Error(), node.ErrAdmin.Error()+": "))
	case errors.Is(err, node.ErrTLS):
		return Fail(Failed, "bad_certificate", "unusable certificate or key",
			"%s; --tls-cert takes a PEM file with the certificate and its chain, --tls-key the one with its private key",
			strings.TrimPrefix(err.Error(), node.ErrTLS.Error()+": "))
	case errors.Is(err, syscall.EADDRINUSE):
		return AddressInUse(err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return Fail(Failed, "no_address", "no such address on this machine", "%v; choose another with --http or --listen", err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return Fail(Failed, "disk_full", "the disk is full", "%v; free some space and start again: what was acknowledged is kept", err)
	case errors.Is(err, syscall.EFBIG):
		return Fail(Failed, "file_too_large", "a file may not grow further", "%v; raise the limit (ulimit -f) and start again: what was acknowledged is kept", err)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EROFS):
		return Fail(Failed, "no_permission", "not allowed", "%v; choose a folder and ports that this user may use", err)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		return Fail(Failed, "wrong_file", "a file where a folder should be, or a folder where a file should", "%v; check the path", err)
	case errors.Is(err, node.ErrEngine):
		return Fail(Failed, "engine", "no blocks can be decided", "%s", strings.TrimPrefix(err.Error(), node.ErrEngine.Error()+": "))
	case errors.As(err, &op):
		return Fail(Unreachable, "unreachable", "unreachable", "%v; is the other side running?", err)
	case errors.Is(err, durable.ErrLocked):
		return Fail(Failed, "locked", "data directory in use", "%v", err)
	case errors.Is(err, genesis.ErrGenesis), errors.Is(err, genesis.ErrParams):
		return Fail(Failed, "bad_network_file", "unusable genesis or network file", "%s", strings.Replace(err.Error(), genesis.ErrGenesis.Error()+": ", "", 1))
	case errors.Is(err, chain.ErrID), errors.Is(err, chain.ErrAmount):
		return Usage("%s", strings.TrimPrefix(err.Error(), "chain: "))
	}
	return Fail(Failed, "failed", "failed", "%v", err)
}

// LedgerFailed says what to do about a ledger that does not start.
func LedgerFailed(dir string, err error) error {
	switch {
	case errors.Is(err, ledger.ErrCorrupt):
		return Fail(Failed, "corrupt", "the database is damaged", "%s",
			Advised(err, "`tunic db verify --dir "+dir+"` looks closer, `tunic db repair` mends"))
	case errors.Is(err, ledger.ErrGenesis):
		return Fail(Failed, "foreign_network", "the database is of another network", "%v", err)
	}
	return err
}
