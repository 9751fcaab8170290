package machine_test

import (
	"fmt"
	"maps"
	"math/big"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger/machine"
)

// twin is the ledger once more, as simple as it can be said: names instead of
// keys, big integers, maps, no rows, no accumulator, nothing that is settled
// lazily but where the rules say when rounding happens. It decides every
// transaction by itself, with the refusal's code; what it shares with the machine
// are the parameters and the draw of quorums, which the world answers.
//
// twin_test.go holds accounts, blocks and the comparison, twin_stake_test.go the
// bonds, twin_slash_test.go the offences, twin_lost_test.go the challenges,
// twin_commit_test.go commits to disclosures, twin_node_test.go the nodes,
// twin_swarm_test.go their swarms, and
// random_twin_test.go makes the transactions: a new kind is one entry of its
// table.
type twin struct {
	w      *world
	prm    genesis.Params
	height chain.Height
	now    chain.Time
	epoch  chain.Epoch
	first  bool // the block opens its epoch

	balance map[string]*big.Int
	nonce   map[string]uint64
	pool    *big.Int
	burned  *big.Int
	total   *big.Int

	nodes    map[string]*twinNode
	bonds    map[string]*twinBond
	votes    []twinVote
	listed   map[string]*big.Int // stake of each, when the list was frozen
	records  []*twinRecord
	verdicts int         // that put a node out
	swarmed  chain.Epoch // whose placing was compared
	bonded   *big.Int    // behind all nodes, when the block began
	commits  []*twinCommit
	ends     map[string]int // of commits, for whoever asks what was tested

	challenges []*twinChallenge
}

func newTwin(w *world, names []string) *twin {
	t := &twin{w: w, prm: w.g.Params, now: w.g.Time, balance: map[string]*big.Int{}, nonce: map[string]uint64{},
		pool: num(uint64(w.g.RewardPool)), burned: num(0), total: num(uint64(w.g.RewardPool)),
		nodes: map[string]*twinNode{}, bonds: map[string]*twinBond{}, listed: map[string]*big.Int{}, ends: map[string]int{}}
	for _, n := range names {
		t.balance[n] = num(uint64(10_000 * tun))
		t.total = plus(t.total, t.balance[n])
	}
	return t
}

func num(x uint64) *big.Int             { return new(big.Int).SetUint64(x) }
func plus(a, b *big.Int) *big.Int       { return new(big.Int).Add(a, b) }
func minus(a, b *big.Int) *big.Int      { return new(big.Int).Sub(a, b) }
func times(a, b, c *big.Int) *big.Int   { x := new(big.Int).Mul(a, b); return x.Quo(x, c) } // a·b/c, down
func less(a, b *big.Int) bool           { return a.Cmp(b) < 0 }
func least(a, b *big.Int) *big.Int      { return map[bool]*big.Int{true: a, false: b}[less(a, b)] }
func bps(x *big.Int, b uint64) *big.Int { return times(x, num(b), num(10_000)) }
func up(a, b *big.Int) *big.Int         { return times(minus(plus(a, b), num(1)), num(1), b) } // a/b, up

func (t *twin) has(who string) *big.Int {
	if b := t.balance[who]; b != nil {
		return b
	}
	return num(0)
}

func (t *twin) give(who string, x *big.Int) { t.balance[who] = plus(t.has(who), x) }

// begin is what happens in a block before its transactions.
func (t *twin) begin(now chain.Time) {
	stood := now - t.now
	t.height, t.now, t.bonded = t.height+1, now, num(0)
	for _, b := range t.bonds {
		t.bonded = plus(t.bonded, b.sum())
	}
	e := t.w.g.EpochAt(now)
	if e <= t.epoch+1 {
		stood = 0 // no epoch is skipped
	}
	if t.first = e > t.epoch; t.first {
		t.count()
		t.epoch, t.votes = e, nil
	}
	t.reward()
	t.settleOffences()
	t.lapse()
	if t.first {
		t.freeze()
		t.drawChunks(stood)
	}
}

