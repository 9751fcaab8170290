package probe

import (
	"encoding/hex"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/testenv"
)

// TestVectors holds a draw, a plan with its tags, a tree with an opening, and
// the scores of a network in which one relay drops.
func TestVectors(t *testing.T) {
	type plan struct {
		Route [4]uint32  `json:"route"`
		Delay [3]uint32  `json:"delay_ms"`
		At    chain.Time `json:"at_ms"`
		Tags  []string   `json:"tags"`
		Hash  chain.Hash `json:"packet_sha256"`
	}
	var file struct {
		MadeBy  string           `json:"made_by"`
		Alpha   string           `json:"alpha"`
		Seed    chain.Hash       `json:"seed"`
		Plans   []plan           `json:"plans"`
		Root    chain.Hash       `json:"root"`
		Depth   uint8            `json:"depth"`
		Opening string           `json:"commitment_with_opening"`
		Scores  []chain.Permille `json:"scores"`
	}
	file.MadeBy = "go test ./registry/probe -run TestVectors -rewrite"
	w := newWorld(t, 7)
	w.core.Params.MixingMean = 100
	w.drops = func(_ chain.Epoch, from, _ *peer) bool { return from == w.peers[3] }
	tallies := w.run(7)
	n := w.nets[7]
	file.Alpha = hex.EncodeToString(n.Alpha())
	var output [64]byte
	for i := range output {
		output[i] = byte(i)
	}
	file.Seed = n.Seed(&output)
	for k, p := range n.Plans(file.Seed, 1, 2) {
		packet, tags, err := n.Wrap(file.Seed, k, p)
		if err != nil {
			t.Fatal(err)
		}
		v := plan{Route: p.Route, Delay: p.Delay, At: p.At, Hash: chain.SHA256(packet)}
		for i := range tags {
			v.Tags = append(v.Tags, hex.EncodeToString(tags[i][:]))
		}
		if again, err := n.Tags(file.Seed, k, p.Route); err != nil || again != tags {
			t.Fatalf("tags %x, %v; want %x", again, err, tags)
		}
		file.Plans = append(file.Plans, v)
	}
	tree := w.trees[7][w.peers[0]]
	file.Root, file.Depth = tree.Root(), tree.Depth()
	open := tree.Open(w.rounds[7].Layers(w.peers[0].id())[:3], 4096)
	file.Opening = hex.EncodeToString(statement.Commitment{Epoch: 10, Open: open}.Encode())
	for _, p := range w.peers {
		file.Scores = append(file.Scores, Judge(p.id(), nil, tallies, &w.core.Params, beaconOf(7), 0).Score)
	}
	testenv.Golden(t, "testdata/vectors.json", file)
}

// FuzzRound: whatever commitments say, a round counts no more trials than
// probes can have, never finds more received than sent, and does not panic.
func FuzzRound(f *testing.F) {
	w := newWorld(f, 5)
	w.run(2)
	var good [][]byte
	w.forge = func(e chain.Epoch, p *peer, c *statement.Commitment) {
		if p == w.peers[1] {
			good = append(good, c.Encode())
		}
	}
	for e := chain.Epoch(3); e < 6; e++ {
		w.commitments(e)
		f.Add(good[len(good)-1], uint8(e))
	}
	w.forge = nil
	f.Fuzz(func(t *testing.T, body []byte, at uint8) {
		c, err := statement.DecodeCommitment(body)
		if err != nil {
			return
		}
		r := NewRound(w.nets[2], nil)
		for e := chain.Epoch(3); e < 6; e++ {
			for i, p := range w.peers {
				if i == 1 && e == chain.Epoch(at) {
					c.Epoch = e
					r.Take(p.id(), &c)
					continue
				}
				x := statement.Commitment{Epoch: e}
				switch e {
				case 3:
					x.Depth, x.Root = w.trees[2][p].Depth(), w.trees[2][p].Root()
				case 4:
					x.Reveal = w.seeds[2][p]
				case 5:
					x.Open = w.trees[2][p].Open(r.Layers(p.id()), 8192)
				}
				r.Take(p.id(), &x)
			}
		}
		tally := r.Tally()
		for _, p := range w.peers {
			if got := tally.total(p.id()); got.Lost > got.Trials || got.Trials > 5*MaxEach*8 {
				t.Fatalf("%+v", got)
			}
		}
	})
}
