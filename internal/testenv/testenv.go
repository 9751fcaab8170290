// Package testenv says what a test needs from the machine it runs on, and holds
// what a test gives against golden files. Tests alone import it.
//
// A fresh machine has Go, a C compiler, make and git, and there a test that
// needs more is skipped with its reason. Where TUNIC_TEST_ALL=1 is set, as in
// .ci/run, nothing is skipped: what is missing is a failure.
package testenv

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// AllVar is the environment variable that turns skips into failures.
const AllVar = "TUNIC_TEST_ALL"

// Need skips t, or fails it where AllVar is 1, unless each of programs is on
// the PATH.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	var missing []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	if len(missing) > 0 {
		Skip(t, "needs "+strings.Join(missing, ", ")+" on the PATH")
	}
}

// NeedFile is Need for files and folders, such as node_modules; hint says how
// to get them.
func NeedFile(t testing.TB, path, hint string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		Skip(t, "needs "+path+": "+hint)
	}
}

// Skip skips t for a reason, or fails it where AllVar is 1.
func Skip(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv(AllVar) == "1" {
		t.Fatal(reason + ", and " + AllVar + "=1 allows no skipping")
		return
	}
	t.Skip(reason)
}
