package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestFlagsSayWhatTheyTake: what stands for a value is a word, and no help shows
// what the user's environment says, which is named in its place.
func TestFlagsSayWhatTheyTake(t *testing.T) {
	const private = "of-the-user"
	for _, name := range []string{"TUNIC_NETWORK", "TUNIC_ACCOUNT", "TUNIC_PROXY"} {
		t.Setenv(name, private)
	}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			word, text := pflag.UnquoteUsage(f)
			if strings.ContainsAny(word, " `") || strings.Contains(text, "`") {
				t.Errorf("%s --%s: %q stands for a value of %q", c.CommandPath(), f.Name, word, text)
			}
			if strings.Contains(f.DefValue, private) {
				t.Errorf("%s --%s: the default is %q", c.CommandPath(), f.Name, f.DefValue)
			}
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(new(app).root())
}
