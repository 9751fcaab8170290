package main

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tunic/internal/testenv"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// judge is a program that asks verify.py about each case of the golden vectors,
// and prints what it says as one line of JSON: its answer, or why there is none.
const judge = `
import json, os, sys
sys.path.insert(0, "..")
import verify as v

def case(f):
    try:
        return f()
    except v.Invalid as why:
        return str(why)

def file(name):
    with open(os.path.join(sys.argv[1], name), "rb") as f:
        return f.read()

served = json.loads(file("vectors.json"))
net = v.read_network(file(served["network"]))
out = []
for c in served["cases"]:
    b = file(c["file"]) if "file" in c else bytes.fromhex(c["bytes"])
    if c["kind"] == "proof":
        def f():
            r = v.verify_proof(net, b, bytes.fromhex(c["node"]))
            return [True, r["epoch"], r["in_list"], r["removed"]]
    elif c["kind"] == "directory":
        def f():
            r = v.verify_directory(net, b)
            return [True, r["epoch"], len(r["entries"])]
    else:
        def f():
            r = v.verify_delta(net, b, file(c["base"]))
            return [True, r["epoch"], len(r["entries"])]
    out.append([c["name"], case(f)])

with open(sys.argv[2], "rb") as f:
    bare = json.load(f)
for c in bare["cases"]:
    h = bare["headers"][c["header"]]
    root, b = bytes.fromhex(h["root"]), bytes.fromhex(c["bytes"])
    header = {"directory_epoch": h["epoch"], "directory_count": h["count"], "directory_root": root}
    if c["kind"] == "membership":
        def f():
            return [True, v.check_membership(b, bytes.fromhex(c["node"]), root, h["count"]) is not None]
    elif c["kind"] == "list":
        def f():
            v.check_list(*v.read_list(b), header)
            return [True]
    else:
        def f():
            v.check_list(*v.apply_delta(b, *v.read_list(bytes.fromhex(c["base"]))), header)
            return [True]
    out.append([c["name"], case(f)])

with open(sys.argv[3], "rb") as f:
    one = json.load(f)
raw = lambda name: bytes.fromhex(one[name])
epoch, entries = v.read_list(raw("list"))
for m in one["memberships"]:
    out.append([m["name"], case(lambda: [True, v.check_membership(bytes.fromhex(m["proof"]), bytes.fromhex(m["node"]), raw("list_root"), len(entries)) is not None])])
same = [v.encode_entry(entries[0]) == raw("entry"), v.leaf(raw("entry")) == raw("entry_leaf"), v.list_root(entries) == raw("list_root"),
        v.list_root([]) == raw("empty_list_root"), v.apply_delta(raw("delta"), epoch, entries) == v.read_list(raw("next_list"))]
out.append(["entry, leaf, roots and delta", case(lambda: same)])
print(json.dumps(out))
`

// TestPython: a verifier in another language, written from docs/spec alone, says
// of every golden vector what the Go packages say.
func TestPython(t *testing.T) {
	testenv.Need(t, "python3")
	const bare, one = "../../../registry/directory/testdata/verify.json", "../../../registry/directory/testdata/directory.json"
	out, errs, ok := run(t, "python3", "-B", "-c", judge, golden, bare, one)
	if !ok {
		t.Fatalf("%s %s", out, errs)
	}
	var said [][2]json.RawMessage
	if err := json.Unmarshal([]byte(out), &said); err != nil {
		t.Fatal(err)
	}
	type expected struct {
		name string
		want []any // nil: some reason
	}
	var all []expected
	for _, c := range vectors(t).Cases {
		e := expected{name: c.Name}
		switch {
		case !c.Valid:
		case c.Kind == "proof":
			e.want = []any{true, c.Epoch, c.InList, c.Removed}
		default:
			e.want = []any{true, c.Epoch, c.Count}
		}
		all = append(all, e)
	}
	b, err := os.ReadFile(bare)
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Cases []struct {
			Name, Kind    string
			Valid, Listed bool
		}
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	for _, c := range v.Cases {
		e := expected{name: c.Name}
		switch {
		case !c.Valid:
		case c.Kind == "membership":
			e.want = []any{true, c.Listed}
		default:
			e.want = []any{true}
		}
		all = append(all, e)
	}
	if b, err = os.ReadFile(one); err != nil {
		t.Fatal(err)
	}
	var list struct {
		Memberships []struct {
			Name   string
			Listed bool
		}
	}
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	for _, m := range list.Memberships {
		all = append(all, expected{m.Name, []any{true, m.Listed}})
	}
	all = append(all, expected{"entry, leaf, roots and delta", []any{true, true, true, true, true}})
	if len(said) != len(all) || len(all) < 60 {
		t.Fatalf("%d answers for %d cases", len(said), len(all))
	}
	for i, e := range all {
		got := strings.ReplaceAll(string(said[i][1]), " ", "")
		if e.want == nil {
			if !strings.HasPrefix(got, `"`) {
				t.Errorf("%s: accepted: %s", e.name, got)
			}
			continue
		}
		if want, _ := json.Marshal(e.want); got != string(want) {
			t.Errorf("%s: %s, want %s", e.name, got, want)
		}
	}
}

// TestPythonRefusesNetworkFiles: a changed network file is found out by its hash,
// and an unusable one is no traceback.
func TestPythonRefusesNetworkFiles(t *testing.T) {
	testenv.Need(t, "python3")
	b, err := os.ReadFile(filepath.Join(golden, "network.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ file, want string }{
		"changed":    {strings.Replace(string(b), `"max_contributors": 10`, `"max_contributors": 11`, 1), "does not verify: the network file hashes to another"},
		"no JSON":    {"x", "unusable: "},
		"incomplete": {"{}", "unusable: "},
	} {
		file := filepath.Join(t.TempDir(), "network.json")
		if err := os.WriteFile(file, []byte(c.file), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, errs, ok := run(t, "python3", "-B", "../verify.py", file, "directory", filepath.Join(golden, "directory.bin")); ok || !strings.HasPrefix(errs, c.want) {
			t.Errorf("%s: %s", name, errs)
		}
	}
}
