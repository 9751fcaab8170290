package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rivo/uniseg"
	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/client"
	"tunic/internal/testenv"
)

// TestWrap: rows are no wider than asked, and nothing but spaces is lost.
func TestWrap(t *testing.T) {
	for _, x := range []struct {
		text    string
		columns int
		want    []string
	}{
		{"", 5, []string{""}},
		{"one two three", 8, []string{"one two", "three"}},
		{"one\n\ntwo", 8, []string{"one", "", "two"}},
		{"abcdefghij", 4, []string{"abcd", "efgh", "ij"}},
		{"你好你好", 5, []string{"你好", "你好"}},
		{"ab cdefghij", 4, []string{"ab", "cdef", "ghij"}},
		{"⸻ः", 1, []string{"⸻", "ः"}}, // one cluster, five columns
		{" 你A你ः", 4, []string{"", "你A", "你ः"}},
		{"aःःःःःb", 4, []string{"aःःः", "ःःb"}},
	} {
		if got := wrap(x.text, x.columns); !slices.Equal(got, x.want) {
			t.Errorf("wrap(%q, %d) = %q, want %q", x.text, x.columns, got, x.want)
		}
	}
	testenv.Check(t, func(t *rapid.T) {
		text := clean(rapid.String().Draw(t, "text"))
		columns := rapid.IntRange(4, 30).Draw(t, "columns")
		for _, rows := range [][]string{wrap(text, columns), wrapHard(text, columns)} {
			for _, r := range rows {
				if uniseg.StringWidth(r) > columns {
					t.Fatalf("%q is wider than %d", r, columns)
				}
			}
			bare := func(s string) string { return strings.NewReplacer(" ", "", "\n", "").Replace(s) }
			if got := bare(strings.Join(rows, "")); got != bare(text) {
				t.Fatalf("%q became %q", text, got)
			}
		}
	})
}

// TestKeys: whatever comes in whichever pieces, the same keys are understood.
func TestKeys(t *testing.T) {
	const in = "aß\x1b[A\x1b[5~\x1b[200~two\nlines\x1b[A\x1b[201~\x1b\r\r\x7f\x1b[99;5~\x1bOF\x1b\x1b\x1a\x1b\x03"
	want := []key{{keyText, "a"}, {keyText, "ß"}, {code: keyUp}, {code: keyPageUp}, {keyText, "two\nlines\x1b[A"}, {code: keyNewline},
		{code: keyEnter}, {code: keyBackspace}, {code: keyEnd}, {code: keySuspend}, {code: keyInterrupt}}
	for size := 1; size <= len(in); size++ {
		var got []key
		var k keyboard
		for piece := range slices.Chunk([]byte(in), size) {
			got = append(got, k.press(slices.Clone(piece))...)
		}
		if !slices.Equal(got, want) || len(k.rest) > 0 {
			t.Fatalf("in pieces of %d: %v, %q left", size, got, k.rest)
		}
	}
	testenv.Check(t, func(t *rapid.T) {
		b := rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
		if _, rest := keys(b); len(rest) > len(b) {
			t.Fatal("more is left than there was")
		}
	})
}

func typed(s *screen, in string) (sent []string) {
	k, _ := keys([]byte(in))
	for _, x := range k {
		if text, _ := s.press(x); text != "" {
			sent = append(sent, text)
		}
	}
	return sent
}

// TestEditor: a text is written, changed in the middle, and sent.
func TestEditor(t *testing.T) {
	s := &screen{width: 40, height: 10}
	got := typed(s, "hello wrld\x1b[D\x1b[D\x1b[Do\x05!\r"+ // a letter in the middle
		"one two\x17three\r"+ // the last word again
		"e\u0301x\x7f\x7f\x7fy\r"+ // a letter of two code points goes at once
		"\x1b[200~a\r\nb\x1b[31m\x1b[201~\r"+ // pasted: no key, no command
		"\x1b\rz\x01\x1b[3~\r")
	want := []string{"hello world!", "one three", "y", "a\nb\uFFFD[31m", "z"}
	if !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
	testenv.Check(t, func(t *rapid.T) {
		s := &screen{width: rapid.IntRange(1, 60).Draw(t, "width"), height: rapid.IntRange(1, 20).Draw(t, "height")}
		s.entries = conversation(rapid.IntRange(0, 20).Draw(t, "texts"))
		s.name = rapid.SampledFrom([]string{"bob", "a name that is 你好 long"}).Draw(t, "name")
		s.say("a note\nof two lines")
		typed(s, rapid.StringOf(rapid.SampledFrom([]rune("ab \x1b[]OABCDHF~356\r\n\x7f\x17\x01\x05你\u0301"))).Draw(t, "keys"))
		rows, row, column := s.view()
		if len(rows) != s.height || row < 0 || row >= s.height || column < 0 || column >= s.width {
			t.Fatalf("%d rows of %d, cursor %d,%d", len(rows), s.height, row, column)
		}
		for _, r := range rows {
			if uniseg.StringWidth(r) > s.width {
				t.Fatalf("%q is wider than %d", r, s.width)
			}
		}
		if s.at < 0 || s.at > len(s.text) {
			t.Fatalf("cursor at %d of %q", s.at, s.text)
		}
	})
}

