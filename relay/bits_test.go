package relay_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/relay"
)

// meter is a transport that counts the packets that a relay sends, on links
// that it opened and on links that it accepted.
type meter struct {
	link.Transport
	packets *atomic.Uint64
}

func (m meter) Dial(ctx context.Context, endpoint string, peer chain.NodeID) (link.Conn, error) {
	c, err := m.Transport.Dial(ctx, endpoint, peer)
	if err != nil {
		return nil, err
	}
	return meteredConn{c, m.packets}, nil
}

func (m meter) Listen(endpoint string) (link.Listener, error) {
	l, err := m.Transport.Listen(endpoint)
	if err != nil {
		return nil, err
	}
	return meteredListener{l, m.packets}, nil
}

type meteredListener struct {
	link.Listener
	packets *atomic.Uint64
}

func (l meteredListener) Accept() (link.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return meteredConn{c, l.packets}, nil
}

type meteredConn struct {
	link.Conn
	packets *atomic.Uint64
}

func (c meteredConn) Send(f link.Frame) error {
	if f.Type == link.Packet {
		c.packets.Add(1)
	}
	return c.Conn.Send(f)
}

// lab is a network whose relays' packets are counted, and a sender with a link
// of its own to each relay, as the hop before would have.
type lab struct {
	*network
	out    []*atomic.Uint64
	sender *link.Pool
	hops   []int  // the path under test: all relays of it, in order
	base   []rose // of each relay, when the last expectation was met
}

// batch is how many packets are sent before the counters are looked at; queues
// hold more.
const batch = 48

func newLab(t *testing.T) *lab {
	l := &lab{hops: []int{0, 1, 2, 3}}
	l.network = newNetwork(t, 5, nil, func(i int, c *relay.Config) {
		l.out = append(l.out, new(atomic.Uint64))
		c.Transport = meter{c.Transport, l.out[i]}
		c.Links.AnonymousRate, c.Links.AnonymousBurst = 1e9, 1<<30
		c.Greet = -1
	})
	l.epoch()
	l.sender = l.hubPool(99)
	// Links open on demand, and frames to be sent wait for them; here they are
	// opened beforehand, by one packet that ends at the last hop.
	for k := range l.hops {
		l.sendTo(k, l.wrap(l.path(l.hops[k:]...), []byte("no command")))
	}
	until(t, "links are open", func() bool { return l.nodes[3].Counters().Dropped["command"] == 4 })
	for i := range l.nodes {
		l.base = append(l.base, l.read(i))
	}
	return l
}

func (l *lab) sendTo(hop int, packet []byte) {
	l.t.Helper()
	if err := l.sender.Send(l.nodes[l.hops[hop]].ID(), packetFrame(packet)); err != nil {
		l.t.Fatal(err)
	}
}

// rose is what one relay has done since a moment.
type rose struct {
	in, forwarded, delivered, toClient, answers, out uint64
	dropped                                          map[string]uint64
}

func (l *lab) read(i int) rose {
	c := l.nodes[i].Counters()
	return rose{c.In, c.Forwarded, c.Delivered, c.ToClient, c.Answers + c.AnswersLost, l.out[i].Load(), c.Dropped}
}

func (r rose) since(old rose) rose {
	d := rose{r.in - old.in, r.forwarded - old.forwarded, r.delivered - old.delivered, r.toClient - old.toClient,
		r.answers - old.answers, r.out - old.out, map[string]uint64{}}
	for why, n := range r.dropped {
		if n -= old.dropped[why]; n > 0 {
			d.dropped[why] = n
		}
	}
	return d
}

func (r rose) equal(o rose) bool {
	return fmt.Sprint(r) == fmt.Sprint(o) && maps.Equal(r.dropped, o.dropped)
}

// expect runs send and waits until every relay has done exactly what want says;
// relays that it does not name have done nothing. What comes later fails the
// next expectation.
func (l *lab) expect(what string, send func(), want map[int]rose) {
	l.t.Helper()
	send()
	now := make([]rose, len(l.nodes))
	var got []rose
	ok := func() bool {
		got = got[:0]
		same := true
		for i := range l.nodes {
			w, named := want[i]
			if !named || w.dropped == nil {
				w.dropped = map[string]uint64{}
			}
			now[i] = l.read(i)
			d := now[i].since(l.base[i])
			got = append(got, d)
			same = same && d.equal(w)
		}
		return same
	}
	for end := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			l.t.Fatalf("%s: %+v, want %+v", what, got, want)
		}
	}
	l.base = now
}

