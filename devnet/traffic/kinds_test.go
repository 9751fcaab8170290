package traffic

import (
	"crypto/rand"
	"crypto/sha256"
	"flag"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/client"
	"tunic/onion"
	"tunic/onion/mail"
	"tunic/registry/path"
)

// epochs is for how long traffic is watched; `make soak-traffic` asks for more.
var epochs = flag.Int("epochs", 3, "how many epochs of six seconds to watch")

const epochLength = 6 * genesis.Second

// senders is what the test sends of its own into the network, by what every packet
// is known to it alone.
type senders struct {
	w    *world
	hand *hand
	from chain.Epoch // watched are this one and those after it
	calm *calm

	mu   sync.Mutex
	kind map[[32]byte]string // of packets at their first hop, and of the headers of reply blocks
}

func (s *senders) know(b []byte, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kind[sha256.Sum256(b)] = kind
}

// each calls f at the ticks of a clock, until the epochs are over.
func (s *senders) each(wg *sync.WaitGroup, gap func() time.Duration, f func(*path.Reader)) {
	wg.Go(func() {
		random := path.FromReader(rand.Reader)
		for at := time.Now(); s.w.t.Context().Err() == nil && !s.over(); {
			at = at.Add(gap())
			time.Sleep(time.Until(at))
			f(random)
		}
	})
}

// over reports whether enough was seen: so many epochs of a machine that kept up,
// or twice as many of one that did not.
func (s *senders) over() bool {
	e := s.w.epoch()
	return e >= s.from+chain.Epoch(*epochs) && s.calm.quiet() >= time.Duration(*epochs)*time.Duration(epochLength)*time.Millisecond ||
		e >= s.from+chain.Epoch(2**epochs)
}

// epoch is the present one, by the ledger's clock.
func (w *world) epoch() chain.Epoch { return w.Ledger.Head().Header.DirEpoch }

func poisson(mean time.Duration) func() time.Duration {
	r := path.FromReader(rand.Reader)
	return func() time.Duration {
		return time.Duration(path.Delay(r.Uint64(), chain.Duration(mean/time.Microsecond))) * time.Microsecond
	}
}

// crowd is what the users of a large network send: each command comes from another
// client, with a guard of its own, and goes to any member.
func (s *senders) crowd(random *path.Reader) {
	list, head := s.w.list(0)
	picker := path.New(list, head.Removals, s.w.Genesis.Params)
	member := list.Entries[random.N(uint64(len(list.Entries)))].Node
	there, err := picker.Choose(path.Options{Target: member}, random)
	if err != nil {
		return // a relay is late; the next one finds a path
	}
	guard := list.Entries[there[0]].Node
	box, c, blocks := newPair(), mail.Command{}, 1
	if random.N(2) == 0 {
		c.Store = box.store(s.w, head.Time)
	} else {
		c.Poll, blocks = box.poll(s.w, head.Time, member), mail.PollReplies
	}
	for range blocks {
		back, err := picker.Reply(path.Options{Target: member, Guard: guard}, random)
		if err != nil {
			return
		}
		b := s.hand.block(list, back[1:], rand.Reader)
		s.know(b[4:4+onion.HeaderSize], "crowd")
		c.Replies = append(c.Replies, b[:])
	}
	p := s.w.wrap(list, there, s.w.delay, c.Encode())
	s.know(p, "crowd")
	s.hand.send(guard, p)
}

// leak is what is changed about a loop that a relay sends as it would a probe.
type leak struct {
	delay  func() uint32
	way    func(*path.Picker, chain.NodeID, *path.Reader) ([]int, error)
	packet func([]byte)
}

func anyWay(k *path.Picker, prober chain.NodeID, random *path.Reader) ([]int, error) {
	return k.Choose(path.Options{Target: prober}, random)
}

// otherWeights draws one relay in four five times as often as the others.
func otherWeights(k *path.Picker, prober chain.NodeID, random *path.Reader) ([]int, error) {
	list := *k.List() // its tree is not asked
	list.Entries = slices.Clone(list.Entries)
	for i := range list.Entries {
		if i%4 == 0 {
			list.Entries[i].Stake *= path.Saturation
		}
	}
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		return nil, err
	}
	return path.New(&list, nil, p).Choose(path.Options{Target: prober}, random)
}

