package chain_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"tunic/chain"
)

// The addresses of EIP-55's own test cases.
func TestEIP55(t *testing.T) {
	for _, s := range []string{
		"0x52908400098527886E0F7030069857D2E4169EE7", "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
		"0xde709f2102306220921060314715629080e2fb77", "0x27b1fdb04752bbc536007a920d24acb045561c26",
		"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
		"0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB", "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
	} {
		a, err := chain.ParseAddress(s)
		if err != nil || a.String() != s {
			t.Errorf("%s reads as %s, %v", s, a, err)
			continue
		}
		for _, other := range []string{"0x" + strings.ToLower(s[2:]), "0x" + strings.ToUpper(s[2:])} {
			if b, err := chain.ParseAddress(other); err != nil || b != a {
				t.Errorf("%s reads as %s, %v", other, b, err)
			}
		}
		// A letter of the wrong case is a typing error, unless all are of one case then.
		for i := 2; i < len(s); i++ {
			c := []byte(s)
			c[i] ^= 0x20
			digits := string(c[2:])
			if s[i] < 'A' || digits == strings.ToLower(digits) || digits == strings.ToUpper(digits) {
				continue
			}
			if _, err := chain.ParseAddress(string(c)); !errors.Is(err, chain.ErrID) {
				t.Errorf("%s is accepted: %v", c, err)
			}
		}
	}
}

func TestIdentifiers(t *testing.T) {
	hex32 := strings.Repeat("0aBc", 16)
	for _, s := range []string{hex32, "0x" + hex32} {
		h, err := chain.ParseHash(s)
		if n, err2 := chain.ParseNodeID(s); err != nil || err2 != nil || h.String() != strings.ToLower(hex32) || n.String() != h.String() || n.Short() != "0abc0abc" {
			t.Errorf("%s reads as %s and %s: %v, %v", s, h, n, err, err2)
		}
	}
	for _, s := range []string{"", "0x", hex32[:63], hex32[:62], hex32 + "00", "0X" + hex32, "0x0x" + hex32[4:], hex32[:63] + "g", strings.Repeat("x", 5000)} {
		h := chain.Hash{9}
		if err := h.UnmarshalText([]byte(s)); !errors.Is(err, chain.ErrID) || h != (chain.Hash{9}) || len(err.Error()) > 200 {
			t.Errorf("hash %q: %v", s, err)
		}
		n := chain.NodeID{9}
		if err := n.UnmarshalText([]byte(s)); !errors.Is(err, chain.ErrID) || n != (chain.NodeID{9}) {
			t.Errorf("node id %q: %v", s, err)
		}
	}
	for _, s := range []string{"", "0x", strings.Repeat("0", 40), "0X" + strings.Repeat("0", 40), "0x" + strings.Repeat("0", 39), "0x" + strings.Repeat("0", 41), "0x" + strings.Repeat("z", 40)} {
		a := chain.Address{9}
		if err := a.UnmarshalText([]byte(s)); !errors.Is(err, chain.ErrID) || a != (chain.Address{9}) {
			t.Errorf("address %q: %v", s, err)
		}
	}
	type all struct {
		H chain.Hash
		N chain.NodeID
		A chain.Address
	}
	in := all{chain.Hash{1}, chain.NodeID{2}, chain.Address{3}}
	b, err := json.Marshal(in)
	var out all
	if err != nil || json.Unmarshal(b, &out) != nil || out != in {
		t.Errorf("%s reads as %v", b, out)
	}
	if !(chain.Hash{}).IsZero() || in.H.IsZero() || !(chain.Address{}).IsZero() || in.A.IsZero() {
		t.Error("IsZero is wrong")
	}
}

func TestRefusal(t *testing.T) {
	err := error(chain.Refuse("too_soon", "wait %d ms", 5))
	if err.Error() != "too_soon: wait 5 ms" || (&chain.Refusal{Code: "x"}).Error() != "x" {
		t.Errorf("%v", err)
	}
	if !errors.Is(err, &chain.Refusal{Code: "too_soon"}) || errors.Is(err, &chain.Refusal{Code: "too_late"}) || errors.Is(err, errors.New("too_soon")) {
		t.Error("refusals are not told apart by their code")
	}
}
