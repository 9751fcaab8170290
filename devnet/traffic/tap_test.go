package traffic

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"tunic/chain"
	"tunic/onion/link"
)

// tap records what passes between every two parties, below TLS and above: whoever
// dials does so through a proxy on loopback that keeps the sizes of TLS records,
// and a relay's own ends keep the packets that it gets.
type tap struct {
	t    testing.TB
	name map[chain.NodeID]string
	wg   sync.WaitGroup

	mu        sync.Mutex
	strangers int // links of clients, whom a relay cannot name
	streams   []*stream
	arrivals  []arrival
	others    map[[2]string]int       // frames that are no packets, by sender and receiver
	conns     map[[2]string]link.Conn // by sender and receiver, the newest
}

func newTap(t testing.TB) *tap {
	return &tap{t: t, name: map[chain.NodeID]string{}, others: map[[2]string]int{}, conns: map[[2]string]link.Conn{}}
}

// arrival is a packet as its receiver gets it.
type arrival struct {
	at       time.Time
	from, to string
	data     []byte
}

// stream is one direction of one connection.
type stream struct {
	from, to string

	mu      sync.Mutex
	rest    []byte
	records []record
}

// record is the head of a TLS record.
type record struct {
	at     time.Time
	kind   byte
	length int
}

const applicationData = 23

func (s *stream) add(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = append(s.rest, b...)
	for len(s.rest) >= 5 {
		n := int(binary.BigEndian.Uint16(s.rest[3:]))
		if len(s.rest) < 5+n {
			return
		}
		s.records = append(s.records, record{time.Now(), s.rest[0], n})
		s.rest = s.rest[5+n:]
	}
}

// wrap is devnet's hook.
func (w *tap) wrap(name string, id chain.NodeID, t link.Transport) link.Transport {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id != (chain.NodeID{}) {
		w.name[id] = name
	}
	return &tapped{t, w, name}
}

type tapped struct {
	link.Transport
	w    *tap
	name string
}

func (t *tapped) Dial(ctx context.Context, endpoint string, peer chain.NodeID) (link.Conn, error) {
	t.w.mu.Lock()
	to := t.w.name[peer]
	t.w.mu.Unlock()
	at, err := t.w.proxy(t.name, to, endpoint)
	if err != nil {
		return nil, err
	}
	c, err := t.Transport.Dial(ctx, at, peer)
	if err != nil {
		return nil, err
	}
	return t.w.conn(c, t.name, to), nil
}

func (t *tapped) Listen(endpoint string) (link.Listener, error) {
	l, err := t.Transport.Listen(endpoint)
	if err != nil {
		return nil, err
	}
	return &tappedListener{l, t}, nil
}

type tappedListener struct {
	link.Listener
	t *tapped
}

func (l *tappedListener) Accept() (link.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w := l.t.w
	id, known := c.Peer()
	w.mu.Lock()
	from := w.name[id]
	if !known {
		w.strangers++
		from = fmt.Sprintf("link %d", w.strangers)
	}
	w.mu.Unlock()
	return w.conn(c, l.t.name, from), nil
}

type tappedConn struct {
	link.Conn
	w          *tap
	self, peer string
}

func (w *tap) conn(c link.Conn, self, peer string) link.Conn {
	x := &tappedConn{c, w, self, peer}
	w.mu.Lock()
	w.conns[[2]string{self, peer}] = x
	w.mu.Unlock()
	return x
}

func (c *tappedConn) Recv(ctx context.Context) (link.Frame, error) {
	f, err := c.Conn.Recv(ctx)
	if err != nil {
		return f, err
	}
	a := arrival{time.Now(), c.peer, c.self, append([]byte(nil), f.Data...)}
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if f.Type == link.Packet {
		c.w.arrivals = append(c.w.arrivals, a)
	} else {
		c.w.others[[2]string{c.peer, c.self}]++
	}
	return f, nil
}

// inject lets a packet leave a relay as one of its own; false where it has no
// link to the next just now.
func (w *tap) inject(from, to string, packet []byte) bool {
	w.mu.Lock()
	c := w.conns[[2]string{from, to}]
	w.mu.Unlock()
	return c != nil && c.Send(link.Frame{Type: link.Packet, Data: packet}) == nil
}

// got is a copy of the arrivals so far.
func (w *tap) got() []arrival {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]arrival(nil), w.arrivals...)
}

// proxy passes one connection on to endpoint and says where to dial for it.
func (w *tap) proxy(from, to, endpoint string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	there, back := &stream{from: from, to: to}, &stream{from: to, to: from}
	w.mu.Lock()
	w.streams = append(w.streams, there, back)
	w.mu.Unlock()
	w.wg.Go(func() {
		defer l.Close()
		_ = l.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Second)) // fails where it is closed
		in, err := l.Accept()
		if err != nil {
			return
		}
		defer in.Close()
		out, err := net.Dial("tcp", endpoint)
		if err != nil {
			return
		}
		defer out.Close()
		w.wg.Go(func() { pipe(in, out, back); in.Close() })
		pipe(out, in, there)
	})
	return l.Addr().String(), nil
}

func pipe(to io.Writer, from io.Reader, s *stream) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		s.add(b[:n])
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// sealed is what TLS 1.3 adds to the data of a record: a tag and its type.
const sealed = 16 + 1

// fullRecord is the most data that a record holds.
const fullRecord = 16 << 10

// handshakes is how many records of a handshake may come before the first frame,
// and longest how long each may be.
const (
	handshakes = 6
	longest    = 1024
)

// frames reads a stream as whole frames: how many there were, and what does not
// fit; "" where all does.
func (s *stream) frames(size int) (n int, wrong string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	begun, early, part := false, 0, 0
	for i, r := range s.records {
		data := r.length - sealed
		switch {
		case r.kind != applicationData && begun:
			return n, "a record in plain after the first frame"
		case r.kind != applicationData:
		case part == 0 && data > 0 && data%size == 0:
			begun, n = true, n+data/size
		case data == fullRecord: // more frames than one record holds
			begun, part = true, (part+data)%size
		case part > 0 && (part+data)%size == 0:
			n, part = n+1, 0
		case !begun && early < handshakes && data < longest:
			early++
		case data == 2 && i == len(s.records)-1: // "I close"
		default:
			return n, "a record of another size than whole frames"
		}
	}
	return n, ""
}

// check holds every stream against whole frames of one size and says how many
// there were in all.
func (w *tap) check(size int) (frames int) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.streams {
		n, wrong := s.frames(size)
		frames += n
		if wrong != "" {
			w.t.Errorf("%q to %q, after %d frames: %s", s.from, s.to, n, wrong)
		}
	}
	return frames
}
