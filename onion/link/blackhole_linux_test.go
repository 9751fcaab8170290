package link

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tunic/chain"
)

// cables are both ends of the connections between two nodes on one machine, and
// can be cut: then neither end hears anything of the other, no confirmation and
// no end, as where a cable is pulled or a firewall has forgotten a connection.
type cables struct {
	net.Listener
	mu   sync.Mutex // guards what follows
	ends []*net.TCPConn
}

func (c *cables) keep(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends = append(c.ends, conn.(*net.TCPConn))
}

// Accept implements net.Listener.
func (c *cables) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.keep(conn)
	}
	return conn, err
}

func (c *cables) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err == nil {
		c.keep(conn)
	}
	return conn, err
}

// each calls f with the file descriptors of the ends that there are.
func (c *cables) each(t *testing.T, f func(fd int) error) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, end := range c.ends {
		raw, err := end.SyscallConn()
		if err == nil {
			cerr := raw.Control(func(fd uintptr) { err = f(int(fd)) })
			err = errors.Join(err, cerr)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// cut lets the system throw away, before it looks at it, whatever arrives.
func (c *cables) cut(t *testing.T) {
	t.Helper()
	nothing := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}
	c.each(t, func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing})
	})
}

// askSoon shortens the pauses after which the system asks a silent peer.
func (c *cables) askSoon(t *testing.T) {
	t.Helper()
	c.each(t, func(fd int) error {
		return errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 1), unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 1))
	})
}

const holeBody = 200

// holeTimeout is so short that what takes twice that is over soon.
const holeTimeout = 500 * time.Millisecond

// overCables are two transports and where the second listens.
func overCables(t *testing.T) (c *cables, dialer *TLS, l Listener, id chain.NodeID) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c = &cables{Listener: ln}
	node := func(n byte) (*TLS, chain.NodeID) {
		key := ed25519.NewKeyFromSeed(append(make([]byte, 31), n))
		tr, err := NewTLS(Config{Identity: key, BodySize: holeBody, Limits: Limits{WriteTimeout: holeTimeout}, Dial: c.dial})
		if err != nil {
			t.Fatal(err)
		}
		return tr, chain.NodeID(key.Public().(ed25519.PublicKey))
	}
	dialer, _ = node(1)
	server, id := node(2)
	l = newTLSListener(server, c)
	t.Cleanup(func() { l.Close() })
	return c, dialer, l, id
}

// A peer that vanishes without a word ends a link, whichever side it is on, and
// whether anything is on its way or not: Recv, which waits for it, returns.
func TestBlackHoleEndsALink(t *testing.T) {
	for name, c := range map[string]struct{ accepted, send bool }{
		"what was sent to who accepted": {false, true},
		"what was sent to who dialed":   {true, true},
		"nothing, seen by who dialed":   {false, false},
		"nothing, seen by who accepted": {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			wire, dialer, l, id := overCables(t)
			there, err := dialer.Dial(ctx, l.Addr(), id)
			if err != nil {
				t.Fatal(err)
			}
			defer there.Close()
			here, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer here.Close()
			at, far := there, here
			if c.accepted {
				at, far = here, there
			}
			for _, end := range [][2]Conn{{at, far}, {far, at}} {
				if err := end[0].Send(Frame{Type: Control, Data: []byte("here")}); err != nil {
					t.Fatal(err)
				}
				if _, err := end[1].Recv(ctx); err != nil {
					t.Fatal(err)
				}
			}
			if !c.send {
				wire.askSoon(t)
			}
			wire.cut(t)
			if c.send {
				if err := at.Send(Frame{Type: Control, Data: []byte("lost")}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := at.Recv(ctx); !errors.Is(err, ErrClosed) {
				t.Fatalf("the link has not ended: %v", err)
			}
			if err := at.Send(Frame{Type: Control, Data: []byte("late")}); !errors.Is(err, ErrClosed) {
				t.Errorf("it takes frames: %v", err)
			}
		})
	}
}

// A pool whose link has gone into a black hole opens another one.
func TestPoolLeavesABlackHole(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	wire, dialer, l, id := overCables(t)
	var wg sync.WaitGroup
	defer func() {
		stop()
		l.Close()
		wg.Wait()
	}()
	arrived := make(chan byte, 1024)
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				for {
					f, err := c.Recv(ctx)
					if err != nil {
						return
					}
					arrived <- f.Data[0]
				}
			})
		}
	})
	closed := make(chan struct{}, 16)
	pool := NewPool(dialer, func(chain.NodeID) (string, bool) { return l.Addr(), true },
		PoolConfig{BackoffMin: time.Millisecond, BackoffMax: time.Millisecond, OnClose: func(*Link) { closed <- struct{}{} }})
	defer pool.Close()
	send := func(what byte) { _ = pool.Send(id, Frame{Type: Control, Data: []byte{what}}) }
	wait := func(what string) (got byte) {
		t.Helper()
		select {
		case got = <-arrived:
		case <-ctx.Done():
			t.Fatal(what)
		}
		return got
	}
	send(1)
	if wait("nothing arrives") != 1 {
		t.Fatal("another frame")
	}
	wire.cut(t)
	send(2)
	select {
	case <-closed:
	case <-ctx.Done():
		t.Fatal("the pool keeps the link")
	}
	send(3)
	if got := wait("no other link is opened"); got != 3 {
		t.Errorf("frame %d arrived", got)
	}
}
