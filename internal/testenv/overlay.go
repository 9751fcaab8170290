package testenv

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Edition is Program with other texts for some files, by their paths, while it is
// built: what a test needs and the product has no switch for. flags go to go build.
func Edition(t testing.TB, name string, overlay map[string]string, flags ...string) string {
	t.Helper()
	dir, replace := t.TempDir(), map[string]string{}
	for file, text := range overlay {
		other := filepath.Join(dir, filepath.Base(filepath.Dir(file))+"-"+filepath.Base(file))
		if err := os.WriteFile(other, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		replace[file] = other
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	list, at := filepath.Join(dir, "overlay.json"), filepath.Join(dir, name)
	if err := os.WriteFile(list, b, 0o644); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"build", "-o", at, "-overlay", list}, flags...)
	if b, err := exec.CommandContext(t.Context(), "go", append(args, "tunic/cmd/"+name)...).CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", name, err, b)
	}
	return at
}

// Edited is the text of a file in which old, that stands there once, is new.
func Edited(t testing.TB, file, old, new string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	i := indexOnce(text, old)
	if i < 0 {
		t.Fatalf("%s does not have %q once", file, old)
	}
	return text[:i] + new + text[i+len(old):]
}

// indexOnce is where part stands in text, -1 where it does not or more than once.
func indexOnce(text, part string) int {
	i := strings.Index(text, part)
	if i >= 0 && strings.Contains(text[i+1:], part) {
		return -1
	}
	return i
}
