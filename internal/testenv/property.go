package testenv

import (
	"flag"
	"testing"

	"pgregory.net/rapid"
)

// Check is rapid.Check with the same values each time, so that a change is judged
// by what it changed. Others are drawn with -rapid.seed=N, and more of them with
// -rapid.checks=N; a failure says which seed shows it again.
func Check(t *testing.T, property func(*rapid.T)) {
	t.Helper()
	if seed := flag.Lookup("rapid.seed"); seed.Value.String() == "0" {
		if err := seed.Value.Set("1"); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, property)
}