func (s *senders) loop(kind string, l leak) func(*path.Reader) {
	return func(random *path.Reader) {
		list, head := s.w.list(0)
		prober := s.w.Relays[random.N(uint64(len(s.w.Relays)))]
		if _, listed := list.Index(prober.ID); !listed {
			return
		}
		way, err := l.way(path.New(list, head.Removals, s.w.Genesis.Params), prober.ID, random)
		if err != nil {
			return
		}
		p := s.w.wrap(list, way, l.delay, nil)
		if l.packet != nil {
			l.packet(p)
		}
		s.know(p, kind)
		s.w.tap.inject(prober.Name(), s.w.tap.name[list.Entries[way[0]].Node], p)
	}
}

// unpadded answers polls by reply blocks whose unused slots are zeros.
func (s *senders) unpadded(random *path.Reader) {
	list, head := s.w.list(0)
	picker := path.New(list, head.Removals, s.w.Genesis.Params)
	member := list.Entries[random.N(uint64(len(list.Entries)))].Node
	there, err := picker.Choose(path.Options{Target: member}, random)
	if err != nil {
		return
	}
	guard := list.Entries[there[0]].Node
	back, err := picker.Reply(path.Options{Target: member, Guard: guard}, random)
	if err != nil {
		return
	}
	b := s.hand.block(list, back[1:], io.MultiReader(io.LimitReader(rand.Reader, int64(32*len(back[1:]))), &zeros{n: 64 * (6 - len(back[1:]))}, rand.Reader))
	s.know(b[4:4+onion.HeaderSize], "unpadded answers")
	p := s.w.wrap(list, there, s.w.delay, mail.Command{Head: &mail.Head{}, Replies: [][]byte{b[:]}}.Encode())
	s.know(p, "unpadded")
	s.hand.send(guard, p)
}

// zeros are n of them.
type zeros struct{ n int }

func (z *zeros) Read(b []byte) (int, error) {
	if z.n == 0 {
		return 0, io.EOF
	}
	k := min(len(b), z.n)
	clear(b[:k])
	z.n -= k
	return k, nil
}

