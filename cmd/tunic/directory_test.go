package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tunic/api/client"
	"tunic/ledger/light"
	"tunic/registry/directory"
)

const served = "../../ledger/light/testdata"

// `directory verify` says of each golden file what the packages say, in bytes
// and, where there is one, as JSON.
func TestDirectoryVerifyGolden(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join(served, "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Cases []struct {
			Name, Kind, File, Bytes, Node string
			Valid, Removed                bool
			InList                        bool `json:"in_list"`
		}
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	network, dir, asked := filepath.Join(served, "network.json"), t.TempDir(), 0
	for _, c := range v.Cases {
		if c.Kind == "delta" || c.Name == "other-node" { // who verifies a file asks about no node
			continue
		}
		data, err := hex.DecodeString(c.Bytes)
		if c.File != "" {
			data, err = os.ReadFile(filepath.Join(served, c.File))
		}
		if err != nil {
			t.Fatal(err)
		}
		for form, content := range map[string][]byte{"bytes": data, "json": asAnswer(data)} {
			if content == nil {
				continue
			}
			asked++
			file := filepath.Join(dir, c.Name+"."+form)
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
			code, out, errs := tunic(t, "-o", "json", "directory", "verify", file, "--network", network)
			want := exitFalse
			if c.Valid {
				want = exitDone
			}
			if code != want || c.Valid && c.Kind == "proof" && !strings.Contains(out, fmt.Sprintf(`"listed":%v,"removed":%v`, c.InList && !c.Removed, c.Removed)) {
				t.Errorf("%s as %s: exit code %d: %s%s", c.Name, form, code, out, errs)
			}
		}
	}
	if asked < 40 {
		t.Errorf("%d files", asked)
	}
}

// asAnswer is what is served in canonical bytes as the API has it in JSON; nil
// for what cannot be read.
func asAnswer(b []byte) []byte {
	var out any
	if s, m, err := light.ReadProof(b); err == nil {
		p := client.DirectoryProof{Node: m.Node.String(), Epoch: int64(s.Header.DirEpoch), Header: s.Encode(), Membership: directory.AppendMembership(nil, m)}
		p.Listed = len(m.Entries) == 1 && m.Entries[0].Node == m.Node
		p.Removed = p.Listed && light.Removed(s.Header, m.Node)
		out = p
	} else if s, l, err := light.ReadDirectory(b); err == nil {
		out = directoryFileOf(l, s)
	} else {
		return nil
	}
	text, err := json.Marshal(out)
	if err != nil {
		return nil
	}
	return text
}

// A header alone verifies, in both forms, and says that the list is missing.
func TestDirectoryVerifyHeader(t *testing.T) {
	t.Parallel()
	network, dir := filepath.Join(served, "network.json"), t.TempDir()
	b, err := os.ReadFile(filepath.Join(served, "directory.bin"))
	if err != nil {
		t.Fatal(err)
	}
	s, l, err := light.ReadDirectory(b)
	if err != nil {
		t.Fatal(err)
	}
	root := client.DirectoryRoot{Epoch: int64(l.Epoch), Root: l.Root().String(), Count: len(l.Entries), Height: int64(s.Header.Height), Header: s.Encode()}
	asJSON, _ := json.Marshal(root)
	root.Count++
	lies, _ := json.Marshal(root)
	broken := s.Encode()
	broken[len(broken)-1] ^= 1
	for name, c := range map[string]struct {
		content []byte
		code    int
		say     string
	}{
		"bytes": {s.Encode(), exitDone, "the header alone"}, "json": {asJSON, exitDone, "the header alone"},
		"lies": {lies, exitFalse, "of 7"}, "seal": {broken, exitFalse, "invalid seal"}, "cut": {broken[:100], exitFalse, "no list, proof or header"},
		"delta": {[]byte(`{"since":1,"epoch":4,"header":"AAAA"}`), exitFalse, "a delta proves nothing"},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if code, out, errs := tunic(t, "directory", "verify", file, "--network", network); code != c.code || !strings.Contains(out+errs, c.say) {
			t.Errorf("%s: exit code %d: %s%s", name, code, out, errs)
		}
	}
}

// A file of another kind is refused with what it is, or which command takes it.
func TestFilesOfAnotherKind(t *testing.T) {
	t.Parallel()
	network, dir := filepath.Join(served, "network.json"), t.TempDir()
	block := filepath.Join(dir, "block.json")
	if err := os.WriteFile(block, []byte(`{"header":{"height":7},"transactions":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		exit int
		says string
		args []string
	}{
		{exitFalse, "a delta proves nothing without the list that it is made from", []string{"directory", "verify", filepath.Join(served, "delta.bin")}},
		{exitFalse, `field "Directory.header": wrong type: object where`, []string{"directory", "verify", block}},
		{exitMalformed, "lists and proofs of the directory are for `tunic directory verify`", []string{"proof", "verify", filepath.Join(served, "directory.bin")}},
		{exitMalformed, "lists and proofs of the directory are for `tunic directory verify`", []string{"proof", "show", filepath.Join(served, "present.bin")}},
		{exitMalformed, "lists and proofs of the directory are for `tunic directory verify`", []string{"proof", "verify", block}},
	} {
		args := c.args
		if args[1] == "verify" {
			args = append(args, "--network", network)
		}
		if code, out, errs := tunic(t, args...); code != c.exit || !strings.Contains(errs, c.says) || strings.Contains(errs, "Go struct") {
			t.Errorf("%s: exit code %d: %s%s", args, code, out, errs)
		}
	}
}
