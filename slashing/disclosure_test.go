package slashing_test

import (
	"bytes"
	"crypto/sha512"
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
