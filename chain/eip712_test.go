package chain_test

import (
	"encoding/hex"
	"math/big"
	"strconv"
	"testing"

	"github.com/ethereum/go-ethereum/common/math"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/signer/core/apitypes"
	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/internal/testenv"
)

// oracle is go-ethereum's digest of the same message.
func oracle(t interface{ Fatal(...any) }, chainID uint64, genesis chain.Hash, s *chain.Schema, message map[string]any) chain.Hash {
	var fields []apitypes.Type
	for _, f := range s.Fields {
		fields = append(fields, apitypes.Type{Name: f.Name, Type: string(f.Type)})
	}
	id := math.HexOrDecimal256(*new(big.Int).SetUint64(chainID))
	digest, _, err := apitypes.TypedDataAndHash(apitypes.TypedData{
		Types: apitypes.Types{
			"EIP712Domain": {{Name: "name", Type: "string"}, {Name: "version", Type: "string"},
				{Name: "chainId", Type: "uint256"}, {Name: "salt", Type: "bytes32"}},
			s.Name: fields,
		},
		PrimaryType: s.Name,
		Domain:      apitypes.TypedDataDomain{Name: "Tunic", Version: "1", ChainId: &id, Salt: "0x" + genesis.String()},
		Message:     message,
	})
	if err != nil {
		t.Fatal(err)
	}
	return chain.Hash(digest)
}

func TestDigestAgainstGoEthereum(t *testing.T) {
	dec := func(v uint64) string { return strconv.FormatUint(v, 10) }
	testenv.Check(t, func(t *rapid.T) {
		v := drawEvery(t)
		chainID, genesis := rapid.Uint64().Draw(t, "chainId"), chain.Hash(drawArray32(t, "genesis"))
		want := oracle(t, chainID, genesis, everyType.Schema(), map[string]any{
			"nonce": dec(v.Nonce), "fee": dec(uint64(v.Fee)), "validUntil": dec(uint64(v.ValidUntil)),
			"small": dec(uint64(v.Small)), "big": dec(uint64(v.Big)), "to": v.To.String(),
			"node": "0x" + v.Node.String(), "text": v.Text, "data": "0x" + hex.EncodeToString(v.Data),
		})
		got, err := chain.NewDomain(chainID, genesis).Digest(everyType.Schema(), everyType.Encode(v))
		if err != nil || got != want {
			t.Fatalf("digest %s %v, go-ethereum says %s", got, err, want)
		}
	})
}

func TestTypeString(t *testing.T) {
	const want = "Every(uint64 nonce,uint64 fee,uint64 validUntil,uint16 small,uint64 big,address to,bytes32 node,string text,bytes data)"
	if got := everyType.Schema().TypeString(); got != want {
		t.Errorf("encodeType is %s, want %s", got, want)
	}
}

func TestDigestRefusesOtherPayloads(t *testing.T) {
	d := chain.NewDomain(1, chain.Hash{1})
	good := everyType.Encode(every{Text: "é", Data: []byte{1}})
	text := 24 + 2 + 8 + 20 + 32 + 4 // where the two bytes of é stand
	if good[text] != 0xc3 {
		t.Fatal("the text is elsewhere")
	}
	bad := append([]byte(nil), good...)
	bad[text+1] = 'x'
	for name, p := range map[string][]byte{"empty": nil, "cut": good[:len(good)-1], "longer": append(good, 0), "not UTF-8": bad} {
		if _, err := d.Digest(everyType.Schema(), p); err == nil {
			t.Errorf("%s: payload has a digest", name)
		}
		if _, err := everyType.Decode(p); err == nil {
			t.Errorf("%s: payload decodes", name)
		}
		if _, err := everyType.Schema().MarshalMessage(p); err == nil {
			t.Errorf("%s: payload has a message", name)
		}
	}
}

