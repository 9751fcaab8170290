package slashing_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/state"
	"tunic/chain/statement"
	"tunic/internal/table"
	"tunic/internal/wire"
	"tunic/registry/directory"
	"tunic/slashing"
)

// inForce is a header at a height of epoch e whose state has row as the
// parameters in force, and the proof of it.
func (w world) inForce(row genesis.InForce, e chain.Epoch, height chain.Height, with func(*chain.Header)) slashing.InForce {
	var part table.Part
	rows := table.New(&part, table.Codec[uint8, []byte]{Prefix: state.PrefixSingletons,
		AppendKey: func(b []byte, k uint8) []byte { return append(b, k) }, ReadKey: (*wire.Reader).Uint8,
		AppendValue: func(b, v []byte) []byte { return append(b, v...) }, ReadValue: func(r *wire.Reader) []byte { return r.Fixed(r.Len()) }})
	rows.Set(state.KeyParams, row.Encode())
	rows.Set(state.KeyFork, []byte{0, 0, 0, 0})
	rows.Set(state.KeySupply, make([]byte, 8))
	part.Commit()
	p := state.Proof{Part: state.PartParams, Row: part.Prove(state.ParamsKey())}
	for i := range p.Roots {
		p.Roots[i] = state.PartRoot{Root: chain.Hash{byte(i)}, Count: uint32(i)}
	}
	p.Roots[state.PartParams] = state.PartRoot{Root: part.Root(), Count: uint32(part.Count())}
	s := w.seal(sealer, func(h *chain.Header) {
		h.Height, h.DirEpoch, h.Time, h.State = height, e, w.core.EpochStart(e)+700, state.Root(p.Roots)
		with(h)
	})
	return slashing.InForce{Header: s, Proof: p}
}

// changed is the row after a council allowed only "2" from epoch 7 on; the time
// of grace is three epochs of the dev profile.
func (w world) changed() genesis.InForce {
	p := w.core.Params
	p.Versions = []string{"2"}
	return genesis.InForce{Number: 1, Since: 7, VersionsSince: 7, Params: p}
}

func (w world) params() slashing.InForce { return w.inForce(w.changed(), epoch, 125, same) }

// vote is one of key n on a subject.
func vote(d statement.Domain, n byte, subject chain.NodeID, e chain.Epoch, r statement.Reasons, score chain.Permille) statement.Statement {
	return statement.Sign(d, key(n), statement.LabelVote, statement.NewSequence(e, 0),
		statement.Vote{Subject: subject, Epoch: e, Reasons: r, Score: score}.Encode())
}

// votes is a good proof of a double-vote by key n, on key 2.
func (w world) votes(n byte) slashing.Proof {
	p, err := slashing.Assemble(slashing.DoubleVote, vote(w.domain(), n, nodeOf(key(2)), epoch, 0, 990).Encode(),
		vote(w.domain(), n, nodeOf(key(2)), epoch, statement.ReasonLoss, 300).Encode(), w.header, w.list)
	if err != nil {
		panic(err)
	}
	return p
}

func heartbeat(d statement.Domain, n byte, version string, e chain.Epoch) statement.Statement {
	return statement.Sign(d, key(n), statement.LabelHeartbeat, statement.NewSequence(e, 3), statement.Heartbeat{Version: version, Height: 9}.Encode())
}

// software is a good proof that key n ran version "1".
func (w world) software(n byte) slashing.Proof {
	p, err := slashing.AssembleSoftware(heartbeat(w.domain(), n, "1", epoch).Encode(), w.header, w.list, w.params())
	if err != nil {
		panic(err)
	}
	return p
}

// ballots are unfit votes of all six nodes on key n.
func (w world) ballots(n byte, e chain.Epoch) (out [][]byte) {
	for voter := byte(1); voter <= 6; voter++ {
		out = append(out, vote(w.domain(), voter, nodeOf(key(n)), e, statement.ReasonAbsent|statement.Reasons(voter%2)*statement.ReasonLoss, 100).Encode())
	}
	return out
}

// verdict is a good proof that key n is unavailable.
func (w world) verdict(n byte) slashing.Proof {
	p, err := slashing.AssembleVerdict(nodeOf(key(n)), w.ballots(n, epoch), w.header, w.list, w.params())
	if err != nil {
		panic(err)
	}
	return p
}

