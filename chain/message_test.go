package chain_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/internal/testenv"
)

func TestMessageRoundTrip(t *testing.T) {
	s := everyType.Schema()
	testenv.Check(t, func(t *rapid.T) {
		v := drawEvery(t)
		payload := everyType.Encode(v)
		got, err := everyType.Decode(payload)
		if len(v.Data) == 0 {
			got.Data, v.Data = nil, nil
		}
		if err != nil || !reflect.DeepEqual(got, v) {
			t.Fatalf("decoded %+v %v, want %+v", got, err, v)
		}
		msg, err := s.MarshalMessage(payload)
		if err != nil || !json.Valid(msg) {
			t.Fatalf("message %s: %v", msg, err)
		}
		back, err := s.UnmarshalMessage(msg)
		if err != nil || !bytes.Equal(back, payload) {
			t.Fatalf("message %s reads as %x %v, want %x", msg, back, err, payload)
		}
	})
}

func TestMessageStrictness(t *testing.T) {
	const good = `{"nonce":"1","fee":2,"validUntil":3,"small":4,"big":"5","to":"0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045",` +
		`"node":"0x0101010101010101010101010101010101010101010101010101010101010101","text":"t","data":"0x00ff"}`
	s := everyType.Schema()
	if _, err := s.UnmarshalMessage([]byte(" " + strings.ReplaceAll(good, ":", " : ") + "\n")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new string }{
		{"field missing", `"text":"t",`, ``},
		{"field unknown", `{"nonce"`, `{"more":1,"nonce"`},
		{"field of other case", `"nonce"`, `"Nonce"`},
		{"field twice", `{"nonce":"1"`, `{"nonce":"1","nonce":"1"`},
		{"field twice, once escaped", `{"nonce":"1"`, `{"nonce":"1","\u006eonce":"2"`},
		{"trailing brace", `"0x00ff"}`, `"0x00ff"}}`},
		{"trailing value", `"0x00ff"}`, `"0x00ff"}{}`},
		{"cut", `"0x00ff"}`, `"0x00ff"`},
		{"not an object", good, `[]`},
		{"null", good, `null`},
		{"nothing", good, ``},
		{"not UTF-8", `"t"`, "\"\xff\""},
		{"integer over 16 bits", `"small":4`, `"small":65536`},
		{"integer over 64 bits", `"5"`, `"18446744073709551616"`},
		{"negative", `"5"`, `"-5"`},
		{"plus", `"5"`, `"+5"`},
		{"fraction", `:3`, `:3.0`},
		{"exponent", `:3`, `:3e0`},
		{"hex", `"5"`, `"0x5"`},
		{"leading zero", `"5"`, `"05"`},
		{"space", `"5"`, `" 5"`},
		{"empty integer", `"5"`, `""`},
		{"null integer", `"5"`, `null`},
		{"integer an object", `"5"`, `{}`},
		{"address too short", `0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045`, `0xd8dA6BF26964aF9D7eEd9e03E53415D37aA960`},
		{"address with a wrong checksum", `0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045`, `0xD8dA6BF26964aF9D7eEd9e03E53415D37aA96045`},
		{"address without 0x", `0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045`, `d8dA6BF26964aF9D7eEd9e03E53415D37aA96045`},
		{"31 bytes", `0x0101`, `0x01`},
		{"33 bytes", `0x0101`, `0x010101`},
		{"bytes32 a number", `"0x0101010101010101010101010101010101010101010101010101010101010101"`, `1010101010101010101010101010101010101010101010101010101010101010`},
		{"text a number", `"t"`, `1`},
		{"text null", `"t"`, `null`},
		{"data a number", `"0x00ff"`, `1122`},
		{"data of half a byte", `0x00ff`, `0x00f`},
		{"data not hex", `0x00ff`, `0x00fg`},
		{"data too long", `0x00ff`, `0x` + strings.Repeat("00", chain.MaxFieldBytes+1)},
		{"text too long", `"t"`, `"` + strings.Repeat("t", chain.MaxFieldBytes+1) + `"`},
	} {
		msg := strings.Replace(good, c.old, c.new, 1)
		if msg == good {
			t.Fatalf("%s: nothing replaced", c.name)
		}
		if b, err := s.UnmarshalMessage([]byte(msg)); !errors.Is(err, chain.ErrMessage) || b != nil {
			t.Errorf("%s: %x, %v", c.name, b, err)
		}
	}
}

// A field's own bound holds when a payload is decoded.
func TestFieldBounds(t *testing.T) {
	for _, v := range []every{{Text: strings.Repeat("t", everyLimit+1)}, {Data: make([]byte, everyLimit+1)}} {
		if _, err := everyType.Decode(everyType.Encode(v)); err == nil {
			t.Error("a field over its bound decodes")
		}
	}
	if _, err := everyType.Decode(everyType.Encode(every{Text: strings.Repeat("t", everyLimit), Data: make([]byte, everyLimit)})); err != nil {
		t.Errorf("fields at their bounds: %v", err)
	}
}

func FuzzUnmarshalMessage(f *testing.F) {
	s := everyType.Schema()
	good, _ := s.MarshalMessage(everyType.Encode(every{Text: "<é>", Data: []byte{1}}))
	f.Add([]byte(good))
	f.Fuzz(func(t *testing.T, msg []byte) {
		payload, err := s.UnmarshalMessage(msg)
		if err != nil {
			return
		}
		out, err := s.MarshalMessage(payload)
		if err != nil {
			t.Fatalf("%s is read and not written: %v", msg, err)
		}
		if again, err := s.UnmarshalMessage(out); err != nil || !bytes.Equal(again, payload) {
			t.Fatalf("%s and %s differ: %v", msg, out, err)
		}
	})
}

func FuzzDecodePayload(f *testing.F) {
	f.Add(everyType.Encode(every{Text: "é", Data: []byte{1}}))
	d := chain.NewDomain(1, chain.Hash{})
	f.Fuzz(func(t *testing.T, payload []byte) {
		v, err := everyType.Decode(payload)
		if err != nil {
			return
		}
		if !bytes.Equal(everyType.Encode(v), payload) {
			t.Fatalf("%x has a second encoding", payload)
		}
		if _, err := d.Digest(everyType.Schema(), payload); err != nil {
			t.Fatalf("%x decodes and has no digest: %v", payload, err)
		}
	})
}
