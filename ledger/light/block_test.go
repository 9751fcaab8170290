package light_test

import (
	"errors"
	"testing"

	"tunic/chain"
	"tunic/internal/merkle"
	"tunic/ledger/light"
)

func TestCheckTxs(t *testing.T) {
	block := func() chain.Block {
		txs := [][]byte{[]byte("one"), []byte("two")}
		return chain.Block{Txs: txs, SealedHeader: chain.SealedHeader{Header: chain.Header{Height: 3, TxCount: 2,
			TxRoot: merkle.Root([]merkle.Hash{merkle.Leaf(txs[0]), merkle.Leaf(txs[1])})}}}
	}
	if err := light.CheckTxs(block()); err != nil {
		t.Fatal(err)
	}
	if err := light.CheckTxs(chain.Block{SealedHeader: chain.SealedHeader{Header: chain.Header{TxRoot: merkle.Empty()}}}); err != nil {
		t.Fatalf("no transactions: %v", err)
	}
	for name, with := range map[string]func(*chain.Block){
		"changed":   func(b *chain.Block) { b.Txs[1] = []byte("three") },
		"exchanged": func(b *chain.Block) { b.Txs[0], b.Txs[1] = b.Txs[1], b.Txs[0] },
		"left out":  func(b *chain.Block) { b.Txs = b.Txs[:1] },
		"added":     func(b *chain.Block) { b.Txs = append(b.Txs, b.Txs[1]) },
		"count":     func(b *chain.Block) { b.Header.TxCount = 3 },
		"root":      func(b *chain.Block) { b.Header.TxRoot[0] ^= 1 },
	} {
		b := block()
		if with(&b); !errors.Is(light.CheckTxs(b), light.ErrProof) {
			t.Errorf("%s: not refused", name)
		}
	}
}
