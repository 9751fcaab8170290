package pages

import (
	"bytes"
	"strings"
	"testing"

	"tunic/api/client"
)

// A page of more offences than are summed up says so, and shows the challenges once.
func TestSlashesBeyondFigures(t *testing.T) {
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	id := strings.Repeat("ab", 32)
	chunk := 3
	d := slashesView{Total: slashesCounted + 1,
		Items:      []client.Slash{{Offence: id, Node: id, Kind: "double-vote", Basis: "signature", Slashed: "1", Stake: "2", Burned: "1", Reward: "0"}},
		Figures:    &slashFigures{Count: slashesCounted, Slashed: "1", Burned: "1", Reward: "0", Kinds: []kindCount{{"double-vote", "signature", slashesCounted}}},
		Challenges: []client.Challenge{{Id: id, Node: id, State: "open", Chunk: &chunk, Chunks: 5, Deposit: "10000", Height: 7}}, Challenged: 1}
	var page bytes.Buffer
	if err := s.templates["slashes"].ExecuteTemplate(&page, "content", &frame{view: view{Data: d}}); err != nil {
		t.Fatal(err)
	}
	for text, times := range map[string]int{"These figures are of the newest ": 1, "<caption>Challenges of storage receipts</caption>": 1, "chunk 3 of 5": 1} {
		if n := strings.Count(page.String(), text); n != times {
			t.Errorf("%q %d times, want %d", text, n, times)
		}
	}
	d.Total = 1
	page.Reset()
	if err := s.templates["slashes"].ExecuteTemplate(&page, "content", &frame{view: view{Data: d}}); err != nil || strings.Contains(page.String(), "These figures") {
		t.Errorf("%v: figures of all say that they are of some", err)
	}
}
