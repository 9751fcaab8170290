package node

import (
	"context"
	"net"
	"os"
	"strconv"
	"time"
)

// Notify tells systemd, where it started this process with Type=notify, what is
// going on: READY=1, STOPPING=1, STATUS=words. Else, and where nobody listens, it
// does nothing. See sd_notify(3).
func Notify(state string) {
	at := os.Getenv("NOTIFY_SOCKET")
	if at == "" {
		return
	}
	if at[0] == '@' { // the abstract namespace
		at = "\x00" + at[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: at, Net: "unixgram"})
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = c.Write([]byte(state))
}

// Watchdog tells systemd, at twice the pace that it asks for with WatchdogSec, that
// this process is alive, until ctx ends; alive returns where it is.
func Watchdog(ctx context.Context, alive func()) {
	us, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if pid := os.Getenv("WATCHDOG_PID"); err != nil || us <= 0 || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return
	}
	t := time.NewTicker(max(time.Duration(us)*time.Microsecond/2, time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-t.C:
			alive()
			Notify("WATCHDOG=1")
		case <-ctx.Done():
			return
		}
	}
}
