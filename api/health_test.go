package api_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tunic/internal/testenv"
)

// The health scripts of docs/health.md count the nodes of a real server, and
// fail where there are too few or no server.
func TestHealthScripts(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/health.md")
	if err != nil {
		t.Fatal(err)
	}
	scripts := map[string]string{}
	for _, m := range regexp.MustCompile("(?s)```([a-z]+)\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		scripts[m[1]] = m[2]
	}
	for lang, c := range map[string]struct {
		file  string
		needs []string
	}{
		"python": {"health.py", []string{"python3"}}, "sh": {"health.sh", []string{"sh", "curl", "jq"}}, "js": {"health.mjs", []string{"node"}},
	} {
		t.Run(lang, func(t *testing.T) {
			text := scripts[lang]
			if n := strings.Count(text, "\n"); n < 3 || n > 10 {
				t.Fatalf("the page has a script of %d lines", n)
			}
			testenv.Need(t, c.needs...)
			w := running(t, nil)
			srv := served(w)
			path := filepath.Join(t.TempDir(), c.file)
			w.must(os.WriteFile(path, []byte(text), 0o644))
			run := func(args ...string) (string, error) {
				cmd := exec.CommandContext(t.Context(), c.needs[0], append([]string{path}, args...)...)
				cmd.Env = append(os.Environ(), "no_proxy=127.0.0.1")
				out, err := cmd.Output()
				return strings.TrimSpace(string(out)), err
			}
			const want = "2 of 3 nodes active"
			if out, err := run(srv.URL, "2"); err != nil || out != want {
				t.Errorf("two are wanted: %q, %v", out, err)
			}
			if out, err := run(srv.URL, "3"); err == nil || out != want {
				t.Errorf("three are wanted: %q, %v", out, err)
			}
			if out, err := run(srv.URL); err == nil {
				t.Errorf("nobody says how many are wanted: %q", out)
			}
			srv.Close()
			if out, err := run(srv.URL, "0"); err == nil {
				t.Errorf("without a server: %q", out)
			}
		})
	}
}
