package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tunic/internal/testenv"
)

// talkPatience is how long one thing may take on a machine that is busy.
const talkPatience = 90 * time.Second

// talker is a person with a machine: an address, and a folder.
type talker struct {
	t             *testing.T
	name, at, dir string
	network, id   string
	work          *exec.Cmd // client run; nil while offline
	said          *bytes.Buffer
}

// command is the program, as this person starts it.
func (m *talker) command(args ...string) *exec.Cmd {
	c := exec.Command("tunic", args...)
	c.Env = append(os.Environ(), "TUNIC_PASSPHRASE=open sesame", "NO_COLOR=1", "TUNIC_HOME="+m.dir, "TUNIC_NETWORK="+m.network)
	return c
}

// run runs a command that must end with one of codes, and returns what it said.
func (m *talker) run(codes []int, args ...string) string {
	m.t.Helper()
	c := m.command(args...)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, _ := c.Output()
	if code := c.ProcessState.ExitCode(); !slices.Contains(codes, code) {
		m.t.Fatalf("%s: tunic %s ended with %d: %s", m.name, strings.Join(args, " "), code, errs.String())
	}
	return string(out)
}

func (m *talker) online(args ...string) []string {
	return append(args, "--dir", m.dir, "--bind", m.at)
}

// comes sets the person's client to work, and leaves ends it again.
func (m *talker) comes() {
	m.t.Helper()
	m.work, m.said = m.command(m.online("client", "run", "--accept-all", "-o", "json")...), new(bytes.Buffer)
	m.work.Stderr = m.said
	out, err := m.work.StdoutPipe()
	if err == nil {
		err = m.work.Start()
	}
	if err != nil {
		m.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		m.t.Fatalf("%s does not come online: %s", m.name, m.said)
	}
	go func() {
		for lines.Scan() { // so that it never waits for us
		}
	}()
}

func (m *talker) leaves() {
	m.t.Helper()
	_ = m.work.Process.Signal(os.Interrupt)
	if err := m.work.Wait(); err != nil {
		m.t.Fatalf("client run of %s: %v: %s", m.name, err, m.said)
	}
	if said := m.said.String(); strings.Contains(said, "malformed") {
		m.t.Errorf("client run of %s: %s", m.name, said)
	}
	m.work = nil
}

// linkOf is the endpoint of a relay to which a TCP connection leads from the
// person's address: its guard.
func (m *talker) linkOf(relays map[string]process) string {
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		m.t.Fatal(err)
	}
	const established = "01"
	for _, line := range strings.Split(string(b), "\n") {
		f := strings.Fields(line)
		if len(f) < 4 || f[3] != established || !strings.HasPrefix(endpointOf(f[1]), m.at+":") {
			continue
		}
		if _, ok := relays[endpointOf(f[2])]; ok {
			return endpointOf(f[2])
		}
	}
	return ""
}

// endpointOf reads an address as the kernel shows it, 0100007F:1F90, in the byte
// order of the machine.
func endpointOf(s string) string {
	host, port, _ := strings.Cut(s, ":")
	a, err := strconv.ParseUint(host, 16, 32)
	if err != nil {
		return ""
	}
	p, _ := strconv.ParseUint(port, 16, 16)
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(a))
	return netip.AddrPortFrom(netip.AddrFrom4(b), uint16(p)).String()
}

// listed is what `tunic inbox` or `outbox` shows of a message.
type listed struct {
	Text  string `json:"text"`
	State string `json:"state"`
	Sent  int64  `json:"sent_ms"`
}

// list is what a command shows, in the order in which it was written.
func (m *talker) list(args ...string) []listed {
	m.t.Helper()
	var l struct {
		Messages []listed `json:"messages"`
	}
	if err := json.Unmarshal([]byte(m.run([]int{exitDone}, args...)), &l); err != nil {
		m.t.Fatal(err)
	}
	slices.SortStableFunc(l.Messages, func(a, b listed) int { return cmp.Compare(a.Sent, b.Sent) })
	return l.Messages
}

// hood is the relays of a devnet whose nodes are processes.
type hood struct {
	t     *testing.T
	alive map[string]process // by endpoint
	hurt  map[string]bool    // swarms that have lost a member
}

// process is a relay's.
type process struct {
	pid   int
	swarm string
}

// kill ends the relay at an endpoint as a crash does.
func (h *hood) kill(at string) {
	h.t.Helper()
	n := h.alive[at]
	if err := syscall.Kill(n.pid, syscall.SIGKILL); err != nil {
		h.t.Fatal(err)
	}
	h.t.Logf("killed the relay at %s, of swarm %s", at, n.swarm)
	h.hurt[n.swarm] = true
	delete(h.alive, at)
}

// killMembers kills one relay of each swarm that has lost none yet: so that every
// mailbox has lost a member, and a majority of each is left.
func (h *hood) killMembers() {
	for at, n := range h.alive {
		if !h.hurt[n.swarm] {
			h.kill(at)
		}
	}
}

