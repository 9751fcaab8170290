package client_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tunic/client"
	"tunic/internal/testenv"
	"tunic/onion/mail"
)

type accountVector struct {
	Mnemonic string `json:"mnemonic"`
	ID       string `json:"id"`
	Safety   string `json:"safety_with_first"`
}

type accountVectors struct {
	Command  string          `json:"command"`
	Accounts []accountVector `json:"accounts"`
}

func TestVectors(t *testing.T) {
	mnemonics := []string{
		strings.Repeat("abandon ", 11) + "about",
		strings.Repeat("abandon ", 23) + "art",
		"legal winner thank year wave sausage worth useful legal winner thank yellow",
		strings.Repeat("zoo ", 23) + "vote",
	}
	got := accountVectors{Command: "go test ./client -run TestVectors -rewrite"}
	var first mail.AccountID
	for i, m := range mnemonics {
		a, err := client.Restore("  " + strings.ToUpper(m) + "\n")
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = a.ID()
		}
		if a.Mnemonic() != m {
			t.Errorf("mnemonic became %q", a.Mnemonic())
		}
		got.Accounts = append(got.Accounts, accountVector{m, a.String(), client.SafetyNumber(a.ID(), first)})
		if client.SafetyNumber(first, a.ID()) != client.SafetyNumber(a.ID(), first) {
			t.Error("the safety number depends on who asks")
		}
	}
	testenv.Golden(t, "testdata/accounts.json", got)
}

func TestNewMnemonic(t *testing.T) {
	for _, words := range []int{12, 24} {
		m, err := client.NewMnemonic(rand.Reader, words)
		if err != nil || len(strings.Fields(m)) != words {
			t.Fatalf("%d words: %v", words, err)
		}
		if _, err := client.Restore(m); err != nil {
			t.Error(err)
		}
	}
	if _, err := client.NewMnemonic(rand.Reader, 13); !errors.Is(err, client.ErrMnemonic) {
		t.Error(err)
	}
}

func TestRestoreRefuses(t *testing.T) {
	good := strings.Fields("legal winner thank year wave sausage worth useful legal winner thank yellow")
	with := func(i int, w string) string { g := slices.Clone(good); g[i] = w; return strings.Join(g, " ") }
	swapped := slices.Clone(good)
	swapped[1], swapped[2] = swapped[2], swapped[1]
	for in, hint := range map[string]string{
		"":                                   "0 words",
		strings.Join(good[1:], " "):          "11 words",
		with(3, "yeer"):                      "word 4 is not in",
		with(1, "winnner"):                   `did you mean "winner"`,
		with(11, "zoo"):                      "checksum",
		strings.Join(swapped, " "):           "two are swapped",
		strings.Join(append(good, "x"), " "): "13 words",
	} {
		if _, err := client.Restore(in); !errors.Is(err, client.ErrMnemonic) || !strings.Contains(err.Error(), hint) {
			t.Errorf("%q: %v, want a hint %q", in, err, hint)
		}
	}
}

func TestAccountIDText(t *testing.T) {
	id := account(t, "alice").ID()
	s := client.FormatID(id)
	if len(s) != 64 || !strings.HasPrefix(s, "tunic1") {
		t.Errorf("%d characters: %s", len(s), s)
	}
	for _, in := range []string{s, strings.ToUpper(s), " " + s + "\n"} {
		if got, err := client.ParseID(in); err != nil || got != id {
			t.Errorf("%q: %v", in, err)
		}
	}
	for i := range s {
		b := []byte(s)
		if b[i]++; b[i] == '1'+1 {
			b[i] = 'q'
		}
		if _, err := client.ParseID(string(b)); !errors.Is(err, client.ErrAccountID) {
			t.Errorf("%q: %v", b, err)
		}
	}
	for _, in := range []string{"", "tunic1", s[:63], s + "q", strings.Repeat("q", 100), "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"} {
		if _, err := client.ParseID(in); !errors.Is(err, client.ErrAccountID) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add(client.FormatID(mail.AccountID{1, 2, 3}))
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := client.ParseID(s); err == nil && client.FormatID(id) != strings.ToLower(strings.TrimSpace(s)) {
			t.Error("two texts of one id")
		}
	})
}