// head is what every account transaction begins with.
type head struct {
	from  string
	nonce uint64
	fee   chain.Amount
	until chain.Height
}

// account judges a transaction of an account; do is asked once the fee is
// taken, and refuses before it changes anything.
func (t *twin) account(h head, do func() string) string {
	switch {
	case h.nonce < t.nonce[h.from]:
		return machine.CodeNonceUsed
	case h.until < t.height:
		return machine.CodeExpired
	case h.fee < t.prm.MinFee:
		return machine.CodeFeeTooLow
	case less(t.has(h.from), num(uint64(h.fee))):
		return machine.CodeInsufficientFunds
	case h.nonce > t.nonce[h.from]:
		return machine.CodeNonceGap
	}
	before := t.has(h.from)
	t.balance[h.from] = minus(before, num(uint64(h.fee)))
	if code := do(); code != "" {
		t.balance[h.from] = before
		return code
	}
	t.nonce[h.from]++
	t.burned = plus(t.burned, num(uint64(h.fee)))
	return ""
}

func (t *twin) transfer(from, to string, x chain.Amount) string {
	switch {
	case x == 0:
		return machine.CodeZeroAmount
	case less(t.has(from), num(uint64(x))):
		return machine.CodeInsufficientFunds
	}
	t.balance[from] = minus(t.has(from), num(uint64(x)))
	t.give(to, num(uint64(x)))
	return ""
}

// fund is a dev network's sealer giving out of the pool.
func (t *twin) fund(height chain.Height, to string, x chain.Amount) string {
	switch {
	case height != t.height:
		return machine.CodeDevMisplaced
	case x == 0:
		return machine.CodeZeroAmount
	case less(t.pool, num(uint64(x))):
		return machine.CodeInsufficientFunds
	}
	t.pool = minus(t.pool, num(uint64(x)))
	t.give(to, num(uint64(x)))
	return ""
}

// agrees says where the machine, after a block, is not what the twin is.
func (t *twin) agrees(out machine.Output, codes []string) error {
	m := t.w.m
	for i, r := range out.Results {
		if r.Code != codes[i] {
			return fmt.Errorf("transaction %d: %q, twin %q", i, r.Code, codes[i])
		}
	}
	used := 0
	for _, who := range slices.Sorted(maps.Keys(t.balance)) {
		acc := m.Account(address(who))
		if num(uint64(acc.Balance)).Cmp(t.balance[who]) != 0 || acc.Nonce != t.nonce[who] {
			return fmt.Errorf("account %s: %d units and nonce %d, twin %s and %d", who, uint64(acc.Balance), acc.Nonce, t.balance[who], t.nonce[who])
		}
		if acc != (machine.Account{}) {
			used++
		}
	}
	if m.AccountCount() != used {
		return fmt.Errorf("%d accounts, twin %d", m.AccountCount(), used)
	}
	bonded, outstanding := num(0), num(0)
	for _, b := range t.bonds {
		bonded = plus(bonded, b.sum())
		outstanding = plus(outstanding, b.earned)
		for _, p := range b.parts {
			outstanding = plus(outstanding, p.reward)
		}
	}
	s := m.Supply()
	for what, pair := range map[string][2]*big.Int{
		"pool": {num(uint64(s.Pool)), t.pool}, "burned": {num(uint64(s.Burned)), t.burned}, "bonded": {num(uint64(s.Bonded)), bonded},
		"held": {num(uint64(s.Held)), t.held()}, "outstanding": {num(uint64(s.Outstanding)), outstanding}, "supply": {num(uint64(s.Total)), t.total},
	} {
		if pair[0].Cmp(pair[1]) != 0 {
			return fmt.Errorf("%s: %s, twin %s", what, pair[0], pair[1])
		}
	}
	if err := t.bondsAgree(); err != nil {
		return err
	}
	if err := t.offencesAgree(); err != nil {
		return err
	}
	if err := t.challengesAgree(); err != nil {
		return err
	}
	if err := t.commitsAgree(); err != nil {
		return err
	}
	return t.nodesAgree()
}
