package machine_test

import (
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/staking"
)

// A refused transaction has its code in the results and changes nothing: the
// state root is that of the same block without it.
func TestRefusals(t *testing.T) {
	build := func(t *testing.T) *world {
		w := newWorld(t, "a", "b", "c")
		w.serve("a", "n", "m")
		w.ok(w.at(1)+10, w.transfer("a", "poor", 1500, 0))
		return w
	}
	transfer := func(w *world, from string, change func(*machine.Transfer)) []byte {
		v := machine.Transfer{Head: w.headOf(from, 0), To: address("b"), Amount: 5}
		change(&v)
		return w.sign(from, machine.TransferType.Unsigned(v))
	}
	for _, c := range []struct {
		code string
		tx   func(w *world) []byte
	}{
		{machine.CodeMalformed, func(w *world) []byte { return []byte{2, 0, 0, 0, 1} }},
		{machine.CodeMalformed, func(w *world) []byte { return append(w.transfer("a", "b", 1, 0), 0) }},
		{machine.CodeMalformed, func(w *world) []byte { return chain.Tx{Kind: chain.KindTransfer, Payload: []byte{1}}.Encode() }},
		{machine.CodeMalformed, func(w *world) []byte { return chain.Tx{Kind: chain.KindPublish, Payload: []byte{1}}.Encode() }},
		{machine.CodeUnknownKind, func(w *world) []byte { return chain.Tx{Kind: 200}.Encode() }},
		{machine.CodeBadSignature, func(w *world) []byte {
			b := w.transfer("a", "b", 1, 0)
			b[len(b)-1] = 27
			return b
		}},
		{machine.CodeBadSignature, func(w *world) []byte { // high s
			b := w.transfer("a", "b", 1, 0)
			b[len(b)-33] = 0xff
			return b
		}},
		{machine.CodeNonceUsed, func(w *world) []byte { return transfer(w, "a", func(v *machine.Transfer) { v.Head.Nonce-- }) }},
		{machine.CodeNonceGap, func(w *world) []byte { return transfer(w, "a", func(v *machine.Transfer) { v.Head.Nonce++ }) }},
		{machine.CodeExpired, func(w *world) []byte {
			return transfer(w, "a", func(v *machine.Transfer) { v.Head.ValidUntil = w.m.Head().Height })
		}},
		{machine.CodeFeeTooLow, func(w *world) []byte { return transfer(w, "a", func(v *machine.Transfer) { v.Head.Fee-- }) }},
		{machine.CodeInsufficientFunds, func(w *world) []byte { return w.transfer("nobody", "b", 1, 0) }},
		{machine.CodeInsufficientFunds, func(w *world) []byte { return w.transfer("poor", "b", 501, 0) }},
		{machine.CodeInsufficientFunds, func(w *world) []byte { return w.transfer("a", "b", 1<<64-1, 0) }},
		{machine.CodeNonceGap, func(w *world) []byte { return w.transfer("a", "b", 1<<64-1, 1) }},
		{machine.CodeZeroAmount, func(w *world) []byte { return w.transfer("a", "b", 0, 0) }},
		{machine.CodeZeroAddress, func(w *world) []byte {
			return transfer(w, "a", func(v *machine.Transfer) { v.To = chain.Address{} })
		}},
		{registry.CodeAlreadyRegistered, func(w *world) []byte { return w.register("n", "b", 500*tun, 0) }},
		{registry.CodeBadSignature, func(w *world) []byte {
			r := w.registration("x", "b", 0, 500*tun, 0)
			r.Head = w.headOf("c", 0)
			return w.sign("c", registry.RegisterType.Unsigned(r))
		}},
		{staking.CodeOperatorTooSmall, func(w *world) []byte { return w.register("x", "b", 499*tun, 0) }},
		{staking.CodeInsufficientBalance, func(w *world) []byte { return w.register("x", "poor", 500*tun, 0) }},
		{staking.CodeFullyStaked, func(w *world) []byte { return w.contribute("n", "b", 1*tun, 0) }},
		{staking.CodeUnknownBond, func(w *world) []byte { return w.contribute("x", "b", 1*tun, 0) }},
		{staking.CodeNotContributor, func(w *world) []byte { return w.unlock("n", "b", 0) }},
		{staking.CodeNotContributor, func(w *world) []byte { return w.withdraw("n", "b", 0) }},
		{"malformed_proof", func(w *world) []byte { return w.submitProof("b", []byte{1, 2}, 0) }},
		{"bad_signature", func(w *world) []byte {
			p := w.equivocation("n")
			p.Second[len(p.Second)-1] ^= 1
			return w.submitProof("b", p.Encode(), 0)
		}},
		{"bad_header", func(w *world) []byte {
			p := w.equivocation("n")
			p.Header.Seal[0] ^= 1
			return w.submitProof("b", p.Encode(), 0)
		}},
		{machine.CodeUnknownLabel, func(w *world) []byte {
			return publish(statement.Sign(w.domain(), nodeKey("n"), statement.LabelReceipt, w.next("n", 1), []byte{1}))
		}},
		{machine.CodeUnknownNode, func(w *world) []byte {
			return publish(statement.Sign(w.domain(), nodeKey("x"), statement.LabelProof, w.next("x", 1), []byte{1}))
		}},
		{machine.CodeUnknownNode, func(w *world) []byte { return publish(w.heartbeat("x", w.next("x", 1))) }},
		{machine.CodeBadSignature, func(w *world) []byte {
			st := statement.Sign(w.domain(), nodeKey("m"), statement.LabelProof, w.next("m", 1), w.equivocation("n").Encode())
			st.Sig[3] ^= 1
			return publish(st)
		}},
		{machine.CodeWrongFork, func(w *world) []byte {
			d := w.domain()
			d.Fork++
			return publish(statement.Sign(d, nodeKey("m"), statement.LabelProof, w.next("m", 1), w.equivocation("n").Encode()))
		}},
		{registry.CodeBadSignature, func(w *world) []byte {
			st := w.heartbeat("n", w.next("n", 2))
			st.Sig[3] ^= 1
			return publish(st)
		}},
		{registry.CodeStaleSequence, func(w *world) []byte { return publish(w.descriptor("n", statement.NewSequence(1, 1), 9)) }},
		{registry.CodeWrongEpoch, func(w *world) []byte { return publish(w.heartbeat("n", w.next("n", 9))) }},
		{registry.CodeNotJudged, func(w *world) []byte { return publish(w.vote("n", "m", 0, 1000)) }}, // too few could
	} {
		t.Run(c.code, func(t *testing.T) {
			w, twin := build(t), build(t)
			tx := c.tx(w)
			p := w.m.Prepare(tx)
			at := w.at(1) + 6000
			if err := w.m.CheckTx(&p, at); err != nil {
				if r, ok := err.(*chain.Refusal); !ok || r.Code != c.code {
					t.Errorf("CheckTx: %v, want %s", err, c.code)
				}
			}
			out := w.block(at, tx)
			if out.Results[0].Code != c.code {
				t.Fatalf("refused with %q, want %q", out.Results[0].Code, c.code)
			}
			if want := twin.block(at).Header.State; out.Header.State != want {
				t.Fatal("a refused transaction changed the state")
			}
		})
	}
}

func TestPublishesAreBounded(t *testing.T) {
	w := newWorld(t, "a")
	w.serve("a", "n")
	// The bound counts what is in the block, refused ones of a replay included.
	txs := make([][]byte, machine.MaxPublishes+1)
	for i := range txs {
		txs[i] = publish(statement.Statement{Label: statement.LabelReceipt, Sequence: statement.Sequence(i)})
	}
	out := w.block(w.at(1)+1, txs...)
	if last := out.Results[machine.MaxPublishes].Code; last != machine.CodeTooManyPublishes || out.Results[0].Code != machine.CodeUnknownLabel {
		t.Fatalf("first %s, last %s", out.Results[0].Code, last)
	}
}
