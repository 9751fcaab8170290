package slashing_test

import (
	"fmt"
	"slices"
	"testing"

	"tunic/chain"
	"tunic/internal/table"
	"tunic/slashing"
)

// round is a ledger with commits, as the machine drives it.
type round struct {
	t    *testing.T
	w    world
	part *table.Part
	s    *slashing.Slashing
	b    *bonds
	n    *nodes
	at   chain.Height
}

func newRound(t *testing.T) *round {
	w := newWorld()
	id := nodeOf(key(1))
	r := &round{t: t, w: w, b: &bonds{stake: map[chain.NodeID]map[chain.Epoch]chain.Amount{id: {epoch: 2000 * chain.TUN}}}, n: &nodes{known: []chain.NodeID{id}}, at: 100}
	r.part, r.s = newReducer(&w.core)
	return r
}

func (r *round) commit(who telling) error {
	k := who.commitKey(r.w)
	err := r.s.Commit(k.Account, who.tx(r.w), k.Epoch, r.at, &rich{})
	r.part.Commit()
	return err
}

// opens begins the epoch of the proofs at height 125.
func (r *round) opens() { r.lapse(125, true) }

func (r *round) lapse(h chain.Height, begins bool) ([]slashing.Payment, chain.Amount) {
	r.at = h
	paid, burned := r.s.Lapse(h, begins)
	r.part.Commit()
	if err := r.s.CheckAll(); err != nil {
		r.t.Fatal(err)
	}
	return paid, burned
}

func (r *round) reveal(who telling) (slashing.Record, error) {
	p := r.w.disclosure(who)
	a := r.w.ledger()
	a.own[p.Header.Header.Height] = p.Header
	ctx := slashing.Context{Height: r.at, Time: r.w.core.EpochStart(epoch) + 700, Bonded: 1}
	want := r.s.Check(p, ctx, a, r.b, r.n)
	rec, err := r.s.Punish(p, who.reporter, ctx, a, r.b, r.n)
	if (want == nil) != (err == nil) {
		r.t.Fatalf("checked %v, punished %v", want, err)
	}
	r.part.Commit()
	if err := r.s.CheckAll(); err != nil {
		r.t.Fatal(err)
	}
	r.b.gone = len(r.b.slash) > 0
	return rec, err
}

func teller(n byte) telling {
	return onionOf(1).of(func(t *telling) { t.reporter, t.salt = chain.Address{n}, [32]byte{n} })
}

// The first opening punishes; the oldest commit that is opened before it lapses
// has the reporter's part, and whoever showed the key has its deposit back.
func TestOldestCommitWins(t *testing.T) {
	core := newWorld().core
	deposit := slashing.LeastDeposit(&core.Params)
	for _, c := range []struct {
		name   string
		opened []byte // commits 1, 2 and 3 in the order of their making, 4 one of an epoch before
		winner byte
	}{
		{"alone", []byte{2}, 2},
		{"younger first", []byte{3, 2}, 2},
		{"older first", []byte{2, 3}, 2},
		{"all", []byte{3, 2, 1}, 1},
		{"the middle last", []byte{3, 1, 2}, 1},
		{"of the epoch before", []byte{1, 3, 4, 2}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRound(t)
			before := teller(4).of(func(t *telling) { t.committed = epoch - 2 })
			if err := r.commit(before); err != nil {
				t.Fatal(err)
			}
			r.lapse(110, true)
			for n := byte(1); n <= 3; n++ {
				if err := r.commit(teller(n)); err != nil {
					t.Fatal(err)
				}
			}
			r.opens()
			tell := func(n byte) telling {
				if n == 4 {
					return before
				}
				return teller(n)
			}
			for i, n := range c.opened {
				rec, err := r.reveal(tell(n))
				if err != nil {
					t.Fatal(err)
				}
				if rec.Total != 2000*chain.TUN || rec.Reward != 1000*chain.TUN || len(r.b.slash) != 1 || len(r.n.dead) != 1 {
					t.Fatalf("opening %d: %+v, slashed %v", i, rec, r.b.slash)
				}
				if _, err := r.reveal(tell(n)); !is(err, slashing.ErrAlreadyPunished) {
					t.Fatalf("opened twice: %v", err)
				}
			}
			if rec := r.s.All()[0]; rec.Reporter != (chain.Address{c.winner}) {
				t.Errorf("reporter %s", rec.Reporter)
			}
			if held := r.s.Held(); held != 4*deposit+1000*chain.TUN {
				t.Errorf("held %s", held)
			}
			got := map[byte]chain.Amount{}
			burned := chain.Amount(0)
			for h := chain.Height(126); h <= 125+slashing.CommitLife; h++ {
				paid, lost := r.lapse(h, false)
				for _, x := range paid {
					got[x.To[0]] += x.Deposit + x.Reward
				}
				burned += lost
				if of4 := h >= 110+slashing.CommitLife; len(c.opened) == 4 && (got[4] > 0) != of4 || h < 125+slashing.CommitLife && len(got)+int(burned/deposit) > 1 {
					t.Fatalf("height %d: paid %v, burned %s", h, got, burned)
				}
			}
			want := map[byte]chain.Amount{}
			for _, n := range c.opened {
				want[n] = deposit
			}
			want[c.winner] += 1000 * chain.TUN
			if fmt.Sprint(got) != fmt.Sprint(want) || burned != deposit*chain.Amount(4-len(c.opened)) || r.s.Held() != 0 {
				t.Errorf("paid %v, want %v; burned %s, held %s", got, want, burned, r.s.Held())
			}
			for range r.s.Rounds() {
				t.Error("a round is left")
			}
		})
	}
}