// TestKinds runs a network with mixing and cover, in which users write and poll
// and relays probe, and asks for each two kinds of traffic whether a relay could
// tell them apart by anything that it sees. Leaks of each sort are planted among
// them and have to be found by the same comparison.
func TestKinds(t *testing.T) {
	w := start(t, 8, 3, func(p *genesis.Params) {
		p.EpochLength, p.HeartbeatEvery = epochLength, 2*genesis.Second
		p.ProbesPerRelay, p.QuorumSize, p.QuorumVotes = 16, 4, 3 // as many probes as there can be
	})
	s := &senders{w: w, hand: w.hand("hand"), kind: map[[32]byte]string{}}
	for _, c := range w.Clients {
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// Into an epoch of which all relays see the beginning.
	if err := w.AdvanceEpochs(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	w.ahead = w.Ledger.Head().Header.Time - chain.Time(time.Now().UnixMilli())
	s.from, s.calm = w.epoch(), newCalm()
	var wg sync.WaitGroup
	wg.Go(func() { s.calm.run(s.over) })
	s.each(&wg, poisson(40*time.Millisecond), s.crowd)
	s.each(&wg, poisson(60*time.Millisecond), s.unpadded)
	lawful := leak{delay: w.delay, way: anyWay}
	for kind, l := range map[string]leak{
		"control":      lawful,
		"no padding":   {w.delay, anyWay, func(p []byte) { clear(p[onion.HeaderSize:]) }},
		"other delays": {func() uint32 { return 100 }, anyWay, nil},
		"other paths":  {w.delay, otherWeights, nil},
	} {
		s.each(&wg, poisson(60*time.Millisecond), s.loop(kind, l))
	}
	// A sender that wakes up every half second by the clock.
	s.each(&wg, func() time.Duration { return tick },
		func(random *path.Reader) {
			time.Sleep(time.Until(time.Now().Truncate(tick).Add(tick)))
			for range 8 {
				s.loop("other clock", lawful)(random)
			}
		})
	alice, bob := w.Clients[0], w.Clients[1]
	if err := alice.AddContact(bob.ID(), ""); err != nil {
		t.Fatal(err)
	}
	s.each(&wg, poisson(700*time.Millisecond), func(*path.Reader) {
		if _, err := alice.Send(t.Context(), bob.ID(), strings.Repeat("a text ", 100)); err != nil {
			t.Error(err)
		}
	})
	opens, seen := w.openers(nil), past{}
	seen.note(w, s.from-1)
	seen.note(w, s.from)
	for e := s.from; !s.over(); { // keys are destroyed soon after their last epoch
		await(t, "an epoch ends", func() bool { return w.epoch() > e || s.over() })
		for ; e < w.epoch(); e++ {
			seen.note(w, e+1)
		}
		opens = w.openers(opens)
	}
	wg.Wait()
	share := s.calm.share()
	t.Logf("%d epochs; the machine kept up for %v of them", w.epoch()-s.from, s.calm.quiet().Round(time.Second))
	if share < 0.7 {
		t.Log("the machine was too busy for questions of time: what relays do late they do by its load")
	}
	delivered := slices.ContainsFunc(alice.Outbox(), func(x client.Status) bool { return x.State == client.Delivered })
	if !delivered {
		t.Error("none of the messages was delivered: there was no user traffic to compare")
	}
	w.stop()

	if n := w.tap.check(w.BodyFrame()); n < 1000 {
		t.Errorf("%d frames on all links: the capture is not whole", n)
	}
	b := w.look(s, opens, seen)
	theirs := slices.Concat(b.between["poll"], b.between["command"], b.between["answer"])
	all := slices.Concat(packetFeatures, pathFeatures)
	for _, c := range []struct {
		a, b     []sight
		what     string
		features []feature
		planted  string // the feature that a leak shows in; "" where there is none
	}{
		{b.between["probe"], b.between["crowd"], "probes and users", all, ""},
		{b.between["probe"], b.between["cover"], "probes and cover of relays", all, ""},
		{b.between["cover"], b.between["crowd"], "cover of relays and users", all, ""},
		{b.between["control"], b.between["crowd"], "the test's own probes and users", all, ""},
		// Three clients keep three guards, and their mailboxes a few members: who
		// stands beside these is not drawn for each packet.
		{b.between["probe"], theirs, "probes and three real clients", clientFeatures, ""},
		{b.between["loop"], theirs, "loops of clients and the rest of theirs", clientFeatures, ""},
		{b.out["loop"], b.out["poll"], "loops and polls at the guard", clientFeatures, ""},
		{b.back["loop"], b.back["answer"], "loops and answers at the guard", clientFeatures, ""},
		{b.between["no padding"], b.between["crowd"], "a payload of zeros", all, "bytes"},
		{b.between["other delays"], b.between["crowd"], "delays that do not vary", all, "delay"},
		{b.between["other clock"], b.between["crowd"], "a clock that ticks", all, "time in the half second"},
		{b.between["other paths"], b.between["crowd"], "paths by other weights", all, "from"},
		{b.back["unpadded answers"], b.back["crowd"], "zeros in unused slots", clientFeatures, "bytes passed on, by place"},
	} {
		if len(c.a) < least || len(c.b) < least {
			t.Errorf("%s: %d and %d packets to compare: the run was too short", c.what, len(c.a), len(c.b))
			continue
		}
		features := asked(c.a, c.b, c.features)
		if share < 0.7 {
			features = timeless(features)
		}
		found := compare(c.a, c.b, features)
		var shown []string
		leaks := false
		for _, f := range found {
			if f.found() {
				leaks = leaks || f.what == c.planted
				if c.planted == "" {
					t.Errorf("%s differ in %s: %.2g by chance", c.what, f.what, f.p)
				}
			}
			shown = append(shown, f.what+" "+said(f.p))
		}
		right, chance := classifier(c.a, c.b, features, 1)
		if r, p := classifier(c.a, c.b, timeless(features), 2); p < chance { // of more packets
			right, chance = r, p
		}
		t.Logf("%s: %d and %d packets; told apart %.1f %% of the time, %s; %s", c.what, len(c.a), len(c.b), 100*right, said(chance), strings.Join(shown, ", "))
		switch {
		case c.planted == "" && chance < alarm:
			t.Errorf("%s are told apart %.1f %% of the time: %.2g by chance", c.what, 100*right, chance)
		case c.planted == ticks.name && (share < 0.7 || min(len(ticks.of(c.a)), len(ticks.of(c.b))) < 300): // too busy for that
		case c.planted != "" && !leaks:
			t.Errorf("%s: the planted leak was not found in %q", c.what, c.planted)
		}
	}
}
