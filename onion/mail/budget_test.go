package mail_test

import (
	"crypto/ed25519"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/onion"
	"tunic/onion/mail"
)

// message is one row of the byte budget: the largest of its kind.
type message struct {
	name                    string
	fields, content, blocks int
	encoded                 []byte
}

// messages are encoded as their senders do, so that the sums are not our own.
func messages(g onion.Geometry) []message {
	f := mail.FormatOf(g)
	blocks := func(n int) (out [][]byte) {
		for range n {
			out = append(out, make([]byte, f.SURB))
		}
		return out
	}
	command := func(c mail.Command, n int) []byte { c.Replies = blocks(n); return c.Encode() }
	reply := func(n int) []byte { return mail.Reply{Code: mail.CodeFound, Body: make([]byte, n)}.Encode() }
	bundle := len(mail.Bundle{}.Encode())
	receipt := statement.Sign(statement.Domain{}, ed25519.NewKeyFromSeed(make([]byte, 32)), statement.LabelReceipt, 0,
		statement.Receipt{Class: 1, Until: chain.Time(1)}.Encode()).Encode()
	var receipts [][]byte
	for range mail.MaxReceipts {
		receipts = append(receipts, receipt)
	}
	stored := mail.EncodeReceipts(receipts)
	item := mail.Item{Content: make([]byte, max(f.Item(), mail.RequestSize))}.Encode()
	return []message{
		{"contact request", 49, mail.RequestSize, 1, command(mail.Command{Request: &mail.Request{Content: make([]byte, mail.RequestSize)}}, 1)},
		{"store", 169, f.Item(), 1, command(mail.Command{Store: &mail.Store{Content: make([]byte, f.Item())}}, 1)},
		{"bundle to publish, by its bound", 5, mail.MaxBundle, 1, command(mail.Command{PutBundle: &mail.PutBundle{Bundle: make([]byte, mail.MaxBundle)}}, 1)},
		{"transaction to submit, by its bound", 5, mail.MaxTx, 1, command(mail.Command{Submit: &mail.Submit{Tx: make([]byte, mail.MaxTx)}}, 1)},
		{"poll", 178, 0, mail.PollReplies, command(mail.Command{Poll: &mail.Poll{}}, mail.PollReplies)},
		{"bundle reply", 5, bundle, 0, reply(bundle)},
		{"stored reply, ten receipts", 5, len(stored), 0, reply(len(stored))},
		{"item reply", 5, len(item), 0, reply(len(item))},
		{"reply of any kind, by its bound", 5, f.Reply, 0, reply(f.Reply)},
	}
}

func number(n int) string {
	if n >= 1000 {
		return fmt.Sprintf("%d,%03d", n/1000, n%1000)
	}
	return strconv.Itoa(n)
}

// TestBudget: every message fits one packet of every geometry, as long as
// docs/spec/onion.md says in its section 1, in all columns.
func TestBudget(t *testing.T) {
	page, err := os.ReadFile("../../docs/spec/onion.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range []onion.Geometry{onion.Small, onion.Large, onion.Hybrid} {
		f := mail.FormatOf(g)
		if f.Item()%mail.Chunk != 0 || f.Chunks > 255 {
			t.Errorf("%s: %d chunks of content do not fit a receipt's size class", g, f.Chunks)
		}
		for _, m := range messages(g) {
			sum := m.fields + m.content + m.blocks*f.SURB
			if sum != len(m.encoded) || sum > g.MaxMessage() {
				t.Errorf("%s, %s: %d bytes, counted %d, at most %d fit", g, m.name, len(m.encoded), sum, g.MaxMessage())
			}
			cells := []string{m.name, number(m.fields), "–", "–", number(sum), number(g.MaxMessage() - sum)}
			if m.content > 0 {
				cells[2] = number(m.content)
			}
			if m.blocks > 0 {
				cells[3] = fmt.Sprintf("%d x %s", m.blocks, number(f.SURB))
			}
			if row := "| " + strings.Join(cells, " | ") + " |"; !strings.Contains(string(page), row) {
				t.Errorf("the page has not, for %s:\n%s", g, row)
			}
		}
		// A store fills its packet: one chunk more would not fit, or a poll's
		// reply blocks would not.
		if left := g.MaxMessage() - 169 - f.Item() - f.SURB; g != onion.Small && left >= mail.Chunk {
			t.Errorf("%s: %d bytes are left behind a store", g, left)
		}
	}
}
