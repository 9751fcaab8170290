package relay

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// workerSlice is how long the system lets a worker run before it looks for
// others, in nanoseconds, several times what other threads get. Since Linux 6.12
// (EEVDF) a thread that wakes up interrupts one with a longer slice at once; how
// much either runs in all stays the same.
const workerSlice = 20_000_000

// ownThread gives the calling goroutine a thread of its own that gives way to
// those that wait for the network. A system that knows no slices ignores it; one
// that refuses it, as a sandbox may, schedules the thread like any other, and the
// error says so.
func ownThread() error {
	runtime.LockOSThread()
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return fmt.Errorf("sched_getattr: %w", err)
	}
	if attr.Policy != unix.SCHED_NORMAL {
		return nil // whoever started the relay has chosen
	}
	attr.Runtime = workerSlice
	if err := unix.SchedSetAttr(0, attr, 0); err != nil {
		return fmt.Errorf("sched_setattr: %w", err)
	}
	return nil
}

// letOthers lets a thread of the system run that waits, where there is one: a reader
// or a writer that has just been woken. Without that the system lets a worker end its
// slice of some milliseconds first, whatever it is told about slices.
func letOthers() { unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }
