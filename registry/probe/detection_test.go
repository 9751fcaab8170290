package probe

import (
	"testing"

	"tunic/chain/genesis"
)

// TestDetection holds what Detection in docs/spec/judgement.md promises, with
// seeds that do not change.
func TestDetection(t *testing.T) {
	p, _ := genesis.For(genesis.Dev)
	for _, c := range []struct {
		name        string
		s           Simulation
		runs        int
		least, most int // runs in which it is found
	}{
		{"30 % dropped, 12 relays", Simulation{Relays: 12, Epochs: 16, Drop: 300}, 100, 99, 100},
		{"30 % dropped, 100 relays", Simulation{Relays: 100, Epochs: 16, Drop: 300}, 20, 19, 20},
		{"2 % lost on its links, 12 relays", Simulation{Relays: 12, Epochs: 20, LinkLoss: 20}, 100, 0, 0},
		{"2 % lost on all links", Simulation{Relays: 12, Epochs: 20, NetLoss: 20}, 100, 0, 0},
		{"2 % lost on its links, 100 relays", Simulation{Relays: 100, Epochs: 16, LinkLoss: 20}, 20, 0, 0},
		{"5 % lost on its links, 12 relays", Simulation{Relays: 12, Epochs: 16, LinkLoss: 50}, 100, 0, 20},
		{"a third lies, 12 relays", Simulation{Relays: 12, Epochs: 20, Liars: 4}, 50, 0, 0},
		{"a third lies, 20 relays", Simulation{Relays: 20, Epochs: 20, Liars: 6}, 50, 0, 0},
	} {
		d := c.s.Detect(&p, c.runs)
		if d.Found < c.least || d.Found > c.most {
			t.Errorf("%s: %+v", c.name, d)
		}
		if c.s.Liars == 0 {
			continue
		}
		for i, score := range c.s.Scores(&p) {
			if score.Score != 1000 {
				t.Errorf("%s: a score of %d after %d epochs", c.name, score.Score, i+1)
			}
		}
	}
}

// TestDetect holds the arithmetic of what becomes of scores.
func TestDetect(t *testing.T) {
	p, _ := genesis.For(genesis.Dev)
	p.ScoreWindow, p.ScoreForgiven = 8, 2
	d := Simulation{Relays: 8, Epochs: 20, Honest: 8, Drop: 1000}.Detect(&p, 9)
	// Two bad epochs are forgiven, the third weighs a sixth.
	if d.Found != 9 || d.Median != 2+Delay+1 || d.Most < d.Median || d.Scores != 180 || d.Below < 9*(20-8-4) {
		t.Errorf("%+v", d)
	}
	if at := (Simulation{Relays: 8, Epochs: 20, Honest: 8, Drop: 1000}).Found(&p); at != d.Median {
		t.Errorf("found after %d epochs", at)
	}
	if at := (Simulation{Relays: 8, Epochs: 12}).Found(&p); at != 0 {
		t.Errorf("honest, found after %d epochs", at)
	}
	if d := (Simulation{Relays: 8, Epochs: 12}).Detect(&p, 2); d.Found != 0 || d.Median != 0 || d.Most != 0 || d.Below != 0 {
		t.Errorf("honest: %+v", d)
	}
}

// TestEarly: before there are enough epochs nobody is judged.
func TestEarly(t *testing.T) {
	p, _ := genesis.For(genesis.Dev)
	for i, s := range (Simulation{Relays: 12, Epochs: 8, Drop: 1000}).Scores(&p) {
		if known := i+1 >= MinEpochs+int(p.ScoreForgiven); s.Known != known || !known && s.Score != 1000 {
			t.Errorf("after %d epochs: %+v", i+1, s)
		}
	}
}
