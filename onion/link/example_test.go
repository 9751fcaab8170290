package link_test

import (
	"context"
	"fmt"

	"tunic/chain"
	"tunic/onion/link"
)

// A client sends its guard a packet; the guard answers on the same link.
func Example() {
	hub, _ := link.NewMemory(2482, link.Limits{})
	guardID := chain.NodeID{1}
	directory := func(id chain.NodeID) (string, bool) { return "guard", id == guardID }

	guard := link.NewPool(hub.Transport(guardID), directory, link.PoolConfig{
		Self: guardID,
		OnFrame: func(l *link.Link, f link.Frame) {
			l.Send(link.Frame{Type: link.Control, Data: []byte("got a packet")})
		},
	})
	defer guard.Close()
	l, _ := hub.Transport(guardID).Listen("guard")
	go guard.Serve(context.Background(), l)

	answers := make(chan string)
	client := link.NewPool(hub.Client(), directory, link.PoolConfig{
		OnFrame: func(_ *link.Link, f link.Frame) { answers <- string(f.Data) },
	})
	defer client.Close()
	client.Send(guardID, link.Frame{Type: link.Packet, Data: make([]byte, 2482)})
	fmt.Println(<-answers)
	// Output: got a packet
}
