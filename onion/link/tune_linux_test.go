package link

import (
	"net"
	"syscall"
	"testing"
	"time"
)

// TestVanishedPeerIsNoticed looks at what the system is told: it asks a peer that
// says nothing, and gives up one that confirms nothing.
func TestVanishedPeerIsNoticed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	tune(c, 10*time.Second)
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		for _, o := range []struct{ level, name, want int }{
			{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1}, {syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 15},
			{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 5}, {syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 3}, {syscall.IPPROTO_TCP, tcpUserTimeout, 20_000},
		} {
			if got, err := syscall.GetsockoptInt(int(fd), o.level, o.name); err != nil || got != o.want {
				t.Errorf("option %d is %d, want %d: %v", o.name, got, o.want, err)
			}
		}
	})
}
