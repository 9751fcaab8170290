package fault_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/devnet/fault"
	"tunic/onion/link"
	"tunic/registry/directory"
	"tunic/relay"
)

const body = 128

// pair are two relays of one network, the first with its twin.
type pair struct {
	hub  *link.Memory
	net  *fault.Net
	now  chain.Time
	twin *fault.Twin
	sign relay.Signer
	id   [2]chain.NodeID
	out  link.Conn // from the first to the second
	in   link.Conn
}

// nobody is a ledger that says nothing.
type nobody struct{}

func (nobody) Directory(context.Context, chain.Epoch) (*directory.List, chain.SealedHeader, error) {
	return nil, chain.SealedHeader{}, errors.New("nobody")
}
func (nobody) Submit(context.Context, []byte) error { return nil }
func (nobody) Events(context.Context, chain.Height) (<-chan relay.Event, error) {
	return make(chan relay.Event), nil
}

func key(i byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(append(make([]byte, 31), i))
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{net: &fault.Net{Seed: 7, Driven: true}}
	p.net.Now = func() chain.Time { return p.now }
	var err error
	if p.hub, err = link.NewMemory(body, link.Limits{QueueFrames: 4096}); err != nil {
		t.Fatal(err)
	}
	for i := range p.id {
		p.id[i] = chain.NodeID(key(byte(i + 1)).Public().(ed25519.PublicKey))
	}
	if p.twin, err = fault.New(genesis.Core{Dev: true}, chain.Hash{1}, key(1), p.net); err != nil {
		t.Fatal(err)
	}
	other, err := fault.New(genesis.Core{Dev: true}, chain.Hash{1}, key(2), p.net)
	if err != nil {
		t.Fatal(err)
	}
	mine, sign, _ := p.twin.Attach(p.hub.Transport(p.id[0]), nobody{})
	theirs, _, _ := other.Attach(p.hub.Transport(p.id[1]), nobody{})
	p.sign = sign
	l, err := theirs.Listen("there")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	accepted := make(chan link.Conn, 1)
	go func() {
		if c, err := l.Accept(); err == nil {
			accepted <- c
		}
	}()
	if p.out, err = mine.Dial(t.Context(), "there", p.id[1]); err != nil {
		t.Fatal(err)
	}
	p.in = <-accepted
	return p
}

// send sends so many frames of each type and counts those that arrive.
func (p *pair) send(t *testing.T, packets, hellos int) (gotPackets, gotHellos int) {
	t.Helper()
	for range packets {
		if err := p.out.Send(link.Frame{Type: link.Packet, Data: make([]byte, body)}); err != nil {
			t.Fatal(err)
		}
	}
	for range hellos {
		if err := p.out.Send(link.Frame{Type: link.Hello, Data: []byte("hello")}); err != nil {
			t.Fatal(err)
		}
	}
	return p.arrived(t)
}

func (p *pair) arrived(t *testing.T) (packets, hellos int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for {
		f, err := p.in.Recv(ctx)
		if err != nil {
			return packets, hellos
		}
		if f.Type == link.Packet {
			packets++
		} else {
			hellos++
		}
	}
}

func TestFaultsNeedDev(t *testing.T) {
	for _, core := range []genesis.Core{
		{}, {Engine: genesis.EngineSealer, Profile: genesis.Dev}, {Engine: genesis.EngineComet, Profile: genesis.Private}, {Engine: genesis.EngineComet, Profile: genesis.Mainnet},
	} {
		if _, err := fault.New(core, chain.Hash{}, key(1), &fault.Net{}); !errors.Is(err, fault.ErrNotDev) {
			t.Errorf("%+v: %v", core, err)
		}
	}
	for _, core := range []genesis.Core{{Dev: true}, {Engine: genesis.EngineComet, Profile: genesis.Dev}} {
		if _, err := fault.New(core, chain.Hash{}, key(1), &fault.Net{}); err != nil {
			t.Errorf("%+v: %v", core, err)
		}
	}
}

func TestSharesAreExactAndSpareGreetings(t *testing.T) {
	p := newPair(t)
	for _, c := range []struct {
		of      chain.BasisPoints
		packets int
		want    int
	}{{3000, 1000, 700}, {200, 1000, 980}, {250, 400, 390}, {10_000, 50, 0}, {0, 50, 50}} {
		p.twin.Drop(c.of)
		if got, hellos := p.send(t, c.packets, 20); got != c.want || hellos != 20 {
			t.Errorf("%d basis points: %d of %d packets and %d of 20 greetings arrived, want %d", c.of, got, c.packets, hellos, c.want)
		}
	}
	p.twin.Drop(0)
	p.net.Lose(p.id[1], p.id[0], 5000)
	if got, hellos := p.send(t, 100, 5); got != 50 || hellos != 5 {
		t.Errorf("a link that loses half: %d, %d", got, hellos)
	}
	p.net.Heal()
	if got, _ := p.send(t, 10, 0); got != 10 {
		t.Errorf("healed: %d", got)
	}
}

