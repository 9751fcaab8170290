package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tunic/cmd/internal/cli"
	"tunic/internal/scripttest"
)

const examples = "../../docs/examples/validator/"

// section is what the operations page says of validators.
func section(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, of, ok := strings.Cut(string(b), "\n# A validator\n")
	if !ok {
		t.Fatal("no section")
	}
	return of
}

// parses holds a command line against the commands and flags that there are.
func parses(t *testing.T, args []string) {
	t.Helper()
	scripttest.Parses(t, (&program{cli.Shell{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard}}).root(), args)
}

func TestOperationsPage(t *testing.T) {
	page := section(t)
	commands := regexp.MustCompile("(?m)^ {4}tunic-validator (.*)$|`tunic-validator ([a-z][^`]*)`").FindAllStringSubmatch(page, -1)
	if len(commands) < 8 {
		t.Fatalf("%d commands", len(commands))
	}
	for _, m := range commands {
		parses(t, strings.Fields(m[1]+m[2]))
	}
	// What it may log at info and above is explained.
	said := 0
	for _, pattern := range []string{"*.go", "../../ledger/comet/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			code, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`\b[lL]og(?:ger)?\.(?:Info|Warn|Error)\("([^"]+)"`).FindAllStringSubmatch(string(code), -1) {
				said++
				if !strings.Contains(page, "`"+m[1]+"`") {
					t.Errorf("%s logs %q, and the page does not say what to do", name, m[1])
				}
			}
		}
	}
	if said < 7 {
		t.Errorf("%d lines of logs found", said)
	}
}

// metricName finds metrics in a page or a dashboard.
var metricName = regexp.MustCompile(`\b(?:tunic|process)_[a-z_]+\b`)

// Every metric that the page or the dashboard names is exposed by a validator that
// runs, and the dashboard is one.
func TestMetricsAreExposed(t *testing.T) {
	b, err := os.ReadFile(examples + "grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		UID    string
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(b, &board); err != nil || board.UID == "" || len(board.Panels) < 10 {
		t.Fatalf("%v, %d panels", err, len(board.Panels))
	}
	named := map[string]string{}
	for _, p := range board.Panels {
		if len(p.Targets) == 0 {
			t.Errorf("panel %q shows nothing", p.Title)
		}
		for _, x := range p.Targets {
			for _, name := range metricName.FindAllString(x.Expr, -1) {
				named[name] = "panel " + p.Title
			}
		}
	}
	for _, name := range metricName.FindAllString(section(t), -1) {
		named[name] = "the page"
	}
	if len(named) < 20 {
		t.Fatalf("%d metrics are named", len(named))
	}
	v := startOne(t)
	res, err := http.Get(v.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	for name, where := range named {
		if !regexp.MustCompile(`(?m)^` + name + `[ {]`).Match(text) {
			t.Errorf("%s names %s, which a validator does not expose", where, name)
		}
	}
	for _, name := range regexp.MustCompile(`(?m)^# TYPE (tunic_engine_[a-z_]+)`).FindAllSubmatch(text, -1) {
		if named[string(name[1])] == "" {
			t.Errorf("neither the page nor the dashboard names %s", name[1])
		}
	}
}

func TestExampleUnit(t *testing.T) {
	b, err := os.ReadFile(examples + "validator.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := string(b)
	start := regexp.MustCompile(`(?m)^ExecStart=(\S+) (.*)$`).FindStringSubmatch(unit)
	if start == nil {
		t.Fatal("no ExecStart")
	}
	parses(t, strings.Fields(start[2]))
	if !strings.Contains(unit, "\nStateDirectory=tunic-validator\n") || !strings.HasSuffix(start[2], "--dir /var/lib/tunic-validator") {
		t.Error("the unit's state is not in the folder that it starts")
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd is not here to judge the unit: ", err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tunic-validator.service")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(unit, start[1], exe)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", path).CombinedOutput(); err != nil || strings.Contains(string(out), "tunic-validator.service:") {
		t.Errorf("%v %s", err, out)
	}
}
