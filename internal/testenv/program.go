package testenv

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Program builds a command of this module, such as ./cmd/tunic-validator, into the
// test's folder and returns its path. Each file of overlay has another text while it
// is built: what a test needs and the product has no switch for. flags go to go build.
func Program(t testing.TB, pkg string, overlay map[string]string, flags ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatalf("find the module: %v", err)
	}
	root := string(out[:len(out)-1])
	dir := t.TempDir()
	at := filepath.Join(dir, filepath.Base(pkg))
	args := []string{"build", "-o", at}
	if len(overlay) > 0 {
		replace := map[string]string{}
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
		list := filepath.Join(dir, "overlay.json")
		if err := os.WriteFile(list, b, 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-overlay", list)
	}
	cmd := exec.CommandContext(t.Context(), "go", append(append(args, flags...), pkg)...)
	cmd.Dir = root
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, b)
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
