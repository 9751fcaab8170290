package link

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

func directQueue() *sendQueue {
	return newSendQueue(64, Limits{QueueFrames: 1 << 20}, &budget{limit: 1 << 30}, &sync.Pool{New: func() any { return new(batch) }})
}

// A sender writes itself where little is sent; what comes meanwhile, and what it
// leaves, is a writer's.
func TestSenderWritesWhereLittleIsSent(t *testing.T) {
	q, f := directQueue(), Frame{Type: Control, Data: []byte("x")}
	b, start, err := q.put(f)
	if err != nil || b == nil || start {
		t.Fatal("the first frame is not its sender's", err)
	}
	if other, start, err := q.put(f); err != nil || other != nil || start {
		t.Fatal("two write at a time", err)
	}
	if start, over := q.sent(b, true); !start || over {
		t.Fatal("no writer is wanted for what is left")
	}
	b, rest, _ := q.take()
	if b == nil || !rest {
		t.Fatal("a part is lost")
	}
	if mine, start, err := q.put(f); err != nil || mine != nil || start {
		t.Fatal("a sender writes beside the writer", err)
	}
	q.release(b)
	if b, _, _ = q.take(); b == nil {
		t.Fatal("a frame is lost")
	}
	q.release(b)
	if b, rest, _ = q.take(); b != nil || rest {
		t.Fatal("a frame came twice")
	}
	// A crowd of frames leaves in batches.
	direct, batches := 0, 0
	for range 10 * sparseMost {
		b, start, err := q.put(f)
		if err != nil {
			t.Fatal(err)
		}
		if b != nil {
			direct++
			q.sent(b, false)
		}
		if start {
			batches++
		}
	}
	if direct > sparseBurst || batches != 1 {
		t.Fatalf("%d frames of a crowd left alone, for the others %d writers were wanted", direct, batches)
	}
	// Closing waits for a sender.
	q = directQueue()
	if b, _, _ = q.put(f); b == nil {
		t.Fatal("not direct")
	}
	if !q.close() {
		t.Fatal("closed beside a sender")
	}
	if start, over := q.sent(b, false); start || !over {
		t.Fatal("the sender does not see that it is over")
	}
	if q.budget.used.Load() != 0 {
		t.Fatal("bytes are held after the end")
	}
}

// What a full connection does not take at once comes in its place.
func TestTryLeavesTheRest(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	there, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	raw, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := newChunkConn(raw, time.Minute, &sync.Pool{New: func() any { b := make([]byte, 0, chunkSize); return &b }})
	var want []byte
	write := func(i int) func() error {
		return func() error {
			p := bytes.Repeat([]byte{byte(i)}, 10_000+i)
			want = append(want, p...)
			_, err := c.Write(p)
			return err
		}
	}
	rest := false
	for i := 0; !rest && i < 10_000; i++ {
		if rest, err = c.try(write(i)); err != nil {
			t.Fatal(err)
		}
	}
	if !rest {
		t.Fatal("the system takes everything")
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer raw.Close()
	wg.Go(func() {
		if err := c.finish(); err != nil {
			t.Error(err)
		}
		if err := write(77)(); err != nil { // alone
			t.Error(err)
		}
		raw.Close()
	})
	got, err := io.ReadAll(there)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d bytes of %d arrived, or others: %v", len(got), len(want), err)
	}
}
