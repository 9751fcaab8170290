package partition_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tunic/devnet/partition"
	"tunic/internal/testenv"
)

// `make soak-validators` takes all steps.
var all = flag.Bool("all", false, "let everything happen, not the first two steps alone")

// Whatever happens to validators, nothing that was committed is lost, no height has two
// blocks, and all have the same ones; payments and messages go on.
func TestValidatorsAgree(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	inside, again, why := partition.Inside([]string{"-test.run", "^TestValidatorsAgree$", "-test.v", "-test.timeout", "60m", "-all=" + map[bool]string{true: "true", false: "false"}[*all]})
	switch why {
	case "":
	case partition.NeedsIP:
		testenv.Skip(t, why)
	default:
		t.Skip(why) // what a machine does not allow cannot be installed
	}
	if !inside {
		again.Stdout, again.Stderr = t.Output(), t.Output()
		again.Dir, again.Env = "", append(again.Env, "TUNIC_TEST_PROGRAMS="+programs(t))
		if err := again.Run(); err != nil {
			t.Fatal(err)
		}
		return
	}
	dir := os.Getenv("TUNIC_TEST_PROGRAMS")
	o := partition.Options{Dir: t.TempDir(), Program: filepath.Join(dir, "tunic-validator"), Skewed: filepath.Join(dir, "tunic-validator-skewed"), Tell: func(s string) { t.Log(s) }}
	if !*all {
		o.Steps = partition.Steps()[:2]
	}
	r, err := partition.Run(t.Context(), o)
	if err != nil {
		logs(t, o.Dir)
		t.Fatal(err)
	}
	for _, v := range r.Violations {
		t.Error(v)
	}
	t.Logf("%d steps, height %d: %d blocks compared, %d heads shown; %d payments committed, %d handed in again; %d messages delivered, the slowest in %v",
		len(r.Steps), r.Height, r.Blocks, r.Heads, r.Sent, r.Again, r.Messages, r.Slowest)
}

// logs shows the end of what each validator said.
func logs(t *testing.T, dir string) {
	files, _ := filepath.Glob(filepath.Join(dir, "network", "validators", "validator*", "log"))
	for _, f := range files {
		b, _ := os.ReadFile(f)
		lines := strings.Split(strings.TrimSpace(string(b)), "\n")
		t.Logf("%s:\n%s", f, strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
}

// programs builds what validators run, and the same with a clock that is off where all
// steps are taken, into one folder.
func programs(t *testing.T) string {
	dir := t.TempDir()
	if err := os.Rename(testenv.Program(t, "tunic-validator"), filepath.Join(dir, "tunic-validator")); err != nil {
		t.Fatal(err)
	}
	if !*all {
		return dir
	}
	const off = "\n\nvar testOff, _ = time.ParseDuration(os.Getenv(\"" + partition.SkewVar + "\"))\n"
	mod, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/cometbft/cometbft").Output()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	edited := func(file, now string) string {
		text := testenv.Edited(t, file, now, strings.Replace(now, "time.Now()", "time.Now().Add(testOff)", 1)) + off
		return strings.Replace(text, "import (", "import (\n\t\"os\"", 1)
	}
	// The go command overlays no files of other modules: a copy stands for CometBFT.
	copied := filepath.Join(dir, "cometbft")
	if err := os.CopyFS(copied, os.DirFS(strings.TrimSpace(string(mod)))); err != nil {
		t.Fatal(err)
	}
	times := filepath.Join(copied, "types", "time", "time.go")
	write(t, times, edited(times, "Canonical(time.Now())"))
	for _, f := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join(root, f))
		if err != nil {
			t.Fatal(err)
		}
		if f == "go.mod" {
			b = fmt.Appendf(b, "\nreplace github.com/cometbft/cometbft => %s\n", copied)
		}
		write(t, filepath.Join(dir, f), string(b))
	}
	clock := filepath.Join(root, "ledger", "clock.go")
	skewed := testenv.Edition(t, "tunic-validator", map[string]string{clock: edited(clock, "time.Now().Add(c.offset)")}, "-modfile", filepath.Join(dir, "go.mod"))
	if err := os.Rename(skewed, filepath.Join(dir, "tunic-validator-skewed")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// write replaces a file, which may be one that nobody may write to.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
