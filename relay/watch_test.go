package relay_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/relay"
	"tunic/slashing"
)

// descriptorOf signs a descriptor of a node that is no running relay.
func (n *network) descriptorOf(key byte, seq statement.Sequence, version string) statement.Statement {
	d := statement.Descriptor{
		Version: version, Endpoints: []string{fmt.Sprintf("127.%d.0.1:4000", key)},
		Keys: []statement.OnionKey{{First: 0, Last: 1000, Key: [32]byte{key}}},
	}
	return statement.Sign(statement.Domain{Genesis: n.l.hash}, keyOf(key), statement.LabelDescriptor, seq, d.Encode())
}

func helloFrame(d, h []byte) link.Frame {
	return link.Frame{Type: link.Hello, Data: relay.Hello{Descriptor: d, Header: h}.Encode()}
}

func TestTwoDescriptorsUnderOneSequenceAreReported(t *testing.T) {
	dir := t.TempDir()
	n := newNetwork(t, 5, nil, func(i int, c *relay.Config) {
		if i == 0 {
			c.Dir = dir
		}
	})
	const twin = 77
	seq := statement.NewSequence(1, 3)
	shown, hidden := n.descriptorOf(twin, seq, "1.0.0"), n.descriptorOf(twin, seq, "1.0.1")
	n.l.Submit(t.Context(), shown.Encode())
	n.epoch()

	p := n.hubPool(twin)
	// The same content again is no offence, and another's descriptor is ignored.
	again := n.descriptorOf(78, seq, "1.0.0")
	for _, d := range []statement.Statement{shown, again, hidden} {
		p.Send(n.nodes[0].ID(), helloFrame(d.Encode(), nil))
	}
	var st statement.Statement
	until(t, "report", func() bool {
		all := n.l.submitted(statement.LabelProof, n.nodes[0].ID())
		if len(all) > 0 {
			st = all[0]
		}
		return len(all) > 0
	})
	proof, err := slashing.Decode(st.Body)
	if err != nil || proof.Validate() != nil || proof.Kind != slashing.DoubleDescriptor || st.Sequence.Epoch() < 1 {
		t.Fatalf("%+v, %v, %v", proof, err, proof.Validate())
	}
	file, err := os.ReadFile(filepath.Join(dir, "proofs", proof.ID().String()+".proof"))
	if err != nil || !bytes.Equal(file, st.Body) {
		t.Fatalf("file: %v", err)
	}
	if got := n.nodes[0].Counters(); got.BadHello != 1 {
		t.Fatalf("%+v", got)
	}
	// Once is enough.
	p.Send(n.nodes[0].ID(), helloFrame(hidden.Encode(), nil))
	n.epoch()
	if all := n.l.submitted(statement.LabelProof, n.nodes[0].ID()); len(all) != 1 {
		t.Fatalf("%d reports", len(all))
	}
}

func TestHellosAreJudged(t *testing.T) {
	n := newNetwork(t, 5, nil, nil)
	const peer = 77
	seq := statement.NewSequence(1, 3)
	good := n.descriptorOf(peer, seq, "1.0.0")
	n.l.Submit(t.Context(), good.Encode())
	n.epoch()
	forged := good
	forged.Sig[5] ^= 1
	beat := statement.Sign(statement.Domain{Genesis: n.l.hash}, keyOf(peer), statement.LabelHeartbeat, seq, good.Body)
	empty := statement.Sign(statement.Domain{Genesis: n.l.hash}, keyOf(peer), statement.LabelDescriptor, seq+1, nil)
	header := n.l.head
	header.Seal[3] ^= 1
	foreign := n.l.head.Header
	foreign.Genesis[0]++
	stranger := n.l.head.Header
	stranger.Proposer = idOf(keyOf(3))
	rows := map[string]link.Frame{
		"short":     {Type: link.Hello, Data: []byte{1, 0}},
		"version":   {Type: link.Hello, Data: []byte{9, 0, 0, 0, 0, 0, 0, 0, 0}},
		"trailing":  {Type: link.Hello, Data: append(relay.Hello{}.Encode(), 0)},
		"no stm":    helloFrame([]byte{1, 2, 3}, nil),
		"signature": helloFrame(forged.Encode(), nil),
		"label":     helloFrame(beat.Encode(), nil),
		"body":      helloFrame(empty.Encode(), nil),
		"node":      helloFrame(n.descriptorOf(78, seq, "1").Encode(), nil),
		"no header": helloFrame(nil, []byte{1, 2}),
		"seal":      helloFrame(nil, header.Encode()),
		"genesis":   helloFrame(nil, n.l.sign(foreign).Encode()),
		"proposer":  helloFrame(nil, n.l.sign(stranger).Encode()),
	}
	for name, f := range rows {
		p := n.hubPool(peer)
		before := n.nodes[0].Counters().BadHello
		p.Send(n.nodes[0].ID(), f)
		until(t, name, func() bool { return n.nodes[0].Counters().BadHello == before+1 })
		p.Close()
	}
	// Too many, and those of a client.
	p := n.hubPool(peer)
	before := n.nodes[0].Counters().BadHello
	for range 11 {
		p.Send(n.nodes[0].ID(), helloFrame(good.Encode(), nil))
	}
	until(t, "too many", func() bool { return n.nodes[0].Counters().BadHello == before+3 })
	c := n.client(0)
	c.pool.Send(c.guard, helloFrame(good.Encode(), nil))
	until(t, "client", func() bool { return n.nodes[0].Counters().BadHello == before+4 })
	c.pool.Send(c.guard, link.Frame{Type: link.Control, Data: []byte{1, 2}})
	until(t, "control", func() bool { return n.nodes[0].Counters().BadControl == 1 })
}

