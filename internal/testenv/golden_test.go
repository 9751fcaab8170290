package testenv

import (
	"fmt"
	"path/filepath"
	"testing"
)

func TestGolden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "file")
	*rewrite = true
	Golden(t, path, map[string]int{"a": 1, "b": 2})
	*rewrite = false
	if got := Golden(t, path, []byte("{\n  \"a\": 1,\n  \"b\": 2\n}\n")); len(got) == 0 {
		t.Error("nothing is returned")
	}
	for code, want := range map[string]string{"a\nc": "2 b c", "a\n": "2 b ", "a": "2 b (ended)", "x\nb": "1 a x", "a\nb\n": "3 (ended) "} {
		line, file, now := firstDifference([]byte("a\nb"), []byte(code))
		if got := fmt.Sprint(line, " ", file, " ", now); got != want {
			t.Errorf("%q: %q, want %q", code, got, want)
		}
	}
}
