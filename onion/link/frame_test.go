package link_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tunic/internal/testenv"
	"tunic/onion/link"
)

// vectors are for a body of 64 bytes.
func vectors() []link.Frame {
	full := bytes.Repeat([]byte{0xa5}, 64)
	return []link.Frame{
		{Type: link.Packet, Data: full},
		{Type: link.Hello, Data: []byte("hello")},
		{Type: link.Hello, Data: nil},
		{Type: link.Control, Data: full[:60]},
	}
}

func TestVectors(t *testing.T) {
	var out strings.Builder
	out.WriteString("# frames of body size 64: type, data, wire form\n# go test ./onion/link -run TestVectors -rewrite\n")
	for _, f := range vectors() {
		b, err := link.AppendFrame(nil, f, 64)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%d %x. %x\n", f.Type, f.Data, b)
		got, err := link.ParseFrame(b)
		if err != nil || got.Type != f.Type || !bytes.Equal(got.Data, f.Data) {
			t.Errorf("parse %v: %v %v", f, got, err)
		}
	}
	testenv.Golden(t, "testdata/frames.txt", []byte(out.String()))
}

func TestParseRefusals(t *testing.T) {
	pad := func(s string) string { return s + strings.Repeat("00", 66-len(s)/2) }
	for name, in := range map[string]string{
		"empty":              "",
		"one byte":           "01",
		"type 0":             pad("00"),
		"unknown type":       pad("07"),
		"second byte":        pad("0101"),
		"length over bound":  pad("02000000003d"),
		"length far over":    pad("0200ffffffff"),
		"padding not zero":   "0200000000" + "01aa" + strings.Repeat("00", 58) + "01",
		"padding after zero": "020000000000" + "01" + strings.Repeat("00", 59),
	} {
		b, err := hex.DecodeString(in)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := link.ParseFrame(b); !errors.Is(err, link.ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseFrame(f *testing.F) {
	for _, v := range vectors() {
		b, _ := link.AppendFrame(nil, v, 64)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := link.ParseFrame(b)
		if err != nil {
			if !errors.Is(err, link.ErrFrame) {
				t.Fatal(err)
			}
			return
		}
		again, err := link.AppendFrame(nil, fr, len(b)-2)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("not canonical: %x -> %x, %v", b, again, err)
		}
	})
}
