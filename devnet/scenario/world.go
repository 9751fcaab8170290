package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tunic/chain"
	"tunic/client"
	"tunic/devnet"
	"tunic/ledger"
	"tunic/ledger/machine"
	"tunic/ledger/wallet"
	"tunic/registry/explain"
	"tunic/slashing"
)

// world is the state of one run.
type world struct {
	net     *devnet.Network
	report  *Report
	nonces  map[chain.Address]uint64
	last    *message
	settled ledger.TxStatus   // of the last transaction that was not refused at once
	refuse  string            // code of the last transaction, empty if it was applied
	signed  int               // transactions
	money   map[string]amount // balances that `expect balance` compares with
	burned  amount            // when `expect burned` was asked last
	folder  string            // for dumps and what is loaded of them
	loads   int
	dumped  map[string]uint32 // the fork that a dump was taken in
	proof   []byte            // the last that was made
	kept    map[int]devnet.Kept
	sales   map[sale]*devnet.Sale
	epoch   chain.Epoch // whose swarms were counted last
	swarms  int
}

type amount = chain.Amount

// message is the last that was sent.
type message struct {
	from  *devnet.Client
	to    *devnet.Client
	id    client.MessageID
	text  string
	since time.Time
}

// actor is an account that signs.
type actor struct {
	name string
	key  wallet.Key
}

func newWorld(net *devnet.Network, folder string, r *Report) *world {
	w := &world{
		net: net, report: r, folder: folder, nonces: map[chain.Address]uint64{}, money: map[string]amount{},
		dumped: map[string]uint32{}, sales: map[sale]*devnet.Sale{},
	}
	w.machine(func(m *machine.Machine) { w.burned = m.Staking().Burned() })
	return w
}

// invariants must hold after every step.
func (w *world) invariants() (err error) {
	w.machine(func(m *machine.Machine) { err = m.Check() })
	if err != nil {
		return expect(false, "all invariants to hold", "%v", err)
	}
	return nil
}

func (w *world) actor(name string, k wallet.Key) *actor { return &actor{name, k} }

func (w *world) machine(f func(*machine.Machine)) { w.net.Ledger.View(f) }

func (w *world) balance(a *actor) (b amount) {
	w.machine(func(m *machine.Machine) { b = m.Account(a.key.Address()).Balance })
	return b
}

// submit signs a transaction, seals it and notes whether it was refused.
func submit[T any](ctx context.Context, w *world, a *actor, def *chain.TypeDef[T], value func(chain.Head) T) error {
	head := chain.Head{
		Nonce: w.net.Ledger.NextNonce(a.key.Address()), Fee: w.net.Genesis.Params.MinFee,
		ValidUntil: w.net.Ledger.Head().Header.Height + 100,
	}
	w.money[a.name] = w.balance(a)
	tx, err := a.key.Sign(w.net.Ledger.Domain(), def.Schema(), def.Unsigned(value(head)))
	if err != nil {
		return err
	}
	w.refuse, w.settled = "", ledger.TxStatus{}
	w.signed++
	id, err := w.net.Submit(ctx, tx.Encode())
	var r *chain.Refusal
	if errors.As(err, &r) {
		w.refuse = r.Code
		return nil
	}
	if err != nil {
		return err
	}
	s, err := w.net.Settle(ctx, id)
	if err != nil {
		return err
	}
	w.settled = s
	if w.refuse = s.Code; s.State == ledger.TxPending {
		return fmt.Errorf("the transaction of %s is in no block", a.name)
	}
	return nil
}

// accepted is the error for a step whose transaction must be applied.
func (w *world) accepted() error {
	return expect(w.refuse == "", "the transaction to be applied", "refused with %s", w.refuse)
}

func (w *world) slashes(id chain.NodeID) (out []slashing.Record) {
	w.machine(func(m *machine.Machine) {
		for _, r := range m.Slashing().All() {
			if r.Node == id {
				out = append(out, r)
			}
		}
	})
	return out
}

// countSwarms notes whether there are as many as after the step before.
func (w *world) countSwarms() error {
	e := w.net.Ledger.Head().Header.DirEpoch
	if e == w.epoch {
		return nil
	}
	list, _, err := w.net.Ledger.List(e)
	if err != nil {
		return err
	}
	all, _ := explain.Swarms(list)
	if w.swarms != 0 && w.swarms != len(all) {
		w.report.SwarmChanges++
	}
	w.epoch, w.swarms = e, len(all)
	return nil
}

// finish completes the report.
func (w *world) finish() {
	head := w.net.Ledger.Head().Header
	w.report.Epoch, w.report.Height = uint64(head.DirEpoch), uint64(head.Height)
	w.report.Paths = w.paths()
	for _, r := range w.net.Relays {
		for _, s := range w.slashes(r.ID) {
			w.report.Slashes = append(w.report.Slashes, Slash{r.Name(), s.Kind.String(), string(s.Kind.Basis()), s.ID, s.Total.String()})
		}
	}
}
