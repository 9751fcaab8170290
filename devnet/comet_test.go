package devnet_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/devnet"
	"tunic/internal/testenv"
	"tunic/ledger/machine"
)

// A network on four validators delivers, its relays go on from ledger to ledger as
// validators are killed one after the other, and nothing that was submitted is lost:
// the same bytes may come again, to whomever.
func TestNetworkOnValidators(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	ctx, stop := context.WithTimeout(t.Context(), 15*time.Minute)
	defer stop()
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	p.BlockInterval, p.EpochLength = genesis.Second/2, 6*genesis.Second
	p.HeartbeatEvery, p.HeartbeatValid = 2*genesis.Second, 15*genesis.Second
	net, err := devnet.Start(ctx, devnet.Spec{Relays: 6, Clients: 2, Seed: 7, Engine: genesis.EngineComet, Validator: testenv.Program(t, devnet.ValidatorProgram), Params: &p, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer net.Close()
	if g := net.Genesis; g.Dev || g.Engine != genesis.EngineComet || g.Clock != genesis.ClockReal || len(net.File.URLs) != 4 {
		t.Errorf("dev %v, engine %s, clock %s, ledgers %v", g.Dev, g.Engine, g.Clock, net.File.URLs)
	}
	alice, bob := net.Clients[0], net.Clients[1]
	if err := alice.AddContact(bob.Account.ID(), "bob"); err != nil {
		t.Fatal(err)
	}
	for i := range net.Validators {
		net.KillValidator(i) // some of the relays ask this one first
		id, err := alice.Send(ctx, bob.Account.ID(), fmt.Sprintf("without validator %d", i+1))
		if err != nil {
			t.Fatal(err)
		}
		pay(t, ctx, net, uint64(i))
		if err := net.AdvanceEpochs(ctx, 3); err != nil { // who could publish nothing is out by then
			t.Fatal(err)
		}
		if n := net.Ledger.Head().Header.DirCount; n != 6 {
			t.Errorf("without validator %d the list has %d relays", i+1, n)
		}
		if err := alice.WaitDelivered(ctx, id); err != nil {
			t.Fatal(err)
		}
		if err := net.StartValidator(ctx, i); err != nil {
			t.Fatal(err)
		}
		if err := net.AdvanceEpochs(ctx, 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range net.Relays {
		net.Ledger.View(func(m *machine.Machine) {
			if h := m.Registry().History(r.ID); len(h) > 2 { // registered, active
				t.Errorf("%s: %v", r.Name(), h[2:])
			}
		})
	}
}

// pay submits one transaction until it is committed, three times to validators in turn.
func pay(t *testing.T, ctx context.Context, net *devnet.Network, nonce uint64) {
	t.Helper()
	def := machine.TransferType
	tx, err := net.Accounts[0].Sign(net.Ledger.Domain(), def.Schema(), def.Unsigned(machine.Transfer{
		Head: chain.Head{Nonce: nonce, Fee: net.Genesis.Params.MinFee, ValidUntil: 1 << 40}, To: net.Accounts[1].Address(), Amount: 1}))
	if err != nil {
		t.Fatal(err)
	}
	var id chain.Hash
	for again := range 3 {
		id, err = net.Submit(ctx, tx.Encode())
		// Committed meanwhile it is refused, and that is all.
		if no := (*chain.Refusal)(nil); err != nil && (!errors.As(err, &no) || again == 0 || no.Code != machine.CodeNonceUsed) {
			t.Fatalf("time %d: %v", again+1, err)
		}
	}
	if s, err := net.Settle(ctx, id); err != nil || s.Code != "" {
		t.Fatalf("%+v, %v", s, err)
	}
}

// A program that is not there is said to be missing where it was looked for, with a way
// out; validators without their engine are a mistake.
func TestNoValidatorProgram(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := devnet.Start(t.Context(), devnet.Spec{Engine: genesis.EngineComet})
	if !errors.Is(err, devnet.ErrNoValidator) || !strings.Contains(err.Error(), "go build -o ") || !strings.Contains(err.Error(), "on PATH") {
		t.Errorf("%v", err)
	}
	at := filepath.Join(t.TempDir(), devnet.ValidatorProgram)
	if err := os.WriteFile(at, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", filepath.Dir(at))
	if got, err := devnet.FindValidator(); err != nil || got != at {
		t.Errorf("%s, %v", got, err)
	}
	for _, spec := range []devnet.Spec{{Validators: 4}, {Engine: "raft"}, {Engine: genesis.EngineComet, Validators: devnet.MaxValidators + 1}} {
		if _, err := devnet.Start(t.Context(), spec); !errors.Is(err, devnet.ErrSpec) {
			t.Errorf("%+v: %v", spec, err)
		}
	}
}
