package main

import (
	"strings"
	"testing"

	"rsc.io/qr"
)

// What is drawn is the code, module by module, with its border; an id in upper
// case makes a smaller one.
func TestQR(t *testing.T) {
	const id = "TUNIC10HK9G69EA3DMP2LSCWNEWXUWQH0PWA3FWH5HQN0MNLMTLQVVYQXS96R0JP"
	code, err := qr.Encode(id, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	if lower, err := qr.Encode(strings.ToLower(id), qr.M); err != nil || lower.Size <= code.Size {
		t.Errorf("upper case has %d modules, lower case %d (%v)", code.Size, lower.Size, err)
	}
	for _, invert := range []bool{false, true} {
		var b strings.Builder
		if err := printQR(&b, id, false, invert); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if want := (code.Size + 2*qrQuiet + 1) / 2; len(lines) != want {
			t.Fatalf("%d lines, want %d", len(lines), want)
		}
		for y := -qrQuiet; y < code.Size+qrQuiet; y++ {
			row := []rune(lines[(y+qrQuiet)/2])
			for x := -qrQuiet; x < code.Size+qrQuiet; x++ {
				half := "█▀"
				if (y+qrQuiet)%2 == 1 {
					half = "█▄"
				}
				drawn := strings.ContainsRune(half, row[x+qrQuiet])
				in := x >= 0 && y >= 0 && x < code.Size && y < code.Size
				if dark := in && code.Black(x, y); drawn != (dark == invert) {
					t.Fatalf("module %d,%d: drawn %v, dark %v, invert %v", x, y, drawn, dark, invert)
				}
			}
		}
	}
	var b strings.Builder
	if err := printQR(&b, id, true, false); err != nil || !strings.HasPrefix(b.String(), "\x1b[97;40m█") || !strings.HasSuffix(b.String(), "█\x1b[0m\n") {
		t.Errorf("in colour: %q, %v", b.String(), err)
	}
}
