package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"

	"tunic/internal/durable"
)

// Table aligns rows of cells, two spaces between columns. Empty cells stay.
func Table(w io.Writer, rows ...[]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(t, strings.TrimRight(strings.Join(r, "\t"), "\t"))
	}
	t.Flush()
}

// Count is a number with its noun.
func Count(n int, noun string) string {
	switch n {
	case 0:
		return "no " + noun
	case 1:
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// ReadInput reads a file that an argument names, at most limit bytes.
func ReadInput(path string, limit int64) ([]byte, error) {
	b, err := durable.ReadFile(path, limit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, Fail(Failed, "no_file", "no such file", "%s; check the path", path)
	case errors.Is(err, durable.ErrTooLarge):
		return nil, fmt.Errorf("%s: it has over %d bytes, which no such file has: %w", path, limit, durable.ErrTooLarge)
	case err != nil:
		return nil, Fail(Failed, "unreadable", "cannot read "+path, "%v", Reason(err))
	}
	return b, nil
}

// WriteOutput writes a file that a flag names, whole or not at all.
func WriteOutput(path string, b []byte) error {
	if err := durable.WriteFile(path, b, 0o644); err != nil {
		return Fail(Failed, "unwritable", "cannot write "+path, "%v", Reason(err))
	}
	return nil
}

// Reason is what the operating system says, without the operation and its path.
func Reason(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Need refuses an empty flag.
func Need(name, value, example string) error {
	if value == "" {
		return Usage("--%s is missing; for example --%s %s", name, name, example)
	}
	return nil
}

// Advised adds what to do to an error that does not say so itself.
func Advised(err error, advice string) string {
	if s := err.Error(); strings.Contains(s, "`tunic db ") {
		return s
	}
	return err.Error() + "; " + advice
}
