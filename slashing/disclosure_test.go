package slashing_test

import (
	"bytes"
	"crypto/sha512"
	"fmt"
	"slices"
	"testing"

	"github.com/cloudflare/circl/dh/x25519"

	"tunic/chain"
	"tunic/chain/state"
	"tunic/chain/statement"
	"tunic/internal/table"
	"tunic/registry/directory"
	"tunic/slashing"
)

// firstOf is the first epoch of the nodes' onion keys.
const firstOf = chain.Epoch(9)

func onionKey(n byte) (private, public x25519.Key) {
	private = x25519.Key(bytes.Repeat([]byte{n, 0x40 + n}, 16))
	x25519.KeyGen(&public, &private)
	return private, public
}

// holding is w with a list whose entries name onion keys.
func (w world) holding() world {
	entries := slices.Clone(w.list.Entries)
	for i := range entries {
		for n := byte(1); n <= 6; n++ {
			if entries[i].Node == nodeOf(key(n)) {
				_, public := onionKey(n)
				entries[i].Onion = directory.Key{First: firstOf, Key: public}
				_, next := onionKey(n + 100)
				entries[i].OnionNext = directory.Key{First: epoch + 1, Key: next}
			}
		}
	}
	l, err := directory.NewList(epoch, entries)
	if err != nil {
		panic(err)
	}
	w.list = l
	w.header = w.seal(sealer, same)
	return w
}

// telling is one disclosure: who tells what of whom, and how.
type telling struct {
	n         byte // whose key
	key       statement.KeyKind
	first     chain.Epoch
	reporter  chain.Address
	committed chain.Epoch
	salt      [32]byte
	signer    byte                        // whose key signs; 0: n's
	header    func(*chain.Header)         // of the proof
	sign      func(*statement.Disclosure) // before it is signed
	rows      func(s *slashing.Slashing)  // beside the commit
	commitAs  func(*slashing.CommitKey)   // what stands in the state instead
	domain    func(d *statement.Domain)   // that is signed under
	after     func(o *slashing.Opening)   // once signed
	deposit   chain.Amount                // 0: the least
	list      func(world) *directory.List // nil: that of holding
	prove     func(*state.Proof, *table.Part)
}

func onionOf(n byte) telling {
	return telling{n: n, key: statement.KeyOnion, first: firstOf, reporter: chain.Address{1}, committed: epoch - 1, salt: [32]byte{7, n}}
}

func identityOf(n byte) telling {
	t := onionOf(n)
	t.key, t.first = statement.KeyIdentity, 0
	return t
}

func (t telling) of(change func(*telling)) telling { change(&t); return t }

func (t telling) commitKey(w world) slashing.CommitKey {
	k := slashing.CommitKey{Epoch: t.committed, Account: t.reporter,
		Hash: slashing.Commitment(w.anchor.Genesis(), nodeOf(key(t.n)), t.key, t.first, t.reporter, t.salt)}
	if t.commitAs != nil {
		t.commitAs(&k)
	}
	return k
}

// rich is an account that can pay every deposit.
type rich struct{ paid chain.Amount }

func (*rich) Balance(chain.Address) chain.Amount      { return 1 << 60 }
func (r *rich) Debit(_ chain.Address, x chain.Amount) { r.paid += x }
func (*rich) Credit(chain.Address, chain.Amount)      {}
func (t telling) tx(w world) (tx slashing.CommitDisclosure) {
	return slashing.CommitDisclosure{Commitment: t.commitKey(w).Hash, Deposit: max(t.deposit, slashing.LeastDeposit(&w.core.Params))}
}

func (t telling) commit(w world, s *slashing.Slashing) {
	k := t.commitKey(w)
	if err := s.Commit(k.Account, t.tx(w), k.Epoch, 100, &rich{}); err != nil {
		panic(err)
	}
}

