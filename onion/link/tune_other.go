//go:build !linux

package link

import (
	"net"
	"time"
)

// Elsewhere the system's own retransmission limit holds.
func setUserTimeout(*net.TCPConn, time.Duration) {}
