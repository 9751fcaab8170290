package main

import (
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"tunic/internal/sockstest"
)

// socksCmd starts a SOCKS5 server and puts its address into a variable: socks PROXY.
func socksCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: socks VARIABLE")
	}
	s, err := sockstest.Listen(sockstest.Config{})
	ts.Check(err)
	ts.Defer(s.Close)
	ts.Setenv(args[0], s.Addr)
}

func TestFold(t *testing.T) {
	if got, want := fold("one two  three\nfour", 2, 10), "one two\n  three\n  four"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, line := range strings.Split(fold(strings.Repeat("ä", 30)+" x", 3, 10), "\n") {
		if line == "" {
			t.Error("an empty line in front of a long word")
		}
	}
}
