package deps_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"tunic/internal/deps"
)

// TestTree holds the module's own imports against the policy.
func TestTree(t *testing.T) {
	packages, err := deps.Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 3 || packages["internal/deps"] == nil {
		t.Fatalf("found %d packages, without this one: looking in the wrong place", len(packages))
	}
	for _, sentence := range deps.Check(deps.Tunic(), packages) {
		t.Error(sentence)
	}
}

func TestPolicyIsConsistent(t *testing.T) {
	for _, sentence := range deps.CheckPolicy(deps.Tunic()) {
		t.Error(sentence)
	}
	p := deps.Tunic()
	for _, pkg := range []string{"chain", "chain/statement", "chain/genesis", "chain/beacon", "chain/cometbft", "internal/wire", "internal/merkle",
		"internal/table", "onion", "onion/mail", "staking", "registry", "registry/directory", "registry/path", "slashing",
		"ledger/machine", "ledger/light", "client/ratchet"} {
		if !p.Packages[pkg].Pure {
			t.Errorf("%s has to be pure", pkg)
		}
	}
	for _, pkg := range []string{"relay", "relay/mailbox", "client", "client/ratchet", "client/local"} {
		for _, to := range p.Packages[pkg].Imports {
			top, _, _ := strings.Cut(to, "/")
			own, _, _ := strings.Cut(pkg, "/")
			if top != own && slices.Contains([]string{"api", "ledger", "relay", "client"}, top) {
				t.Errorf("%s may import %s", pkg, to)
			}
		}
	}
}

// tree makes a module in memory from "path: import import".
func tree(lines ...string) fstest.MapFS {
	m := fstest.MapFS{"go.mod": {Data: []byte("module tunic\n")}}
	for _, line := range lines {
		name, imports, _ := strings.Cut(line, ":")
		src := "package p\n"
		for _, imported := range strings.Fields(imports) {
			src += "import _ \"" + imported + "\"\n"
		}
		if !strings.HasSuffix(name, ".go") {
			name += "/p.go"
		}
		m[name] = &fstest.MapFile{Data: []byte(src)}
	}
	return m
}

// TestCheckFails is the test of the test: trees that break the picture are
// found out, each by the rule that was broken.
func TestCheckFails(t *testing.T) {
	for _, c := range []struct {
		name string
		tree []string
		want []string // a part of each sentence; none: the tree is sound
	}{
		{"sound", []string{"chain: fmt tunic/internal/wire", "internal/wire: errors", "staking: tunic/chain net/netip",
			"relay: net time tunic/chain tunic/slashing", "slashing: tunic/registry/directory", "registry/directory: tunic/chain",
			"api: github.com/gin-gonic/gin", "devnet: tunic/devnet/fault", "devnet/fault: tunic/relay"}, nil},

		{"an import the policy does not list", []string{"onion: tunic/internal/table"},
			[]string{"onion must not import internal/table: the policy does not list it"}},
		{"relay sees the ledger", []string{"relay: tunic/ledger"}, []string{"relay must not import ledger:"}},
		{"relay sees the api's feed", []string{"relay: tunic/api/feed"},
			[]string{"imports point down, and relay stands below api", "relay must not import api/feed:"}},
		{"relay sees the client", []string{"relay: tunic/client"}, []string{"relay must not import client:"}},
		{"client sees the relay", []string{"client: tunic/relay/mailbox"},
			[]string{"client must not import relay/mailbox:", "imports point down, and client stands below relay"}},
		{"client sees the ledger", []string{"client/local: tunic/ledger/light"}, []string{"client/local must not import ledger/light:"}},
		{"slashing sees more of registry", []string{"slashing: tunic/registry"}, []string{"slashing must not import registry:"}},
		{"staking sees slashing", []string{"staking: tunic/slashing"},
			[]string{"imports point down, and staking stands below slashing", "staking must not import slashing:"}},
		{"chain knows a module", []string{"chain: tunic/staking"},
			[]string{"chain must not import staking:", "imports point down, and chain stands below staking"}},
		{"faults outside devnet", []string{"cmd/tunic: tunic/devnet/fault"},
			[]string{"cmd/tunic must not import devnet/fault: only devnet, devnet/scenario may", "cmd/tunic must not import devnet/fault: the policy"}},
		{"a test's helper in the build", []string{"node: tunic/internal/testenv"},
			[]string{"node must not import internal/testenv: only tests may", "node must not import internal/testenv: the policy"}},

		{"two folders import each other", []string{"slashing: tunic/registry/directory", "registry/path: tunic/slashing"},
			[]string{"imports point down, and registry stands below slashing",
				"registry/path must not import slashing:",
				"top folders registry and slashing import each other: registry/path imports slashing, and slashing imports registry/directory"}},
		{"each other, through packages that are not listed", []string{"api/x: tunic/ledger/y", "ledger/z: tunic/api/x"},
			[]string{"imports point down, and ledger stands below api", "package api/x is not listed", "package ledger/z is not listed",
				"top folders api and ledger import each other"}},

		{"a package that is not listed", []string{"gossip: fmt"}, []string{"package gossip is not listed"}},
		{"one below a listed package", []string{"chain/extra: fmt"}, []string{"package chain/extra is not listed"}},
		{"the module's root", []string{"root.go: fmt"}, []string{"package . is not listed"}},

		{"pure with files", []string{"chain: os"}, []string{"chain is pure and must not import os:"}},
		{"pure with processes", []string{"chain: os/exec"}, []string{"chain is pure and must not import os/exec:"}},
		{"pure with a clock", []string{"ledger/machine: time"}, []string{"ledger/machine is pure and must not import time:"}},
		{"pure with sockets", []string{"registry/path: net"}, []string{"registry/path is pure and must not import net:"}},
		{"pure with http", []string{"ledger/light: net/http"}, []string{"ledger/light is pure and must not import net/http:"}},
		{"pure with chance", []string{"staking: math/rand", "registry: math/rand/v2", "client/ratchet: crypto/rand"},
			[]string{"client/ratchet is pure and must not import crypto/rand:", "registry is pure and must not import math/rand/v2:",
				"staking is pure and must not import math/rand:"}},
		{"pure with a log", []string{"onion: log", "onion/mail: log/slog"},
			[]string{"onion is pure and must not import log:", "onion/mail is pure and must not import log/slog:"}},
		{"pure with files at second hand", []string{"slashing: tunic/internal/durable"},
			[]string{"slashing is pure and must not import internal/durable, which is not", "slashing must not import internal/durable:"}},
		{"hidden by a build tag's file", []string{"chain/clock_windows.go: time"}, []string{"chain is pure and must not import time:"}},

		{"gin in the generated client", []string{"api/client: github.com/gin-gonic/gin"},
			[]string{"api/client must not import github.com/gin-gonic/gin: only api, api/oas, client/local, devnet/bench may"}},
		{"gin's parts too", []string{"node: github.com/gin-gonic/gin/render"}, []string{"node must not import github.com/gin-gonic/gin/render:"}},
		{"a test's library in the build", []string{"node: go.uber.org/goleak"}, []string{"node must not import go.uber.org/goleak: only tests may"}},

		{"not looked at", []string{"chain/x_test.go: os tunic/node", "chain/testdata/x: os", "chain/_old: os", ".git/x: os",
			"node_modules/x: os", "tools/go.mod:", "tools/x: os"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			packages, err := deps.Load(tree(c.tree...))
			if err != nil {
				t.Fatal(err)
			}
			got := deps.Check(deps.Tunic(), packages)
			ok := len(got) == len(c.want)
			for _, want := range c.want {
				ok = ok && slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, want) })
			}
			if !ok {
				t.Errorf("said\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(c.want, "\n\t"))
			}
		})
	}
}

