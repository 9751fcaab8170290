package slashing_test

import (
	"tunic/chain"
	"tunic/chain/state"
	"tunic/chain/statement"
	"tunic/internal/table"
	"tunic/internal/wire"
	"tunic/slashing"
)

// receipt is one of key n, for five chunks.
func receipt(d statement.Domain, n byte, until chain.Time) statement.Statement {
	return statement.Sign(d, key(n), statement.LabelReceipt, 0, statement.Receipt{Chunks: chain.Hash{n}, Class: 5, Until: until, Deleter: chain.Hash{n, 1}}.Encode())
}

// lapsed is a challenge of a receipt as it stands in the state once it lapsed in
// epoch 12. What it is made of are the rows of a ledger, whose encoding is public.
func (w world) lapsed(r statement.Statement) challengeRow {
	return challengeRow{id: slashing.ChallengeID(w.anchor.Genesis(), r), receipt: r.Encode(), challenger: chain.Address{77}, operator: chain.Address{1},
		numbers: [4]uint64{30_000, 33, uint64(w.core.EpochStart(5)), 6}, chunk: 3, due: uint64(w.core.EpochStart(12)) + 400,
		lapsed: []uint64{119, uint64(w.core.EpochStart(12)) + 450, 12, uint64(w.core.EpochStart(13)) + uint64(w.core.Params.EvidenceAge)}}
}

// challengeRow is docs/spec/slashing.md, section State, once more.
type challengeRow struct {
	id                   chain.Hash
	receipt              []byte
	challenger, operator chain.Address
	numbers              [4]uint64 // deposit, height, time, drawn
	chunk                byte
	due                  uint64
	lapsed               []uint64 // nil: open
}

func (c challengeRow) encode() []byte {
	b := append([]byte(nil), c.id[:]...)
	b = wire.AppendBytes(b, c.receipt)
	b = append(append(b, c.challenger[:]...), c.operator[:]...)
	for _, x := range c.numbers {
		b = wire.AppendUint64(b, x)
	}
	b = wire.AppendUint64(append(b, c.chunk), c.due)
	b = wire.AppendBool(b, c.lapsed != nil)
	for _, x := range c.lapsed {
		b = wire.AppendUint64(b, x)
	}
	return b
}

// under gives rows of a part their place in the state of a header of epoch 12, and
// proves key there.
func (w world) under(part state.Part, key []byte, with func(*chain.Header), rows ...challengeRow) (chain.SealedHeader, state.Proof) {
	var of table.Part
	all := table.New(&of, table.Codec[chain.Hash, []byte]{Prefix: 4,
		AppendKey: func(b []byte, k chain.Hash) []byte { return append(b, k[:]...) }, ReadKey: func(r *wire.Reader) (k chain.Hash) { r.Copy(k[:]); return k },
		AppendValue: func(b, v []byte) []byte { return append(b, v...) }, ReadValue: func(r *wire.Reader) []byte { return r.Fixed(r.Len()) }})
	for _, c := range rows {
		all.Set(c.id, c.encode())
	}
	of.Commit()
	p := state.Proof{Part: part, Row: of.Prove(key)}
	p.Roots[part] = state.PartRoot{Root: of.Root(), Count: uint32(of.Count())}
	return w.seal(sealer, func(h *chain.Header) { h.State = state.Root(p.Roots); with(h) }), p
}

// lost is a proof against key n whose row, and header, are changed as told.
func (w world) lost(n byte, row func(*challengeRow), with func(*chain.Header)) slashing.Proof {
	r := receipt(w.domain(), n, w.core.EpochStart(9))
	c := w.lapsed(r)
	row(&c)
	other := w.lapsed(receipt(w.domain(), n%6+1, w.core.EpochStart(9)))
	p := slashing.Proof{Version: 1, Kind: slashing.LostMessage, Genesis: w.anchor.Genesis(), First: r.Encode()}
	p.Header, p.Lapsed = w.under(state.PartOffences, slashing.ChallengeKey(slashing.ChallengeID(w.anchor.Genesis(), r)), with, c, other)
	return p
}

func asItIs(*challengeRow) {}

func (w world) goodLost(n byte) slashing.Proof {
	p := w.lost(n, asItIs, same)
	made, err := slashing.AssembleLost(p.Header, p.Lapsed)
	if err != nil {
		panic(err)
	}
	return made
}

// signed replaces the receipt, and keeps the row as it is.
func signed(p *slashing.Proof, s statement.Statement) { p.First = s.Encode() }

