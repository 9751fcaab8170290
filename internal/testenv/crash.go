package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

const (
	crashDir   = "TUNIC_TEST_CRASH_DIR"
	crashPoint = "TUNIC_TEST_CRASH_POINT"
	crashAfter = "TUNIC_TEST_CRASH_AFTER"
)

// Crash is what a process is to do that Killed started.
type Crash struct {
	Dir   string // where it works
	point string
	left  atomic.Int64
}

// Crashing is for TestMain: nil where this process is an ordinary test.
func Crashing() *Crash {
	dir := os.Getenv(crashDir)
	if dir == "" {
		return nil
	}
	c := &Crash{Dir: dir, point: os.Getenv(crashPoint)}
	after, _ := strconv.Atoi(os.Getenv(crashAfter)) // zero is never reached, which Killed reports
	c.left.Store(int64(after))
	return c
}

// Kill ends the process, without any last word, when it has come to its point as
// often as Killed said.
func (c *Crash) Kill(point string) {
	if point == c.point && c.left.Add(-1) == 0 {
		if p, err := os.FindProcess(os.Getpid()); err == nil {
			_ = p.Kill()
		}
		select {}
	}
}

// Must ends the process with an error, which Killed reports; nil it passes over.
func (c *Crash) Must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Killed starts the test binary again in dir and returns the lines of its output
// when it has killed itself, the after-th time that it came to point. t fails
// where it ends in any other way.
func Killed(t testing.TB, dir, point string, after int) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir, crashPoint+"="+point, crashAfter+"="+strconv.Itoa(after))
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("a process to be killed at %s, time %d: %v\n%s", point, after, err, errs.String())
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}
