package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tunic/client"
	"tunic/devnet"
	"tunic/internal/testenv"
	"tunic/node"
)

// The program is as short as the documentation says.
func TestShort(t *testing.T) {
	b, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if lines := bytes.Count(b, []byte{'\n'}); lines >= 25 {
		t.Errorf("%d lines", lines)
	}
}

// The program sends to somebody who is online, over TLS, and is told of the
// confirmation; to whom it has no contact it sends nothing.
func TestProgram(t *testing.T) {
	testenv.Need(t, "go")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	bin := filepath.Join(t.TempDir(), "send")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	network, err := devnet.Start(ctx, devnet.Spec{Relays: 5, Clients: 1, Seed: 5, Links: devnet.LinksTLS, Live: true, HTTP: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer network.Close()
	alice := network.Clients[0]
	if err := alice.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "network.json")
	if err := os.WriteFile(file, network.File.Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	words, err := client.NewMnemonic(rand.Reader, 12)
	if err != nil {
		t.Fatal(err)
	}
	me, err := client.Restore(words)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.SaveKeystore(filepath.Join(dir, "account.json"), me, []byte("open sesame"), client.LightKDF(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	send := func(text string) (string, bool) {
		cmd := exec.CommandContext(ctx, bin, file, dir, client.FormatID(alice.ID()), text)
		cmd.Env = append(os.Environ(), "TUNIC_PASSPHRASE=open sesame")
		out, err := cmd.CombinedOutput()
		return string(out), err == nil
	}
	if out, ok := send("too early"); !ok || !strings.Contains(out, "delivered: false") || !strings.Contains(out, "no such contact") {
		t.Errorf("without a contact: %s", out)
	}
	opened, end := context.WithCancel(ctx)
	c, err := node.OpenClient(opened, node.ClientConfig{Account: me, Dir: dir, Network: network.File})
	if err != nil {
		t.Fatal(err)
	}
	err = c.AddContact(alice.ID(), "alice")
	end()
	if cerr := c.Close(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
	if out, ok := send("hello"); !ok || !strings.Contains(out, "delivered: true <nil>") {
		t.Errorf("to a contact: %s", out)
	}
	if l := alice.Inbox(); len(l) != 1 || l[0].Text != "hello" || l[0].Contact != me.ID() {
		t.Errorf("alice has %+v", l)
	}
}
