package main

import (
	"bytes"
	"unicode/utf8"

	"tunic/client"
)

// key is what was pressed on a terminal: a character, or one of those below.
type key struct {
	code keyCode
	text string // of keyText: characters, or what was pasted
}

type keyCode int

const (
	keyText keyCode = iota
	keyEnter
	keyNewline // Alt-Enter, Ctrl-J
	keyBackspace
	keyDelete
	keyWord // delete the word in front
	keyLine // delete all in front
	keyTail // delete all behind
	keyLeft
	keyRight
	keyUp
	keyDown
	keyHome
	keyEnd
	keyPageUp
	keyPageDown
	keyRedraw
	keySuspend
	keyInterrupt
	keyEOF
)

var controls = map[byte]keyCode{
	'\r': keyEnter, '\n': keyNewline, 0x7f: keyBackspace, 0x08: keyBackspace, 0x17: keyWord, 0x15: keyLine, 0x0b: keyTail,
	0x02: keyLeft, 0x06: keyRight, 0x10: keyUp, 0x0e: keyDown, 0x01: keyHome, 0x05: keyEnd, 0x0c: keyRedraw, 0x1a: keySuspend, 0x03: keyInterrupt, 0x04: keyEOF,
}

// sequences of xterm and those that follow it, behind ESC.
var sequences = map[string]keyCode{
	"[A": keyUp, "[B": keyDown, "[C": keyRight, "[D": keyLeft, "OA": keyUp, "OB": keyDown, "OC": keyRight, "OD": keyLeft,
	"[H": keyHome, "[F": keyEnd, "OH": keyHome, "OF": keyEnd, "[1~": keyHome, "[4~": keyEnd, "[7~": keyHome, "[8~": keyEnd,
	"[3~": keyDelete, "[5~": keyPageUp, "[6~": keyPageDown, "\r": keyNewline, "\n": keyNewline, "\x7f": keyWord,
}

const (
	pasteBegin = "\x1b[200~"
	pasteEnd   = "\x1b[201~"
)

// keyboard makes keys of what comes from a terminal, in whichever pieces.
type keyboard struct {
	rest   []byte // the beginning of a key
	inside bool   // of a paste that is too long to be taken
	lost   bool   // there was one
}

// maxPaste is the longest paste that is taken: what may become shorter.
const maxPaste = 2 * client.MaxText

// press are the keys that b completes.
func (k *keyboard) press(b []byte) (out []key) {
	b = append(k.rest, b...)
	if k.inside {
		_, after, ended := bytes.Cut(b, []byte(pasteEnd))
		if !ended {
			k.rest = bytes.Clone(b[max(0, len(b)-len(pasteEnd)+1):])
			return nil
		}
		b, k.inside = after, false
	}
	if out, k.rest = keys(b); len(k.rest) > maxPaste {
		k.inside, k.lost = true, true
		k.rest = bytes.Clone(k.rest[len(k.rest)-len(pasteEnd)+1:])
	}
	return out
}

// dropped reports, once, that a paste was too long.
func (k *keyboard) dropped() bool {
	lost := k.lost
	k.lost = false
	return lost
}

// keys cuts input into keys and returns what is not complete yet. What is no key
// that is known is dropped.
func keys(b []byte) (out []key, rest []byte) {
	for len(b) > 0 {
		switch {
		case bytes.HasPrefix(b, []byte(pasteBegin)):
			text, after, whole := bytes.Cut(b[len(pasteBegin):], []byte(pasteEnd))
			if !whole {
				return out, b
			}
			out, b = append(out, key{keyText, string(text)}), after
		case b[0] == 0x1b:
			n := sequence(b)
			if n == 0 {
				return out, b
			}
			if code, ok := sequences[string(b[1:n])]; ok {
				out = append(out, key{code: code})
			}
			b = b[n:]
		case b[0] < 0x20 || b[0] == 0x7f:
			if code, ok := controls[b[0]]; ok {
				out = append(out, key{code: code})
			}
			b = b[1:]
		default:
			if !utf8.FullRune(b) {
				return out, b
			}
			r, n := utf8.DecodeRune(b)
			if r != utf8.RuneError {
				out = append(out, key{keyText, string(b[:n])})
			}
			b = b[n:]
		}
	}
	return out, nil
}

// sequence is the length of an escape sequence, 0 where it is not complete.
func sequence(b []byte) int {
	switch {
	case len(b) < 2:
		return 0
	case b[1] == '[':
		for i := 2; i < len(b); i++ {
			if b[i] >= 0x40 && b[i] <= 0x7e {
				return i + 1
			}
		}
		if len(b) > 32 {
			return len(b) // none is so long
		}
		return 0
	case b[1] == 'O':
		if len(b) < 3 {
			return 0
		}
		return 3
	case b[1] < 0x20 && b[1] != '\r' && b[1] != '\n':
		return 1 // the key alone, and another one
	}
	return 2
}
