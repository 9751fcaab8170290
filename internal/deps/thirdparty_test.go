package deps_test

import (
	"os"
	"regexp"
	"testing"
)

// TestThirdParty holds THIRD_PARTY.md against go.mod: the same direct
// requirements at the same versions.
func TestThirdParty(t *testing.T) {
	read := func(name, line string) map[string]string {
		t.Helper()
		data, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]string{}
		for _, m := range regexp.MustCompile(line).FindAllStringSubmatch(string(data), -1) {
			found[m[1]] = m[2]
		}
		if len(found) == 0 {
			t.Fatalf("%s lists nothing", name)
		}
		return found
	}
	required := read("go.mod", `(?m)^(?:require )?\s*([a-z][\w.-]*\.[a-z]+/\S+) (v\S+)$`)
	listed := read("THIRD_PARTY.md", `(?m)^\| ([a-z][\w.-]*\.[a-z]+/\S+) \| (v\S+) \| [^|]+ \| [^|]+ \|$`)
	for module, version := range required {
		if listed[module] != version {
			t.Errorf("go.mod requires %s %s; THIRD_PARTY.md lists %q: add its version, licence and reason", module, version, listed[module])
		}
	}
	for module := range listed {
		if _, ok := required[module]; !ok {
			t.Errorf("THIRD_PARTY.md lists %s, which go.mod does not require directly", module)
		}
	}
}
