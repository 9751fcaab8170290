package link_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"tunic/chain"
	"tunic/onion/link"
)

func TestHandshake(t *testing.T) {
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		node, id := n.node(t)
		there, here := pair(t, n, node)
		if got, ok := here.Peer(); !ok || got != id {
			t.Errorf("accepted peer %v %v, want %v", got, ok, id)
		}
		if _, ok := there.Peer(); !ok {
			t.Error("dialed peer has no identity")
		}
		_, here = pair(t, n, n.client(t))
		if _, ok := here.Peer(); ok {
			t.Error("a client has an identity")
		}
	})
}

func TestPinning(t *testing.T) {
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		server, _ := n.node(t)
		_, other := n.node(t)
		l := listen(t, server, n.any)
		_, err := n.client(t).Dial(background(t), l.Addr(), other)
		wantErr(t, err, link.ErrIdentity)
		if strings.Contains(err.Error(), l.Addr()) {
			t.Errorf("error names the endpoint: %v", err)
		}
	})
}

func TestDialErrors(t *testing.T) {
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		_, id := n.node(t)
		for _, endpoint := range []string{n.nobody, "no such endpoint"} {
			_, err := n.client(t).Dial(background(t), endpoint, id)
			wantErr(t, err, link.ErrUnreachable)
			if strings.Contains(err.Error(), endpoint) || strings.Contains(err.Error(), "127.0.0.1") {
				t.Errorf("error names the endpoint: %v", err)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := n.client(t).Dial(ctx, n.nobody, id)
		wantErr(t, err, context.Canceled)
	})
}

func TestListenErrors(t *testing.T) {
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		a, _ := n.node(t)
		b, _ := n.node(t)
		l := listen(t, a, n.any)
		_, err := b.Listen(l.Addr())
		wantErr(t, err, link.ErrAddressInUse)
		if !strings.Contains(err.Error(), l.Addr()) {
			t.Errorf("error does not name the taken port: %v", err)
		}
		_, err = n.client(t).Listen(n.any)
		wantErr(t, err, link.ErrConfig)
		l.Close()
		_, err = l.Accept()
		wantErr(t, err, link.ErrClosed)
		again, err := b.Listen(l.Addr())
		if err != nil {
			t.Fatal(err)
		}
		again.Close()
	})
}

