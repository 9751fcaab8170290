package main

import (
	"fmt"
	"io"
	"strings"

	"rsc.io/qr"
)

// qrQuiet is the light border that a reader needs, in modules (ISO/IEC 18004
// asks for 4).
const qrQuiet = 4

// printQR draws text as a QR code, two rows of modules a line. With colour it is
// black on white whatever the terminal's colours are; without, light modules take
// the colour of text, as is right on a dark terminal, or with invert dark ones.
func printQR(w io.Writer, text string, colour, invert bool) error {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return fmt.Errorf("make QR code: %w", err)
	}
	light := func(x, y int) bool {
		in := x >= 0 && y >= 0 && x < code.Size && y < code.Size
		return (!in || !code.Black(x, y)) != invert
	}
	for y := -qrQuiet; y < code.Size+qrQuiet; y += 2 {
		var b strings.Builder
		for x := -qrQuiet; x < code.Size+qrQuiet; x++ {
			up, down := light(x, y), light(x, y+1)
			switch {
			case up && down:
				b.WriteRune('█')
			case up:
				b.WriteRune('▀')
			case down:
				b.WriteRune('▄')
			default:
				b.WriteByte(' ')
			}
		}
		line := b.String()
		if colour {
			line = "\x1b[97;40m" + line + "\x1b[0m"
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}
