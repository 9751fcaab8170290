package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"tunic/client"
)

// screen is what a chat shows on a terminal, and the text that is being written.
// It knows no terminal: view says what stands in each row.
type screen struct {
	width, height int
	head          string // of the whole: who, and what is known
	online        bool   // we are; of the contact that is not known
	entries       []client.Entry
	name          string // of the contact
	fresh         client.MessageID
	notes         []note
	text          string // being written
	at            int    // where in it, a byte between two characters
	back          int    // rows that the conversation is scrolled back
	colour        bool
}

// note is what the program says, behind the text that was the last one then.
type note struct {
	after client.MessageID
	text  string
}

const (
	// maxInput is the most rows of the text being written that are shown.
	maxInput = 6
	// narrow is the width below which a row has no room for more than text.
	narrow = 20
)

// wrap cuts a clean text into rows of at most so many columns: between words where
// it can.
func wrap(text string, columns int) (rows []string) {
	columns = max(columns, 4) // what the widest character takes
	for _, line := range strings.Split(text, "\n") {
		var row, word strings.Builder
		rw, ww := 0, 0
		flush := func() { // the word to the row
			row.WriteString(word.String())
			rw, ww = rw+ww, 0
			word.Reset()
		}
		for line != "" {
			var c string
			var w int
			c, line, w = firstFitting(line, columns)
			for rw+ww+w > columns { // twice, if the word alone fills its new row
				if rw == 0 || c == " " {
					flush()
				}
				rows = append(rows, strings.TrimRight(row.String(), " "))
				row.Reset()
				rw = 0
				if c == " " {
					c, w = "", 0 // the end of the row stands for it
				}
			}
			word.WriteString(c)
			ww += w
			if c == " " {
				flush()
			}
		}
		flush()
		rows = append(rows, row.String())
	}
	return rows
}

// firstFitting is the first cluster of a text and its width. One that is wider than
// the columns (a letter may carry any number of spacing marks) is cut between runes.
func firstFitting(text string, columns int) (cluster, rest string, width int) {
	cluster, rest, width, _ = uniseg.FirstGraphemeClusterInString(text, -1)
	if width <= columns {
		return cluster, rest, width
	}
	end := 0
	for end < len(cluster) {
		_, size := utf8.DecodeRuneInString(cluster[end:])
		w := uniseg.StringWidth(cluster[:end+size])
		if end > 0 && w > columns {
			break
		}
		end, width = end+size, w
	}
	return text[:end], text[end:], width
}

// invisible joins or parts characters; terminals disagree on what it does to their
// width.
var invisible = strings.NewReplacer("\u200b", "", "\u200c", "", "\u200d", "", "\u2060", "", "\ufeff", "", "\u00ad", "")

// clean is a text of whoever, lines kept, that cannot command a terminal.
func clean(s string) string { return quote(invisible.Replace(s), "") }

// cut is a row of at most so many columns.
func cut(s string, columns int) string {
	if uniseg.StringWidth(s) <= columns {
		return s
	}
	if s = wrapHard(s, columns)[0]; uniseg.StringWidth(s) > columns {
		return "" // its first character is wider
	}
	return s
}