// Delays pass by the network's clock.
func TestDelays(t *testing.T) {
	p := newPair(t)
	p.twin.Delay(2000)
	p.net.Slow(p.id[0], p.id[1], 1000)
	if got, hellos := p.send(t, 3, 1); got != 0 || hellos != 1 {
		t.Fatalf("%d packets came at once, %d greetings", got, hellos)
	}
	p.now = 2999
	p.net.Release()
	if got, _ := p.arrived(t); got != 0 {
		t.Errorf("%d came too early", got)
	}
	p.now = 3000
	p.net.Release()
	if got, _ := p.arrived(t); got != 3 {
		t.Errorf("%d of 3 came in time", got)
	}
	p.twin.Off()
	p.net.Heal()
	if got, _ := p.send(t, 3, 0); got != 3 {
		t.Errorf("%d of 3 came without a delay", got)
	}
}

func TestNothingPassesInSilenceOrBetweenSides(t *testing.T) {
	p := newPair(t)
	p.twin.Silence()
	if !p.twin.IsCut() {
		t.Error("the ledger is heard in silence")
	}
	if a, b := p.send(t, 5, 5); a+b != 0 {
		t.Errorf("%d and %d frames passed", a, b)
	}
	p.twin.Off()
	if p.twin.IsCut() {
		t.Error("the ledger is not heard any more")
	}
	p.net.Partition(map[chain.NodeID]int{p.id[0]: 1})
	if a, b := p.send(t, 5, 5); a+b != 0 {
		t.Errorf("between sides %d and %d frames passed", a, b)
	}
	p.net.Partition(map[chain.NodeID]int{p.id[0]: 1, p.id[1]: 1})
	if a, b := p.send(t, 5, 5); a != 5 || b != 5 {
		t.Errorf("within a side %d and %d of 5 frames passed", a, b)
	}
}

func TestLiesInStatements(t *testing.T) {
	p := newPair(t)
	d := statement.Domain{Genesis: chain.Hash{1}}
	beat := statement.Heartbeat{Version: "1.0", Height: 7}.Encode()
	version := func() string {
		h, err := statement.DecodeHeartbeat(p.sign.Sign(d, statement.LabelHeartbeat, 1, beat).Body)
		if err != nil {
			t.Fatal(err)
		}
		return h.Version
	}
	if v := version(); v != "1.0" {
		t.Errorf("honest: version %s", v)
	}
	p.twin.Declare("0.1")
	if v := version(); v != "0.1" {
		t.Errorf("told to declare another: version %s", v)
	}
	commitment := statement.Commitment{Epoch: 5, Depth: 6, Root: chain.Hash{9}, Reveal: &statement.Reveal{Probes: [][4][16]byte{{{3}}}}}
	sign := func() statement.Commitment {
		c, err := statement.DecodeCommitment(p.sign.Sign(d, statement.LabelCommitment, 2, commitment.Encode()).Body)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	p.twin.Forge(fault.ForgeReveal)
	if c := sign(); c.Root != commitment.Root || c.Reveal.Probes[0][0] == commitment.Reveal.Probes[0][0] {
		t.Errorf("forged reveal: %+v", c)
	}
	p.twin.Forge(fault.ForgeRoot)
	if c := sign(); c.Root == commitment.Root || c.Reveal.Probes[0][0] != commitment.Reveal.Probes[0][0] {
		t.Errorf("forged root: %+v", c)
	}
	p.twin.Off()
	if c := sign(); c.Root != commitment.Root || version() != "1.0" {
		t.Error("honest again, and it lies")
	}
}

// A lie is the one vote that the relay signs: its honest part gets the same
// statement and does not equivocate.
func TestLyingVotesAreNoEquivocation(t *testing.T) {
	p := newPair(t)
	d := statement.Domain{Genesis: chain.Hash{1}}
	sign := func(e chain.Epoch, reasons statement.Reasons) statement.Statement {
		v := statement.Vote{Subject: p.id[1], Epoch: e, Reasons: reasons, Score: 1000}
		return p.sign.Sign(d, statement.LabelVote, statement.NewSequence(e, 0), v.Encode())
	}
	p.twin.Lie(p.id[1], statement.ReasonLoss)
	lie := sign(3, 0)
	if v, err := statement.DecodeVote(lie.Body); err != nil || v.Reasons != statement.ReasonLoss || v.Score != 0 {
		t.Errorf("%+v, %v", v, err)
	}
	p.twin.Off()
	if again := sign(3, 0); string(again.Encode()) != string(lie.Encode()) {
		t.Error("two verdicts of one epoch")
	}
	p.twin.Shield(p.id[1])
	if v, err := statement.DecodeVote(sign(4, statement.ReasonAbsent).Body); err != nil || v.Reasons != 0 || v.Score != 1000 {
		t.Errorf("a shield: %+v, %v", v, err)
	}
	if err := sign(5, 0).Verify(d); err != nil {
		t.Error(err)
	}
}