// clone is a proof whose parts can be changed.
func clone(p slashing.Proof) slashing.Proof {
	c, err := slashing.Decode(bytes.Clone(p.Encode()))
	if err != nil {
		panic(err)
	}
	return c
}

type refusal struct {
	name string
	with func(w world, p *slashing.Proof)
	want *chain.Refusal
}

// kindCase is a kind with its good proof and the changes that it refuses.
type kindCase struct {
	kind     slashing.Kind
	good     func(w world) slashing.Proof
	online   *chain.Refusal // what a ledger says of the good one; nil: it punishes
	refusals []refusal
	prepare  func(w world, s *slashing.Slashing) // what a ledger must have taken before; nil: nothing
}

// now is when a ledger judges in these tests: while the good proof's offence is
// punishable.
func (k kindCase) now(w world) chain.Time {
	o, err := slashing.Verify(k.good(w), w.anchor)
	if err != nil {
		panic(err)
	}
	return min(slashing.PunishableUntil(o, w.core), w.core.EpochStart(epoch+1))
}

var kindCases = []kindCase{
	{slashing.DoubleVote, func(w world) slashing.Proof { return w.votes(1) }, nil, voteRefusals, nil},
	{slashing.LostMessage, func(w world) slashing.Proof { return w.goodLost(1) }, nil, lostRefusals, nil},
	{slashing.Unauthorised, func(w world) slashing.Proof { return w.software(1) }, nil, softwareRefusals, nil},
	{slashing.Unavailable, func(w world) slashing.Proof { return w.verdict(2) }, slashing.ErrCounted, verdictRefusals, nil},
	{slashing.KeyDisclosure, func(w world) slashing.Proof { return w.disclosure(onionOf(1)) }, nil, disclosureRefusals,
		func(w world, s *slashing.Slashing) {
			for _, t := range []telling{onionOf(1), identityOf(1), onionOf(1).of(func(t *telling) { t.committed = 1 })} {
				t.commit(w, s)
			}
		}},
}