// TestImpureIsFoundEverywhere: no pure package escapes its rule.
func TestImpureIsFoundEverywhere(t *testing.T) {
	p := deps.Tunic()
	for pkg, rule := range p.Packages {
		for _, imported := range []string{"os", "time", "net", "net/http", "log", "log/slog", "math/rand", "math/rand/v2", "crypto/rand"} {
			said := deps.Check(p, map[string][]string{pkg: {imported}})
			if rule.Pure != (len(said) == 1) {
				t.Errorf("%s with %s: %q", pkg, imported, said)
			}
		}
	}
}

func TestLoad(t *testing.T) {
	fs := tree("chain/a.go: fmt errors", "chain/b_windows.go: fmt io")
	fs["chain/gen.go"] = &fstest.MapFile{Data: []byte("//go:build ignore\n\npackage main\n\nimport \"os\"\n")}
	fs["chain/tagged.go"] = &fstest.MapFile{Data: []byte("// Copyright\n\n//go:build !ignore && race\n\npackage p\n\nimport \"bytes\"\n")}
	got, err := deps.Load(fs)
	if err != nil || len(got) != 1 || !slices.Equal(got["chain"], []string{"bytes", "errors", "fmt", "io"}) {
		t.Errorf("%v, %v", got, err)
	}
	fs["chain/broken.go"] = &fstest.MapFile{Data: []byte("not go")}
	if _, err := deps.Load(fs); err == nil {
		t.Error("a file that is not Go was read")
	}
}

func TestCheckPolicyFails(t *testing.T) {
	for want, change := range map[string]func(map[string]deps.Rule){
		"chain may import gone, which is not listed":            func(p map[string]deps.Rule) { p["chain"] = deps.Rule{Imports: []string{"gone"}} },
		"chain may import node, which stands above it":          func(p map[string]deps.Rule) { p["chain"] = deps.Rule{Imports: []string{"node"}} },
		"onion is pure and may import onion/link, which is not": func(p map[string]deps.Rule) { p["onion"] = deps.Rule{Pure: true, Imports: []string{"onion/link"}} },
		"node may import internal/testenv, which is reserved":   func(p map[string]deps.Rule) { p["node"] = deps.Rule{Imports: []string{"internal/testenv"}} },
		"attic stands in no top folder":                         func(p map[string]deps.Rule) { p["attic"] = deps.Rule{} },
	} {
		p := deps.Tunic()
		change(p.Packages)
		if got := deps.CheckPolicy(p); !slices.Contains(got, want) {
			t.Errorf("said %q, want %q", got, want)
		}
	}
}