// TestEveryHeaderBitOfAPacketIsRefusedAtTheNextHop flips each bit of the header
// that arrives at each hop of a path: that hop counts one drop, and nothing
// leaves it, nor any other relay.
func TestEveryHeaderBitOfAPacketIsRefusedAtTheNextHop(t *testing.T) {
	l := newLab(t)
	for hop, i := range l.hops {
		good := l.wrap(l.path(l.hops[hop:]...), []byte("x"))
		// Bits of one part of the header are refused for one reason.
		for _, part := range []struct {
			from, to int // bytes
			why      string
		}{{0, 1, "malformed"}, {1, 2, "unknown-key"}, {2, onion.HeaderSize, "header"}} {
			var bits []int
			for bit := part.from * 8; bit < part.to*8; bit++ {
				if part.to-part.from == 1 || bit%everyNth == 0 {
					bits = append(bits, bit)
				}
			}
			for len(bits) > 0 {
				now := bits[:min(len(bits), batch)]
				bits = bits[len(now):]
				n := uint64(len(now))
				l.expect(fmt.Sprintf("hop %d, header bits %d to %d", hop, now[0], now[n-1]), func() {
					for _, bit := range now {
						bad := bytes.Clone(good)
						bad[bit/8] ^= 1 << (bit % 8)
						l.sendTo(hop, bad)
					}
				}, map[int]rose{i: {in: n, dropped: map[string]uint64{part.why: n}}})
			}
		}
	}
	l.expect("nothing came later", func() {}, nil)
}

// TestEveryPayloadBitOfAPacketIsRefusedAtTheEnd flips each bit of the payload at
// one of the hops, in turn: from there on it is forwarded like any other, and
// the end drops it and answers nothing.
func TestEveryPayloadBitOfAPacketIsRefusedAtTheEnd(t *testing.T) {
	l := newLab(t)
	c := l.client(0)
	s, _, _ := storeCommand(l.network, genesis.Hour, 1)
	message := mail.Command{Store: s, Replies: [][]byte{c.surb(1, 0)}}.Encode()
	size := (relay.BodySize(l.l.core) - onion.HeaderSize) * 8
	paths := make([][]onion.Hop, len(l.hops))
	for hop := range l.hops {
		paths[hop] = l.path(l.hops[hop:]...)
	}
	for hop := range l.hops {
		for from := hop; from < size; from += batch * len(l.hops) * everyNth {
			var bits []int
			for bit := from; bit < size && len(bits) < batch; bit += len(l.hops) * everyNth {
				bits = append(bits, bit)
			}
			packets := make([][]byte, len(bits))
			var wg sync.WaitGroup
			for half := range 2 { // wrapping is most of the work
				wg.Go(func() {
					for n := half; n < len(bits); n += 2 {
						packets[n] = l.wrap(paths[hop], message)
						packets[n][onion.HeaderSize+bits[n]/8] ^= 1 << (bits[n] % 8)
					}
				})
			}
			wg.Wait()
			n := uint64(len(bits))
			want := map[int]rose{}
			last := len(l.hops) - 1
			for k := hop; k < last; k++ {
				want[l.hops[k]] = rose{in: n, forwarded: n, out: n}
			}
			want[l.hops[last]] = rose{in: n, dropped: map[string]uint64{"payload": n}}
			l.expect(fmt.Sprintf("hop %d, payload bits from %d", hop, bits[0]), func() {
				for _, p := range packets {
					l.sendTo(hop, p)
				}
			}, want)
		}
	}
	l.expect("nothing came later", func() {}, nil)
	select {
	case r := <-c.got:
		t.Fatalf("an answer: %s", r.Code)
	default:
	}
}

func TestPacketSentTwiceIsForwardedOnceAtEveryHop(t *testing.T) {
	l := newLab(t)
	for hop, i := range l.hops {
		const n = 8
		var packets [][]byte
		for range n {
			packets = append(packets, l.wrap(l.path(l.hops[hop:]...), []byte("no command")))
		}
		last := len(l.hops) - 1
		want := map[int]rose{}
		for k := hop; k < last; k++ {
			want[l.hops[k]] = rose{in: n, forwarded: n, out: n}
		}
		want[l.hops[last]] = rose{in: n, dropped: map[string]uint64{"command": n}}
		twice := want[i]
		twice.in += n
		twice.dropped = maps.Clone(twice.dropped)
		if twice.dropped == nil {
			twice.dropped = map[string]uint64{}
		}
		twice.dropped["replay"] = n
		want[i] = twice
		l.expect(fmt.Sprintf("hop %d", hop), func() {
			for range 2 {
				for _, p := range packets {
					l.sendTo(hop, p)
				}
			}
		}, want)
		// Another hop's copy of the header changes nothing: its payload is free
		// to differ, and the packet is a copy all the same.
		l.expect(fmt.Sprintf("hop %d, another payload", hop), func() {
			for _, p := range packets {
				p[len(p)-1] ^= 1
				l.sendTo(hop, p)
			}
		}, map[int]rose{i: {in: n, dropped: map[string]uint64{"replay": n}}})
	}
}