func TestRelaysSayHelloToEachOther(t *testing.T) {
	n := newNetwork(t, 5, nil, nil)
	n.epoch()
	got := make(chan relay.Hello, 16)
	peer := byte(77)
	pool := link.NewPool(n.hub.Transport(idOf(keyOf(peer))), func(id chain.NodeID) (string, bool) {
		e, ok := n.list().Find(id)
		return e.Endpoints[0], ok
	}, link.PoolConfig{OnFrame: func(_ *link.Link, f link.Frame) {
		if f.Type == link.Hello {
			h, err := relay.DecodeHello(bytes.Clone(f.Data))
			if err != nil {
				t.Error(err)
			}
			got <- h
		}
	}})
	defer pool.Close()
	pool.Send(n.nodes[0].ID(), packetFrame(make([]byte, relay.BodySize(n.l.core))))
	check := func() {
		h := <-got
		d, err := statement.Decode(h.Descriptor)
		if err != nil || d.Node != n.nodes[0].ID() {
			t.Fatal(err)
		}
		s, err := chain.DecodeSealedHeader(h.Header)
		if err != nil || s.Header.Height != n.l.at().Height {
			t.Fatalf("height %d of %d: %v", s.Header.Height, n.l.at().Height, err)
		}
	}
	check()
	until(t, "packet", func() bool { return n.nodes[0].Counters().In == 1 })
	n.epoch() // the link is in use
	check()
	n.epoch() // and now it is not
	select {
	case <-got:
		t.Fatal("hello on an unused link")
	default:
	}
}

func TestTwoHeadsHalt(t *testing.T) {
	for _, from := range []string{"peer", "peer, ahead", "ledger"} {
		t.Run(from, func(t *testing.T) {
			dir := t.TempDir()
			n := newNetwork(t, 5, nil, func(i int, c *relay.Config) {
				if i == 0 {
					c.Dir = dir
				}
			})
			const peer = 77
			n.l.Submit(t.Context(), n.descriptorOf(peer, statement.NewSequence(1, 0), "1").Encode())
			n.epoch()
			other := n.l.at()
			other.State[0]++
			switch from {
			case "peer":
				n.hubPool(peer).Send(n.nodes[0].ID(), helloFrame(nil, n.l.sign(other).Encode()))
			case "peer, ahead":
				other.Height++
				n.hubPool(peer).Send(n.nodes[0].ID(), helloFrame(nil, n.l.sign(other).Encode()))
				// Whether the relay hears of it before or after it gets there.
				until(t, "link", func() bool { return n.nodes[0].Status().Links > 0 })
				for range 5 {
					n.l.seal(n.l.at().Time+1, nil)
				}
			case "ledger":
				n.l.mu.Lock()
				n.l.head.Header.Height--
				n.l.mu.Unlock()
				n.l.seal(n.l.at().Time+1, nil)
			}
			err := <-n.nodes[0].done
			n.nodes[0].done <- err
			if !errors.Is(err, relay.ErrTwoHeads) {
				t.Fatalf("stopped with %v", err)
			}
			files, _ := filepath.Glob(filepath.Join(dir, "two-heads-*.txt"))
			if len(files) != 1 {
				t.Fatalf("files: %v", files)
			}
			text, err := os.ReadFile(files[0])
			if err != nil || strings.Count(string(text), "sealed by") != 2 {
				t.Fatalf("%s, %v", text, err)
			}
		})
	}
}

func TestLogsNameNobody(t *testing.T) {
	var log bytes.Buffer
	var mu sync.Mutex
	n := newNetwork(t, 5, nil, func(i int, c *relay.Config) { c.Logger = debugLogger(&log, &mu) })
	const twin = 77
	seq := statement.NewSequence(1, 3)
	n.l.Submit(t.Context(), n.descriptorOf(twin, seq, "1.0.0").Encode())
	n.l.refuse = func(s statement.Statement) error {
		if s.Label == statement.LabelHeartbeat && s.Sequence.Counter()%3 == 0 {
			return chain.Refuse("pool_full", "%s", s.Node)
		}
		return nil
	}
	n.epoch()
	n.hubPool(twin).Send(n.nodes[0].ID(), helloFrame(n.descriptorOf(twin, seq, "1.0.1").Encode(), nil))
	c := n.client(0)
	s, _, _ := storeCommand(n, genesis.Hour, 7)
	for range 3 {
		c.send(n.wrap(n.path(0, 1, 2, 3), mail.Command{Store: s, Replies: [][]byte{c.surb(4, 1, 0)}}.Encode()))
		if r := c.reply(); r.Code != mail.CodeStored {
			t.Fatal(r.Code)
		}
	}
	c.send(make([]byte, relay.BodySize(n.l.core)))
	until(t, "report", func() bool { return len(n.l.submitted(statement.LabelProof, n.nodes[0].ID())) == 1 })
	n.epoch()
	n.epoch()
	for _, nd := range n.nodes {
		nd.stop()
	}
	mu.Lock()
	defer mu.Unlock()
	text := log.String()
	if !strings.Contains(text, "reporting") || !strings.Contains(text, "relay running") {
		t.Fatalf("not the log of a run:\n%s", text)
	}
	box := s.Mailbox()
	never := map[string]string{
		"endpoint": "127.", "mailbox": fmt.Sprintf("%x", box[:4]), "write key": fmt.Sprintf("%x", s.Write[:4]),
		"token": fmt.Sprintf("%x", c.token[:4]), "deleter": s.Deleter.String()[:8], "twin": idOf(keyOf(twin)).Short(),
	}
	for i, nd := range n.nodes {
		never[fmt.Sprintf("node %d", i)] = nd.ID().Short()
	}
	for what, s := range never {
		if strings.Contains(strings.ToLower(text), s) {
			t.Errorf("the log names a %s: %s", what, s)
		}
	}
}
