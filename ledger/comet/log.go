package comet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cometbft/cometbft/libs/log"
)

// consensusFailed is what CometBFT says when it decides no further block: it has
// caught a panic of its own, with which it answers whatever it cannot write, and
// errors of the application. Nothing else of it says so.
const consensusFailed = "CONSENSUS FAILURE!!!"

// syncFailed are what it says when it does not begin from a snapshot after all: it
// stays as it is, without a block, until it is ended.
var syncFailed = []string{"State sync failed", "Failed to bootstrap node with new state", "Failed to store last seen commit", "Failed to switch to block sync"}

// quietFor is how long a class of errors is not told again.
const quietFor = 10 * time.Minute

// engineLog writes CometBFT's log to ours. What it calls information is about every
// step of every round, and goes to debug. What it calls errors comes in storms: a
// class of them is told once, without whom it is about, and again after ten minutes
// with how many there were; at debug all are told. Safe for concurrent use.
type engineLog struct {
	base   *slog.Logger // without what CometBFT adds, such as peers
	log    *slog.Logger
	module string // of CometBFT's, where it says so
	told   *told
	failed func(error) // called when it decides no further block
}

// told is what was told when.
type told struct {
	mu     sync.Mutex
	silent bool // CometBFT is being stopped: it takes each of its parts for broken
	last   map[string]*class
}

type class struct {
	at   time.Time
	more int // since then
}

// maxClasses bounds told.last: CometBFT's messages are constants, but for some.
const maxClasses = 256

func newEngineLog(l *slog.Logger, failed func(error)) engineLog {
	return engineLog{base: l, log: l, told: &told{last: map[string]*class{}}, failed: failed}
}

// again counts a class of errors and reports whether to tell of it, with how many
// were not told.
func (t *told) again(name string, now time.Time) (tell bool, more int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.last[name]
	switch {
	case t.silent, c == nil && len(t.last) >= maxClasses:
		return false, 0
	case c == nil:
		t.last[name] = &class{at: now}
		return true, 0
	case now.Sub(c.at) < quietFor:
		c.more++
		return false, 0
	}
	more, c.at, c.more = c.more, now, 0
	return true, more
}

// hush lets nothing be told any more.
func (t *told) hush() {
	t.mu.Lock()
	t.silent = true
	t.mu.Unlock()
}

func (l engineLog) Debug(string, ...any) {}

func (l engineLog) Info(msg string, keyvals ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug(msg, keyvals...)
	}
}

func (l engineLog) Error(msg string, keyvals ...any) {
	switch {
	case msg == consensusFailed:
		l.failed(reasonIn(keyvals))
		return
	case slices.Contains(syncFailed, msg):
		l.failed(fmt.Errorf("begin from a snapshot: %w", reasonIn(keyvals)))
		return
	}
	l.Info(msg, keyvals...)
	words, attrs := "CometBFT: "+msg, []any{}
	switch l.module {
	case "p2p", "pex":
		words = "links to other validators fail or break"
	case "blocksync", "mempool", "evidence": // of a peer, as a rule
		attrs = append(attrs, "module", l.module)
	default:
		if l.module != "" {
			attrs = append(attrs, "module", l.module)
		}
		if err := errorIn(keyvals); err != nil {
			attrs = append(attrs, "err", err)
		}
	}
	tell, more := l.told.again(words, time.Now())
	if !tell {
		return
	}
	if more > 0 {
		attrs = append(attrs, "times", more+1)
	}
	l.base.Warn(words, attrs...)
}

func (l engineLog) With(keyvals ...any) log.Logger {
	for i := 0; i+1 < len(keyvals); i += 2 {
		if name, ok := keyvals[i+1].(string); ok && keyvals[i] == "module" {
			l.module = name
		}
	}
	l.log = l.log.With(keyvals...)
	return l
}

// errorIn is the error in a line of the log, nil where there is none.
func errorIn(keyvals []any) error {
	for i := 0; i+1 < len(keyvals); i += 2 {
		if keyvals[i] != "err" && keyvals[i] != "error" {
			continue
		}
		if err, ok := keyvals[i+1].(error); ok {
			return err
		}
		return fmt.Errorf("%v", keyvals[i+1])
	}
	return nil
}

// reasonIn is why CometBFT failed. It makes texts of errors: of those that say what
// to do the kind is given back.
func reasonIn(keyvals []any) error {
	err := errorIn(keyvals)
	if err == nil {
		return errors.New("CometBFT does not say why")
	}
	for _, kind := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EROFS, syscall.EIO} {
		if !errors.Is(err, kind) && strings.Contains(err.Error(), kind.Error()) {
			return fmt.Errorf("%s%w", strings.TrimSuffix(err.Error(), kind.Error()), kind)
		}
	}
	return err
}