func (s *screen) style(code, text string) string {
	if !s.colour || text == "" || s.width < narrow {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// conversation is its rows, from the newest back, as many as are asked for.
func (s *screen) conversation(most int) (rows []string) {
	add := func(l []string) {
		for i := len(l) - 1; i >= 0; i-- {
			rows = append(rows, l[i])
		}
	}
	notes := map[client.MessageID][]string{}
	known := map[client.MessageID]bool{{}: true}
	for _, e := range s.entries {
		known[e.ID] = true
	}
	var last client.MessageID
	if n := len(s.entries); n > 0 {
		last = s.entries[n-1].ID
	}
	for _, n := range s.notes {
		at := n.after
		if !known[at] {
			at = last // the text has disappeared
		}
		for _, r := range wrap(clean(n.text), s.width-2) {
			notes[at] = append(notes[at], s.style("33", "* "+r))
		}
	}
	for i := len(s.entries) - 1; i >= 0 && len(rows) < most; i-- {
		e := s.entries[i]
		add(notes[e.ID])
		add(s.entry(e))
		if e.ID == s.fresh {
			add([]string{s.style("31", "── new ──")})
		}
		if i == 0 || day(s.entries[i-1].Sent) != day(e.Sent) {
			add([]string{s.style("2", cut("── "+day(e.Sent)+" ──", s.width))})
		}
	}
	if len(rows) < most {
		add(notes[client.MessageID{}])
	}
	return rows
}

func day[T ~int64 | ~uint64](ms T) string {
	return time.UnixMilli(int64(ms)).Local().Format("Mon 2 Jan 2006")
}

// entry is one text: its time, who wrote it, and how far one's own came.
func (s *screen) entry(e client.Entry) []string {
	from, style := s.name, "1;36"
	if e.Mine {
		from, style = "you", "1;32"
	}
	from = cut(from, max(4, s.width/4))
	if s.width < narrow {
		return wrap(from+": "+clean(e.Text), s.width)
	}
	head := time.UnixMilli(int64(e.Sent)).Local().Format("15:04") + " " + from + "  "
	indent := uniseg.StringWidth(head)
	rows := wrap(clean(e.Text), s.width-indent)
	for i := range rows {
		if i > 0 {
			rows[i] = strings.Repeat(" ", indent) + rows[i]
		}
	}
	if state := stateOf(e); state != "" {
		last := len(rows) - 1
		w := uniseg.StringWidth(rows[last]) + len(state) + 2
		if last == 0 {
			w += indent
		}
		if w <= s.width {
			rows[last] += "  " + s.style("2", state)
		} else {
			rows = append(rows, strings.Repeat(" ", min(indent, s.width-len(state)))+s.style("2", state))
		}
	}
	rows[0] = s.style("2", head[:5]) + " " + s.style(style, from) + "  " + rows[0]
	return rows
}

func stateOf(e client.Entry) string {
	switch {
	case !e.Mine:
		return ""
	case e.Read != 0:
		return "[read]"
	}
	return "[" + e.State.String() + "]"
}

// view is the whole screen, a row each, and where the cursor stands. What there is
// no room for is left out: the line at the foot first, then that at the top, and
// last the conversation.
func (s *screen) view() (rows []string, row, column int) {
	const withFoot, withTop = 6, 4 // rows
	body := s.height
	if s.height >= withTop {
		body--
		status := map[bool]string{true: "you are online", false: "connecting, texts wait"}[s.online]
		top := cut(" "+s.name+" · "+status+s.head, s.width)
		rows = append(rows, s.style("7", top+strings.Repeat(" ", max(0, s.width-uniseg.StringWidth(top)))))
	}
	if s.height >= withFoot {
		body--
	}
	input, row, column := s.input(max(1, min(maxInput, body/2)))
	body -= len(input)
	back := s.conversation(s.back + body + 1)
	s.back = max(0, min(s.back, len(back)-body))
	back = back[min(s.back, len(back)):]
	for i := body - 1; i >= 0; i-- {
		if i < len(back) {
			rows = append(rows, back[i])
		} else {
			rows = append(rows, "")
		}
	}
	if s.height >= withFoot {
		foot := "Enter sends · Alt-Enter new line · PgUp older · /help"
		if s.back > 0 {
			foot = "PgDn newer · End newest"
		}
		rows = append(rows, s.style("2", cut("── "+foot, s.width)))
	}
	row += len(rows)
	rows = append(rows, input...)
	if s.width < narrow {
		for i := range rows {
			rows[i] = cut(rows[i], s.width)
		}
	}
	return rows, row, min(column, s.width-1)
}

// input is the text being written, in at most so many rows, and where in it the
// cursor stands.
func (s *screen) input(most int) (rows []string, row, column int) {
	first, more := "> ", "  "
	if s.width < narrow/2 {
		first, more = "", ""
	}
	columns := max(1, s.width-len(first)-1) // the cursor has a place behind the last
	front := wrapHard(s.text[:s.at], columns)
	row, column = len(front)-1, uniseg.StringWidth(front[len(front)-1])
	rows = wrapHard(s.text, columns)
	for len(rows) <= row {
		rows = append(rows, "")
	}
	from := max(0, row-most+1)
	rows = rows[from:min(len(rows), from+most)]
	for i := range rows {
		rows[i] = map[bool]string{true: first, false: more}[i+from == 0] + rows[i]
	}
	return rows, row - from, column + len(first)
}

// wrapHard cuts at the column, wherever that is, so that what stands in front of
// the cursor does not move with what stands behind it.
func wrapHard(text string, columns int) (rows []string) {
	for _, line := range strings.Split(text, "\n") {
		row, width := "", 0
		for line != "" {
			var c string
			var w int
			c, line, w = firstFitting(line, columns)
			if width > 0 && width+w > columns {
				rows = append(rows, row)
				row, width = "", 0
			}
			row += c
			width += w
		}
		rows = append(rows, row)
	}
	return rows
}

// tooLong says why something was not taken.
var tooLong = fmt.Sprintf("not taken: a text has at most %d bytes", client.MaxText)

// press takes a key of the text being written. sent is a text that was ended;
// refused says why the key changed nothing.
func (s *screen) press(k key) (sent, refused string) {
	front, tail := s.text[:s.at], s.text[s.at:]
	set := func(f, t string) { s.text, s.at = f+t, len(f) }
	switch k.code {
	case keyText:
		add := clean(strings.ReplaceAll(strings.ReplaceAll(k.text, "\r\n", "\n"), "\r", "\n"))
		if len(s.text)+len(add) > client.MaxText {
			return "", tooLong
		}
		set(front+add, tail)
	case keyNewline:
		if len(s.text) == client.MaxText {
			return "", tooLong
		}
		set(front+"\n", tail)
	case keyEnter:
		sent = s.text
		set("", "")
		s.back = 0
	case keyBackspace:
		set(front[:len(front)-len(lastCluster(front))], tail)
	case keyDelete:
		set(front, tail[len(firstCluster(tail)):])
	case keyWord:
		f := strings.TrimRight(front, " \n")
		set(f[:strings.LastIndexAny(f, " \n")+1], tail)
	case keyLine:
		set("", tail)
	case keyTail:
		set(front, "")
	case keyLeft:
		s.at -= len(lastCluster(front))
	case keyRight:
		s.at += len(firstCluster(tail))
	case keyHome:
		s.at = 0
	case keyEnd:
		s.at, s.back = len(s.text), 0
	case keyUp:
		s.back++
	case keyDown:
		s.back = max(0, s.back-1)
	case keyPageUp:
		s.back += max(1, s.height/2)
	case keyPageDown:
		s.back = max(0, s.back-max(1, s.height/2))
	}
	return sent, ""
}

func firstCluster(s string) string {
	c, _, _, _ := uniseg.FirstGraphemeClusterInString(s, -1)
	return c
}

// lastCluster is the last character; it is sought in the last line's end alone.
func lastCluster(s string) (last string) {
	from := max(0, len(s)-256)
	for from > 0 && !utf8.RuneStart(s[from]) {
		from--
	}
	for s, state := s[from:], -1; s != ""; {
		last, s, _, state = uniseg.FirstGraphemeClusterInString(s, state)
	}
	return last
}
