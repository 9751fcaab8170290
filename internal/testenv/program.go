package testenv

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// Program builds a program of this module, such as tunic-validator, and returns the
// path of its file. Tests of other packages run it so; it goes with the test.
func Program(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", path, "tunic/cmd/"+name).CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v %s", name, err, out)
	}
	return path
}
