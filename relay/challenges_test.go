package relay_test

import (
	"sync/atomic"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/onion/mail"
	"tunic/relay"
	"tunic/relay/mailbox"
)

// promised stores an item with relay 1 and gives the receipt.
func promised(n *network, c *client, s *mail.Store) (statement.Statement, statement.Receipt) {
	n.t.Helper()
	c.send(n.wrap(n.path(0, 1), mail.Command{Store: s, Replies: [][]byte{c.surb(2, 0)}}.Encode()))
	r := c.reply()
	all, err := small.DecodeReceipts(r.Body)
	if r.Code != mail.CodeStored || err != nil {
		n.t.Fatal(r.Code, err)
	}
	for _, b := range all {
		st, _ := statement.Decode(b)
		if x, err := statement.DecodeReceipt(st.Body); err == nil && st.Node == n.nodes[1].ID() {
			return st, x
		}
	}
	n.t.Fatal("no receipt of the member")
	return statement.Statement{}, statement.Receipt{}
}

func (l *ledger) ask(asks ...relay.Challenge) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asks = asks
}

func answersOf(t *testing.T, n *network, node int) (out []statement.Answer) {
	t.Helper()
	for _, s := range n.l.submitted(statement.LabelAnswer, n.nodes[node].ID()) {
		a, err := statement.DecodeAnswer(s.Body)
		if err != nil || s.Sequence != 0 {
			t.Fatal(s.Sequence, err)
		}
		out = append(out, a)
	}
	return out
}

// A relay answers what it is asked by a receipt of its own, with the chunk or with
// the token of the deletion, once, and nothing else.
func TestChallengesAreAnswered(t *testing.T) {
	n := newNetwork(t, 5, nil, nil)
	n.epoch()
	c := n.client(0)
	s, _, _ := storeCommand(n, 300_000, 1)
	for i := range s.Content {
		s.Content[i] = byte(i / 100)
	}
	s.Sign(n.l.hash, keyOf(200))
	gone, goneToken, _ := storeCommand(n, 300_000, 2)
	receipt, x := promised(n, c, s)
	goneReceipt, y := promised(n, c, gone)
	c.send(n.wrap(n.path(0, 1), mail.Command{Delete: &mail.Delete{Token: goneToken}, Replies: [][]byte{c.surb(2, 0)}}.Encode()))
	if r := c.reply(); r.Code != mail.CodeDeleted {
		t.Fatal(r.Code)
	}
	foreign := receipt
	foreign.Sig[0] ^= 1
	n.l.ask(relay.Challenge{ID: chain.Hash{1}, Height: 3, Receipt: receipt.Encode(), Chunk: 4},
		relay.Challenge{ID: chain.Hash{2}, Height: 4, Receipt: goneReceipt.Encode(), Chunk: 4},
		relay.Challenge{ID: chain.Hash{3}, Height: 4, Receipt: foreign.Encode(), Chunk: 0},
		relay.Challenge{ID: chain.Hash{4}, Height: 4, Receipt: []byte("no receipt"), Chunk: 0})
	n.epoch()
	got := map[chain.Hash]statement.Answer{}
	for _, a := range answersOf(t, n, 1) {
		got[a.Challenge] = a
	}
	if a := got[chain.Hash{1}]; len(got) != 2 || a.Height != 3 || a.Token != nil || !a.Shows(x, 4) {
		t.Fatalf("%+v", got)
	}
	if a := got[chain.Hash{2}]; a.Height != 4 || a.Token == nil || *a.Token != goneToken || !a.Shows(y, 4) {
		t.Fatalf("%+v", got)
	}
	// Whatever the ledger says next, no other chunk is shown for one challenge; a
	// new challenge has a new answer.
	n.l.ask(relay.Challenge{ID: chain.Hash{1}, Height: 3, Receipt: receipt.Encode(), Chunk: 2},
		relay.Challenge{ID: chain.Hash{5}, Height: 9, Receipt: receipt.Encode(), Chunk: 1})
	n.epoch()
	n.epoch()
	all := answersOf(t, n, 1)
	if len(all) != 3 || all[2].Challenge != (chain.Hash{5}) || !all[2].Shows(x, 1) {
		t.Fatalf("%d answers", len(all))
	}
	for i := range n.nodes {
		if i != 1 && len(answersOf(t, n, i)) > 0 {
			t.Fatalf("relay %d answers for another", i)
		}
	}
}