func TestKeystore(t *testing.T) {
	a := account(t, "alice")
	path := filepath.Join(t.TempDir(), "account.json")
	if err := client.SaveKeystore(path, a, []byte("correct horse"), client.LightKDF(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Error(info.Mode())
	}
	b, err := client.OpenKeystore(path, []byte("correct horse"))
	if err != nil || b.ID() != a.ID() || b.Mnemonic() != a.Mnemonic() {
		t.Fatal(err)
	}
	if _, err := client.OpenKeystore(path, []byte("Correct horse")); !errors.Is(err, client.ErrPassphrase) {
		t.Error(err)
	}
	if err := client.SaveKeystore(path, a, nil, client.LightKDF(), rand.Reader); !errors.Is(err, fs.ErrExist) {
		t.Error("a keystore was overwritten:", err)
	}
	if err := client.SaveKeystore(path+"2", a, nil, client.KDF{}, rand.Reader); !errors.Is(err, client.ErrConfig) {
		t.Error(err)
	}
	raw, _ := os.ReadFile(path)
	for _, s := range []string{a.String(), strings.Fields(a.Mnemonic())[0]} {
		if bytes.Contains(raw, []byte(s)) {
			t.Errorf("the file holds %q", s)
		}
	}
	for name, c := range map[string]struct {
		old, new string
		want     error
	}{
		"another version":  {`"version": 1`, `"version": 2`, client.ErrKeystore},
		"too much memory":  {`"memory_kib": 1024`, `"memory_kib": 4000000000`, client.ErrKeystore},
		"no time":          {`"time": 1`, `"time": 0`, client.ErrKeystore},
		"other cost":       {`"time": 1`, `"time": 2`, client.ErrPassphrase},
		"another cipher":   {"xchacha20poly1305", "rot13", client.ErrKeystore},
		"an unknown key":   {`"version"`, `"x": 1, "version"`, client.ErrKeystore},
		"text behind":      {"\n}\n", "\n}\nx", client.ErrKeystore},
		"a short salt":     {`"salt": "`, `"salt": "AAAA`, client.ErrKeystore},
		"nothing readable": {"{", "", client.ErrKeystore},
	} {
		bad := strings.Replace(string(raw), c.old, c.new, 1)
		p := filepath.Join(t.TempDir(), "bad.json")
		if err := os.WriteFile(p, []byte(bad), 0o600); err != nil || bad == string(raw) {
			t.Fatal(name, err)
		}
		if _, err := client.OpenKeystore(p, []byte("correct horse")); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := client.OpenKeystore(path+"none", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if s := fmt.Sprintf("%v %#v %s", a, a, a); strings.Contains(s, strings.Fields(a.Mnemonic())[0]) {
		t.Error("an account prints its secret")
	}
}

// A new passphrase takes the old one's place in the file, or nothing changes.
func TestChangePassphrase(t *testing.T) {
	dir := t.TempDir()
	path, linked := filepath.Join(dir, "account.json"), filepath.Join(dir, "link")
	a := account(t, "ann")
	if err := client.SaveKeystore(path, a, []byte("old"), client.LightKDF(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink(path, linked), os.Chmod(path, 0o644)); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	next := func() ([]byte, error) { return []byte("new"), nil }
	asked := errors.New("nobody answers")
	for name, c := range map[string]struct {
		old  string
		next func() ([]byte, error)
		cost client.KDF
		rand io.Reader
		want error
	}{
		"a wrong one":     {"odl", func() ([]byte, error) { t.Error("asked for a new one"); return nil, nil }, client.LightKDF(), rand.Reader, client.ErrPassphrase},
		"no new one":      {"old", func() ([]byte, error) { return nil, asked }, client.LightKDF(), rand.Reader, asked},
		"a cost too high": {"old", next, client.KDF{Time: 1, Memory: 1 << 30, Threads: 1}, rand.Reader, client.ErrConfig},
		"no randomness":   {"old", next, client.LightKDF(), strings.NewReader("short"), io.ErrUnexpectedEOF},
	} {
		if err := client.ChangePassphrase(path, []byte(c.old), c.next, c.cost, c.rand); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, before) {
			t.Fatalf("%s: the file has changed: %v", name, err)
		}
	}
	if err := client.ChangePassphrase(linked, []byte("old"), next, client.LightKDF(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if _, err := client.OpenKeystore(path, []byte("old")); !errors.Is(err, client.ErrPassphrase) {
		t.Error("the old one opens it still:", err)
	}
	if b, err := client.OpenKeystore(path, []byte("new")); err != nil || b.ID() != a.ID() {
		t.Error("the new one does not open the same account:", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error("others may read it:", info.Mode(), err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 2 {
		t.Errorf("something was left behind: %v %v", names, err)
	}
	if err := client.ChangePassphrase(filepath.Join(dir, "none"), nil, next, client.LightKDF(), rand.Reader); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
