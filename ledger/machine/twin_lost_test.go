package machine_test

import (
	"fmt"
	"math/big"
	"slices"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/ledger/machine"
	"tunic/slashing"
)

// twinChallenge is one of a receipt. Which chunk is drawn the world answers.
type twinChallenge struct {
	kept
	node, by string
	deposit  chain.Amount
	height   chain.Height
	drawn    bool
	due      chain.Time
	lapsed   bool
	epoch    chain.Epoch // in which it lapsed
	until    chain.Time  // of the row
}

func (t *twin) challengeOf(k kept) *twinChallenge {
	for _, c := range t.challenges {
		if string(c.receipt.Body) == string(k.receipt.Body) && c.receipt.Node == k.receipt.Node {
			return c
		}
	}
	return nil
}

func (t *twin) drop(c *twinChallenge) {
	t.challenges = slices.DeleteFunc(t.challenges, func(x *twinChallenge) bool { return x == c })
}

// challenge judges a challenge of what node promised.
func (t *twin) challenge(node, by string, k kept, deposit chain.Amount) string {
	b, open := t.bonds[node], 0
	for _, c := range t.challenges {
		if c.node == node && !c.lapsed {
			open++
		}
	}
	switch {
	case t.nodes[node] == nil || b == nil || b.sum().Sign() == 0:
		return "unknown_node"
	case k.promise.Until < t.now:
		return "promise_over"
	case deposit < 10*t.prm.MinFee:
		return "deposit_too_low"
	case t.challengeOf(k) != nil:
		return "already_challenged"
	case slices.ContainsFunc(t.records, func(r *twinRecord) bool {
		return r.id == slashing.ChallengeID(t.w.g.Hash(), k.receipt)
	}):
		return "already_punished"
	case open == 16:
		return "too_many_challenges"
	case less(t.has(by), num(uint64(deposit))):
		return machine.CodeInsufficientFunds
	}
	t.balance[by] = minus(t.has(by), num(uint64(deposit)))
	t.challenges = append(t.challenges, &twinChallenge{kept: k, node: node, by: by, deposit: deposit, height: t.height})
	return ""
}

// answer judges what a node says of a challenge of some height; right is whether
// it shows what is asked for.
func (t *twin) answer(node string, k kept, height chain.Height, right bool) string {
	c := t.challengeOf(k)
	switch {
	case c == nil || c.lapsed || c.height != height || c.node != node:
		return "no_such_challenge"
	case !c.drawn:
		return "not_drawn"
	case !right:
		return "wrong_answer"
	}
	t.give(t.nodes[node].operator, num(uint64(c.deposit)))
	t.drop(c)
	return ""
}

// drawChunks is what the first block of an epoch does; stalled is how long nothing
// was sealed, where epochs were skipped.
func (t *twin) drawChunks(stalled chain.Time) {
	for _, c := range t.challenges {
		switch {
		case c.lapsed:
		case c.drawn:
			c.due += stalled
		default:
			c.drawn, c.due = true, t.now+chain.Time(t.prm.ChallengeWindow)
		}
	}
}

// end is what happens in a block after its transactions.
func (t *twin) end() {
	for _, c := range slices.Clone(t.challenges) {
		switch {
		case c.lapsed && c.until < t.now:
			t.drop(c)
		case !c.lapsed && c.drawn && c.due <= t.now:
			c.lapsed, c.epoch, c.until = true, t.epoch, t.w.g.EpochStart(t.epoch+1)+chain.Time(t.prm.EvidenceAge)
			t.give(c.by, num(uint64(c.deposit)))
			if b := t.bonds[c.node]; b != nil {
				b.held = max(b.held, c.until)
			}
		}
	}
}

func (t *twin) challengesAgree() error {
	s := t.w.m.Slashing()
	if s.ChallengeCount() != len(t.challenges) {
		return fmt.Errorf("%d challenges, twin %d", s.ChallengeCount(), len(t.challenges))
	}
	for _, c := range t.challenges {
		got := t.w.challengeOf(c.kept)
		if got.Height != c.height || got.Due != c.due || (got.Lapsed != nil) != c.lapsed || (got.Drawn != 0) != c.drawn {
			return fmt.Errorf("challenge of %s: %+v, twin %+v", c.node, got, c)
		}
	}
	return nil
}