// expired is a network whose relay 1 keeps an item in store that has just ended,
// with its receipt.
func expired(t *testing.T, store mailbox.Store) (*network, statement.Statement, statement.Receipt) {
	t.Helper()
	n := newNetwork(t, 5, nil, func(i int, c *relay.Config) {
		if i == 1 {
			c.Store = store
		}
	})
	n.epoch()
	s, _, _ := storeCommand(n, 15_000, 1)
	receipt, x := promised(n, n.client(0), s)
	n.epoch()
	n.advance(8_000)
	return n, receipt, x
}

// A ledger that says once what is not so does not make a relay owe an answer.
func TestAnswersAreOfferedWhileAskedFor(t *testing.T) {
	for _, code := range []string{"no_such_challenge", "wrong_answer"} {
		t.Run(code, func(t *testing.T) {
			n, receipt, x := expired(t, new(mailbox.Memory))
			n.l.mu.Lock()
			n.l.refuse = func(s statement.Statement) error {
				if a, err := statement.DecodeAnswer(s.Body); s.Label == statement.LabelAnswer && err == nil && !a.Shows(x, 2) {
					return chain.Refuse(code, "")
				}
				return nil
			}
			n.l.mu.Unlock()
			n.l.ask(relay.Challenge{ID: chain.Hash{1}, Height: 3, Receipt: receipt.Encode(), Chunk: 4})
			n.epoch()
			n.epoch()
			if len(answersOf(t, n, 1)) != 0 || n.nodes[1].Status().Items != 1 {
				t.Fatal("answered, or swept")
			}
			chunk := uint8(2) // what was drawn
			if code == "no_such_challenge" {
				n.l.mu.Lock()
				n.l.refuse, chunk = nil, 4
				n.l.mu.Unlock()
			}
			n.l.ask(relay.Challenge{ID: chain.Hash{1}, Height: 3, Receipt: receipt.Encode(), Chunk: chunk})
			n.epoch()
			if all := answersOf(t, n, 1); len(all) != 1 || !all[0].Shows(x, chunk) {
				t.Fatalf("%+v", all)
			}
		})
	}
}

// What a promise covered until its end can be asked for until the next epoch says
// that nobody does.
func TestExpiredMailWaitsForChallenges(t *testing.T) {
	n, receipt, x := expired(t, new(mailbox.Memory))
	if n.nodes[1].Status().Items != 1 {
		t.Fatal("the item went before anybody could ask for it")
	}
	n.l.ask(relay.Challenge{ID: chain.Hash{1}, Height: 3, Receipt: receipt.Encode(), Chunk: 3})
	refused := true
	n.l.mu.Lock()
	n.l.refuse = func(s statement.Statement) error {
		if s.Label == statement.LabelAnswer && refused {
			return chain.Refuse("mempool_full", "")
		}
		return nil
	}
	n.l.mu.Unlock()
	n.epoch()
	n.epoch()
	if n.nodes[1].Status().Items != 1 || len(answersOf(t, n, 1)) != 0 {
		t.Fatal("the item went before its answer was in a block")
	}
	n.l.mu.Lock()
	refused = false
	n.l.mu.Unlock()
	n.epoch()
	if all := answersOf(t, n, 1); len(all) != 1 || !all[0].Shows(x, 3) {
		t.Fatalf("%+v", all)
	}
	n.l.ask()
	n.epoch()
	until(t, "swept", func() bool { return n.nodes[1].Status().Items == 0 })
}

