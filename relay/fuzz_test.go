package relay_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/statement"
	"tunic/relay"
)

func FuzzDecodeHello(f *testing.F) {
	f.Add(relay.Hello{}.Encode())
	f.Add(relay.Hello{Descriptor: []byte("d"), Header: []byte("h")}.Encode())
	f.Add(relay.Hello{Votes: [][]byte{{1}, []byte("vote")}}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := relay.DecodeHello(b); err == nil && !bytes.Equal(h.Encode(), b) {
			t.Fatal("two encodings")
		}
	})
}

func FuzzDecodeKeys(f *testing.F) {
	k, _ := relay.NewKeys(bytes.NewReader(make([]byte, 64)))
	f.Add(k.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := relay.DecodeKeys(b); err == nil && !bytes.Equal(k.Encode(), b) {
			t.Fatal("two encodings")
		}
	})
}

func TestKeyFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if _, err := relay.LoadKeys(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	rand := strings.NewReader(strings.Repeat("0123456789abcdef", 8))
	a, created, err := relay.LoadOrCreateKeys(dir, rand)
	if err != nil || !created {
		t.Fatal(err)
	}
	b, created, err := relay.LoadOrCreateKeys(dir, rand)
	if err != nil || created || a.ID() != b.ID() || a.VRF != b.VRF {
		t.Fatal(err)
	}
	name := filepath.Join(dir, relay.KeyFile)
	if info, _ := os.Stat(name); info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v", info.Mode())
	}
	operator, genesis := chain.Address{1}, chain.Hash{2}
	sig, proof := a.Registration(genesis, operator)
	if err := (statement.Domain{Genesis: genesis}).VerifyRaw(a.ID(), statement.LabelRegistration, statement.RegistrationBody(operator, a.VRFPublic()), sig); err != nil {
		t.Fatal(err)
	}
	if _, err := beacon.Verify(a.VRFPublic(), beacon.RegistrationAlpha(genesis, operator), proof); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(name)
	for what, bad := range map[string][]byte{
		"empty": nil, "short": text[:len(text)-3], "trailing": append(bytes.Clone(text), '\n'), "upper": bytes.ToUpper(text), "version": bytes.Replace(text, []byte("key 1"), []byte("key 2"), 1),
	} {
		os.WriteFile(name, bad, 0o600)
		if _, err := relay.LoadKeys(dir); !errors.Is(err, relay.ErrKeyFile) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestStateOfAnotherNetworkIsRefused(t *testing.T) {
	dir := t.TempDir()
	n := newNetwork(t, 1, nil, func(_ int, c *relay.Config) { c.Dir = dir })
	n.nodes[0].stop()
	cfg := n.config(0)
	cfg.Dir = dir
	cfg.Genesis[0]++
	r, err := relay.New(cfg)
	if err == nil {
		err = r.Run(t.Context())
	}
	if !errors.Is(err, relay.ErrKeyFile) {
		t.Fatal(err)
	}
	for _, file := range []string{"marks", "onion.keys"} {
		name := filepath.Join(dir, file)
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(name, append(bytes.Clone(b), 0), 0o600)
		cfg := n.config(0)
		cfg.Dir = dir
		r, _ := relay.New(cfg)
		if err := r.Run(t.Context()); !errors.Is(err, relay.ErrKeyFile) {
			t.Errorf("%s: %v", file, err)
		}
		os.WriteFile(name, b, 0o600)
	}
}