// assemble makes the proof, good or not.
func (w world) assemble(t telling) (slashing.Proof, error) {
	w = w.holding()
	if t.list != nil {
		w.list = t.list(w)
	}
	part, s := newReducer(&w.core)
	t.commit(w, s)
	onionOf(6).of(func(t *telling) { t.reporter = chain.Address{6} }).commit(w, s)
	part.Commit()
	o := slashing.Opening{Key: t.key, First: t.first, Reporter: t.reporter, Salt: t.salt, Committed: t.committed}
	o.Commit = state.Proof{Part: state.PartOffences, Row: part.Prove(slashing.CommitKey{Epoch: t.committed, Account: t.reporter,
		Hash: slashing.Commitment(w.anchor.Genesis(), nodeOf(key(t.n)), t.key, t.first, t.reporter, t.salt)}.Key())}
	for i := range o.Commit.Roots {
		o.Commit.Roots[i] = state.PartRoot{Root: chain.Hash{byte(i)}, Count: uint32(i)}
	}
	o.Commit.Roots[state.PartOffences] = state.PartRoot{Root: part.Root(), Count: uint32(part.Count())}
	if t.prove != nil {
		t.prove(&o.Commit, part)
	}
	h := w.seal(sealer, func(h *chain.Header) {
		h.Height, h.State, h.Beacon = 126, state.Root(o.Commit.Roots), chain.Hash{0xbe, 0xac}
		if t.header != nil {
			t.header(h)
		}
	})
	x := statement.Disclosure{Node: nodeOf(key(t.n)), Key: t.key, First: t.first, Epoch: h.Header.DirEpoch, Reporter: t.reporter, Beacon: h.Header.Beacon}
	if t.sign != nil {
		t.sign(&x)
	}
	d := w.domain()
	if t.domain != nil {
		t.domain(&d)
	}
	signer := t.n
	if t.signer != 0 {
		signer = t.signer
	}
	var err error
	if t.key == statement.KeyOnion {
		private, public := onionKey(signer)
		o.Sig, err = d.DiscloseOnion(private, public, x, sha512.Sum512([]byte{t.n}))
	} else {
		o.Sig = d.DiscloseIdentity(key(signer), x)
	}
	if err != nil {
		panic(err)
	}
	if t.after != nil {
		t.after(&o)
	}
	return slashing.AssembleDisclosure(h, w.list, nodeOf(key(t.n)), o)
}

func (w world) disclosure(t telling) slashing.Proof {
	p, err := w.assemble(t)
	if err != nil {
		panic(err)
	}
	return p
}

// told is a change of the whole telling, whatever the proof was.
func told(change func(*telling)) func(world, *slashing.Proof) {
	return func(w world, p *slashing.Proof) { *p, _ = w.assemble(onionOf(1).of(change)) }
}

