package relay_test

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/statement"
	"tunic/onion/link"
	"tunic/relay"
)

// leaky is a transport that loses packets that its relay sends, some in ten.
type leaky struct {
	link.Transport
	tenths uint64
	lost   *atomic.Int64
}

func (l *leaky) Dial(ctx context.Context, at string, peer chain.NodeID) (link.Conn, error) {
	c, err := l.Transport.Dial(ctx, at, peer)
	if err != nil {
		return nil, err
	}
	return leakyConn{c, l}, nil
}

func (l *leaky) Listen(at string) (link.Listener, error) {
	in, err := l.Transport.Listen(at)
	if err != nil {
		return nil, err
	}
	return leakyListener{in, l}, nil
}

type leakyListener struct {
	link.Listener
	l *leaky
}

func (x leakyListener) Accept() (link.Conn, error) {
	c, err := x.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return leakyConn{c, x.l}, nil
}

type leakyConn struct {
	link.Conn
	l *leaky
}

func (c leakyConn) Send(f link.Frame) error {
	if f.Type == link.Packet && beacon.NewDraw(chain.SHA256(f.Data), "leak").N(10) < c.l.tenths {
		c.l.lost.Add(1)
		return nil
	}
	return c.Conn.Send(f)
}

// probed lets an epoch pass head by head, each after all probes are back or
// lost.
func (n *network) probed(lost *atomic.Int64) {
	n.t.Helper()
	for _, d := range []chain.Duration{4000, 4000, 2000} {
		n.advance(d)
		until(n.t, "all probes are back or lost", func() bool {
			var sent, back uint64
			for _, nd := range n.nodes {
				s := nd.Status().Probing
				sent, back = sent+s.Sent, back+s.Back
			}
			return sent == back+uint64(lost.Load())
		})
	}
}

func commitmentsOf(t *testing.T, n *network, id chain.NodeID) map[chain.Epoch]statement.Commitment {
	t.Helper()
	out := map[chain.Epoch]statement.Commitment{}
	for _, s := range n.l.submitted(statement.LabelCommitment, id) {
		c, err := statement.DecodeCommitment(s.Body)
		if err != nil || c.Epoch != s.Sequence.Epoch() {
			t.Fatalf("commitment of epoch %d under %d: %v", c.Epoch, s.Sequence, err)
		}
		if old, twice := out[c.Epoch]; twice && string(old.Encode()) != string(c.Encode()) {
			t.Fatalf("two commitments for epoch %d", c.Epoch)
		}
		out[c.Epoch] = c
	}
	return out
}

func votesOf(t *testing.T, n *network, id chain.NodeID) map[chain.Epoch]map[chain.NodeID]statement.Vote {
	t.Helper()
	out := map[chain.Epoch]map[chain.NodeID]statement.Vote{}
	for _, s := range n.l.submitted(statement.LabelVote, id) {
		v, err := statement.DecodeVote(s.Body)
		if err != nil || s.Sequence != statement.NewSequence(v.Epoch, 0) {
			t.Fatalf("vote of epoch %d under %d: %v", v.Epoch, s.Sequence, err)
		}
		if out[v.Epoch] == nil {
			out[v.Epoch] = map[chain.NodeID]statement.Vote{}
		}
		if old, twice := out[v.Epoch][v.Subject]; twice && old != v {
			t.Fatalf("two votes: %+v and %+v", old, v)
		}
		out[v.Epoch][v.Subject] = v
	}
	return out
}

// TestProbing runs the whole pipeline: relays probe, commit, reveal, open and
// vote; the one that loses packets is found, and nobody else.
func TestProbing(t *testing.T) {
	const relays, bad, last = 8, 3, 14
	var lost atomic.Int64
	n := newNetwork(t, relays, nil, func(i int, c *relay.Config) {
		if i == bad {
			c.Transport = &leaky{Transport: c.Transport, tenths: 6, lost: &lost}
		}
	})
	n.epoch()
	for n.l.at().DirEpoch < last {
		n.probed(&lost)
	}
	if lost.Load() == 0 {
		t.Fatal("nothing was lost")
	}
	accused := map[chain.NodeID]int{}
	for i, nd := range n.nodes {
		all := commitmentsOf(t, n, nd.ID())
		for e := chain.Epoch(3); e < last; e++ {
			c, ok := all[e]
			if !ok || c.Depth < n.l.core.Params.ProbeDepth {
				t.Fatalf("relay %d, epoch %d: %+v", i, e, c)
			}
			if (c.Reveal != nil) != (e >= 4) || c.Reveal != nil && len(c.Reveal.Probes) != 4 {
				t.Errorf("relay %d, epoch %d: reveal %+v", i, e, c.Reveal)
			}
			if (c.Open != nil) != (e >= 5) {
				t.Errorf("relay %d, epoch %d: opening %v", i, e, c.Open != nil)
			}
		}
		s := nd.Status().Probing
		if s.Committed != last || s.Sent == 0 || i != bad && s.Back == 0 {
			t.Errorf("relay %d: %+v", i, s)
		}
		if c := nd.Counters(); c.Probes != s.Back || !c.Balanced() {
			t.Errorf("relay %d: %d loops ended, %d probes came back: %+v", i, c.Probes, s.Back, c)
		}
		cast := 0
		for e, votes := range votesOf(t, n, nd.ID()) {
			for subject, v := range votes {
				cast++
				if v.Reasons != 0 {
					accused[subject]++
					if e < 11 || v.Reasons != statement.ReasonLoss || v.Score >= n.l.core.Params.ScoreLeast {
						t.Errorf("relay %d in epoch %d: %+v", i, e, v)
					}
				}
			}
		}
		if uint64(cast) != s.Votes {
			t.Errorf("relay %d cast %d votes and counts %d", i, cast, s.Votes)
		}
	}
	if who := n.nodes[bad].ID(); len(accused) != 1 || accused[who] < relays-1 {
		t.Errorf("accused: %v; the relay that loses packets is %s", accused, who.Short())
	}
}

