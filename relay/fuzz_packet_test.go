package relay_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
	"time"

	"tunic/chain"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/relay"
)

// fuzzed is a relay that gets the fuzzer's packets, among others that stand
// still, and a sender with a link to it.
type fuzzed struct {
	relay   *node
	sender  *link.Pool
	genesis chain.Hash
	epoch   chain.Epoch
	hops    []onion.Hop // the relay, and another
	entries int         // in the list
	before  relay.Counters
}

func unhex(f *testing.F, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		f.Fatal(err)
	}
	return b
}

func newFuzzed(f *testing.F) *fuzzed {
	n := newNetwork(f, 3, nil, func(_ int, c *relay.Config) {
		c.Links.AnonymousRate, c.Links.AnonymousBurst = 1e9, 1<<30
		c.Greet, c.StandingClock = -1, true
	})
	n.epoch()
	z := &fuzzed{relay: n.nodes[0], sender: n.hubPool(99), genesis: n.l.hash, epoch: n.list().Epoch, hops: n.path(0, 1), entries: len(n.list().Entries)}
	// Links open on demand: here, before the first input.
	if err := z.sender.Send(z.relay.ID(), packetFrame(n.wrap(n.path(0, 1), []byte("no command")))); err != nil {
		f.Fatal(err)
	}
	until(f, "links are open", func() bool { return n.nodes[1].Counters().Dropped["command"] == 1 })
	z.before = z.relay.Counters()
	return z
}

// sent hands a packet to the relay, waits until its counts stand still, and
// returns what has become of packets since: of this one, and of the answers that
// it led to.
func (z *fuzzed) sent(t *testing.T, packet []byte) map[string]uint64 {
	if err := z.sender.Send(z.relay.ID(), packetFrame(packet)); err != nil {
		t.Fatal(err)
	}
	var now relay.Counters
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Microsecond) {
		if now = z.relay.Counters(); now.In > z.before.In && now.Balanced() {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the packet is not accounted for: %+v, before %+v", now, z.before)
		}
	}
	rose := map[string]uint64{}
	add := func(what string, a, b uint64) {
		if b > a {
			rose[what] = b - a
		}
	}
	add("forwarded", z.before.Forwarded, now.Forwarded)
	add("delivered", z.before.Delivered, now.Delivered)
	add("client", z.before.ToClient, now.ToClient)
	add("loop", z.before.Probes, now.Probes)
	for why, n := range now.Dropped {
		add(why, z.before.Dropped[why], n)
	}
	z.before = now
	return rose
}

