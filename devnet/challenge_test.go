package devnet_test

import (
	"errors"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/devnet"
	"tunic/ledger/machine"
	"tunic/slashing"
)

// Alice challenges what a relay signed for a message of hers, through the onion; the
// relay finds the message and answers, and its operator has the deposit.
func TestChallengeOfAMessage(t *testing.T) {
	n, err := devnet.Start(t.Context(), devnet.Spec{Relays: 6, Clients: 2, Seed: 19})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	alice, bob := n.Clients[0], n.Clients[1]
	if err := alice.AddContact(bob.Account.ID(), "bob"); err != nil {
		t.Fatal(err)
	}
	if err := bob.AddContact(alice.Account.ID(), "alice"); err != nil {
		t.Fatal(err)
	}
	// The first message goes with a contact request, of which there is no receipt;
	// a later one goes to the pair's mailbox.
	var receipt []byte
	for end := time.Now().Add(time.Minute); receipt == nil && time.Now().Before(end); {
		id, err := alice.Send(t.Context(), bob.Account.ID(), "are you there?")
		if err != nil {
			t.Fatal(err)
		}
		for s, ok := alice.Status(id); ok && receipt == nil && time.Now().Before(end); s, ok = alice.Status(id) {
			if len(s.Receipts) > 0 {
				receipt = s.Receipts[0]
			} else if s.State >= 4 {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	st, err := statement.Decode(receipt)
	if err != nil {
		t.Fatal("no receipt", err)
	}
	var r *devnet.Relay
	for _, x := range n.Relays {
		if x.ID == st.Node {
			r = x
		}
	}
	balance := func() (b chain.Amount) {
		n.Ledger.View(func(m *machine.Machine) { b = m.Account(r.Operator.Address()).Balance })
		return b
	}
	challenger := n.Accounts[0]
	sign := func(receipt []byte) []byte {
		head := chain.Head{Nonce: n.Ledger.NextNonce(challenger.Address()), Fee: n.Genesis.Params.MinFee, ValidUntil: n.Ledger.Head().Header.Height + 100}
		tx, err := challenger.Sign(n.Ledger.Domain(), slashing.ChallengeType.Schema(),
			slashing.ChallengeType.Unsigned(slashing.OpenChallenge{Head: head, Receipt: receipt, Deposit: 5 * chain.TUN}))
		if err != nil {
			t.Fatal(err)
		}
		return tx.Encode()
	}
	// The ledger's refusal comes back the same way.
	forged := append([]byte(nil), receipt...)
	forged[len(forged)-1] ^= 1
	var refusal *chain.Refusal
	if err := alice.PassOn(t.Context(), sign(forged)); !errors.As(err, &refusal) || refusal.Code != "bad_signature" {
		t.Fatalf("a forged receipt: %v", err)
	}
	had := balance()
	if err := alice.PassOn(t.Context(), sign(receipt)); err != nil {
		t.Fatal(err)
	}
	if err := n.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	id := slashing.ChallengeID(n.File.Genesis, st)
	open := func() (ok bool) {
		n.Ledger.View(func(m *machine.Machine) { _, ok = m.Slashing().Challenge(id) })
		return ok
	}
	if !open() {
		t.Fatal("no challenge is open")
	}
	if err := n.AdvanceEpochs(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if open() || balance() != had+5*chain.TUN {
		t.Fatalf("open: %t; the operator has %s, had %s", open(), balance(), had)
	}
}