var voteRefusals = []refusal{
	{"good", func(world, *slashing.Proof) {}, nil},
	{"another score alone", func(w world, p *slashing.Proof) {
		pair(p, vote(w.domain(), 1, nodeOf(key(2)), epoch, 0, 990), vote(w.domain(), 1, nodeOf(key(2)), epoch, 0, 991))
	}, nil},
	{"descriptors", func(w world, p *slashing.Proof) {
		pair(p, descriptor(w.domain(), 1, "1.0", epoch), descriptor(w.domain(), 1, "1.1", epoch))
	}, slashing.ErrWrongPair},
	{"two nodes", func(w world, p *slashing.Proof) {
		pair(p, vote(w.domain(), 1, nodeOf(key(2)), epoch, 0, 990), vote(w.domain(), 3, nodeOf(key(2)), epoch, 1, 990))
	}, slashing.ErrWrongPair},
	{"two subjects", func(w world, p *slashing.Proof) {
		pair(p, vote(w.domain(), 1, nodeOf(key(2)), epoch, 0, 990), vote(w.domain(), 1, nodeOf(key(3)), epoch, 1, 990))
	}, slashing.ErrWrongPair},
	{"two epochs", func(w world, p *slashing.Proof) {
		pair(p, vote(w.domain(), 1, nodeOf(key(2)), epoch, 0, 990), vote(w.domain(), 1, nodeOf(key(2)), epoch+1, 1, 990))
	}, slashing.ErrWrongPair},
	{"epoch of the body", func(w world, p *slashing.Proof) {
		sign := func(r statement.Reasons) statement.Statement {
			return statement.Sign(w.domain(), key(1), statement.LabelVote, statement.NewSequence(epoch, 0),
				statement.Vote{Subject: nodeOf(key(2)), Epoch: epoch - 1, Reasons: r}.Encode())
		}
		pair(p, sign(0), sign(1))
	}, slashing.ErrWrongPair},
	{"counter", func(w world, p *slashing.Proof) {
		sign := func(r statement.Reasons) statement.Statement {
			return statement.Sign(w.domain(), key(1), statement.LabelVote, statement.NewSequence(epoch, 1),
				statement.Vote{Subject: nodeOf(key(2)), Epoch: epoch, Reasons: r}.Encode())
		}
		pair(p, sign(0), sign(1))
	}, slashing.ErrWrongPair},
	{"no votes", func(w world, p *slashing.Proof) {
		sign := func(body string) statement.Statement {
			return statement.Sign(w.domain(), key(1), statement.LabelVote, statement.NewSequence(epoch, 0), []byte(body))
		}
		pair(p, sign("a"), sign("b"))
	}, slashing.ErrMalformed},
	{"signed twice", func(w world, p *slashing.Proof) {
		a := vote(w.domain(), 1, nodeOf(key(2)), epoch, 0, 990)
		b := a
		b.Sig[0] ^= 1
		pair(p, a, b)
	}, slashing.ErrSameContent},
	{"two forks", func(w world, p *slashing.Proof) {
		d := w.domain()
		d.Fork = 1
		pair(p, vote(w.domain(), 1, nodeOf(key(2)), epoch, 0, 990), vote(d, 1, nodeOf(key(2)), epoch, 1, 990))
	}, slashing.ErrWrongFork},
	{"long after the list", func(w world, p *slashing.Proof) {
		pair(p, vote(w.domain(), 1, nodeOf(key(2)), epoch+2, 0, 990), vote(w.domain(), 1, nodeOf(key(2)), epoch+2, 1, 990))
	}, slashing.ErrWrongEpoch},
	{"entry of another", func(w world, p *slashing.Proof) { p.Entry = w.list.Prove(nodeOf(key(3))) }, slashing.ErrNotListed},
	{"signature", func(w world, p *slashing.Proof) {
		b := vote(w.domain(), 1, nodeOf(key(2)), epoch, 1, 990)
		b.Sig[7] ^= 1
		pair(p, vote(w.domain(), 1, nodeOf(key(2)), epoch, 0, 990), b)
	}, slashing.ErrBadSignature},
	{"of another network", func(w world, p *slashing.Proof) {
		pair(p, vote(w.domain(), 1, nodeOf(key(2)), epoch, 0, 990), vote(statement.Domain{}, 1, nodeOf(key(2)), epoch, 1, 990))
	}, slashing.ErrBadSignature},
	{"a stranger's header", func(w world, p *slashing.Proof) { p.Header = w.seal(key(101), same) }, slashing.ErrBadHeader},
	{"parameters", func(w world, p *slashing.Proof) { p.Params = w.params() }, slashing.ErrMalformed},
}

// beat puts another heartbeat into p.
func beat(p *slashing.Proof, s statement.Statement) { p.First = s.Encode() }

