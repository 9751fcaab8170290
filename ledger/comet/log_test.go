package comet

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Of CometBFT's errors a class is told once, and again later with its number; nothing
// says with whom it was, and nothing is told once it is being stopped.
func TestEngineLog(t *testing.T) {
	var b bytes.Buffer
	var failed error
	l := newEngineLog(slog.New(slog.NewTextHandler(&b, nil)), func(err error) { failed = err })
	links := l.With("module", "p2p").With("peer", "192.0.2.7:26656")
	for i := range 100 {
		links.Error("Error dialing peer", "err", fmt.Errorf("dial 192.0.2.7:%d", i))
		links.Error("Stopping peer for error", "peer", "192.0.2.7:26656")
		l.With("module", "blocksync", "peer", "192.0.2.7:26656").Error("SendTimeout")
		l.With("module", "consensus").Error("failed publishing new round", "err", errors.New("why"))
		l.Info("of each step", "peer", "192.0.2.7:26656")
	}
	if n := strings.Count(b.String(), "\n"); n != 3 || strings.Contains(b.String(), "192.0.2.7") || !strings.Contains(b.String(), "err=why") {
		t.Errorf("%d lines: %s", n, b.String())
	}
	words := "CometBFT: failed publishing new round"
	if tell, _ := l.told.again(words, time.Now().Add(quietFor-time.Minute)); tell {
		t.Error("told again too soon")
	}
	if tell, more := l.told.again(words, time.Now().Add(quietFor+time.Minute)); !tell || more != 100 {
		t.Errorf("told again: %v, of %d", tell, more)
	}
	for i := range 2 * maxClasses {
		l.Error(fmt.Sprintf("message %d", i))
	}
	if n := len(l.told.last); n > maxClasses {
		t.Errorf("%d classes", n)
	}
	b.Reset()
	l.told.hush()
	links.Error("Error closing connection")
	if b.Len() > 0 {
		t.Errorf("told while it is stopped: %s", b.String())
	}
	l.Error(consensusFailed, "err", "failed to write: no space left on device", "stack", "long")
	if !errors.Is(failed, syscall.ENOSPC) || b.Len() > 0 {
		t.Errorf("%v; %s", failed, b.String())
	}
	if err := reasonIn([]any{"stack", "long"}); err == nil {
		t.Error("no reason")
	}
}
