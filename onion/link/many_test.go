package link_test

import (
	"context"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"tunic/chain"
	"tunic/onion/link"
)

// idleLinkMost bounds what an idle link takes in memory at either end, its
// goroutines' stacks included. A frame alone would be 33 KB of it in the large
// geometry, if an idle link held one.
const idleLinkMost = 64 << 10

// TestThousandIdleLinks opens a thousand links to one relay that have each
// carried a frame. What they take is bounded, and a frame still comes through
// any of them. It opens two thousand file descriptors.
func TestThousandIdleLinks(t *testing.T) {
	const links, large = 1000, 33_202
	key, id := newKey()
	server, err := link.NewTLS(link.Config{Identity: key, BodySize: large, HandshakeTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	client, err := link.NewTLS(link.Config{BodySize: large, HandshakeTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	got := map[*link.Link]int{}
	pool := link.NewPool(server, func(chain.NodeID) (string, bool) { return "", false }, link.PoolConfig{
		Self: id, MaxLinks: 2 * links, MaxAnonymous: 2 * links, PuzzleAbove: -1,
		OnFrame: func(l *link.Link, f link.Frame) {
			mu.Lock()
			defer mu.Unlock()
			got[l]++
		},
	})
	defer pool.Close()
	l := listen(t, server, "127.0.0.1:0")
	go pool.Serve(context.Background(), l)

	before := inUse()
	f := link.Frame{Type: link.Packet, Data: make([]byte, large)}
	conns := make([]link.Conn, links)
	defer closeAll(conns)
	var g errgroup.Group
	g.SetLimit(32)
	for i := range conns {
		g.Go(func() (err error) {
			if conns[i], err = client.Dial(context.Background(), l.Addr(), id); err != nil {
				return err
			}
			return conns[i].Send(f)
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	each := func(n int) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			for _, k := range got {
				if k != n {
					return false
				}
			}
			return len(got) == links
		}
	}
	eventually(t, "a frame on each", each(1))
	if took := (inUse() - before) / int64(2*links); took > idleLinkMost {
		t.Errorf("an idle link takes %d bytes at either end", took)
	} else {
		t.Logf("%d bytes at either end of an idle link", took)
	}
	for _, c := range conns {
		if err := c.Send(f); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "another on each", each(2))
}

func closeAll(conns []link.Conn) {
	for _, c := range conns {
		if c != nil {
			c.Close()
		}
	}
}

// inUse is what heap and stacks take.
func inUse() int64 {
	runtime.GC()
	runtime.GC() // pools give up what they hold at the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// TestHundredsOfBusyLinks keeps many links of one relay busy in both directions:
// every frame arrives once and in order, and those of one link never wait for
// another's reader.
func TestHundredsOfBusyLinks(t *testing.T) {
	const links, frames = 200, 60
	key, id := newKey()
	cfg := link.Config{Identity: key, BodySize: body, Limits: link.Limits{QueueFrames: frames}, HandshakeTimeout: time.Minute}
	server, err := link.NewTLS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Identity = nil
	client, err := link.NewTLS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	pool := link.NewPool(server, func(chain.NodeID) (string, bool) { return "", false }, link.PoolConfig{
		Self: id, AnonymousRate: 1e9, AnonymousBurst: 1 << 30, PuzzleAbove: -1,
		OnFrame: func(l *link.Link, f link.Frame) {
			if err := l.Send(f); err != nil {
				t.Error(err)
			}
		},
	})
	defer pool.Close()
	l := listen(t, server, "127.0.0.1:0")
	go pool.Serve(context.Background(), l)
	conns := make([]link.Conn, links)
	defer closeAll(conns)
	var dials errgroup.Group
	dials.SetLimit(16)
	for i := range conns {
		dials.Go(func() (err error) { conns[i], err = client.Dial(context.Background(), l.Addr(), id); return err })
	}
	if err := dials.Wait(); err != nil {
		t.Fatal(err)
	}
	var g errgroup.Group
	for _, c := range conns {
		g.Go(func() error {
			for i := range frames {
				if err := c.Send(packet(i)); err != nil {
					return err
				}
			}
			for i := range frames {
				f, err := c.Recv(context.Background())
				if err != nil {
					return err
				}
				if number(f) != i {
					t.Errorf("frame %d came in the place of %d", number(f), i)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if opened, _ := pool.Stats().Links(); opened != links || pool.Stats().FramesIn() != links*frames || pool.Stats().FramesOut() != links*frames {
		t.Errorf("%d links, %d frames in, %d out", opened, pool.Stats().FramesIn(), pool.Stats().FramesOut())
	}
}

// TestEndsThatComeSuddenly: a reset, and an end that only sends no more, end the
// link on both sides, and only that link.
func TestEndsThatComeSuddenly(t *testing.T) {
	for name, end := range map[string]func(*net.TCPConn){
		"reset":       func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
		"half closed": func(c *net.TCPConn) { c.CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			l, id, _ := tlsNode(t, link.Config{})
			proxy, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer proxy.Close()
			ends := make(chan [2]*net.TCPConn, 1)
			var wg sync.WaitGroup
			defer wg.Wait()
			wg.Go(func() {
				in, err := proxy.Accept()
				if err != nil {
					return
				}
				out, err := net.Dial("tcp", l.Addr())
				if err != nil {
					in.Close()
					return
				}
				a, b := in.(*net.TCPConn), out.(*net.TCPConn)
				wg.Go(func() { b.ReadFrom(a) })
				wg.Go(func() { a.ReadFrom(b) })
				ends <- [2]*net.TCPConn{a, b}
			})
			client := tlsNetwork(link.Limits{}).client(t)
			there, err := client.Dial(background(t), proxy.Addr().String(), id)
			if err != nil {
				t.Fatal(err)
			}
			here, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if err := there.Send(packet(1)); err != nil {
				t.Fatal(err)
			}
			if f, err := here.Recv(background(t)); err != nil || number(f) != 1 {
				t.Fatal(err)
			}
			e := <-ends
			end(e[0])
			end(e[1])
			for side, c := range map[string]link.Conn{"dialer": there, "listener": here} {
				_, err := c.Recv(background(t))
				if wantErr(t, err, link.ErrClosed); err.Error() != link.ErrClosed.Error() {
					t.Errorf("%s: the error says more than that: %v", side, err)
				}
				wantErr(t, c.Send(packet(2)), link.ErrClosed)
				c.Close()
			}
			e[0].Close()
			e[1].Close()
			stillWorks(t, l, id)
		})
	}
}
