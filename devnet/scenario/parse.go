package scenario

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tunic/chain"
	"tunic/devnet"
)

// Bounds of a script.
const (
	maxScript = 1 << 20
	maxSteps  = 10_000
)

// word is one token with its column, counted from 1.
type word struct {
	text   string
	col    int
	quoted bool
}

// line is what a step's parser consumes.
type line struct {
	file  string // empty for a step alone
	no    int
	text  string
	words []word
	next  int
	pace  pace // of what durations say
}

func (l *line) errorAt(col int, format string, args ...any) error {
	if l.file == "" { // a step alone
		return fmt.Errorf("%w: column %d: %s", ErrScript, col, fmt.Sprintf(format, args...))
	}
	return fmt.Errorf("%w: %s:%d:%d: %s", ErrScript, l.file, l.no, col, fmt.Sprintf(format, args...))
}

// end is the column behind the last word.
func (l *line) end() int {
	if len(l.words) == 0 {
		return 1
	}
	last := l.words[len(l.words)-1]
	return last.col + utf8.RuneCountInString(last.text)
}

// take is the next word; what says what it should be.
func (l *line) take(what string) (word, error) {
	if l.next >= len(l.words) {
		return word{}, l.errorAt(l.end(), "%s is missing", what)
	}
	w := l.words[l.next]
	l.next++
	return w, nil
}

func (l *line) more() bool { return l.next < len(l.words) }

// done refuses words that nobody asked for.
func (l *line) done() error {
	if l.more() {
		w := l.words[l.next]
		return l.errorAt(w.col, "%q is one word too many", w.text)
	}
	return nil
}

// oneOf takes a word that must be one of these.
func (l *line) oneOf(what string, choices ...string) (string, error) {
	w, err := l.take(what)
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, strings.Join(choices, ", "))
	}
	for _, c := range choices {
		if w.text == c {
			return c, nil
		}
	}
	return "", l.errorAt(w.col, "%s %q is unknown%s", what, w.text, suggest(w.text, choices))
}

// option takes "key=value" where the next word begins with key.
func (l *line) option(key string) (value word, ok bool) {
	if !l.more() {
		return word{}, false
	}
	w := l.words[l.next]
	v, found := strings.CutPrefix(w.text, key+"=")
	if !found || w.quoted {
		return word{}, false
	}
	l.next++
	return word{text: v, col: w.col + len(key) + 1}, true
}

func (l *line) number(w word, low, high int) (int, error) {
	n, err := strconv.Atoi(w.text)
	if err != nil || n < low || n > high {
		return 0, l.errorAt(w.col, "%q is not a number from %d to %d", w.text, low, high)
	}
	return n, nil
}

// seed fits the numbers of JSON.
func (l *line) seed(w word) (uint64, error) {
	n, err := strconv.ParseUint(w.text, 10, 53)
	if err != nil || n == 0 {
		return 0, l.errorAt(w.col, "%q is not a seed: a number from 1 to 2^53-1", w.text)
	}
	return n, nil
}

// Duration reads Go's durations and days: 500ms, 90s, 2h30m, 30d.
func Duration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 36_500 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = fmt.Errorf("time: %q is negative", text)
	}
	return d, err
}

// duration is of the network's time, at the script's pace.
func (l *line) duration(w word) (time.Duration, error) {
	d, err := l.wallTime(w)
	return l.pace.of(d), err
}

// wallTime is of the machine's time, whatever the pace.
func (l *line) wallTime(w word) (time.Duration, error) {
	d, err := Duration(w.text)
	if err != nil {
		return 0, l.errorAt(w.col, "%q is not a duration such as 500ms, 90s, 2h or 30d", w.text)
	}
	return d, nil
}

func (l *line) amount(w word) (chain.Amount, error) {
	a, err := chain.ParseTUN(w.text)
	if err != nil {
		return 0, l.errorAt(w.col, "%q is not an amount of TUN such as 2000 or 0.5", w.text)
	}
	return a, nil
}

// Parse reads a script; name is for messages.
func Parse(name, text string) (*Script, error) { return parse(name, text, pace{}) }

func parse(name, text string, p pace) (*Script, error) {
	s := &Script{Name: name, text: text}
	if len(text) > maxScript {
		return nil, fmt.Errorf("%w: %s: over %d bytes", ErrScript, name, maxScript)
	}
	begun := false
	for i, raw := range strings.Split(text, "\n") {
		l := &line{file: name, no: i + 1, text: strings.TrimSpace(raw), pace: p}
		if err := l.split(raw); err != nil {
			return nil, err
		}
		if len(l.words) == 0 {
			continue
		}
		if !begun {
			if err := s.parseNetwork(l); err != nil {
				return nil, err
			}
			begun = true
			continue
		}
		if len(s.steps) == maxSteps {
			return nil, l.errorAt(1, "over %d steps", maxSteps)
		}
		run, err := parseStep(s, l)
		if err != nil {
			return nil, err
		}
		s.steps = append(s.steps, step{l.no, l.text, run})
	}
	if !begun {
		return nil, fmt.Errorf("%w: %s: empty; begin with `network relays=5 clients=2 seed=7`", ErrScript, name)
	}
	return s, nil
}