var disclosureRefusals = []refusal{
	{"good", func(world, *slashing.Proof) {}, nil},
	{"an unknown key", func(_ world, p *slashing.Proof) { p.Opening.Key = 3 }, slashing.ErrMalformed},
	{"an identity key with an epoch", func(_ world, p *slashing.Proof) { p.Opening.Key = statement.KeyIdentity }, slashing.ErrMalformed},
	{"an entry without its place", func(_ world, p *slashing.Proof) { p.Entry.Places = nil; p.Entry.Entries = nil }, slashing.ErrNotListed},
	{"network of the header", told(func(t *telling) { t.header = func(h *chain.Header) { h.Genesis[0] ^= 1 } }), slashing.ErrForeignNetwork},
	{"fork of the header", told(func(t *telling) { t.header = func(h *chain.Header) { h.Fork = 1 } }), slashing.ErrBadSignature},
	{"fork of the proof", func(_ world, p *slashing.Proof) { p.Fork = 1 }, slashing.ErrWrongFork},
	{"a node that is not listed", func(w world, p *slashing.Proof) { p.Entry = w.holding().list.Prove(nodeOf(key(77))) }, slashing.ErrNotListed},
	{"entry of another", func(w world, p *slashing.Proof) { p.Entry = w.holding().list.Prove(nodeOf(key(3))) }, slashing.ErrBadState},
	{"an entry of another list", func(w world, p *slashing.Proof) { p.Entry = w.list.Prove(nodeOf(key(1))) }, slashing.ErrNotListed},
	{"a key of before", told(func(t *telling) { t.first = firstOf - 1 }), slashing.ErrKeyNotInForce},
	{"the key of the next epoch", told(func(t *telling) { t.first, t.signer = epoch+1, 101 }), slashing.ErrKeyNotInForce},
	{"a key rotated since", told(func(t *telling) {
		t.list = func(w world) *directory.List {
			e := slices.Clone(w.list.Entries)
			for i := range e {
				e[i].Onion = e[i].OnionNext
			}
			l, _ := directory.NewList(epoch, e)
			return l
		}
	}), slashing.ErrKeyNotInForce},
	{"a commit that is not there", told(func(t *telling) { t.commitAs = func(k *slashing.CommitKey) { k.Hash[0] ^= 1 } }), slashing.ErrBadState},
	{"a commit of another account", told(func(t *telling) { t.commitAs = func(k *slashing.CommitKey) { k.Account[3] ^= 1 } }), slashing.ErrBadState},
	{"a commit of another epoch", told(func(t *telling) { t.commitAs = func(k *slashing.CommitKey) { k.Epoch-- } }), slashing.ErrBadState},
	{"another reporter", func(_ world, p *slashing.Proof) { p.Opening.Reporter[0] ^= 1 }, slashing.ErrBadState},
	{"another salt", func(_ world, p *slashing.Proof) { p.Opening.Salt[0] ^= 1 }, slashing.ErrBadState},
	{"another part", told(func(t *telling) { t.prove = func(p *state.Proof, _ *table.Part) { p.Part = state.PartStakes } }), slashing.ErrBadState},
	{"another part with the same rows", told(func(t *telling) {
		t.prove = func(p *state.Proof, _ *table.Part) {
			p.Part, p.Roots[state.PartStakes] = state.PartStakes, p.Roots[state.PartOffences]
		}
	}), slashing.ErrBadState},
	{"another state", told(func(t *telling) { t.header = func(h *chain.Header) { h.State[0] ^= 1 } }), slashing.ErrBadState},
	{"another row", func(_ world, p *slashing.Proof) { p.Opening.Commit.Row.Rows[0].Value[3] ^= 1 }, slashing.ErrBadState},
	{"the beacon of the commit's epoch", told(func(t *telling) { t.committed = epoch }), slashing.ErrEarlyBeacon},
	{"a beacon of before the commit", told(func(t *telling) { t.committed = epoch + 1 }), slashing.ErrEarlyBeacon},
	{"a commit of long before", told(func(t *telling) { t.committed = 1 }), nil},
	{"another beacon signed", told(func(t *telling) { t.sign = func(x *statement.Disclosure) { x.Beacon[0] ^= 1 } }), slashing.ErrBadSignature},
	{"another epoch signed", told(func(t *telling) { t.sign = func(x *statement.Disclosure) { x.Epoch-- } }), slashing.ErrBadSignature},
	{"another node signed", told(func(t *telling) { t.sign = func(x *statement.Disclosure) { x.Node[0] ^= 1 } }), slashing.ErrBadSignature},
	{"another reporter signed", told(func(t *telling) { t.sign = func(x *statement.Disclosure) { x.Reporter[0] ^= 1 } }), slashing.ErrBadSignature},
	{"another key signed", told(func(t *telling) { t.sign = func(x *statement.Disclosure) { x.First++ } }), slashing.ErrBadSignature},
	{"another kind of key signed", told(func(t *telling) { t.sign = func(x *statement.Disclosure) { x.Key = statement.KeyIdentity } }), slashing.ErrBadSignature},
	{"of another fork", told(func(t *telling) { t.domain = func(d *statement.Domain) { d.Fork = 1 } }), slashing.ErrBadSignature},
	{"of another network", told(func(t *telling) { t.domain = func(d *statement.Domain) { d.Genesis[0] ^= 1 } }), slashing.ErrBadSignature},
	{"by another's key", told(func(t *telling) { t.signer = 3 }), slashing.ErrBadSignature},
	{"by the identity key", told(func(t *telling) {
		t.after = func(o *slashing.Opening) {
			w := newWorld().holding()
			o.Sig = w.domain().DiscloseIdentity(key(1), statement.Disclosure{Node: nodeOf(key(1)), Key: o.Key, First: o.First, Epoch: epoch,
				Reporter: o.Reporter, Beacon: chain.Hash{0xbe, 0xac}})
		}
	}), slashing.ErrBadSignature},
	{"signature", func(_ world, p *slashing.Proof) { p.Opening.Sig[40] ^= 1 }, slashing.ErrBadSignature},
	{"identity key", told(func(t *telling) { *t = identityOf(1) }), nil},
	{"identity key of another", told(func(t *telling) { *t = identityOf(1); t.signer = 2 }), slashing.ErrBadSignature},
	{"identity key signs for its onion key", told(func(t *telling) {
		*t = identityOf(1)
		t.sign = func(x *statement.Disclosure) { x.Key = statement.KeyOnion }
	}), slashing.ErrBadSignature},
	{"a statement beside", func(w world, p *slashing.Proof) { p.First = vote(w.domain(), 1, nodeOf(key(2)), epoch, 0, 1).Encode() }, slashing.ErrMalformed},
	{"parameters", func(w world, p *slashing.Proof) { p.Params = w.params() }, slashing.ErrMalformed},
	{"a stranger's header", func(_ world, p *slashing.Proof) { p.Header.Seal[3] ^= 1 }, slashing.ErrBadHeader},
}

