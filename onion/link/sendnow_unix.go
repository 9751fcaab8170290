//go:build unix

package link

import (
	"errors"
	"syscall"
)

// sendNow sends what the system takes of p without waiting, and returns how much
// that was.
func sendNow(c syscall.RawConn, p []byte) (int, error) {
	var n int
	var err error
	// Control, not Write: no deadline holds for what does not wait.
	if err := c.Control(func(fd uintptr) { n, err = syscall.Write(int(fd), p) }); err != nil {
		return 0, err
	}
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) {
		return 0, nil
	}
	return max(0, n), err
}