// lostShare is what a lost message costs of x.
func (t *twin) lostShare(x *big.Int, class uint8) *big.Int {
	return times(bps(x, uint64(t.prm.SlashLostMessage)), num(uint64(min(class, 5))), num(5))
}

// promised is a receipt of somebody, old or new.
func (g *dice) promised() (string, kept) {
	if len(g.items) == 0 || g.chance(40) {
		node := g.node()
		k := g.w.keep(node, byte(len(g.items)), g.twin.now+chain.Time(one(g, 0, 5_000, 100_000, 100_000, 1_000_000)))
		if g.chance(20) {
			k.promise.Class = uint8(one(g, 1, 3, 200))
			k.receipt = statement.Sign(g.w.domain(), nodeKey(node), statement.LabelReceipt, 0, k.promise.Encode())
		}
		g.items = append(g.items, item{node, k})
	}
	i := g.items[len(g.items)-1-g.IntN(min(8, len(g.items)))]
	return i.node, i.kept
}

type item struct {
	node string
	kept
}

func (g *dice) challenges() []move {
	node, k := g.promised()
	if !g.chance(10) {
		return []move{g.challenge(node, k)}
	}
	var all []move // more of one node's than may be open
	by := one(g, g.names...)
	h := head{by, g.twin.nonce[by], g.w.g.Params.MinFee, g.twin.height}
	for n := range chain.Time(slashing.MaxOpen + 2) {
		k := g.w.keep(node, byte(n), g.twin.now+50_000+n)
		tx := slashing.ChallengeType.Unsigned(slashing.OpenChallenge{Head: h.chain(), Receipt: k.receipt.Encode(), Deposit: deposit})
		of := h
		all = append(all, move{"challenge of " + node, g.w.sign(by, tx), func() string {
			return g.twin.account(of, func() string { return g.twin.challenge(node, by, k, deposit) })
		}})
		h.nonce++
	}
	return all
}

func (g *dice) challenge(node string, k kept) move {
	by, x := g.somebody(), one(g, deposit, deposit, deposit, deposit, deposit, deposit-1, 3*tun, 9_999*tun)
	return g.signed("challenge of "+node, by, func(h chain.Head) chain.Tx {
		return slashing.ChallengeType.Unsigned(slashing.OpenChallenge{Head: h, Receipt: k.receipt.Encode(), Deposit: x})
	}, func() string { return g.twin.challenge(node, by, k, x) })
}

// answers are of an open challenge, mostly right.
func (g *dice) answers() []move {
	if len(g.twin.challenges) == 0 {
		return nil
	}
	c := one(g, g.twin.challenges...)
	node, height, right := c.node, c.height, g.chance(80)
	k := c.kept
	id := slashing.ChallengeID(g.w.g.Hash(), k.receipt)
	switch g.IntN(12) {
	case 0:
		height++
	case 1:
		node = g.node()
	}
	a := statement.Answer{Token: &k.token}
	if !right {
		a.Token = &[32]byte{}
	}
	// In an epoch's first block the chunk is not known yet.
	if !g.twin.first && k.promise.Class == 5 && g.chance(70) {
		chunk := g.w.challengeOf(k).Chunk
		if !right {
			chunk = (chunk + 1) % 5
		}
		a = statement.AnswerOf(k.content, chunk)
	}
	a.Challenge, a.Height = id, height
	st := statement.Sign(g.w.domain(), nodeKey(node), statement.LabelAnswer, 0, a.Encode())
	return []move{{"answer of " + node, publish(st), func() string { return g.twin.answer(node, k, height, right) }}}
}

// losses proves one that lapsed before this block, now and then again.
func (g *dice) losses() []move {
	for _, c := range g.twin.challenges {
		if l := g.w.challengeOf(c.kept).Lapsed; l == nil || !g.chance(40) {
			continue
		}
		p, err := g.w.lost(c.kept)
		if err != nil {
			g.t.Fatal(err)
		}
		g.offences = append(g.offences, offence{p.Kind, c.node, c.epoch, p.ID(), p.Encode(), c.promise.Class})
		break
	}
	return g.proofs()
}
