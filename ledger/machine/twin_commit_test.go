package machine_test

import (
	"fmt"
	"math/big"
	"slices"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/slashing"
)

// commitLife is how many blocks a commit lives once its epoch is over.
const commitLife = 20

// twinCommit is somebody's commit; the slice that holds it is in order of time.
type twinCommit struct {
	who     string
	epoch   chain.Epoch
	hash    chain.Hash
	deposit *big.Int
	opens   chain.Height // first block of a later epoch; 0: not yet
	opened  *twinRecord
	prize   *big.Int // that it will be paid
}

func (t *twin) commit(who string, hash chain.Hash, deposit chain.Amount) string {
	switch {
	case less(num(uint64(deposit)), times(num(uint64(t.prm.StakingRequirement)), num(1), num(1000))):
		return "deposit_too_small"
	case less(t.has(who), num(uint64(deposit))):
		return "insufficient_balance"
	case t.live(who, t.epoch, hash) != nil:
		return "commit_exists"
	}
	t.balance[who] = minus(t.has(who), num(uint64(deposit)))
	t.commits = append(t.commits, &twinCommit{who: who, epoch: t.epoch, hash: hash, deposit: num(uint64(deposit)), prize: num(0)})
	return ""
}

func (t *twin) live(who string, e chain.Epoch, hash chain.Hash) *twinCommit {
	for _, c := range t.commits {
		if c.who == who && c.epoch == e && c.hash == hash {
			return c
		}
	}
	return nil
}

// opening is a proof that opens a commit, with what it says.
type opening struct {
	offence
	who       string
	committed chain.Epoch
	hash      chain.Hash
}

// reveal judges a disclosure that is valid by itself.
func (t *twin) reveal(o opening, sender string) string {
	c := t.live(o.who, o.committed, o.hash)
	at := slices.IndexFunc(t.records, func(r *twinRecord) bool { return r.id == o.id })
	b := t.bonds[o.node]
	switch {
	case t.nodes[o.node] == nil:
		return "unknown_node"
	case t.now >= t.w.g.EpochStart(o.epoch+1):
		return "proof_expired"
	case c != nil && c.opened != nil, c == nil && at >= 0:
		return "already_punished"
	case c == nil:
		return "commit_lapsed"
	case at < 0 && (b == nil || b.sum().Sign() == 0):
		return "unknown_node"
	case sender != o.who:
		return "wrong_reporter"
	}
	if at < 0 {
		c.opened, c.prize = t.punish(o.offence)
		return ""
	}
	c.opened = t.records[at]
	// Whoever is to be paid so far made its commit before this one, or after it.
	for _, x := range t.commits {
		if x == c {
			for _, y := range t.commits {
				if y != c && y.opened == c.opened && y.prize.Sign() > 0 {
					c.prize, y.prize = y.prize, num(0)
					t.ends["older commit won"]++
				}
			}
			break
		}
		if x.opened == c.opened && x.prize.Sign() > 0 {
			break
		}
	}
	return ""
}

// lapse ends commits whose time is over, and begins that of others.
func (t *twin) lapse() {
	var left []*twinCommit
	for _, c := range t.commits {
		switch {
		case c.opens == 0 || t.height < c.opens+commitLife:
			left = append(left, c)
		case c.opened != nil:
			t.give(c.who, plus(c.deposit, c.prize))
			t.ends["commit opened"]++
		default:
			t.burned = plus(t.burned, c.deposit)
			t.ends["commit lapsed"]++
		}
	}
	t.commits = left
	for _, c := range t.commits {
		if t.first && c.opens == 0 {
			c.opens = t.height
		}
	}
}

func (t *twin) held() *big.Int {
	sum := num(0)
	for _, c := range t.commits {
		sum = plus(sum, plus(c.deposit, c.prize))
	}
	for _, c := range t.challenges {
		if !c.lapsed {
			sum = plus(sum, num(uint64(c.deposit)))
		}
	}
	return sum
}

