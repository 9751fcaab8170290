package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tunic/internal/testenv"
)

// pty is a terminal with a program in it, which leads a session of its own.
type pty struct {
	t         *testing.T
	side, tty *os.File // ours, and the program's
	program   *exec.Cmd
	before    unix.Termios
	exit      chan error
	mu        sync.Mutex // guards shown
	shown     []byte     // all that the program wrote
}

// newPty starts a program of a person in a terminal.
func (m *talker) newPty(name string, args ...string) *pty {
	m.t.Helper()
	testenv.NeedFile(m.t, "/dev/ptmx", "pseudo terminals")
	p := &pty{t: m.t, exit: make(chan error, 1)}
	side, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	p.check(err)
	p.side = side
	var n int
	p.control(func(fd int) error {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		n, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		return err
	})
	p.tty, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	p.check(err)
	p.before = p.modes()
	p.size(80, 24)
	p.program = m.command()
	p.program.Path, p.program.Args = name, append([]string{name}, args...)
	if at, err := exec.LookPath(name); err == nil {
		p.program.Path = at
	}
	p.program.Stdin, p.program.Stdout, p.program.Stderr = p.tty, p.tty, p.tty
	p.program.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	// What is ignored here, under nohup for instance, would be ignored there; what is
	// caught is not.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT)
	err = p.program.Start()
	signal.Stop(caught)
	p.check(err)
	go func() { p.exit <- p.program.Wait() }()
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := side.Read(b)
			p.mu.Lock()
			p.shown = append(p.shown, b[:n]...)
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	m.t.Cleanup(func() {
		_ = p.program.Process.Kill()
		side.Close()
		p.tty.Close()
	})
	return p
}

func (p *pty) check(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// control does something to our side, which a read that waits does not keep open
// then.
func (p *pty) control(f func(fd int) error) {
	p.t.Helper()
	raw, err := p.side.SyscallConn()
	p.check(err)
	p.check(raw.Control(func(fd uintptr) { err = f(int(fd)) }))
	p.check(err)
}

func (p *pty) modes() unix.Termios {
	p.t.Helper()
	m, err := unix.IoctlGetTermios(int(p.tty.Fd()), unix.TCGETS)
	p.check(err)
	return *m
}

// asBefore fails where the terminal is not left as it was found.
func (p *pty) asBefore(when string) {
	p.t.Helper()
	if p.modes() != p.before {
		p.t.Errorf("%s: the terminal's modes are not as they were", when)
	}
	p.until(max(0, strings.LastIndex(p.seen(), chatOpen)), chatClose)
}

func (p *pty) size(width, height uint16) {
	p.t.Helper()
	p.control(func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height})
	})
}

func (p *pty) keys(s string) {
	p.t.Helper()
	_, err := io.WriteString(p.side, s)
	p.check(err)
}

func (p *pty) signal(s syscall.Signal) {
	p.t.Helper()
	p.check(p.program.Process.Signal(s))
}

func (p *pty) seen() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.shown)
}

// until waits until the program has written something behind the first n bytes,
// and returns how much there is then: what follows may be in it.
func (p *pty) until(n int, what string) int {
	p.t.Helper()
	for end := time.Now().Add(talkPatience); ; time.Sleep(10 * time.Millisecond) {
		s := p.seen()
		if strings.Contains(s[n:], what) {
			return len(s)
		}
		if time.Now().After(end) {
			p.t.Fatalf("never shown: %q; but %q", what, s[n:])
		}
	}
}

// ended is what the program ended with.
func (p *pty) ended() *os.ProcessState {
	p.t.Helper()
	select {
	case err := <-p.exit:
		if e := (*exec.ExitError)(nil); err != nil && !errors.As(err, &e) {
			p.t.Fatal(err)
		}
	case <-time.After(talkPatience):
		p.t.Fatalf("it does not end; it shows %q", p.seen())
	}
	return p.program.ProcessState
}

// newWriter is somebody with a contact called bob, in a network that nobody
// answers in.
func newWriter(t *testing.T) *talker {
	dir := t.TempDir()
	m := &talker{t: t, name: "alice", dir: dir, network: dir + "/net/network.json"}
	m.run([]int{0}, "ledger", "init", "--dir", dir+"/net", "--dev-accounts", "--http", "http://127.0.0.1:1")
	m.run([]int{0}, "account", "new", "--light")
	bob := m.run([]int{0}, "account", "new", "--light", "--name", "bob", "-o", "json")
	id := regexp.MustCompile(`tunic1[0-9a-z]{58}`).FindString(bob)
	m.run([]int{0}, "contact", "add", id, "bob")
	return m
}

const atWork = "Enter sends"

