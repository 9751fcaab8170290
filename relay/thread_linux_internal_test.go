package relay

import (
	"bytes"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// forbid lets the calling thread's later calls of the system call nr fail with
// EPERM, as a sandbox does. There is no way back: the thread has to end.
func forbid(nr uint32) error {
	const load, jumpIfEqual, give = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	filter := []unix.SockFilter{
		{Code: load, K: 0}, // the number of the system call
		{Code: jumpIfEqual, Jf: 1, K: nr},
		{Code: give, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: give, K: unix.SECCOMP_RET_ALLOW},
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}

// onThread runs f on a thread that ends with it.
func onThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked
		f()
	}()
	<-done
}

func TestWorkersHaveLongSlices(t *testing.T) {
	var before, after *unix.SchedAttr
	var err error
	onThread(func() {
		before, _ = unix.SchedGetAttr(0, 0)
		if err = ownThread(); err == nil {
			after, err = unix.SchedGetAttr(0, 0)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if before.Runtime == 0 {
		t.Skip("this system has no time slices to ask for (Linux 6.12 and later)")
	}
	if after.Runtime != workerSlice {
		t.Errorf("a worker's slice is %d ns, it was %d", after.Runtime, before.Runtime)
	}
}

// A relay that may not ask for them says so once, and works.
func TestRefusedSlicesAreToldOnce(t *testing.T) {
	var log bytes.Buffer
	r := &Relay{cfg: Config{OwnThreads: true}, log: slog.New(slog.NewTextHandler(&log, nil)), queue: newFairQueue(1)}
	r.queue.close(func(*[]byte) {})
	var err error
	onThread(func() {
		if err = forbid(unix.SYS_SCHED_SETATTR); err == nil {
			r.worker()
			r.worker()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if said := log.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "sched_setattr: operation not permitted") {
		t.Errorf("the log says %q", said)
	}
}
