package deps_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The everyday program carries no CometBFT: only what validators run does.
func TestTunicCarriesNoCometBFT(t *testing.T) {
	list := func(program string) (found []string) {
		out, err := exec.Command("go", "list", "-deps", "tunic/cmd/"+program).Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		for path := range strings.FieldsSeq(string(out)) {
			if strings.HasPrefix(path, "github.com/cometbft/") {
				found = append(found, path)
			}
		}
		return found
	}
	if found := list("tunic"); len(found) > 0 {
		t.Errorf("cmd/tunic leads to %s", strings.Join(found, ", "))
	}
	if found := list("tunic-validator"); !slices.Contains(found, "github.com/cometbft/cometbft/node") {
		t.Error("cmd/tunic-validator does not lead to CometBFT: this test looks for the wrong thing")
	}
}