// startHood starts relays of at least two swarms.
func startHood(t *testing.T, m *talker) *hood {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "net")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	m.run([]int{exitDone}, "devnet", "up", "--processes", "--detach", "--relays", "9", "--http", addr, "--datadir", dir)
	t.Cleanup(func() { m.run([]int{exitDone, exitFailed}, "devnet", "down", "--datadir", dir) })
	m.network = filepath.Join(dir, "ledger", "network.json")
	up, err := readRunning(dir)
	if err != nil {
		t.Fatal(err)
	}
	h := &hood{t: t, alive: map[string]process{}, hurt: map[string]bool{}}
	var list struct {
		Nodes []struct {
			Node      string   `json:"node"`
			Swarm     string   `json:"swarm"`
			Endpoints []string `json:"endpoints"`
		} `json:"nodes"`
	}
	if err := json.Unmarshal([]byte(m.run([]int{exitDone}, "node", "list", "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	for _, n := range list.Nodes {
		i := slices.IndexFunc(up.Relays, func(r upRelay) bool { return r.Node.String() == n.Node })
		if i < 0 || len(n.Endpoints) == 0 || up.Relays[i].PID == 0 {
			t.Fatalf("%+v is no relay of the devnet", n)
		}
		h.alive[n.Endpoints[0]] = process{up.Relays[i].PID, n.Swarm}
	}
	return h
}

// Two people on two machines write to each other while each is offline in turn, and
// relays on their paths are killed: a guard while it carries a message, and a member
// of every mailbox. Everything arrives once, and is confirmed.
func TestTalkThroughCrashes(t *testing.T) {
	t.Parallel()
	testenv.NeedFile(t, "/proc/net/tcp", "the guard is found among the connections that Linux shows")
	alice := &talker{t: t, name: "alice", at: "127.250.0.1", dir: filepath.Join(t.TempDir(), "alice")}
	bob := &talker{t: t, name: "bob", at: "127.251.0.1", dir: filepath.Join(t.TempDir(), "bob")}
	h := startHood(t, alice)
	bob.network = alice.network
	for _, m := range []*talker{alice, bob} {
		var made struct{ ID string }
		if err := json.Unmarshal([]byte(m.run([]int{exitDone}, "account", "new", "--light", "--dir", m.dir, "-o", "json")), &made); err != nil {
			t.Fatal(err)
		}
		m.id = made.ID
		t.Cleanup(func() {
			if m.work != nil {
				_ = m.work.Process.Kill()
				_ = m.work.Wait()
			}
		})
	}
	alice.run([]int{exitDone}, "contact", "add", bob.id, "bob", "--dir", alice.dir)
	bob.run([]int{exitDone}, "contact", "add", alice.id, "alice", "--dir", bob.dir)

	wrote := map[*talker][]string{}
	text := func(m *talker) string {
		wrote[m] = append(wrote[m], fmt.Sprintf("text %d of %s", len(wrote[m])+1, m.name))
		return wrote[m][len(wrote[m])-1]
	}
	to := map[*talker]string{alice: "bob", bob: "alice"}
	send := func(m *talker, codes []int, args ...string) {
		t.Helper()
		m.run(codes, m.online(append([]string{"send", to[m], text(m), "--timeout", talkPatience.String()}, args...)...)...)
	}
	delivered, either := []int{exitDone}, []int{exitDone, exitUnreachable}

	bob.comes()
	send(alice, delivered)

	// Bob goes while alice writes.
	c := alice.command(alice.online("send", "bob", text(alice), "--timeout", talkPatience.String(), "--stored")...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	bob.leaves()
	if err := c.Wait(); err != nil {
		t.Fatal("a text did not reach the mailbox of who has left: ", err)
	}

	// He is away; her guard dies while it carries what she writes.
	for guard := ""; guard == ""; {
		c := alice.command(alice.online("send", "bob", text(alice), "--timeout", talkPatience.String(), "--stored")...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		for guard == "" && len(ended) == 0 {
			guard = alice.linkOf(h.alive)
			time.Sleep(2 * time.Millisecond)
		}
		if guard != "" {
			h.kill(guard)
		} // else it was faster than we: another text
		if err := <-ended; err != nil {
			t.Fatal("a text did not reach the mailbox when the guard was killed: ", err)
		}
	}

	// She goes, he comes: every mailbox loses a member while he reads and answers.
	send(bob, either, "--no-wait")
	bob.comes()
	h.killMembers()
	bob.leaves()
	for range 2 {
		send(bob, either, "--stored")
	}

	// She comes back, and goes while he writes; and once more each.
	alice.comes()
	send(bob, delivered)
	alice.leaves()
	send(bob, either, "--stored")
	bob.comes()
	send(alice, delivered)
	bob.leaves()
	send(alice, []int{exitDone}, "--no-wait")

	// Both are there until all is known.
	settled := func() bool {
		alice.comes()
		bob.comes()
		time.Sleep(2 * time.Second)
		alice.leaves()
		bob.leaves()
		for _, m := range []*talker{alice, bob} {
			for _, x := range m.list("outbox", "--dir", m.dir, "-o", "json") {
				if x.State != "delivered" {
					return false
				}
			}
		}
		return true
	}
	for end := time.Now().Add(2 * talkPatience); !settled(); {
		if time.Now().After(end) {
			t.Error("not all is confirmed")
			break
		}
	}
	for m, from := range map[*talker]*talker{alice: bob, bob: alice} {
		var got []string
		for _, x := range m.list(m.online("inbox", "--all", "--wait", "0", "-o", "json")...) {
			got = append(got, x.Text)
		}
		if !slices.Equal(got, wrote[from]) {
			t.Errorf("%s has %q\n%s wrote %q", m.name, got, from.name, wrote[from])
		}
		out := from.list("outbox", "--dir", from.dir, "-o", "json")
		for _, x := range out {
			if x.State != "delivered" {
				t.Errorf("%q of %s is %s", x.Text, from.name, x.State)
			}
		}
		if len(out) != len(wrote[from]) {
			t.Errorf("%d texts in the outbox of %s, who wrote %d", len(out), from.name, len(wrote[from]))
		}
	}
	if len(h.hurt) < 2 {
		t.Errorf("only %d relays were killed", len(h.hurt))
	}
}
