package devnet_test

import (
	"context"
	"os"
	"testing"
	"time"

	"tunic/chain/genesis"
	"tunic/devnet"
)

// A network on four validators delivers, goes on when one is killed, and takes it
// back.
func TestNetworkOnValidators(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute)
	defer stop()
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	net, err := devnet.Start(ctx, devnet.Spec{Relays: 6, Clients: 2, Seed: 7, Engine: genesis.EngineComet, Validator: os.Getenv("TUNIC_VALIDATOR"), Params: &p, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer net.Close()
	t.Logf("ready after %v at height %d", time.Since(begin), net.Ledger.Head().Header.Height)
	h := net.Ledger.Head().Header.Height
	time.Sleep(5 * time.Second)
	t.Logf("%d blocks in 5 s", net.Ledger.Head().Header.Height-h)
	alice, bob := net.Clients[0], net.Clients[1]
	if err := alice.AddContact(bob.Account.ID(), "bob"); err != nil {
		t.Fatal(err)
	}
	id, err := alice.Send(ctx, bob.Account.ID(), "hello")
	if err != nil {
		t.Fatal(err)
	}
	if err := alice.WaitDelivered(ctx, id); err != nil {
		t.Fatal(err)
	}
	t.Logf("delivered after %v", time.Since(begin))
	net.KillValidator(0)
	if err := net.AdvanceEpochs(ctx, 2); err != nil {
		t.Fatal(err)
	}
	if err := net.StartValidator(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if err := net.AdvanceEpochs(ctx, 1); err != nil {
		t.Fatal(err)
	}
	t.Logf("%v, %+v", time.Since(begin), net.Ledger.Head().Header.Height)
}
