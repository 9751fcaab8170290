package api

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every code that a result can have is said in words, and no other.
func TestRefusalWords(t *testing.T) {
	code := regexp.MustCompile(`(?m)^\s+(?:Code\w+\s+=\s+|Err\w+\s+=\s+&chain\.Refusal\{Code: )"([a-z_]+)"`)
	known := map[string]bool{}
	for _, dir := range []string{"staking", "registry", "slashing", "ledger/machine"} {
		files, err := filepath.Glob("../" + dir + "/*.go")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range code.FindAllStringSubmatch(string(b), -1) {
				known[m[1]] = true
				if refusalWords[m[1]] == "" && !strings.HasSuffix(f, "_test.go") {
					t.Errorf("%s: %s has no words", f, m[1])
				}
			}
		}
	}
	if len(known) < 60 {
		t.Fatalf("found %d codes: looking for them wrongly", len(known))
	}
	for c := range refusalWords {
		if !known[c] {
			t.Errorf("%s is no code of a reducer", c)
		}
	}
}