// TestChatEndsAndLeavesTheTerminal: whatever ends a chat, what was sent is kept,
// the terminal is as it was, and the program is gone.
func TestChatEndsAndLeavesTheTerminal(t *testing.T) {
	m := newWriter(t)
	var sent []string
	for _, x := range []struct {
		name string
		end  func(*pty)
		dies syscall.Signal // of this; 0: it ends by itself
	}{
		{"Ctrl-C", func(p *pty) { p.keys("\x03") }, 0},
		{"Ctrl-D", func(p *pty) { p.keys("\x15\x04") }, 0},
		{"/quit", func(p *pty) { p.keys("\x15/quit\r") }, 0},
		{"SIGINT", func(p *pty) { p.signal(syscall.SIGINT) }, 0},
		{"SIGTERM", func(p *pty) { p.signal(syscall.SIGTERM) }, 0},
		{"SIGHUP", func(p *pty) { p.signal(syscall.SIGHUP); p.signal(syscall.SIGHUP) }, 0},
		{"Ctrl-C in no room", func(p *pty) {
			for _, x := range []uint16{4, 2, 1} {
				n := len(p.seen())
				p.size(x, x)
				p.until(n, "\x1b[2J") // painted anew
			}
			p.keys("\x03")
		}, 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			p := (&talker{t: t, name: m.name, dir: m.dir, network: m.network}).newPty("tunic", "chat", "bob", "--flush", "1ms")
			n := p.until(0, atWork)
			text := "sent before " + x.name
			p.keys(text + "\rdraft")
			sent = append(sent, text)
			p.until(n, "> draft")
			p.until(n, "[queued]")
			if p.modes() == p.before {
				t.Error("the terminal was never set up")
			}
			x.end(p)
			if code := p.ended().ExitCode(); code != 0 {
				t.Errorf("ended with %d: %q", code, p.seen())
			}
			p.asBefore("at the end")
			p.until(n, fmt.Sprintf("%d text", len(sent)))
		})
	}
	var kept []string
	for _, x := range m.list("outbox", "-o", "json") {
		kept = append(kept, x.Text)
	}
	if !slices.Equal(kept, sent) {
		t.Errorf("kept %q, sent %q", kept, sent)
	}
}

// TestChatHungUp: a terminal that is gone ends the program, and what was sent is
// kept.
func TestChatHungUp(t *testing.T) {
	m := newWriter(t)
	p := m.newPty("tunic", "chat", "bob", "--flush", "1ms")
	p.until(0, atWork)
	n := len(p.seen())
	p.keys("before the line broke\r")
	p.until(n, "[queued]")
	p.tty.Close()
	p.side.Close()
	p.ended()
	if l := m.list("outbox", "-o", "json"); len(l) != 1 || l[0].Text != "before the line broke" {
		t.Errorf("kept %v", l)
	}
}

// TestChatQuits: whoever asks for a trace gets it on the terminal as it was.
func TestChatQuits(t *testing.T) {
	m := newWriter(t)
	p := m.newPty("tunic", "chat", "bob")
	p.until(0, atWork)
	p.signal(syscall.SIGQUIT)
	p.ended()
	p.asBefore("at the end")
	p.until(0, "SIGQUIT")
}

// TestChatSuspended: stopped at its key or from elsewhere, a chat leaves the
// terminal to the shell, and goes on where it was.
func TestChatSuspended(t *testing.T) {
	m := newWriter(t)
	for _, x := range []struct {
		name string
		stop func(p *pty)
	}{
		{"Ctrl-Z", func(p *pty) { p.keys("\x1a") }},
		{"SIGTSTP", func(p *pty) { // to the group in the foreground
			p.control(func(fd int) error {
				group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
				if err != nil {
					return err
				}
				return syscall.Kill(-group, syscall.SIGTSTP)
			})
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			p := (&talker{t: t, name: m.name, dir: m.dir, network: m.network}).newPty("sh", "-m", "-c",
				`tunic chat bob --flush 1ms; echo "stopped w""ith $?"; read x; fg; echo "over w""ith $?"`)
			n := p.until(0, atWork)
			p.keys("half")
			n = p.until(n, "half")
			x.stop(p)
			n = p.until(n, "stopped with ")
			p.asBefore("stopped")
			p.keys("\n")
			p.until(n, chatOpen)
			p.until(n, "> half")
			p.keys(" and half " + x.name + "\r")
			p.until(n, "[queued]")
			p.keys("\x03")
			p.until(n, "over with 0")
			p.ended()
			p.asBefore("at the end")
		})
	}
	if l := m.list("outbox", "-o", "json"); len(l) != 2 || l[0].Text != "half and half Ctrl-Z" || l[1].Text != "half and half SIGTSTP" {
		t.Errorf("kept %v", l)
	}
}
