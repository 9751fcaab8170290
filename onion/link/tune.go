package link

import (
	"net"
	"time"
)

// tune makes a link notice a peer that vanished without a word: probes while
// nothing is sent, and an end to retransmission while something is.
func tune(c net.Conn, timeout time.Duration) {
	tc, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	// A refusal only means that the system's own, slower settings hold.
	_ = tc.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3})
	setUserTimeout(tc, 2*timeout)
}
