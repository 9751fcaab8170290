package testenv

import (
	"strings"
	"testing"
)

// recorder notes how a test would have ended.
type recorder struct {
	testing.TB
	skipped, failed string
}

func (r *recorder) Helper()           {}
func (r *recorder) Skip(args ...any)  { r.skipped = args[0].(string) }
func (r *recorder) Fatal(args ...any) { r.failed = args[0].(string) }

func TestNeed(t *testing.T) {
	const absent = "no-such-program-anywhere"
	for _, c := range []struct {
		all             string
		need            func(testing.TB)
		skipped, failed bool
	}{
		{"", func(t testing.TB) { Need(t, "go") }, false, false},
		{"1", func(t testing.TB) { Need(t, "go") }, false, false},
		{"", func(t testing.TB) { Need(t, "go", absent) }, true, false},
		{"1", func(t testing.TB) { Need(t, absent) }, false, true},
		{"", func(t testing.TB) { NeedFile(t, t.Name(), "see "+absent) }, true, false},
		{"1", func(t testing.TB) { NeedFile(t, t.Name(), "see "+absent) }, false, true},
		{"1", func(t testing.TB) { NeedFile(t, ".", "") }, false, false},
	} {
		t.Setenv(AllVar, c.all)
		r := &recorder{TB: t}
		c.need(r)
		if (r.skipped != "") != c.skipped || (r.failed != "") != c.failed {
			t.Errorf("%s=%q: skipped %q, failed %q", AllVar, c.all, r.skipped, r.failed)
		}
		if text := r.skipped + r.failed; text != "" && !strings.Contains(text, absent) {
			t.Errorf("%q does not name what is missing", text)
		}
	}
}
