package node_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"tunic/chain"
	"tunic/node"
)

func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "relay.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRelaySettings(t *testing.T) {
	path := written(t, `# a comment
dir: state
network: /etc/tunic/network.json
listen: [192.0.2.7:9001, "[2001:db8::7]:9001"]
drain: 1500ms
workers: 3
mail: {items: 5000}
links:
  anonymous_rate: 2.5
  idle: 1m30s
`)
	got := node.DefaultRelay()
	if err := got.Load(path); err != nil {
		t.Fatal(err)
	}
	want := node.DefaultRelay()
	want.Dir, want.NetworkFile = filepath.Join(filepath.Dir(path), "state"), "/etc/tunic/network.json"
	want.Listen = []string{"192.0.2.7:9001", "[2001:db8::7]:9001"}
	want.Drain, want.Workers, want.Mail.Items, want.Links.AnonymousRate, want.Links.Idle = 1500*time.Millisecond, 3, 5000, 2.5, 90*time.Second
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
	if err := got.Validate(); err != nil {
		t.Fatal(err)
	}
	// What is printed is read as the same.
	var b bytes.Buffer
	if err := node.WriteSettings(&b, got); err != nil {
		t.Fatal(err)
	}
	again := node.DefaultRelay()
	if err := again.Load(written(t, b.String())); err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	if !reflect.DeepEqual(got, again) {
		t.Fatalf("printed %s\nread %+v", b.String(), again)
	}
	empty := node.DefaultRelay()
	if err := empty.Load(written(t, "# nothing\n")); err != nil || !reflect.DeepEqual(empty, node.DefaultRelay()) {
		t.Fatalf("%v %+v", err, empty)
	}
}

// Each refusal says where and what.
func TestRelaySettingsRefused(t *testing.T) {
	const good = "dir: r\nlisten: [192.0.2.7:9001]\n"
	for _, c := range []struct{ text, says string }{
		{good + "worker: 3\n", `line 3: there is no key "worker"; did you mean workers?`},
		{good + "links:\n  mosst: 3\n", `line 4: there is no key "mosst"; did you mean most?`},
		{good + "banana: 1\n", "`tunic relay config` shows all of them"},
		{good + "workers: many\n", "line 3: a whole number is expected"},
		{good + "drain: 3\n", "line 3: a time is expected, such as 3s"},
		{good + "links:\n  idle: 3\n", "line 4: a time is expected, such as 3s"},
		{good + "delayed: 99999999999999999999\n", "line 3: the number is too large"},
		{good + "profiles: maybe\n", "line 3: true or false is expected"},
		{good + "links: {anonymous_rate: fast}\n", "line 3: a number is expected"},
		{good + "workers: 3\nworkers: 4\n", "line 4: "},
		{good + "listen [\n", "line 3: "},
		{good + "---\ndir: s\n", "more than one document"},
		{good + "drain: soon\n", `line 3: time: invalid duration "soon"`},
		{good + "family: [12]\n", "line 3: "},
		{"dir = \"r\"\n", "no YAML of keys and values"},
		{"- dir\n", "no YAML of keys and values"},
		{"dir: r\nlisten: 192.0.2.7:9001\n", "line 2: a list is expected, such as [a, b]"},
		{good + "links: 3\n", "line 3: keys and values are expected"},
		{good + "links:\n", `line 3: the key "links" has no value`},
		{"listen: [192.0.2.7:9001]\n", "dir is missing"},
		{"dir: r\n", "listen is missing"},
		{"dir: r\nlisten: [example.org:9001]\n", "no IP address and port"},
		{"dir: r\nlisten: [0.0.0.0:9001]\n", "behind a NAT"},
		{good + "log: loud\n", "debug, info, warn or error"},
		{good + "profiles: true\n", "set admin"},
		{good + "workers: 0\n", "workers: 0 is out of range, 1 to 1024"},
		{good + "links: {most: 100, anonymous: 101}\n", "links.anonymous: 101 is out of range"},
		{good + "links: {anonymous_rate: 0}\n", "links.anonymous_rate"},
		{good + "drain: 2h\n", "drain: 7200000 is out of range"},
	} {
		cfg := node.DefaultRelay()
		err := cfg.Load(written(t, c.text))
		if err == nil {
			err = cfg.Validate()
		}
		if !errors.Is(err, node.ErrSettings) || !strings.Contains(err.Error(), c.says) || strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%q: %v, want %q", c.text, err, c.says)
		}
	}
	cfg := node.DefaultRelay()
	if err := cfg.Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, node.ErrSettings) || !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// Defaults say what a relay has without any settings, so that each may be printed.
func TestRelayDefaults(t *testing.T) {
	cfg := node.DefaultRelay()
	cfg.Dir, cfg.Listen = "r", []string{"192.0.2.7:9001"}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, group := range []any{cfg.Mail, cfg.Links} {
		v := reflect.ValueOf(group)
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; v.Field(i).IsZero() && name != "Idle" {
				t.Errorf("%T has no default for %s", group, name)
			}
		}
	}
	var b bytes.Buffer
	if err := node.WriteSettings(&b, cfg); err != nil {
		t.Fatal(err)
	}
	// As JSON it is the same configuration, and YAML can read that.
	cfg.Family = []chain.NodeID{{7}}
	plain, err := json.Marshal(node.Settings(cfg))
	if err != nil {
		t.Fatal(err)
	}
	again := node.DefaultRelay()
	if err := again.Load(written(t, string(plain))); err != nil {
		t.Fatalf("%v in %s", err, plain)
	}
	again.Dir = cfg.Dir // Load counts it from the file's folder
	if fmt.Sprint(node.Settings(again)) != fmt.Sprint(node.Settings(cfg)) || bytes.Contains(plain, []byte("null")) {
		t.Errorf("%s\n%v", plain, node.Settings(again))
	}
	var keys int
	for line := range strings.SplitSeq(b.String(), "\n") {
		switch text := strings.TrimSpace(line); {
		case text == "#":
			t.Errorf("a key is not explained in\n%s", b.String())
		case text != "" && text[0] != '#':
			keys++
		}
	}
	if keys < 25 {
		t.Errorf("%d keys are printed", keys)
	}
}