var softwareRefusals = []refusal{
	{"good", func(world, *slashing.Proof) {}, nil},
	{"a later header of the parameters", func(w world, p *slashing.Proof) { p.Params = w.inForce(w.changed(), epoch+9, 300, same) }, nil},
	{"grace just over", func(w world, p *slashing.Proof) {
		row := w.changed()
		row.VersionsSince = epoch - 3
		p.Params = w.inForce(row, epoch, 125, same)
	}, nil},
	{"in grace", func(w world, p *slashing.Proof) {
		row := w.changed()
		row.VersionsSince = epoch - 2
		p.Params = w.inForce(row, epoch, 125, same)
	}, slashing.ErrInGrace},
	{"changed since", func(w world, p *slashing.Proof) {
		row := w.changed()
		row.VersionsSince = epoch + 1
		p.Params = w.inForce(row, epoch+2, 140, same)
	}, slashing.ErrWrongEpoch},
	{"parameters of before", func(w world, p *slashing.Proof) { p.Params = w.inForce(w.changed(), epoch-1, 110, same) }, slashing.ErrWrongEpoch},
	{"parameters of long after", func(w world, p *slashing.Proof) {
		p.Params = w.inForce(w.changed(), epoch+slashing.ListLag+1, 9000, same)
	}, slashing.ErrWrongEpoch},
	{"allowed", func(w world, p *slashing.Proof) { beat(p, heartbeat(w.domain(), 1, "2", epoch)) }, slashing.ErrVersionAllowed},
	{"all are allowed", func(w world, p *slashing.Proof) {
		row := w.changed()
		row.Params.Versions = nil
		p.Params = w.inForce(row, epoch, 125, same)
	}, slashing.ErrVersionAllowed},
	{"a descriptor", func(w world, p *slashing.Proof) { beat(p, descriptor(w.domain(), 1, "1", epoch)) }, slashing.ErrWrongStatement},
	{"junk", func(_ world, p *slashing.Proof) { p.First = []byte{1, 2} }, slashing.ErrMalformed},
	{"junk in the heartbeat", func(w world, p *slashing.Proof) {
		beat(p, statement.Sign(w.domain(), key(1), statement.LabelHeartbeat, statement.NewSequence(epoch, 1), []byte("x")))
	}, slashing.ErrMalformed},
	{"a second statement", func(_ world, p *slashing.Proof) { p.Second = p.First }, slashing.ErrMalformed},
	{"another fork", func(w world, p *slashing.Proof) {
		d := w.domain()
		d.Fork = 1
		beat(p, heartbeat(d, 1, "1", epoch))
	}, slashing.ErrWrongFork},
	{"fork of the parameters", func(w world, p *slashing.Proof) {
		p.Params = w.inForce(w.changed(), epoch, 125, func(h *chain.Header) { h.Fork = 1 })
	}, slashing.ErrWrongFork},
	{"network of the parameters", func(w world, p *slashing.Proof) {
		p.Params = w.inForce(w.changed(), epoch, 125, func(h *chain.Header) { h.Genesis[0] ^= 1 })
	}, slashing.ErrForeignNetwork},
	{"the list is older", func(w world, p *slashing.Proof) { beat(p, heartbeat(w.domain(), 1, "1", epoch+2)) }, slashing.ErrWrongEpoch},
	{"entry of another", func(w world, p *slashing.Proof) { p.Entry = w.list.Prove(nodeOf(key(3))) }, slashing.ErrNotListed},
	{"another state", func(w world, p *slashing.Proof) {
		p.Params = w.inForce(w.changed(), epoch, 125, func(h *chain.Header) { h.State[1] ^= 1 })
	}, slashing.ErrBadState},
	{"another row", func(_ world, p *slashing.Proof) { p.Params.Proof.Row.Rows[0].Value[3] ^= 1 }, slashing.ErrBadState},
	{"another key", func(_ world, p *slashing.Proof) { p.Params.Proof.Row.Rows[0].Key[1] ^= 1 }, slashing.ErrBadState},
	{"another part", func(_ world, p *slashing.Proof) { p.Params.Proof.Part = state.PartNodes }, slashing.ErrBadState},
	{"signature", func(w world, p *slashing.Proof) {
		s := heartbeat(w.domain(), 1, "1", epoch)
		s.Sig[9] ^= 1
		beat(p, s)
	}, slashing.ErrBadSignature},
	{"a stranger's header", func(w world, p *slashing.Proof) { p.Header = w.seal(key(101), same) }, slashing.ErrBadHeader},
	{"a stranger's parameters", func(w world, p *slashing.Proof) { p.Params.Header.Seal[3] ^= 1 }, slashing.ErrBadHeader},
}