// split breaks a line into words; "#" begins a comment, quotes hold a text.
func (l *line) split(raw string) error {
	rs := []rune(strings.TrimSuffix(raw, "\r"))
	for i := 0; i < len(rs); {
		switch {
		case rs[i] == ' ' || rs[i] == '\t':
			i++
		case rs[i] == '#':
			l.text = strings.TrimSpace(string(rs[:i]))
			return nil
		case rs[i] == '"':
			end := i + 1
			for end < len(rs) && (rs[end] != '"' || rs[end-1] == '\\') {
				end++
			}
			if end == len(rs) {
				return l.errorAt(i+1, "the text has no closing quote")
			}
			text, err := strconv.Unquote(string(rs[i : end+1]))
			if err != nil {
				return l.errorAt(i+1, "the text is not well quoted")
			}
			l.words = append(l.words, word{text, i + 1, true})
			i = end + 1
		default:
			end := i
			for end < len(rs) && rs[end] != ' ' && rs[end] != '\t' && rs[end] != '#' {
				end++
			}
			l.words = append(l.words, word{string(rs[i:end]), i + 1, false})
			i = end
		}
	}
	return nil
}

// relay takes the name of a relay of the network: relay-1 and so on.
func (s *Script) relay(l *line) (int, error) {
	w, err := l.take("a relay, such as relay-1,")
	if err != nil {
		return 0, err
	}
	digits, ok := strings.CutPrefix(w.text, "relay-")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 1 || n > s.Spec.Relays {
		return 0, l.errorAt(w.col, "%q is no relay of this network: relay-1 to relay-%d", w.text, s.Spec.Relays)
	}
	return n - 1, nil
}

// client takes the name of a client of the network.
func (s *Script) client(l *line) (int, error) {
	w, err := l.take("a client, such as alice,")
	if err != nil {
		return 0, err
	}
	if s.Spec.Clients == 0 {
		return 0, l.errorAt(w.col, "%q is no client: this network has none (clients=2 in a script, --clients 2 of a devnet)", w.text)
	}
	var names []string
	for i := range s.Spec.Clients {
		if names = append(names, devnet.ClientName(i)); w.text == names[i] {
			return i, nil
		}
	}
	return 0, l.errorAt(w.col, "%q is no client of this network%s", w.text, suggest(w.text, names))
}

// operators is how many accounts operate relays.
func (s *Script) operators() int {
	if s.Spec.Operators > 0 {
		return s.Spec.Operators
	}
	return s.Spec.Relays
}

// account takes the name of a ledger account: account-0 to account-9, or
// operator-1 and so on, the operator of relay-1.
func (s *Script) account(l *line) (func(*world) *actor, error) {
	w, err := l.take("an account, such as account-0 or operator-1,")
	if err != nil {
		return nil, err
	}
	if d, ok := strings.CutPrefix(w.text, "account-"); ok {
		if n, err := strconv.Atoi(d); err == nil && n >= 0 && n < devnet.AccountCount {
			return func(x *world) *actor { return x.actor(w.text, x.net.Accounts[n]) }, nil
		}
	}
	if d, ok := strings.CutPrefix(w.text, "operator-"); ok {
		if n, err := strconv.Atoi(d); err == nil && n >= 1 && n <= s.operators() {
			return func(x *world) *actor { return x.actor(w.text, x.net.Relays[n-1].Operator) }, nil
		}
	}
	return nil, l.errorAt(w.col, "%q is no account: account-0 to account-%d, operator-1 to operator-%d", w.text, devnet.AccountCount-1, s.operators())
}

// suggest is "; did you mean ...?" for the nearest choice, or the choices.
func suggest(got string, choices []string) string {
	best, at := "", 3
	for _, c := range choices {
		if d := distance(got, c); d < at {
			best, at = c, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("; did you mean %q?", best)
	case len(choices) > 0 && len(choices) <= 12:
		return ": " + strings.Join(choices, ", ")
	}
	return ""
}

// distance is the number of edits between two short words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		left := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			left, row[j] = row[j], min(row[j]+1, row[j-1]+1, left+cost)
		}
	}
	return row[len(b)]
}