func conversation(n int) (out []client.Entry) {
	at := time.Date(2026, 11, 26, 9, 0, 0, 0, time.Local)
	for i := range n {
		e := client.Entry{ID: client.MessageID{byte(i + 1)}, Text: "text " + strings.Repeat("x ", i) + "\x1b[2J", Sent: chain.Time(at.Add(time.Duration(i) * time.Minute).UnixMilli())}
		if i%2 == 1 {
			e.Mine, e.State = true, client.Stored
		}
		out = append(out, e)
	}
	return out
}

// TestLongPaste: what is too long to be a text is not taken in pieces, as texts that
// nobody meant to send.
func TestLongPaste(t *testing.T) {
	in := []byte("a" + pasteBegin + strings.Repeat("a line\r", maxPaste/4) + pasteEnd + "b\r")
	for _, size := range []int{1000, 4096, len(in)} {
		var k keyboard
		var sent []string
		s := &screen{width: 40, height: 10}
		lost, refused := 0, 0
		for piece := range slices.Chunk(in, size) {
			for _, x := range k.press(slices.Clone(piece)) {
				text, why := s.press(x)
				if text != "" {
					sent = append(sent, text)
				}
				if why != "" {
					refused++
				}
			}
			if k.dropped() {
				lost++
			}
		}
		if !slices.Equal(sent, []string{"ab"}) || lost+refused != 1 {
			t.Errorf("in pieces of %d: sent %.40q, lost %d, refused %d", size, sent, lost, refused)
		}
	}
}

// TestTiny: in a terminal that has no room, what is written is seen first, and then
// the newest texts.
func TestTiny(t *testing.T) {
	for _, x := range []struct {
		width, height int
		want          []string
		row, column   int
	}{
		{1, 1, []string{"i"}, 0, 0},
		{4, 1, []string{"hi"}, 0, 2},
		{4, 2, []string{"\uFFFD[2J", "hi"}, 1, 2},
		{12, 4, []string{" bob · you a", "you: text x", "x x \uFFFD[2J", "> hi"}, 3, 4},
	} {
		s := &screen{width: x.width, height: x.height, name: "bob", online: true, entries: conversation(4), colour: true}
		typed(s, "hi")
		rows, row, column := s.view()
		if !slices.Equal(rows, x.want) || row != x.row || column != x.column {
			t.Errorf("%dx%d: cursor %d,%d, %q", x.width, x.height, row, column, rows)
		}
	}
}

// TestView is a whole screen, and what is sent for it.
func TestView(t *testing.T) {
	s := &screen{width: 34, height: 12, name: "bob", online: true, entries: conversation(4)}
	s.fresh = s.entries[2].ID
	s.notes = []note{{s.entries[1].ID, "a \x1b[1mnote"}, {client.MessageID{99}, "of a text that is gone"}}
	want := []string{
		" bob · you are online" + strings.Repeat(" ", 13),
		"── Thu 26 Nov 2026 ──",
		"09:00 bob  text \uFFFD[2J",
		"09:01 you  text x \uFFFD[2J  [stored]",
		"* a \uFFFD[1mnote",
		"── new ──",
		"09:02 bob  text x x \uFFFD[2J",
		"09:03 you  text x x x \uFFFD[2J",
		"           [stored]",
		"* of a text that is gone",
		"── Enter sends · Alt-Enter new lin",
		"> ",
	}
	rows, row, column := s.view()
	if !slices.Equal(rows, want) || row != 11 || column != 2 {
		t.Errorf("cursor %d,%d\n%s\nwant\n%s", row, column, strings.Join(rows, "\n"), strings.Join(want, "\n"))
	}
	if got := paint(rows, rows, row, column); got != "\x1b[?25l\x1b[12;3H\x1b[?25h" {
		t.Errorf("what is shown already is painted again: %q", got)
	}
	s.height = 6
	if rows, _, _ = s.view(); rows[3] != want[9] {
		t.Errorf("the newest are not at the bottom: %q", rows)
	}
	s.press(key{code: keyPageUp})
	if rows, _, _ = s.view(); s.back != 3 || rows[3] != want[6] || !strings.Contains(rows[4], "PgDn newer") {
		t.Errorf("scrolled back by %d: %q", s.back, rows)
	}
	for range 9 {
		s.press(key{code: keyPageUp})
	}
	if rows, _, _ = s.view(); rows[1] != want[1] {
		t.Errorf("the oldest are not reached: %q", rows)
	}
}
