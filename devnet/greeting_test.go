package devnet_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"tunic/devnet"
)

// lines keeps what is logged.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Clients read what relays greet them with, votes included.
func TestGreetingsAreUnderstood(t *testing.T) {
	var log lines
	ctx := within(t, time.Minute)
	n, err := devnet.Start(ctx, devnet.Spec{Relays: 6, Clients: 1, Seed: 7, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if err := n.Clients[0].Ready(ctx); err != nil { // an answer has come through the guard, behind its greeting
		t.Fatal(err)
	}
	if said := log.String(); strings.Contains(said, "greeting") {
		t.Error(said)
	}
}
