package link_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"tunic/chain"
	"tunic/onion/link"
)

// BenchmarkLink is frames through one link, one way.
func BenchmarkLink(b *testing.B) {
	for _, size := range []struct {
		name string
		body int
	}{{"small", 2482}, {"large", 33202}} {
		b.Run("tls/"+size.name, func(b *testing.B) {
			key, id := newKey()
			server, err := link.NewTLS(link.Config{Identity: key, BodySize: size.body})
			if err != nil {
				b.Fatal(err)
			}
			client, err := link.NewTLS(link.Config{BodySize: size.body})
			if err != nil {
				b.Fatal(err)
			}
			flow(b, server, client, id, "127.0.0.1:0", size.body)
		})
		b.Run("memory/"+size.name, func(b *testing.B) {
			hub, err := link.NewMemory(size.body, link.Limits{})
			if err != nil {
				b.Fatal(err)
			}
			_, id := newKey()
			flow(b, hub.Transport(id), hub.Client(), id, "", size.body)
		})
	}
}

func flow(b *testing.B, server, client link.Transport, id chain.NodeID, endpoint string, size int) {
	n := &network{any: endpoint, node: func(testing.TB) (link.Transport, chain.NodeID) { return server, id }}
	there, here := pair(b, n, client)
	f := link.Frame{Type: link.Packet, Data: make([]byte, size)}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		for i := 0; i < b.N; {
			switch err := there.Send(f); {
			case err == nil:
				i++
			case errors.Is(err, link.ErrQueueFull):
				time.Sleep(50 * time.Microsecond) // spinning would starve the poller
			default:
				return
			}
		}
	}()
	for range b.N {
		if _, err := here.Recv(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
}

// BenchmarkOpen is one TLS link opened and closed, both ends.
func BenchmarkOpen(b *testing.B) {
	n := tlsNetwork(link.Limits{})
	server, id := n.node(b)
	l := listen(b, server, n.any)
	client, _ := n.node(b)
	for b.Loop() {
		there, err := client.Dial(context.Background(), l.Addr(), id)
		if err != nil {
			b.Fatal(err)
		}
		here, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		there.Close()
		here.Close()
	}
}

// BenchmarkPoolSend is Pool.Send and delivery through TLS.
func BenchmarkPoolSend(b *testing.B) {
	key, id := newKey()
	stats := new(link.Stats)
	server, err := link.NewTLS(link.Config{Identity: key, BodySize: 2482})
	if err != nil {
		b.Fatal(err)
	}
	clientKey, clientID := newKey()
	client, err := link.NewTLS(link.Config{Identity: clientKey, BodySize: 2482})
	if err != nil {
		b.Fatal(err)
	}
	var bk book
	done := make(chan struct{})
	seen := 0
	bk.set(clientID, "unused")
	to := link.NewPool(server, bk.resolve, link.PoolConfig{Self: id, Stats: stats, OnFrame: func(*link.Link, link.Frame) {
		if seen++; seen == b.N {
			close(done)
		}
	}})
	defer to.Close()
	l := listen(b, server, "127.0.0.1:0")
	bk.set(id, l.Addr())
	go to.Serve(context.Background(), l)
	from := link.NewPool(client, bk.resolve, link.PoolConfig{Self: clientID})
	defer from.Close()
	f := link.Frame{Type: link.Packet, Data: make([]byte, 2482)}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; {
		switch err := from.Send(id, f); {
		case err == nil:
			i++
		case errors.Is(err, link.ErrQueueFull):
			time.Sleep(50 * time.Microsecond) // spinning would starve the poller
		default:
			b.Fatal(err)
		}
	}
	<-done
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
}