// What ends on a fork is swept by its time, not by that of the former one.
func TestMailIsSweptAfterARevert(t *testing.T) {
	n := newNetwork(t, 5, nil, nil)
	n.l.ask()
	for range 3 {
		n.epoch()
	}
	n.revert()
	s, _, _ := storeCommand(n, 3_000, 1)
	promised(n, n.client(0), s)
	n.advance(4_000)
	if n.nodes[1].Status().Items != 1 {
		t.Fatal("the item went before anybody could ask for it")
	}
	n.epoch()
	until(t, "swept", func() bool { return n.nodes[1].Status().Items == 0 })
}

// lookless is a store in which nothing can be looked up by its deleter while fail
// is set.
type lookless struct {
	mailbox.Store
	fail atomic.Bool
}

func (l *lookless) Scan(prefix, from []byte, fn func(key, value []byte) bool) error {
	if len(prefix) > 1 && prefix[0] == 'd' && l.fail.Load() {
		return mailbox.ErrStore
	}
	return l.Store.Scan(prefix, from, fn)
}

// What a failing disk keeps from being looked up stays until it can be.
func TestMailWaitsForAFailingDisk(t *testing.T) {
	store := &lookless{Store: new(mailbox.Memory)}
	n, receipt, x := expired(t, store)
	n.l.ask(relay.Challenge{ID: chain.Hash{1}, Height: 3, Receipt: receipt.Encode(), Chunk: 3})
	store.fail.Store(true)
	for range 3 {
		n.epoch()
	}
	if n.nodes[1].Status().Items != 1 || len(answersOf(t, n, 1)) != 0 {
		t.Fatal("the item went before it could be looked for")
	}
	store.fail.Store(false)
	n.epoch()
	if all := answersOf(t, n, 1); len(all) != 1 || !all[0].Shows(x, 3) {
		t.Fatalf("%+v", all)
	}
}

// A relay that starts again within the window answers from its disk.
func TestAnsweredAfterARestart(t *testing.T) {
	store := new(mailbox.Memory)
	n := newNetwork(t, 5, nil, func(i int, c *relay.Config) {
		if i == 1 {
			c.Store = store
		}
	})
	n.epoch()
	c := n.client(0)
	s, _, _ := storeCommand(n, 300_000, 1)
	receipt, x := promised(n, c, s)
	if err := n.nodes[1].stop(); err != nil {
		t.Fatal(err)
	}
	cfg := n.nodes[1].cfg
	n.l.ask(relay.Challenge{ID: chain.Hash{1}, Height: 3, Receipt: receipt.Encode(), Chunk: 0})
	n.nodes[1] = n.start(cfg)
	n.nodes[1].reaches(t, n.l.at().Height)
	n.epoch()
	if all := answersOf(t, n, 1); len(all) != 1 || !all[0].Shows(x, 0) {
		t.Fatalf("%+v", all)
	}
}

// A stranger's transaction goes to the ledger, whose answer comes back; what no
// account signed does not.
func TestTransactionsArePassedOn(t *testing.T) {
	n := newNetwork(t, 5, nil, nil)
	n.epoch()
	c := n.client(0)
	tx := chain.Tx{Kind: chain.KindTransfer, Payload: []byte("a payload")}
	pass := func(b []byte) mail.Reply {
		c.send(n.wrap(n.path(0, 1), mail.Command{Submit: &mail.Submit{Tx: b}, Replies: [][]byte{c.surb(2, 0)}}.Encode()))
		return c.reply()
	}
	if r := pass(tx.Encode()); r.Code != mail.CodeAccepted {
		t.Fatal(r.Code)
	}
	if r := pass(tx.Encode()); r.Code != mail.CodeRefused || string(r.Body) != "nonce_used" {
		t.Fatal(r.Code, string(r.Body))
	}
	for _, b := range [][]byte{nil, []byte("nothing"), chain.Tx{Kind: chain.KindPublish, Payload: []byte{1}}.Encode(), chain.Tx{Kind: chain.KindDev}.Encode()} {
		if r := pass(b); r.Code != mail.CodeMalformed {
			t.Errorf("%x: %s", b, r.Code)
		}
	}
	n.l.mu.Lock()
	defer n.l.mu.Unlock()
	if len(n.l.passed) != 1 || string(n.l.passed[0]) != string(tx.Encode()) {
		t.Fatalf("%x", n.l.passed)
	}
}