var verdictRefusals = []refusal{
	{"good", func(world, *slashing.Proof) {}, nil},
	{"as many as are needed", func(_ world, p *slashing.Proof) { p.Verdict.Votes = p.Verdict.Votes[:4] }, nil},
	{"too few", func(_ world, p *slashing.Proof) { p.Verdict.Votes = p.Verdict.Votes[:3] }, slashing.ErrTooFewVotes},
	{"none", func(_ world, p *slashing.Proof) { p.Verdict.Votes = nil }, slashing.ErrTooFewVotes},
	{"a fit one", func(_ world, p *slashing.Proof) { p.Verdict.Votes[1].Reasons = 0 }, slashing.ErrTooFewVotes},
	{"unknown reason", func(_ world, p *slashing.Proof) { p.Verdict.Votes[1].Reasons = 1 << 20 }, slashing.ErrMalformed},
	{"score", func(_ world, p *slashing.Proof) { p.Verdict.Votes[1].Score = 1001 }, slashing.ErrMalformed},
	{"another score", func(_ world, p *slashing.Proof) { p.Verdict.Votes[1].Score++ }, slashing.ErrBadSignature},
	{"one vote twice", func(_ world, p *slashing.Proof) { p.Verdict.Votes[1] = p.Verdict.Votes[0] }, slashing.ErrMalformed},
	{"order", func(_ world, p *slashing.Proof) {
		v := p.Verdict.Votes
		v[0], v[1] = v[1], v[0]
	}, slashing.ErrMalformed},
	{"no such seat", func(_ world, p *slashing.Proof) { p.Verdict.Votes[len(p.Verdict.Votes)-1].Seat = 6 }, slashing.ErrMalformed},
	{"another subject", func(_ world, p *slashing.Proof) { p.Verdict.Subject = nodeOf(key(3)) }, slashing.ErrWrongQuorum},
	{"a subject of nobody's list", func(_ world, p *slashing.Proof) { p.Verdict.Subject = nodeOf(key(77)) }, slashing.ErrWrongQuorum},
	{"the subject's own vote", func(w world, p *slashing.Proof) {
		own := slices.IndexFunc(p.Verdict.Drawn, func(e directory.Entry) bool { return e.Node == nodeOf(key(2)) })
		s := vote(w.domain(), 2, nodeOf(key(2)), epoch, 1, 100)
		at := slices.IndexFunc(p.Verdict.Votes, func(v slashing.SeatVote) bool { return int(v.Seat) > own })
		if at < 0 {
			at = len(p.Verdict.Votes)
		}
		p.Verdict.Votes = slices.Insert(p.Verdict.Votes, at, slashing.SeatVote{Seat: uint8(own), Reasons: 1, Score: 100, Sig: s.Sig})
	}, slashing.ErrWrongQuorum},
	{"an entry less", func(_ world, p *slashing.Proof) {
		p.Verdict.Drawn = p.Verdict.Drawn[:5]
		p.Verdict.Votes = p.Verdict.Votes[:4]
	}, slashing.ErrWrongQuorum},
	{"two entries changed places", func(_ world, p *slashing.Proof) {
		d := p.Verdict.Drawn
		d[0], d[1] = d[1], d[0]
	}, slashing.ErrWrongQuorum},
	{"another operator", func(_ world, p *slashing.Proof) { p.Verdict.Drawn[3].Operator[0] ^= 1 }, slashing.ErrWrongQuorum},
	{"a sibling too many", func(_ world, p *slashing.Proof) { p.Verdict.Siblings = append(p.Verdict.Siblings, [32]byte{}) }, slashing.ErrWrongQuorum},
	{"another beacon", func(w world, p *slashing.Proof) {
		p.Header = w.seal(sealer, func(h *chain.Header) { h.Beacon[0] ^= 1 })
	}, slashing.ErrWrongQuorum},
	{"a list too long", func(w world, p *slashing.Proof) {
		p.Header = w.seal(sealer, func(h *chain.Header) { h.DirCount = 1<<32 - 1 })
	}, slashing.ErrWrongQuorum},
	{"an epoch of no vote", func(w world, p *slashing.Proof) {
		p.Header = w.seal(sealer, func(h *chain.Header) { h.DirEpoch = 1 << 44 })
	}, slashing.ErrWrongEpoch},
	{"votes of another epoch", func(w world, p *slashing.Proof) {
		p.Header = w.seal(sealer, func(h *chain.Header) { h.DirEpoch-- })
	}, slashing.ErrBadSignature},
	{"fork of the header", func(w world, p *slashing.Proof) { p.Header = w.seal(sealer, func(h *chain.Header) { h.Fork = 1 }) }, slashing.ErrWrongFork},
	{"network of the header", func(w world, p *slashing.Proof) {
		p.Header = w.seal(sealer, func(h *chain.Header) { h.Genesis[0] ^= 1 })
	}, slashing.ErrForeignNetwork},
	{"parameters changed since", func(w world, p *slashing.Proof) {
		row := w.changed()
		row.Since = epoch + 1
		p.Params = w.inForce(row, epoch+1, 133, same)
	}, slashing.ErrWrongEpoch},
	{"a smaller quorum", func(w world, p *slashing.Proof) {
		row := w.changed()
		row.Params.QuorumSize, row.Params.QuorumVotes = 4, 3
		p.Params = w.inForce(row, epoch, 125, same)
	}, slashing.ErrWrongQuorum},
	{"another row", func(_ world, p *slashing.Proof) { p.Params.Proof.Row.Rows[0].Value[3] ^= 1 }, slashing.ErrBadState},
	{"an entry", func(w world, p *slashing.Proof) { p.Entry = w.list.Prove(nodeOf(key(2))) }, slashing.ErrMalformed},
	{"a stranger's header", func(_ world, p *slashing.Proof) { p.Header.Seal[3] ^= 1 }, slashing.ErrBadHeader},
	{"a stranger's parameters", func(_ world, p *slashing.Proof) { p.Params.Header.Seal[3] ^= 1 }, slashing.ErrBadHeader},
}

