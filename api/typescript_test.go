package api_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tunic/internal/testenv"
)

// Types that openapi-typescript makes of openapi.yaml compile, a program written
// against them compiles, and it reads the directory of a real server; a program
// that takes a member for what it is not does not compile.
func TestTypeScriptClient(t *testing.T) {
	t.Parallel()
	testenv.Need(t, "node")
	testenv.NeedFile(t, "../node_modules/openapi-typescript", "run npm ci")
	testenv.NeedFile(t, "../node_modules/typescript", "run npm ci")
	bin, err := filepath.Abs("../node_modules")
	if err != nil {
		t.Fatal(err)
	}
	spec, err := filepath.Abs("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program, err := os.ReadFile("testdata/directory.mts")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	node := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "node", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := node(filepath.Join(bin, "openapi-typescript/bin/cli.js"), spec, "--output", filepath.Join(dir, "api.ts")); err != nil {
		t.Fatalf("openapi-typescript: %v\n%s", err, out)
	}
	compile := func(files ...string) (string, error) {
		return node(append([]string{filepath.Join(bin, "typescript/bin/tsc"), "--strict", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext",
			"--allowImportingTsExtensions", "--rewriteRelativeImportExtensions", "--lib", "es2022,dom", "--typeRoots", filepath.Join(bin, "@types"), "--types", "node",
			"--outDir", "out"}, files...)...)
	}
	write("package.json", `{"type":"module"}`)
	write("directory.mts", string(program))
	write("wrong.mts", string(program)+"\nconst wrong: number = directory.root;\n")
	// At once, since that takes seconds: what is right is written all the same.
	out, err := compile("directory.mts", "wrong.mts")
	if err == nil {
		t.Fatalf("a text is taken for a number: %s", out)
	}
	if faults := strings.Split(strings.TrimSpace(out), "\n"); len(faults) != 1 || !strings.HasPrefix(faults[0], "wrong.mts(") || !strings.Contains(faults[0], "TS2322") {
		t.Fatalf("tsc: %v\n%s", err, out)
	}
	w := running(t, nil)
	out, err = node("out/directory.mjs", served(w).URL)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got struct {
		Epoch, Count   int
		Listed, Active []string
		Refused        string
	}
	w.must(json.Unmarshal([]byte(out), &got))
	want := []string{w.relays[0].id.String(), w.relays[1].id.String()}
	slices.Sort(want)
	slices.Sort(got.Active)
	if got.Epoch != 1 || got.Count != 2 || !slices.Equal(got.Listed, want) || !slices.Equal(got.Active, want) || got.Refused != "400 limit_too_large" {
		t.Errorf("%+v, want %v", got, want)
	}
}
