package link_test

import (
	"testing"

	"tunic/chain"
	"tunic/onion/link"
)

// A frame moves from Send until its receiver asks for the next, also where the
// link closes over it.
func TestMovingCountsWhatIsNotDealtWith(t *testing.T) {
	hub, err := link.NewMemory(128, link.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	is := func(when string, now int64, total uint64) {
		t.Helper()
		if n, sum := hub.Moving(); n != now || sum != total {
			t.Errorf("%s: %d of %d move, want %d of %d", when, n, sum, now, total)
		}
	}
	l, err := hub.Transport(chain.NodeID{1}).Listen("here")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan link.Conn, 1)
	go func() {
		c, _ := l.Accept()
		accepted <- c
	}()
	out, err := hub.Client().Dial(t.Context(), "here", chain.NodeID{1})
	if err != nil {
		t.Fatal(err)
	}
	in := <-accepted
	hello := link.Frame{Type: link.Hello, Data: []byte("x")}
	for range 3 {
		if err := out.Send(hello); err != nil {
			t.Fatal(err)
		}
	}
	is("sent", 3, 3)
	if _, err := in.Recv(t.Context()); err != nil {
		t.Fatal(err)
	}
	is("received", 3, 3)
	if _, err := in.Recv(t.Context()); err != nil {
		t.Fatal(err)
	}
	is("received the next", 2, 3)
	in.Close()
	is("closed", 0, 3)
	if err := out.Send(hello); err == nil {
		t.Error("a closed link takes frames")
	}
	is("refused", 0, 3)
	out.Close()
}
