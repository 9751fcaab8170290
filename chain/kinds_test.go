package chain_test

import (
	"crypto/ecdsa"
	"encoding/binary"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"
	"pgregory.net/rapid"

	"tunic/chain"
)

// small is a named type, as modules use them.
type small uint16

// every has a field of each atomic type.
type every struct {
	chain.Head
	Small small
	Big   chain.Amount
	To    chain.Address
	Node  chain.NodeID
	Text  string
	Data  []byte
}

const everyLimit = 300

var everyType = chain.Define(chain.Kind(200), "Every", func(v *every) *chain.Head { return &v.Head },
	chain.Uint16("small", func(v *every) *small { return &v.Small }),
	chain.Uint64("big", func(v *every) *chain.Amount { return &v.Big }),
	chain.Addr("to", func(v *every) *chain.Address { return &v.To }),
	chain.Bytes32("node", func(v *every) *chain.NodeID { return &v.Node }),
	chain.String("text", everyLimit, func(v *every) *string { return &v.Text }),
	chain.Bytes("data", everyLimit, func(v *every) *[]byte { return &v.Data }),
)

type transfer struct {
	chain.Head
	To     chain.Address
	Amount chain.Amount
}

var transferType = chain.Define(chain.KindTransfer, "Transfer", func(v *transfer) *chain.Head { return &v.Head },
	chain.Addr("to", func(v *transfer) *chain.Address { return &v.To }),
	chain.Uint64("amount", func(v *transfer) *chain.Amount { return &v.Amount }),
)

type register struct {
	chain.Head
	Node   chain.NodeID
	VRF    [32]byte
	Fee    chain.BasisPoints
	Amount chain.Amount
	Sig    []byte
	Proof  []byte
}

var registerType = chain.Define(chain.KindRegister, "Register", func(v *register) *chain.Head { return &v.Head },
	chain.Bytes32("node", func(v *register) *chain.NodeID { return &v.Node }),
	chain.Bytes32("vrfKey", func(v *register) *[32]byte { return &v.VRF }),
	chain.Uint16("feeBps", func(v *register) *chain.BasisPoints { return &v.Fee }),
	chain.Uint64("amount", func(v *register) *chain.Amount { return &v.Amount }),
	chain.Bytes("nodeSignature", 64, func(v *register) *[]byte { return &v.Sig }),
	chain.Bytes("vrfProof", 80, func(v *register) *[]byte { return &v.Proof }),
)

func drawArray20(t *rapid.T, label string) (a [20]byte) {
	copy(a[:], rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, label))
	return a
}

func drawArray32(t *rapid.T, label string) (a [32]byte) {
	copy(a[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, label))
	return a
}

func drawEvery(t *rapid.T) every {
	return every{
		Head: chain.Head{Nonce: rapid.Uint64().Draw(t, "nonce"), Fee: chain.Amount(rapid.Uint64().Draw(t, "fee")),
			ValidUntil: chain.Height(rapid.Uint64().Draw(t, "validUntil"))},
		Small: small(rapid.Uint16().Draw(t, "small")),
		Big:   chain.Amount(rapid.Uint64().Draw(t, "big")),
		To:    drawArray20(t, "to"),
		Node:  drawArray32(t, "node"),
		Text:  rapid.StringN(0, 40, 200).Draw(t, "text"),
		Data:  rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "data"),
	}
}

// testKey is the account key of seed n, of value to tests alone.
func testKey(t testing.TB, n uint64) (*ecdsa.PrivateKey, chain.Address) {
	t.Helper()
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[24:], n)
	k, err := crypto.ToECDSA(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	return k, chain.Address(crypto.PubkeyToAddress(k.PublicKey))
}

// sign puts key's signature into tx.
func sign(t testing.TB, d chain.Domain, s *chain.Schema, tx chain.Tx, key *ecdsa.PrivateKey) chain.Tx {
	t.Helper()
	digest, err := d.Digest(s, tx.Payload)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := crypto.Sign(digest[:], key)
	if err != nil {
		t.Fatal(err)
	}
	copy(tx.Sig[:], sig)
	return tx
}

// flips calls f for each copy of b with one bit changed; f must not keep it.
func flips(b []byte, f func(bit int, b []byte)) {
	c := append([]byte(nil), b...)
	for i := range 8 * len(c) {
		c[i/8] ^= 1 << (i % 8)
		f(i, c)
		c[i/8] ^= 1 << (i % 8)
	}
}