// ledgerOfAll knows the good headers of all kinds.
func (w world) ledgerOfAll() chainAnchor {
	a := w.ledger()
	for _, e := range []slashing.InForce{w.params(), w.inForce(w.changed(), epoch+9, 300, same)} {
		a.own[e.Header.Header.Height] = e.Header
	}
	disclosed := w.disclosure(onionOf(1)).Header
	a.own[disclosed.Header.Height] = disclosed
	return a
}

// Each change meets its code, the same by light verification and on a ledger;
// the steps end with it; a refused proof changes nothing.
func TestKindRefusals(t *testing.T) {
	w := newWorld()
	for _, k := range kindCases {
		for _, c := range k.refusals {
			p := clone(k.good(w))
			c.with(w, &p)
			name := fmt.Sprintf("%s: %s", k.kind, c.name)
			_, offline := slashing.Verify(p, w.anchor)
			if !is(offline, c.want) {
				t.Errorf("%s: offline %v, want %v", name, offline, c.want)
			}
			n := &nodes{known: []chain.NodeID{nodeOf(key(1)), nodeOf(key(2))}}
			b := &bonds{}
			part, s := newReducer(&w.core)
			if k.prepare != nil {
				k.prepare(w, s)
				part.Commit()
			}
			a := w.ledgerOfAll()
			if k.kind == slashing.KeyDisclosure && c.want == nil {
				a.own[p.Header.Header.Height] = p.Header
			}
			if p.Params.Header.Header.Height != 0 && c.want == nil {
				a.own[p.Params.Header.Header.Height] = p.Params.Header
			}
			if k.kind == slashing.LostMessage && c.want == nil {
				a.own[p.Header.Header.Height] = p.Header
			}
			_, online := s.Punish(p, chain.Address{1}, slashing.Context{Height: 130, Time: k.now(w), Bonded: 1}, a, b, n)
			want := c.want
			if want == nil {
				want = k.online
			}
			if !is(online, want) {
				t.Errorf("%s: on chain %v, want %v", name, online, want)
			}
			if changed := len(part.Commit()) > 0 || len(b.slash) > 0 || len(n.dead)+len(n.out) > 0; changed != (want == nil) {
				t.Errorf("%s: changed %v", name, changed)
			}
			steps := slashing.Steps(p, w.anchor)
			if last := steps[len(steps)-1]; c.want == nil && !last.OK || c.want != nil && (last.OK || last.Code != c.want.Code || last.Detail == "") {
				t.Errorf("%s: last step %+v", name, last)
			}
		}
	}
}

// Whatever byte of a proof is changed, it does not verify, and both sides refuse
// it with the same code. (Those of the other kinds: TestMutatedProofsAgree and
// TestMutatedSealsAgree.)
func TestEveryByte(t *testing.T) {
	w := newWorld()
	n := &nodes{known: []chain.NodeID{nodeOf(key(1)), nodeOf(key(2))}}
	for _, k := range kindCases {
		good := k.good(w)
		_, s := newReducer(&w.core)
		if k.prepare != nil {
			k.prepare(w, s)
		}
		ctx := slashing.Context{Height: 130, Time: k.now(w)}
		b := good.Encode()
		a := w.ledgerOfAll()
		a.own[good.Header.Header.Height] = good.Header
		if _, err := slashing.Verify(good, w.anchor); err != nil {
			t.Fatalf("%s: %v", good.Kind, err)
		}
		codes := map[string]int{}
		for i := range b {
			for _, mask := range []byte{1 << (i % 8), byte(i%3/2) * byte(37*i+1)} {
				bad := bytes.Clone(b)
				if bad[i] ^= mask; mask == 0 {
					continue
				}
				p, err := slashing.Decode(bad)
				offline, online := err, err
				if err == nil {
					_, offline = slashing.Verify(p, w.anchor)
					online = s.Check(p, ctx, a, &bonds{}, n)
				}
				var off, on *chain.Refusal
				if !errors.As(offline, &off) || !errors.As(online, &on) || off.Code != on.Code {
					t.Fatalf("%s: byte %d of %d ^ %#x: offline %v, on chain %v", good.Kind, i, len(b), mask, offline, online)
				}
				codes[off.Code]++
			}
		}
		if len(codes) < 5 {
			t.Errorf("%s: only %v", good.Kind, codes)
		}
	}
}

