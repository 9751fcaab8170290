package devnet_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/devnet"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/registry/path"
)

// A relay that sold its onion key is out of every path from the block on that
// punished it, within its epoch: nobody wraps a packet with a key that somebody
// else has. On a clock that runs by itself the buyer reveals too.
func TestSoldKeyIsNotUsed(t *testing.T) {
	for name, live := range map[string]bool{"driven": false, "live": true} {
		t.Run(name, func(t *testing.T) {
			ctx := within(t, 2*time.Minute)
			net, err := devnet.Start(ctx, devnet.Spec{Relays: 7, Clients: 2, Seed: 9, Live: live})
			if err != nil {
				t.Fatal(err)
			}
			defer net.Close()
			if err := net.KeyDisclosure(ctx, 2, statement.KeyOnion); err != nil {
				t.Fatal(err)
			}
			if err := net.AdvanceEpochs(ctx, 1); err != nil {
				t.Fatal(err)
			}
			sold := net.Relays[2].ID
			for !tombstoned(net, sold) {
				if ctx.Err() != nil {
					t.Fatal("nobody revealed it")
				}
				if live {
					time.Sleep(10 * time.Millisecond)
				} else if err := net.Seal(ctx); err != nil {
					t.Fatal(err)
				}
			}
			head := net.Ledger.Head().Header
			list, _, err := net.Ledger.List(head.DirEpoch)
			if err != nil {
				t.Fatal(err)
			}
			at, listed := list.Find(sold)
			if !listed || len(head.Removals) != 1 || head.Removals[0] != sold {
				if live { // the next epoch has begun
					return
				}
				t.Fatalf("listed %t (%d), removed %v", listed, at.Onion.First, head.Removals)
			}
			k := path.New(list, head.Removals, net.Genesis.Params)
			for n := range uint64(200) {
				hops, err := k.Choose(path.Options{Hops: 3}, dice{rand.New(rand.NewPCG(n, 1))})
				if err != nil {
					t.Fatal(err)
				}
				for _, i := range hops {
					if list.Entries[i].Onion.Key == at.Onion.Key {
						t.Fatalf("path %v leads over it", hops)
					}
				}
			}
			if _, err := k.Choose(path.Options{Hops: 3, Target: sold}, dice{rand.New(rand.NewPCG(1, 1))}); err == nil {
				t.Error("it is a path's target")
			}
			deliver(t, ctx, net)
		})
	}
}

type dice struct{ *rand.Rand }

func (d dice) N(n uint64) uint64 { return d.Uint64N(n) }

func tombstoned(net *devnet.Network, id chain.NodeID) (is bool) {
	net.Ledger.View(func(m *machine.Machine) {
		n, _ := m.Registry().Node(id)
		is = n.State == registry.Tombstoned
	})
	return is
}

// deliver sends a message from one client to the other.
func deliver(t *testing.T, ctx context.Context, net *devnet.Network) {
	t.Helper()
	a, b := net.Clients[0], net.Clients[1]
	if err := a.AddContact(b.Account.ID(), b.Name); err != nil {
		t.Fatal(err)
	}
	if _, err := a.SendWithConfirmation(ctx, b.Account.ID(), "still private"); err != nil {
		t.Fatal(err)
	}
}
