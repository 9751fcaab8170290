package scenario_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A mutation disables one rule by changing one place of one source file.
// testdata/mutations.txt has the table: blocks of lines KEY: VALUE.
type mutation struct {
	rule, file, old, new string
	caught               []string // scenarios that must fail with it, without .txt
}

const root = "../.." // of the module, from this package's folder

func readMutations(t *testing.T) []mutation {
	t.Helper()
	b, err := os.ReadFile("testdata/mutations.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []mutation
	for _, block := range strings.Split(string(b), "\n\n") {
		var m mutation
		for _, line := range strings.Split(block, "\n") {
			if line == "" || line[0] == '#' {
				continue
			}
			key, value, ok := strings.Cut(line, ": ")
			switch {
			case ok && key == "rule":
				m.rule = value
			case ok && key == "file":
				m.file = value
			case ok && key == "old":
				m.old = value
			case ok && key == "new":
				m.new = value
			case ok && key == "caught":
				m.caught = strings.Fields(value)
			default:
				t.Fatalf("mutations.txt: %q is none of rule, file, old, new, caught", line)
			}
		}
		switch {
		case m.rule == "" && m.file == "":
			continue // comments
		case m.rule == "" || m.file == "" || m.old == "" || m.new == "" || m.old == m.new || len(m.caught) == 0:
			t.Fatalf("mutations.txt: a block is not complete: %+v", m)
		}
		all = append(all, m)
	}
	return all
}

// source gives the file's text with the mutation in it.
func (m mutation) source() ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return nil, err
	}
	if n := bytes.Count(b, []byte(m.old)); n != 1 {
		return nil, fmt.Errorf("%s has %q %d times; a mutation changes one place", m.file, m.old, n)
	}
	return bytes.Replace(b, []byte(m.old), []byte(m.new), 1), nil
}

// The table fits the source and the scenarios: each mutation has its place, and
// each scenario a rule without which it must fail.
func TestMutationTable(t *testing.T) {
	covered := map[string]bool{}
	for _, m := range readMutations(t) {
		if _, err := m.source(); err != nil {
			t.Errorf("%s: %v", m.rule, err)
		}
		for _, s := range m.caught {
			covered[s] = true
			if _, err := os.Stat(filepath.Join("../scenarios", s+".txt")); err != nil {
				t.Errorf("%s: %v", m.rule, err)
			}
		}
	}
	for _, f := range scenarioFiles(t) {
		if name := strings.TrimSuffix(filepath.Base(f), ".txt"); !covered[name] {
			t.Errorf("no mutation must fail %s: what does it test?", name)
		}
	}
}

// mutationsInCI is how many mutations run where nobody asks for more.
const mutationsInCI = 2

// With a rule disabled its scenarios fail. A few by a fixed seed; all of them
// with TUNIC_MUTATE=all (`make mutate`), those of one rule with a part of its
// text there.
func TestMutations(t *testing.T) {
	all := readMutations(t)
	which := os.Getenv("TUNIC_MUTATE")
	if which == "" && testing.Short() {
		t.Skip("builds the program anew for each rule")
	}
	chosen := rand.New(rand.NewPCG(1, uint64(len(all)))).Perm(len(all))
	if which == "" {
		chosen = chosen[:min(mutationsInCI, len(chosen))]
	}
	caught := 0
	for _, i := range chosen {
		m := all[i]
		if which != "" && which != "all" && !strings.Contains(m.rule, which) {
			continue
		}
		t.Run(strings.ReplaceAll(m.rule, " ", "_"), func(t *testing.T) {
			begin := time.Now()
			program := m.build(t)
			for _, s := range m.caught {
				if m.fails(t, program, s) {
					caught++
					t.Logf("%s: caught by %s (%v)", m.rule, s, time.Since(begin).Round(time.Millisecond))
				} else {
					t.Errorf("%s: %s holds all the same", m.rule, s)
				}
			}
		})
	}
	t.Logf("caught %d times", caught)
}

// build makes the tests of this package of the changed source.
func (m mutation) build(t *testing.T) string {
	t.Helper()
	text, err := m.source()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, "changed.go")
	if err := os.WriteFile(changed, text, 0o600); err != nil {
		t.Fatal(err)
	}
	at, err := filepath.Abs(filepath.Join(root, m.file))
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {at: changed}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "scenario.test")
	c := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, ".")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: the changed program does not build: %v\n%s", m.rule, err, out)
	}
	return program
}

// fails runs one scenario with the changed program. Only a failed expectation
// counts.
func (m mutation) fails(t *testing.T, program, scenario string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "-test.run", "^TestScenarios$/^"+scenario+`\.txt$`, "-test.count=1", "-test.v").CombinedOutput()
	if err == nil && !bytes.Contains(out, []byte("--- PASS: TestScenarios/"+scenario+".txt")) {
		t.Fatalf("%s: %s did not run:\n%s", m.rule, scenario, out)
	}
	if err != nil && !bytes.Contains(out, []byte("the shortest beginning that fails")) {
		t.Errorf("%s: %s ended otherwise than by an expectation:\n%s", m.rule, scenario, out)
	}
	return err != nil
}