// A commit lives from the first block of the next epoch for CommitLife blocks, and
// its opening is refused before and after.
func TestCommitLife(t *testing.T) {
	r := newRound(t)
	if err := r.commit(teller(1)); err != nil {
		t.Fatal(err)
	}
	if paid, burned := r.lapse(10_000, false); len(paid) > 0 || burned > 0 {
		t.Fatal("it lapsed before it could be opened")
	}
	if _, err := r.reveal(teller(2)); !is(err, slashing.ErrCommitLapsed) {
		t.Errorf("without a commit: %v", err)
	}
	r.lapse(10_001, true)
	if _, burned := r.lapse(10_000+slashing.CommitLife, false); burned > 0 {
		t.Error("it lapsed a block early")
	}
	if _, burned := r.lapse(10_001+slashing.CommitLife, false); burned != slashing.LeastDeposit(&r.w.core.Params) {
		t.Errorf("burned %s", burned)
	}
	if _, err := r.reveal(teller(1)); !is(err, slashing.ErrCommitLapsed) {
		t.Errorf("after it lapsed: %v", err)
	}
	if len(r.b.slash) > 0 || len(r.n.dead) > 0 {
		t.Error("somebody was punished")
	}
}

// A disclosure is punished in the epoch of its beacon alone.
func TestDisclosureInItsEpoch(t *testing.T) {
	r := newRound(t)
	if err := r.commit(teller(1)); err != nil {
		t.Fatal(err)
	}
	p := r.w.disclosure(teller(1))
	a := r.w.ledger()
	a.own[p.Header.Header.Height] = p.Header
	o, err := slashing.Verify(p, a)
	if err != nil {
		t.Fatal(err)
	}
	until := slashing.PunishableUntil(o, r.w.core)
	if until != r.w.core.EpochStart(epoch+1)-1 || o.Epoch != epoch || o.Operator != (chain.Address{1}) {
		t.Errorf("until %d, %+v", until, o)
	}
	for at, want := range map[chain.Time]*chain.Refusal{until: nil, until + 1: slashing.ErrExpired} {
		if err := r.s.Check(p, slashing.Context{Time: at}, a, r.b, r.n); !is(err, want) {
			t.Errorf("at %d: %v", at, err)
		}
	}
	if _, err := r.s.Punish(p, chain.Address{8}, slashing.Context{Time: until}, a, r.b, r.n); !is(err, slashing.ErrWrongReporter) {
		t.Errorf("submitted by another: %v", err)
	}
	r.b.gone = true
	if err := r.s.Check(p, slashing.Context{Time: until}, a, r.b, r.n); !is(err, slashing.ErrUnknownNode) {
		t.Errorf("nothing bonded: %v", err)
	}
}

// The refusals of a commit.
func TestCommitRefusals(t *testing.T) {
	r := newRound(t)
	least := slashing.LeastDeposit(&r.w.core.Params)
	if least != 2*chain.TUN {
		t.Errorf("deposit %s", least)
	}
	tx := teller(1).tx(r.w)
	who := chain.Address{1}
	small := tx
	small.Deposit--
	for _, c := range []struct {
		tx   slashing.CommitDisclosure
		has  chain.Amount
		want string
	}{{small, 1 << 40, slashing.CodeDepositSmall}, {tx, least - 1, slashing.CodeNoDeposit}, {tx, least, ""}, {tx, least, slashing.CodeCommitExists}} {
		p := &purse{c.has}
		err := r.s.Commit(who, c.tx, 4, 100, p)
		if got := codeOf(err); got != c.want || (c.want == "") != (p.has == c.has-least) {
			t.Errorf("%q, want %q; has %s of %s", got, c.want, p.has, c.has)
		}
	}
	// The same hash is another's commit, and another epoch's.
	if err := r.s.Commit(chain.Address{2}, tx, 4, 100, &rich{}); err != nil {
		t.Error(err)
	}
	if err := r.s.Commit(who, tx, 5, 100, &rich{}); err != nil {
		t.Error(err)
	}
	r.part.Commit()
	if err := r.s.CheckAll(); err != nil {
		t.Error(err)
	}
	loaded, s2 := newReducer(&r.w.core)
	if err := loaded.Load(slices.Collect(r.part.Rows())); err != nil || s2.Held() != r.s.Held() || loaded.Root() != r.part.Root() {
		t.Errorf("loaded: %v", err)
	}
}

type purse struct{ has chain.Amount }

func (p *purse) Balance(chain.Address) chain.Amount     { return p.has }
func (p *purse) Debit(_ chain.Address, x chain.Amount)  { p.has -= x }
func (p *purse) Credit(_ chain.Address, x chain.Amount) { p.has += x }

func codeOf(err error) string {
	if r, ok := err.(*chain.Refusal); ok {
		return r.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}