// TestRestartedRelayProbes: a relay that starts again neither commits nor votes
// for an epoch in which its former life may have, and reveals only epochs that
// it saw from the beginning. One with an old copy of its folder never votes
// twice.
func TestRestartedRelayProbes(t *testing.T) {
	dir, backup := filepath.Join(t.TempDir(), "relay"), filepath.Join(t.TempDir(), "backup")
	var none atomic.Int64
	n := newNetwork(t, 6, nil, func(i int, c *relay.Config) {
		if i == 2 {
			c.Dir = dir
		}
	})
	stranger := idOf(keyOf(99))
	n.l.mu.Lock()
	n.l.judged = []relay.Unlisted{{Node: stranger, Decommissioned: true, Since: 1, Performance: 700}}
	n.l.mu.Unlock()
	n.epoch()
	for range 4 {
		n.probed(&none)
	}
	restart := func(from string) {
		t.Helper()
		before := n.nodes[2]
		if err := before.stop(); err != nil {
			t.Fatal(err)
		}
		if from != "" {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
				t.Fatal(err)
			}
		}
		n.nodes[2] = n.start(before.cfg)
		n.nodes[2].reaches(t, n.l.at().Height)
	}
	count := func() (commitments, votes int) {
		return len(n.l.submitted(statement.LabelCommitment, n.nodes[2].ID())), len(n.l.submitted(statement.LabelVote, n.nodes[2].ID()))
	}
	if err := n.nodes[2].stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(backup, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	n.nodes[2] = n.start(n.nodes[2].cfg)
	n.nodes[2].reaches(t, n.l.at().Height)
	n.probed(&none)
	n.probed(&none)
	for _, from := range []string{"", backup} {
		c, v := count()
		at := n.l.at().DirEpoch
		restart(from)
		n.advance(4000)
		if c2, v2 := count(); c2 != c || v2 != v {
			t.Fatalf("after a start in epoch %d: %d commitments and %d votes more", at, c2-c, v2-v)
		}
		n.advance(4000)
		n.advance(2000)
		if c2, v2 := count(); c2 != c+1 || v2 == v {
			t.Fatalf("in the epoch after %d: %d commitments and %d votes", at, c2-c, v2-v)
		}
		last := commitmentsOf(t, n, n.nodes[2].ID())[at+1]
		if last.Depth == 0 || last.Reveal != nil || last.Open != nil {
			t.Errorf("of what it did not see from the beginning it says %+v", last)
		}
		for range 3 {
			n.advance(4000)
			n.advance(4000)
			n.advance(2000)
		}
		if full := commitmentsOf(t, n, n.nodes[2].ID())[at+4]; full.Reveal == nil || full.Open == nil {
			t.Errorf("three epochs later it is not back: reveal %v, opening %v", full.Reveal != nil, full.Open != nil)
		}
	}
	votesOf(t, n, n.nodes[2].ID())
	for _, nd := range n.nodes {
		for e, votes := range votesOf(t, n, nd.ID()) {
			for who, v := range votes {
				switch {
				case who == stranger && v.Score == 700 && v.Reasons&^statement.ReasonAbsent == 0:
				case who == n.nodes[2].ID() && v.Reasons == statement.ReasonUnrevealed: // three starts cost six reveals
				default:
					t.Errorf("epoch %d: %+v", e, v)
				}
			}
		}
	}
	first := n.nodes[0]
	// The stranger was never heard, and who followed for long enough says so.
	if v := votesOf(t, n, first.ID())[8][stranger]; v.Reasons != statement.ReasonAbsent {
		t.Errorf("who followed says %+v", v)
	}
}
