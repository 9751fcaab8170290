package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"

	"tunic/chain"
	"tunic/internal/durable"
	"tunic/registry/explain"
)

// table aligns rows of cells, two spaces between columns. Empty cells stay.
func table(w io.Writer, rows ...[]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(t, strings.TrimRight(strings.Join(r, "\t"), "\t"))
	}
	t.Flush()
}

// head is a table's first row.
func (a *app) head(names ...string) []string {
	for i, n := range names {
		names[i] = strings.ToUpper(n)
	}
	return names
}

// tun shows the API's decimal string of units for people.
func tun(units string) string {
	var x chain.Amount
	if x.UnmarshalText([]byte(units)) != nil {
		return units
	}
	return x.String() + " TUN"
}

// amountOf reads the API's decimal string of units; 0 where it is none.
func amountOf(s string) (x chain.Amount) {
	if x.UnmarshalText([]byte(s)) != nil {
		return 0
	}
	return x
}

// instant shows a network's time.
func instant(ms int64) string { return explain.Instant(chain.Time(max(0, ms))) }

// span shows a length of time in the two largest units that it needs.
func span(ms int64) string { return explain.Span(chain.Duration(max(0, ms))) }

// short cuts an id to its first eight digits.
func short(id string) string { return id[:min(len(id), 8)] }

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// count is a number with its noun.
func count(n int, noun string) string {
	switch n {
	case 0:
		return "no " + noun
	case 1:
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// readInput reads a file that an argument names, at most limit bytes.
func readInput(path string, limit int64) ([]byte, error) {
	b, err := durable.ReadFile(path, limit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fail(exitFailed, "no_file", "no such file", "%s; check the path", path)
	case errors.Is(err, durable.ErrTooLarge):
		return nil, fmt.Errorf("%s: it has over %d bytes, which no such file has: %w", path, limit, durable.ErrTooLarge)
	case err != nil:
		return nil, fail(exitFailed, "unreadable", "cannot read "+path, "%v", reason(err))
	}
	return b, nil
}

// writeOutput writes a file that a flag names, whole or not at all.
func writeOutput(path string, b []byte) error {
	if err := durable.WriteFile(path, b, 0o644); err != nil {
		return fail(exitFailed, "unwritable", "cannot write "+path, "%v", reason(err))
	}
	return nil
}

// reason is what the operating system says, without the operation and its path.
func reason(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// need refuses an empty flag.
func need(name, value, example string) error {
	if value == "" {
		return usage("--%s is missing; for example --%s %s", name, name, example)
	}
	return nil
}
