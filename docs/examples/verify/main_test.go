package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tunic/chain/genesis"
	"tunic/devnet"
	"tunic/internal/testenv"
)

// golden is where ledger/light keeps what a ledger served, and its network file.
const golden = "../../../ledger/light/testdata"

type vector struct {
	Name, Kind, File, Bytes, Base, Node string
	Valid, Removed                      bool
	InList                              bool `json:"in_list"`
	Epoch, Count                        int
}

func vectors(t *testing.T) (v struct{ Cases []vector }) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(golden, "vectors.json"))
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// build makes the example's program in a module of its own, which has this one
// as a dependency: what it imports is open to everyone.
func build(t *testing.T) string {
	t.Helper()
	testenv.Need(t, "go")
	dir := t.TempDir()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	copied := func(from, to string, change func(string) string) {
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, to), []byte(change(string(b))), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	same := func(s string) string { return s }
	copied("main.go", "main.go", same)
	copied(filepath.Join(root, "go.sum"), "go.sum", same)
	copied(filepath.Join(root, "go.mod"), "go.mod", func(s string) string {
		return strings.Replace(s, "module tunic\n", "module example.test/verify\n\nrequire tunic v0.0.0\n\nreplace tunic => "+strconv.Quote(root)+"\n", 1)
	})
	cmd := exec.CommandContext(t.Context(), "go", "build", "-mod=mod", "-o", "verify", ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return filepath.Join(dir, "verify")
}

// network writes the network file n, with the ledger at url, and returns its path.
func network(t *testing.T, n genesis.Network, url string) string {
	t.Helper()
	n.URLs = []string{url}
	path := filepath.Join(t.TempDir(), "network.json")
	if err := os.WriteFile(path, n.Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func run(t *testing.T, name string, args ...string) (stdout, stderr string, ok bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	return out.String(), errs.String(), err == nil
}

// The program is as short as the documentation says.
func TestShort(t *testing.T) {
	b, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(b, []byte{'\n'}); lines >= 30 {
		t.Errorf("%d lines", lines)
	}
}

// TestProgram builds the program once, and runs it.
func TestProgram(t *testing.T) {
	bin := build(t)
	t.Run("golden", func(t *testing.T) { onVectors(t, bin) })
	t.Run("network", func(t *testing.T) { onNetwork(t, bin) })
}

// The program tells who is listed from the golden files, which a server gives
// it that nobody trusts, and says of every lie that it is one.
func onVectors(t *testing.T, bin string) {
	var served []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != "application/octet-stream" || !strings.HasSuffix(r.URL.Path, "/proof") {
			t.Errorf("%s with Accept %q", r.URL, r.Header.Get("Accept"))
		}
		_, _ = w.Write(served)
	}))
	defer srv.Close()
	b, err := os.ReadFile(filepath.Join(golden, "network.json"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := genesis.ParseNetwork(b)
	if err != nil {
		t.Fatal(err)
	}
	file, asked := network(t, n, srv.URL), 0
	for _, c := range vectors(t).Cases {
		if c.Kind != "proof" {
			continue
		}
		asked++
		served = c.data(t)
		out, errs, ok := run(t, bin, file, c.Node)
		if ok != c.Valid {
			t.Errorf("%s: %s %s", c.Name, out, errs)
		}
		if want := c.Node + " listed: " + strconv.FormatBool(c.InList && !c.Removed) + " epoch: " + strconv.Itoa(c.Epoch); ok && !strings.HasPrefix(out, want) {
			t.Errorf("%s: %q, want %q", c.Name, out, want)
		}
	}
	if asked < 20 {
		t.Errorf("%d proofs", asked)
	}
}

func (c vector) data(t *testing.T) []byte {
	t.Helper()
	if c.File == "" {
		return unhex(t, c.Bytes)
	}
	b, err := os.ReadFile(filepath.Join(golden, c.File))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A whole network serves one entry and one absence, to both programs.
func onNetwork(t *testing.T, bin string) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	net, err := devnet.Start(ctx, devnet.Spec{Relays: 4, Seed: 3, HTTP: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer net.Close()
	file, here, nobody := network(t, net.File, net.URL), net.Ledger.Head().Header, strings.Repeat("0", 64)
	l, _, err := net.Ledger.List(here.DirEpoch)
	if err != nil || len(l.Entries) == 0 {
		t.Fatalf("nobody is listed: %v", err)
	}
	listed := l.Entries[0].Node.String()
	want := listed + " listed: true epoch: " + strconv.FormatUint(uint64(here.DirEpoch), 10)
	none := nobody + " listed: false epoch: " + strconv.FormatUint(uint64(here.DirEpoch), 10)
	out, errs, ok := run(t, bin, file, listed, nobody)
	if lines := strings.Split(out, "\n"); !ok || len(lines) != 3 || !strings.HasPrefix(lines[0], want+" [") || lines[1] != none+" []" {
		t.Errorf("%s %s", out, errs)
	}
	// The network file of another network shows the same answers to be none.
	net.File.Nonce[0] ^= 1
	net.File.Genesis = net.File.HashWith(net.File.Allocations)
	if out, errs, ok := run(t, bin, network(t, net.File, net.URL), listed); ok || !strings.Contains(errs, "another network") {
		t.Errorf("another network file: %s %s", out, errs)
	}

	testenv.Need(t, "python3")
	for path, c := range map[string]struct {
		args []string
		want string
	}{
		"/v1/directory/" + listed + "/proof": {[]string{"proof", "FILE", listed}, want},
		"/v1/directory/" + nobody + "/proof": {[]string{"proof", "FILE", nobody}, none},
		"/v1/directory":                      {[]string{"directory", "FILE"}, "epoch: " + strconv.FormatUint(uint64(here.DirEpoch), 10) + " relays: 4 "},
	} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, net.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "application/octet-stream")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		_, err = b.ReadFrom(res.Body)
		res.Body.Close()
		kept := filepath.Join(t.TempDir(), "served")
		if err != nil || os.WriteFile(kept, b.Bytes(), 0o600) != nil {
			t.Fatalf("cannot keep what was served: %v", err)
		}
		c.args[1] = kept
		if out, errs, ok := run(t, "python3", append([]string{"-B", "../verify.py", file}, c.args...)...); !ok || !strings.HasPrefix(out, c.want) {
			t.Errorf("verify.py %v: %s %s", c.args, out, errs)
		}
	}
}