// One offence has one id: of votes by subject, of software by change of the
// versions, of verdicts by epoch.
func TestOffenceIDs(t *testing.T) {
	w := newWorld()
	on := func(subject byte) chain.Hash {
		p, err := slashing.Assemble(slashing.DoubleVote, vote(w.domain(), 1, nodeOf(key(subject)), epoch, 0, 1).Encode(),
			vote(w.domain(), 1, nodeOf(key(subject)), epoch, 0, 2).Encode(), w.header, w.list)
		if err != nil {
			t.Fatal(err)
		}
		return p.ID()
	}
	if on(2) != w.votes(1).ID() || on(3) == on(2) || w.votes(3).ID() == on(2) {
		t.Error("votes")
	}
	later, err := slashing.AssembleSoftware(heartbeat(w.domain(), 1, "0", epoch+1).Encode(), w.header, w.list, w.inForce(w.changed(), epoch+3, 200, same))
	if err != nil || later.ID() != w.software(1).ID() {
		t.Errorf("one change is two offences: %v", err)
	}
	row := w.changed()
	row.VersionsSince = 8
	other, err := slashing.AssembleSoftware(heartbeat(w.domain(), 1, "1", epoch).Encode(), w.header, w.list, w.inForce(row, epoch, 125, same))
	if err != nil || other.ID() == w.software(1).ID() {
		t.Errorf("two changes are one offence: %v", err)
	}
	few := w.verdict(2)
	few.Verdict.Votes = few.Verdict.Votes[:4]
	if few.ID() != w.verdict(2).ID() || w.verdict(3).ID() == few.ID() {
		t.Error("verdicts")
	}
	for _, p := range []slashing.Proof{{Kind: slashing.DoubleVote}, {Kind: slashing.Unauthorised}, {Kind: 99}} {
		if _, _, ok := p.Accused(); ok || p.ID() != (chain.Hash{}) {
			t.Errorf("an empty %s accuses", p.Kind)
		}
	}
}

// A verdict's proof fits for a list of 2,000 nodes, each with all that an entry
// can hold.
func TestVerdictFits(t *testing.T) {
	w := newWorld()
	var family []chain.NodeID
	for i := range 16 {
		family = append(family, chain.NodeID{byte(i)})
	}
	keys := map[chain.NodeID]ed25519.PrivateKey{}
	var entries []directory.Entry
	for i := range 2000 {
		seed := chain.SHA256(wire.AppendUint32(nil, uint32(i)))
		k := ed25519.NewKeyFromSeed(seed[:])
		keys[nodeOf(k)] = k
		endpoint := "[2001:1111:2222:3333:4444:5555:6666:7777]:65535"
		entries = append(entries, directory.Entry{Node: nodeOf(k), Operator: chain.Address{byte(i), byte(i >> 8)}, Family: family,
			Endpoints: []string{endpoint, endpoint, endpoint, endpoint}, Version: "12345678901234567890123456789012", Performance: 1000})
	}
	l, err := directory.NewList(epoch, entries)
	if err != nil {
		t.Fatal(err)
	}
	w.list = l
	header := w.seal(sealer, same)
	subject := l.Entries[77].Node
	var votes [][]byte
	for _, id := range l.Quorum(header.Header.Beacon, subject, 12) {
		votes = append(votes, statement.Sign(w.domain(), keys[id], statement.LabelVote, statement.NewSequence(epoch, 0),
			statement.Vote{Subject: subject, Epoch: epoch, Reasons: 1}.Encode()).Encode())
	}
	row := w.changed()
	row.Params.QuorumSize, row.Params.QuorumVotes = 12, 9
	p, err := slashing.AssembleVerdict(subject, votes, header, l, w.inForce(row, epoch, 125, same))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := slashing.Verify(p, w.anchor); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes", len(p.Encode()))
}