// One offence for each key, whoever tells, whenever.
func TestDisclosureIDs(t *testing.T) {
	w := newWorld()
	id := w.disclosure(onionOf(1)).ID()
	later := onionOf(1).of(func(t *telling) {
		t.reporter, t.salt, t.committed = chain.Address{2}, [32]byte{9}, 3
		t.header = func(h *chain.Header) { h.Beacon[5]++ }
	})
	if w.disclosure(later).ID() != id {
		t.Error("another reporter makes another offence")
	}
	if w.disclosure(identityOf(1)).ID() == id || w.disclosure(onionOf(2)).ID() == id {
		t.Error("another key makes the same offence")
	}
	p := w.disclosure(onionOf(1))
	p.Opening.First++
	if p.ID() == id {
		t.Error("another onion key makes the same offence")
	}
	if _, _, ok := (slashing.Proof{Kind: slashing.KeyDisclosure}).Accused(); ok {
		t.Error("an empty proof accuses")
	}
}

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

// Disclosing says what to sign, and why there is nothing to be signed.
func TestDisclosing(t *testing.T) {
	w := newWorld().holding()
	h := w.seal(sealer, func(h *chain.Header) { h.Beacon = chain.Hash{5} })
	o := slashing.Opening{Key: statement.KeyOnion, First: firstOf, Reporter: chain.Address{1}, Committed: epoch - 1}
	x, err := slashing.Disclosing(h, w.list, nodeOf(key(1)), o)
	if err != nil || x != (statement.Disclosure{Node: nodeOf(key(1)), Key: o.Key, First: firstOf, Epoch: epoch, Reporter: o.Reporter, Beacon: chain.Hash{5}}) {
		t.Errorf("%+v, %v", x, err)
	}
	for want, change := range map[*chain.Refusal]func(*slashing.Opening){
		slashing.ErrKeyNotInForce: func(o *slashing.Opening) { o.First-- },
		slashing.ErrEarlyBeacon:   func(o *slashing.Opening) { o.Committed = epoch },
		slashing.ErrMalformed:     func(o *slashing.Opening) { o.Key = 0 },
	} {
		bad := o
		change(&bad)
		if _, err := slashing.Disclosing(h, w.list, nodeOf(key(1)), bad); !is(err, want) {
			t.Errorf("%v, want %s", err, want.Code)
		}
	}
	if _, err := slashing.Disclosing(h, w.list, nodeOf(key(77)), o); !is(err, slashing.ErrNotListed) {
		t.Errorf("a stranger: %v", err)
	}
}