func (t *twin) commitsAgree() error {
	s := t.w.m.Slashing()
	n := 0
	for r := range s.Rounds() {
		for range s.CommitsOf(r.Epoch) {
			n++
		}
	}
	if n != len(t.commits) {
		return fmt.Errorf("%d commits, twin %d", n, len(t.commits))
	}
	for _, c := range t.commits {
		got, ok := s.LiveCommit(slashing.CommitKey{Epoch: c.epoch, Account: address(c.who), Hash: c.hash})
		if !ok || num(uint64(got.Deposit)).Cmp(c.deposit) != 0 || num(uint64(got.Held)).Cmp(c.prize) != 0 || got.Opened() != (c.opened != nil) {
			return fmt.Errorf("commit of %s in %d: %+v, twin %s and %s, opened: %t", c.who, c.epoch, got, c.deposit, c.prize, c.opened != nil)
		}
	}
	return nil
}

// commits is somebody's commit to a key that it knows, or says so.
func (g *dice) commits() []move {
	who, node, x := g.somebody(), g.node(), telling{key: statement.KeyIdentity, salt: [32]byte{byte(g.IntN(3))}}
	if n := g.twin.nodes[node]; n != nil && g.chance(60) {
		x.key = statement.KeyOnion
		if e, ok := g.w.m.List().Find(nodeID(node)); ok {
			x.first = e.Onion.First
		}
	}
	x.who, x.node, x.epoch = who, node, g.twin.epoch
	hash := x.commitment(g.w)
	deposit := one(g, 2*tun, 2*tun, 2*tun, 2*tun, 3*tun, 2*tun-1)
	if g.chance(5) {
		deposit = 1 << 62
	}
	if len(g.tellings) > 0 && g.chance(40) { // of a key that is committed to: by another, or the same again
		x = g.tellings[len(g.tellings)-1-g.IntN(min(4, len(g.tellings)))]
		if x.epoch = g.twin.epoch; g.chance(75) {
			x.who = g.somebody()
		}
		who, node, hash = x.who, x.node, x.commitment(g.w)
	}
	var all []move
	for i := range 1 + g.IntN(3) { // several know it, or one says it twice
		if i > 0 && g.chance(75) {
			x.who = g.somebody()
			who, hash = x.who, x.commitment(g.w)
		}
		g.tellings = append(g.tellings, x)
		from, what := who, hash
		all = append(all, g.signed(fmt.Sprint("commit to ", node, " ", x.key), from, func(h chain.Head) chain.Tx {
			return slashing.CommitDisclosureType.Unsigned(slashing.CommitDisclosure{Head: h, Commitment: what, Deposit: deposit})
		}, func() string { return g.twin.commit(from, what, deposit) }))
	}
	return all
}

// reveals opens commits, as far as the head can show them; some of what was sent
// before again.
func (g *dice) reveals() (all []move) {
	send := func(o opening, sender string) {
		all = append(all, g.signed("reveal of "+o.String(), sender, func(h chain.Head) chain.Tx {
			return slashing.SubmitProofType.Unsigned(slashing.SubmitProof{Head: h, Proof: o.encoded})
		}, func() string { return g.twin.reveal(o, sender) }))
	}
	if len(g.revealed) > 0 && g.chance(30) {
		o := g.revealed[len(g.revealed)-1-g.IntN(min(6, len(g.revealed)))]
		send(o, o.who)
		return all
	}
	newest := slices.Clone(g.tellings[max(0, len(g.tellings)-20):])
	slices.Reverse(newest)
	for _, x := range newest { // the youngest first, so that an older one can take over
		p, err := g.w.disclose(x)
		if err != nil {
			continue
		}
		o := opening{offence{p.Kind, x.node, g.w.m.Head().DirEpoch, p.ID(), p.Encode(), 0}, x.who, x.epoch, x.commitment(g.w)}
		g.revealed = append(g.revealed, o)
		sender := x.who
		if g.chance(25) {
			sender = g.somebody()
		}
		if g.chance(80) {
			send(o, sender)
		}
		if len(all) == 3 {
			break
		}
	}
	return all
}
