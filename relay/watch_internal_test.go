package relay

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/slashing"
)

// A descriptor that a ledger only claims to have in a block accuses nobody: it
// is verified where it matters, and the node's own takes its place.
func TestUnverifiedDescriptorsAccuseNobody(t *testing.T) {
	d := statement.Domain{Genesis: chain.Hash{1}}
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	signed := func(version string) statement.Statement {
		body := statement.Descriptor{Version: version, Endpoints: []string{"127.1.0.1:9"}, Keys: []statement.OnionKey{{First: 1, Last: 2}}}
		return statement.Sign(d, key, statement.LabelDescriptor, statement.NewSequence(1, 5), body.Encode())
	}
	honest, second, forged := signed("1"), signed("2"), signed("3")
	forged.Sig[3] ^= 1
	for _, c := range []struct {
		name  string
		see   []statement.Statement
		pairs int
	}{
		{"forged, then honest", []statement.Statement{forged, honest}, 0},
		{"honest, then forged", []statement.Statement{honest, forged}, 0},
		{"forged, honest, second", []statement.Statement{forged, honest, second}, 1},
		{"honest, forged, second", []statement.Statement{honest, forged, second}, 1},
		{"honest twice", []statement.Statement{honest, honest}, 0},
	} {
		for _, verified := range []bool{false, true} {
			w := newWatch(slashing.DoubleDescriptor)
			for _, s := range c.see {
				w.observe(d, s, s.Encode(), verified && s.Verify(d) == nil)
			}
			if len(w.pairs) != c.pairs {
				t.Errorf("%s, verified %v: %d pairs, want %d", c.name, verified, len(w.pairs), c.pairs)
			}
		}
	}
}

// By talking on links nobody makes a relay forget what others said or what
// stood in blocks, nor fills its memory and disk.
func TestWatchIsBoundedByNode(t *testing.T) {
	d := statement.Domain{Genesis: chain.Hash{1}}
	key := func(n byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32)) }
	signed := func(k byte, counter uint32, version string) statement.Statement {
		body := statement.Descriptor{Version: version, Endpoints: []string{"127.1.0.1:9"}, Keys: []statement.OnionKey{{First: 1, Last: 2}}}
		return statement.Sign(d, key(k), statement.LabelDescriptor, statement.NewSequence(1, counter), body.Encode())
	}
	w := newWatch(slashing.DoubleDescriptor)
	see := func(s statement.Statement, link bool) { w.observe(d, s, s.Encode(), link) }
	see(signed(1, 0, "block"), false)
	see(signed(2, 0, "other"), true)
	for i := range uint32(3 * maxHeard) {
		see(signed(1, 1+i, "link"), true)
	}
	if len(w.known) != 2+maxHeard || len(w.order) != len(w.known) || w.heard[w.order[len(w.order)-1].node] != maxHeard {
		t.Fatalf("%d known, %d in order", len(w.known), len(w.order))
	}
	see(signed(1, 0, "hidden"), true)
	see(signed(2, 0, "hidden"), true)
	if len(w.pairs) != 2 {
		t.Fatalf("%d pairs", len(w.pairs))
	}
	// What was heard and then stands in a block is no longer pushed out.
	see(signed(1, 3*maxHeard, "link"), false)
	for i := range uint32(2 * maxHeard) {
		see(signed(1, 1000+i, "link"), true)
	}
	if _, ok := w.known[statementKey{node: signed(1, 0, "").Node, seq: statement.NewSequence(1, 3*maxHeard)}]; !ok {
		t.Fatal("forgotten")
	}
	for i := range uint32(2 * maxOfNode) {
		see(signed(1, 1000+2*maxHeard-1-i, "two"), true)
	}
	if len(w.pairs) != 1+maxOfNode {
		t.Fatalf("%d pairs", len(w.pairs))
	}
}

// Each start in one epoch begins at random, and dozens of them leave counters.
func TestManyStartsInOneEpochLeaveCounters(t *testing.T) {
	dir := t.TempDir()
	var last statement.Sequence
	for start := range 40 {
		m, err := loadMarks(dir, chain.Hash{1})
		if err != nil {
			t.Fatal(err)
		}
		o := &owner{Relay: &Relay{cfg: Config{Rand: rand.Reader}}, marks: m, syncEpoch: 7, begun: map[markKey]bool{}}
		o.cfg.Signer = NewSigner(ed25519.NewKeyFromSeed(make([]byte, 32)))
		s, err := o.sign(statement.LabelHeartbeat, 8, nil, 0)
		if err != nil || s.Sequence <= last || s.Sequence.Epoch() != 8 {
			t.Fatalf("start %d: %+v after %d: %v", start, s, last, err)
		}
		if last == 0 && s.Sequence.Counter() >= 1<<18 {
			t.Fatalf("counter %d", s.Sequence.Counter())
		}
		last = s.Sequence
	}
}

// Two verdicts on one subject in one epoch contradict each other, whether they
// stand in blocks or are shown in Hellos; on two subjects, in two epochs or in
// two encodings of one verdict they do not.
func TestVotesContradict(t *testing.T) {
	d := statement.Domain{Genesis: chain.Hash{1}}
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	vote := func(subject byte, e chain.Epoch, score chain.Permille) statement.Statement {
		v := statement.Vote{Subject: chain.NodeID{subject}, Epoch: e, Score: score}
		return statement.Sign(d, key, statement.LabelVote, statement.NewSequence(e, 0), v.Encode())
	}
	for name, c := range map[string]struct {
		second statement.Statement
		pairs  int
	}{
		"the same":        {vote(1, 5, 900), 0},
		"another subject": {vote(2, 5, 800), 0},
		"another epoch":   {vote(1, 6, 800), 0},
		"another score":   {vote(1, 5, 800), 1},
	} {
		for _, shown := range []bool{false, true} {
			w := newWatch(slashing.DoubleVote)
			first := vote(1, 5, 900)
			w.observe(d, first, first.Encode(), false)
			w.observe(d, c.second, c.second.Encode(), shown)
			if len(w.pairs) != c.pairs {
				t.Errorf("%s, shown %v: %d pairs", name, shown, len(w.pairs))
			}
		}
	}
}
