package node_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"tunic/node"
)

func notifySocket(t *testing.T) *net.UnixConn {
	t.Helper()
	at := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: at, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", at)
	return c
}

func notified(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1024)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestNotify(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	node.Notify("READY=1") // nobody listens
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	node.Notify("READY=1") // nobody answers
	c := notifySocket(t)
	node.Notify("READY=1\nSTATUS=up")
	if got := notified(t, c); got != "READY=1\nSTATUS=up" {
		t.Fatalf("%q", got)
	}
}

func TestWatchdog(t *testing.T) {
	c := notifySocket(t)
	asked := make(chan bool, 1)
	alive := func() {
		select {
		case asked <- true:
		default:
		}
	}
	// Not asked for, not for this process, not a number: it returns at once.
	for _, env := range [][2]string{{"", ""}, {"1000", strconv.Itoa(os.Getpid() + 1)}, {"soon", ""}} {
		t.Setenv("WATCHDOG_USEC", env[0])
		t.Setenv("WATCHDOG_PID", env[1])
		node.Watchdog(t.Context(), func() { t.Error("asked") })
	}
	t.Setenv("WATCHDOG_USEC", "4000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); node.Watchdog(ctx, alive) }()
	if got := notified(t, c); got != "WATCHDOG=1" {
		t.Fatalf("%q", got)
	}
	<-asked
	stop()
	<-done
}