func TestConfigErrors(t *testing.T) {
	for name, cfg := range map[string]link.Config{
		"no body size": {},
		"body too big": {BodySize: link.MaxBodySize + 1},
		"short key":    {BodySize: body, Identity: make([]byte, 5)},
		"tiny budget":  {BodySize: body, Limits: link.Limits{QueueBytes: body}},
	} {
		_, err := link.NewTLS(cfg)
		if !errors.Is(err, link.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := link.NewMemory(1, link.Limits{})
	wantErr(t, err, link.ErrConfig)
}

// Both directions at once, more frames than a queue holds, in order.
func TestFullDuplexInOrder(t *testing.T) {
	const frames = 3000
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		there, here := pair(t, n, n.client(t))
		var g errgroup.Group
		for _, c := range []link.Conn{there, here} {
			g.Go(func() error {
				for i := 0; i < frames; {
					switch err := c.Send(packet(i)); {
					case err == nil:
						i++
					case errors.Is(err, link.ErrQueueFull):
						time.Sleep(50 * time.Microsecond)
					default:
						return err
					}
				}
				return nil
			})
			g.Go(func() error {
				for i := range frames {
					f, err := c.Recv(context.Background())
					if err != nil {
						return err
					}
					if f.Type != link.Packet || number(f) != i {
						t.Errorf("frame %d, want %d", number(f), i)
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFrameTypesAndRefusals(t *testing.T) {
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		there, here := pair(t, n, n.client(t))
		good := []link.Frame{
			hello(""), hello("hello"), packet(7),
			{Type: link.Control, Data: make([]byte, link.MaxData(body))},
		}
		for _, f := range good {
			if err := there.Send(f); err != nil {
				t.Fatal(err)
			}
			got, err := here.Recv(background(t))
			if err != nil || got.Type != f.Type || string(got.Data) != string(f.Data) {
				t.Fatalf("sent %v, got %v, %v", f, got, err)
			}
		}
		for name, f := range map[string]link.Frame{
			"type 0":         {Data: make([]byte, body)},
			"unknown type":   {Type: 99},
			"short packet":   {Type: link.Packet, Data: make([]byte, body-1)},
			"long packet":    {Type: link.Packet, Data: make([]byte, body+1)},
			"oversize hello": {Type: link.Hello, Data: make([]byte, link.MaxData(body)+1)},
		} {
			if err := there.Send(f); !errors.Is(err, link.ErrFrame) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// A reader that takes nothing fills the queue, and the link ends after the
// write timeout.
func TestSlowReader(t *testing.T) {
	both(t, link.Limits{QueueFrames: 100, WriteTimeout: 300 * time.Millisecond}, func(t *testing.T, n *network) {
		there, here := pair(t, n, n.client(t))
		full := false
		eventually(t, "link closed", func() bool {
			for {
				switch err := there.Send(packet(0)); {
				case errors.Is(err, link.ErrQueueFull):
					full = true
					return false
				case errors.Is(err, link.ErrClosed):
					return true
				}
			}
		})
		if !full {
			t.Error("queue never full")
		}
		_, err := there.Recv(background(t))
		wantErr(t, err, link.ErrClosed)
		here.Close()
	})
}

func TestQueueBytesBoundAllLinks(t *testing.T) {
	hub, err := link.NewMemory(body, link.Limits{QueueBytes: 3 * link.FrameSize(body)})
	if err != nil {
		t.Fatal(err)
	}
	_, id := newKey()
	n := &network{node: func(testing.TB) (link.Transport, chain.NodeID) { return hub.Transport(id), id }}
	a, ha := pair(t, n, hub.Client())
	for i := range 3 {
		if err := a.Send(packet(i)); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, a.Send(packet(3)), link.ErrQueueFull)
	wantErr(t, ha.Send(packet(3)), link.ErrQueueFull)
	ha.Close() // throws away what it did not receive
	wantErr(t, a.Send(packet(4)), link.ErrClosed)
	b, _ := pair(t, n, hub.Client())
	if err := b.Send(packet(5)); err != nil {
		t.Fatal("the bytes of a closed link still count")
	}
}

func TestCloseDeliversWhatWasSent(t *testing.T) {
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		there, here := pair(t, n, n.client(t))
		for i := range 100 {
			if err := there.Send(packet(i)); err != nil {
				t.Fatal(err)
			}
		}
		there.Close()
		there.Close()
		wantErr(t, there.Send(packet(0)), link.ErrClosed)
		for i := range 100 {
			f, err := here.Recv(background(t))
			if err != nil || number(f) != i {
				t.Fatalf("frame %d: %v %v", i, f.Type, err)
			}
		}
		_, err := here.Recv(background(t))
		wantErr(t, err, link.ErrClosed)
		_, err = there.Recv(background(t))
		wantErr(t, err, link.ErrClosed)
	})
}

func TestCloseWakesRecv(t *testing.T) {
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		there, _ := pair(t, n, n.client(t))
		done := make(chan error)
		go func() {
			_, err := there.Recv(context.Background())
			done <- err
		}()
		there.Close()
		wantErr(t, <-done, link.ErrClosed)
	})
}

func TestCancelledRecvLosesNothing(t *testing.T) {
	both(t, link.Limits{}, func(t *testing.T, n *network) {
		there, here := pair(t, n, n.client(t))
		sent := make(chan error, 1)
		go func() {
			for i := range 200 {
				if err := there.Send(packet(i)); err != nil {
					sent <- err
					return
				}
				time.Sleep(20 * time.Microsecond)
			}
			sent <- nil
		}()
		for i := 0; i < 200; {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Microsecond)
			f, err := here.Recv(ctx)
			cancel()
			switch {
			case err == nil && number(f) == i:
				i++
			case errors.Is(err, context.DeadlineExceeded):
			default:
				t.Fatalf("frame %d: %v, %v", i, number(f), err)
			}
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	})
}
