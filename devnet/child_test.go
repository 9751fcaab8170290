package devnet_test

import (
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/node"
	"tunic/relay"
)

// The test binary is also the nodes' program: StartProcesses runs it with the
// arguments of `tunic ledger run` and `tunic relay run`. Here, and nowhere in
// the product, a node records every signature and dies at named points.
const (
	recordEnv = "TUNIC_TEST_RECORD" // folder for one file of signatures per node
	dieEnv    = "TUNIC_TEST_DIE"    // file that names the point at which the ledger dies next
)

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[2] == "run" {
		os.Exit(child(os.Args[1], os.Args[3:]))
	}
	os.Exit(m.Run())
}

func child(what string, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	f := flag.NewFlagSet(what, flag.ContinueOnError)
	dir := f.String("dir", "", "")
	http := f.String("http", "", "")
	network := f.String("network", "", "")
	listen := f.String("listen", "", "")
	f.String("o", "", "")
	if err := f.Parse(args); err != nil {
		return 2
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	var err error
	switch what {
	case "ledger":
		err = node.RunLedger(ctx, node.LedgerConfig{Dir: *dir, HTTP: *http, Hook: deadly(), Logger: log})
	case "relay":
		n, readErr := node.ReadNetwork(*network)
		if readErr != nil {
			err = readErr
			break
		}
		err = node.RunRelay(ctx, node.RelayConfig{Dir: *dir, Network: n, Listen: []string{*listen}, Logger: log, Signer: recorded})
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// deadly kills this process at the point that the file names, once.
func deadly() func(string) {
	file := os.Getenv(dieEnv)
	if file == "" {
		return nil
	}
	return func(at string) {
		if b, err := os.ReadFile(file); err != nil || string(b) != at || os.Remove(file) != nil {
			return
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// recorder notes what is signed before the signature leaves.
type recorder struct {
	relay.Signer
	mu   sync.Mutex
	file *os.File
}

func recorded(s relay.Signer) relay.Signer {
	dir := os.Getenv(recordEnv)
	if dir == "" {
		return s
	}
	f, err := os.OpenFile(fmt.Sprintf("%s/%d", dir, os.Getpid()), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	return &recorder{Signer: s, file: f}
}

func (r *recorder) Sign(d statement.Domain, l statement.Label, seq statement.Sequence, body []byte) statement.Statement {
	st := r.Signer.Sign(d, l, seq, body)
	digest := chain.SHA256(st.Encode()[:len(st.Encode())-64]) // all but the signature
	r.mu.Lock()
	defer r.mu.Unlock()
	if l != statement.LabelReceipt { // receipts carry no sequence: they never contradict each other
		fmt.Fprintf(r.file, "%s %d %d %d %s\n", st.Node, l, d.Fork, seq, hex.EncodeToString(digest[:]))
	}
	return st
}