var lostRefusals = []refusal{
	{"good", func(world, *slashing.Proof) {}, nil},
	{"signed twice", func(w world, p *slashing.Proof) { // by who draws other nonces: it is one receipt
		r := receipt(w.domain(), 1, w.core.EpochStart(9))
		c := w.lapsed(r)
		r.Sig[0] ^= 1
		c.receipt = r.Encode()
		p.Header, p.Lapsed = w.under(state.PartOffences, slashing.ChallengeKey(c.id), same, c)
	}, nil},
	{"no statement", func(_ world, p *slashing.Proof) { p.First = p.First[:20] }, slashing.ErrMalformed},
	{"a heartbeat", func(w world, p *slashing.Proof) { signed(p, heartbeat(w.domain(), 1, "1", epoch)) }, slashing.ErrWrongStatement},
	{"a sequence", func(w world, p *slashing.Proof) {
		s, _ := statement.Decode(p.First)
		signed(p, statement.Sign(w.domain(), key(1), statement.LabelReceipt, 1, s.Body))
	}, slashing.ErrMalformed},
	{"no chunks", func(w world, p *slashing.Proof) {
		signed(p, statement.Sign(w.domain(), key(1), statement.LabelReceipt, 0, statement.Receipt{}.Encode()))
	}, slashing.ErrMalformed},
	{"of another fork", func(w world, p *slashing.Proof) {
		d := w.domain()
		d.Fork = 1
		signed(p, receipt(d, 1, w.core.EpochStart(9)))
	}, slashing.ErrWrongFork},
	{"header of another fork", func(w world, p *slashing.Proof) { *p = w.lost(1, asItIs, func(h *chain.Header) { h.Fork = 1 }) }, slashing.ErrWrongFork},
	{"header of another network", func(w world, p *slashing.Proof) {
		*p = w.lost(1, asItIs, func(h *chain.Header) { h.Genesis = chain.Hash{1} })
	}, slashing.ErrForeignNetwork},
	{"another receipt", func(w world, p *slashing.Proof) { signed(p, receipt(w.domain(), 1, w.core.EpochStart(9)+1)) }, slashing.ErrBadState},
	{"another node's", func(w world, p *slashing.Proof) { signed(p, receipt(w.domain(), 2, w.core.EpochStart(9))) }, slashing.ErrBadState},
	{"a row with another receipt", func(w world, p *slashing.Proof) {
		*p = w.lost(1, func(c *challengeRow) { c.receipt = receipt(w.domain(), 1, 5).Encode() }, same)
	}, slashing.ErrBadState},
	{"a row with another id", func(w world, p *slashing.Proof) {
		c := w.lapsed(receipt(w.domain(), 1, w.core.EpochStart(9)))
		p.Header, p.Lapsed = w.under(state.PartOffences, slashing.ChallengeKey(c.id), same, c)
		c.id[0] ^= 1
		p.Lapsed.Row.Rows[0].Value = c.encode()
	}, slashing.ErrBadState},
	{"no row", func(w world, p *slashing.Proof) {
		c := w.lapsed(receipt(w.domain(), 1, w.core.EpochStart(9)))
		p.Header, p.Lapsed = w.under(state.PartOffences, slashing.ChallengeKey(c.id), same)
	}, slashing.ErrBadState},
	{"a row of another part", func(w world, p *slashing.Proof) {
		c := w.lapsed(receipt(w.domain(), 1, w.core.EpochStart(9)))
		p.Header, p.Lapsed = w.under(state.PartNodes, slashing.ChallengeKey(c.id), same, c)
	}, slashing.ErrBadState},
	{"another state", func(w world, p *slashing.Proof) {
		*p = w.lost(1, asItIs, func(h *chain.Header) { h.State[0] ^= 1 })
	}, slashing.ErrBadState},
	{"an open challenge", func(w world, p *slashing.Proof) { *p = w.lost(1, func(c *challengeRow) { c.lapsed = nil }, same) }, slashing.ErrNotLapsed},
	{"a header before the lapse", func(w world, p *slashing.Proof) {
		*p = w.lost(1, asItIs, func(h *chain.Header) { h.DirEpoch, h.Time = 11, w.core.EpochStart(11) })
	}, slashing.ErrWrongEpoch},
	{"a header long after it", func(w world, p *slashing.Proof) {
		*p = w.lost(1, asItIs, func(h *chain.Header) { h.DirEpoch, h.Time = 141, w.core.EpochStart(141) })
	}, slashing.ErrWrongEpoch},
	{"the last header that serves", func(w world, p *slashing.Proof) {
		*p = w.lost(1, asItIs, func(h *chain.Header) { h.DirEpoch, h.Time = 140, w.core.EpochStart(140) })
	}, nil},
	{"not the node's signature", func(_ world, p *slashing.Proof) { p.First[len(p.First)-1] ^= 1 }, slashing.ErrBadSignature},
	{"a stranger's seal", func(w world, p *slashing.Proof) {
		h := p.Header.Header
		p.Header = w.seal(key(9), func(x *chain.Header) { by := x.Proposer; *x = h; x.Proposer = by })
	}, slashing.ErrBadHeader},
	{"a second statement", func(_ world, p *slashing.Proof) { p.Second = p.First }, slashing.ErrMalformed},
	{"an entry", func(w world, p *slashing.Proof) { p.Entry = w.list.Prove(nodeOf(key(1))) }, slashing.ErrMalformed},
}