// FuzzPacket sends packets through a whole relay. Most are authentic up to one
// byte that is changed, so that they get far: any message of any sender to the
// member, any slot that a sender can ask for. Each ends in exactly the count that
// docs/spec/relay.md names, nothing panics, and the counts balance.
func FuzzPacket(f *testing.F) {
	z := newFuzzed(f)
	var store, vector struct {
		Message string `json:"message"`
		SURB    string `json:"surb"`
	}
	for name, v := range map[string]any{"forward-small": &store, "reply-small": &vector} {
		b, err := os.ReadFile("../onion/testdata/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		if err := json.Unmarshal(b, v); err != nil {
			f.Fatal(err)
		}
	}
	block := unhex(f, vector.SURB)
	message := func(op byte, fields int) []byte { // a command of that length, and its reply block
		return append(append([]byte{op}, make([]byte, fields)...), block...)
	}
	f.Add(uint8(0), uint8(1), uint32(0), uint16(0), uint8(0), unhex(f, store.Message))
	f.Add(uint8(0), uint8(1), uint32(0), uint16(0), uint8(0), []byte{})
	f.Add(uint8(0), uint8(1), uint32(0), uint16(0), uint8(0), message(7, 0))      // head
	f.Add(uint8(0), uint8(1), uint32(0), uint16(0), uint8(0), message(6, 32))     // delete
	f.Add(uint8(0), uint8(1), uint32(0), uint16(0), uint8(0), message(4, 32))     // get bundle
	f.Add(uint8(0), uint8(1), uint32(0), uint16(0), uint8(0), message(2, 1520))   // request
	f.Add(uint8(0), uint8(1), uint32(0), uint16(0), uint8(0), message(1, 1448))   // store
	f.Add(uint8(1), uint8(1), uint32(1), uint16(0), uint8(0), []byte("forward"))  // to another
	f.Add(uint8(1), uint8(1), uint32(99), uint16(0), uint8(0), []byte("no node")) // beyond the list
	f.Add(uint8(1), uint8(0), uint32(0), uint16(433), uint8(1), []byte("header"))
	f.Add(uint8(0), uint8(0), uint32(0), uint16(434), uint8(1), []byte("payload"))
	f.Add(uint8(2), uint8(1), uint32(0), uint16(0), uint8(0), []byte("client"))
	f.Add(uint8(1), uint8(3), uint32(0), uint16(0), uint8(0), []byte("too early"))
	f.Add(uint8(1), uint8(131), uint32(1), uint16(0), uint8(0), []byte("too long")) // epoch + 1

	f.Fuzz(func(t *testing.T, kind, later uint8, index uint32, at uint16, xor uint8, msg []byte) {
		g, expiry := onion.Small, z.epoch+chain.Epoch(later%5)
		if kind%3 == 1 && expiry == z.epoch+2 {
			expiry-- // it would be held until it is counted
		}
		hops := append([]onion.Hop{}, z.hops...)
		late := later >= 128 // asks to be held for longer than anyone may
		if late {
			hops[0].Delay = 1 << 31
		}
		var packet []byte
		var err error
		switch kind % 3 {
		case 0:
			packet, err = g.Wrap(rand.Reader, z.genesis, expiry, hops[:1], msg)
		case 1:
			hops[1].Index = index
			packet, err = g.Wrap(rand.Reader, z.genesis, expiry, hops, msg)
		case 2:
			var s onion.SURB
			s, _, err = g.NewSURB(rand.Reader, z.genesis, expiry, hops[:1], onion.Token{1}, onion.SURBID{2})
			if err == nil {
				_, packet, err = s.Reply(msg)
			}
		}
		if err != nil {
			return // a message that is too long
		}
		offset := int(at) % len(packet)
		packet[offset] ^= xor

		_, notCommand := small.Decode(msg)
		var want []string
		switch changed := xor != 0; {
		case changed && offset == 0:
			want = []string{"malformed"}
		case changed && offset < onion.HeaderSize:
			want = []string{"header", "unknown-key"}
		case expiry < z.epoch:
			want = []string{"expired"}
		case expiry > z.epoch+2:
			want = []string{"no-list"}
		case kind%3 == 1 && expiry != z.epoch+1:
			want = []string{"no-list", "next-hop", "forwarded", "delay-bound"} // of another epoch's list
		case kind%3 == 1 && int64(index) >= int64(z.entries):
			want = []string{"next-hop"}
		case kind%3 == 1 && late:
			want = []string{"delay-bound"}
		case kind%3 == 1:
			want = []string{"forwarded", "link"}
		case kind%3 == 2 && late:
			want = []string{"delay-bound"}
		case kind%3 == 2:
			want = []string{"client"}
		case changed:
			want = []string{"payload"}
		case len(msg) == 0:
			want = []string{"loop"}
		case notCommand != nil:
			want = []string{"command"}
		default:
			want = []string{"delivered", "mailbox-busy"}
		}
		rose := z.sent(t, bytes.Clone(packet))
		met := false
		for _, w := range want {
			met = met || rose[w] > 0
		}
		if !met || len(rose) > 1 && rose["delivered"] == 0 && index != uint32(z.hops[0].Index) {
			t.Fatalf("the packet ended as %v, want one of %v", rose, want)
		}
	})
}