func TestSender(t *testing.T) {
	d := chain.NewDomain(31337, chain.Hash{1})
	key, address := testKey(t, 7)
	s := transferType.Schema()
	tx := sign(t, d, s, transferType.Unsigned(transfer{Head: chain.Head{Nonce: 1, Fee: 2, ValidUntil: 3}, To: chain.Address{4}, Amount: 5}), key)
	sender := func(d chain.Domain, s *chain.Schema, tx chain.Tx) chain.Address {
		a, err := d.Sender(s, tx)
		if err != nil {
			return chain.Address{}
		}
		return a
	}
	if sender(d, s, tx) != address {
		t.Fatal("the signer is not the sender")
	}
	renamed := chain.Define(chain.KindTransfer, "Transfers", func(v *transfer) *chain.Head { return &v.Head },
		chain.Addr("to", func(v *transfer) *chain.Address { return &v.To }),
		chain.Uint64("amount", func(v *transfer) *chain.Amount { return &v.Amount }))
	for name, got := range map[string]chain.Address{
		"other chain id": sender(chain.NewDomain(31338, chain.Hash{1}), s, tx),
		"other genesis":  sender(chain.NewDomain(31337, chain.Hash{2}), s, tx),
		"other type":     sender(d, renamed.Schema(), tx),
	} {
		if got == address {
			t.Errorf("%s: the signature still counts", name)
		}
	}
	flips(tx.Payload, func(bit int, b []byte) {
		if sender(d, s, chain.Tx{Kind: tx.Kind, Payload: b, Sig: tx.Sig}) == address {
			t.Errorf("payload bit %d flipped: the signature still counts", bit)
		}
	})
	flips(tx.Sig[:], func(bit int, b []byte) {
		if sender(d, s, chain.Tx{Kind: tx.Kind, Payload: tx.Payload, Sig: [65]byte(b)}) == address {
			t.Errorf("signature bit %d flipped: it still counts", bit)
		}
	})
}

// For each signature there is exactly one form that is accepted.
func TestSignaturesAreCanonical(t *testing.T) {
	digest := chain.SHA256([]byte("message"))
	key, address := testKey(t, 9)
	raw, err := crypto.Sign(digest[:], key)
	if err != nil {
		t.Fatal(err)
	}
	good := [65]byte(raw)
	if a, err := chain.Recover(digest, good); err != nil || a != address {
		t.Fatalf("%v, %v", a, err)
	}
	n := crypto.S256().Params().N
	half := new(big.Int).Rsh(n, 1)
	with := func(r, s *big.Int, v byte) (sig [65]byte) {
		r.FillBytes(sig[:32])
		s.FillBytes(sig[32:64])
		sig[64] = v
		return sig
	}
	r, s, v := new(big.Int).SetBytes(good[:32]), new(big.Int).SetBytes(good[32:64]), good[64]
	most := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	zero, one := new(big.Int), big.NewInt(1)
	for name, sig := range map[string][65]byte{
		"high s, its own v":     with(r, new(big.Int).Sub(n, s), v^1),
		"high s, same v":        with(r, new(big.Int).Sub(n, s), v),
		"s one above the half":  with(r, new(big.Int).Add(half, one), v),
		"v 2":                   with(r, s, v+2),
		"v 27 or 28":            with(r, s, v+27),
		"v 255":                 with(r, s, 255),
		"zero":                  {},
		"r zero":                with(zero, s, v),
		"s zero":                with(r, zero, v),
		"r the order":           with(n, s, v),
		"r above the order":     with(most, s, v),
		"s the order":           with(r, n, v),
		"s all ones":            with(r, most, v),
		"r no x of a point":     with(big.NewInt(5), s, 0),
		"r no x of a point (1)": with(big.NewInt(5), s, 1),
	} {
		if a, err := chain.Recover(digest, sig); err != chain.ErrSignature || !a.IsZero() {
			t.Errorf("%s: %v, %v", name, a, err)
		}
	}
	// The largest canonical s is accepted: it recovers some key.
	if _, err := chain.Recover(digest, with(r, half, v)); err != nil {
		t.Errorf("s of half the order: %v", err)
	}
}
