package machine_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"

	"tunic/chain"
	"tunic/chain/state"
	"tunic/chain/statement"
	"tunic/ledger/light"
	"tunic/ledger/machine"
	"tunic/registry/directory"
	"tunic/slashing"
)

// corpusEpochs is how long the corpus' ledger lives: longer than evidence does, so
// that its first offences are too old. At forkEpoch its fork rises.
const (
	corpusEpochs = 40
	forkEpoch    = 4
)

// moment is what a proof needs of one epoch.
type moment struct {
	list   *directory.List
	header chain.SealedHeader
	params slashing.InForce
	rows   []state.Proof // of challenges under header, open and lapsed

	commits map[telling]state.Proof // to each node's keys, made in the epoch before
}

// corpus is a machine with a history, and the proofs that can be made of it.
type corpus struct {
	w      *world
	anchor *light.Verifier
	nodes  []string // listed all the time
	at     map[chain.Epoch]moment
}

var buildCorpus = sync.OnceValue(func() *corpus {
	c, err := newCorpus()
	if err != nil {
		panic(err)
	}
	return c
})

// builder lets the helpers of world run outside a test.
type builder struct{ testing.TB }

func (builder) Helper()                   {}
func (builder) Fatal(args ...any)         { panic(fmt.Sprint(args...)) }
func (builder) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

func newCorpus() (*corpus, error) {
	t := builder{}
	c := &corpus{at: map[chain.Epoch]moment{}}
	var owners []string
	for i := range 8 {
		c.nodes = append(c.nodes, fmt.Sprint("node ", i))
		owners = append(owners, fmt.Sprint("owner ", i))
	}
	g := testGenesis(t, owners...)
	g.Params.Versions = []string{"tunic/1"}
	m, err := machine.New(g, nil)
	if err != nil {
		return nil, err
	}
	c.w = &world{t: t, g: g, m: m, sealer: nodeKey("sealer"), headers: map[chain.Height]chain.SealedHeader{}, seq: map[string]uint32{}}
	if c.anchor, err = light.New(g.Network()); err != nil {
		return nil, err
	}
	w := c.w
	var txs [][]byte
	for i, n := range c.nodes {
		txs = append(txs, w.register(n, owners[i], g.Params.StakingRequirement, 0))
	}
	w.ok(w.at(0)+1, txs...)
	for e := chain.Epoch(0); e < corpusEpochs; e++ {
		if e == forkEpoch {
			raise := machine.Dev{Op: machine.DevRevert, Height: w.m.Head().Height + 1, Fork: 1}
			out, err := w.m.Apply(machine.Input{Height: w.m.Head().Height + 1, Time: w.at(e), Proposer: nodeID("sealer"), Fork: 1,
				Txs: w.m.PrepareAll([][]byte{raise.Tx().Encode()})})
			if err != nil {
				return nil, err
			}
			w.headers[out.Header.Height] = light.Seal(w.sealer, out.Header)
		} else if e > 0 {
			w.ok(w.at(e))
		}
		var txs [][]byte
		for _, n := range c.nodes {
			if e%8 == 0 { // of which each holds keys for 20 epochs
				txs = append(txs, publish(w.descriptor(n, w.next(n, e), realKey)))
			}
			txs = append(txs, publish(w.heartbeat(n, w.next(n, e))))
		}
		for n := range 2 { // nobody answers
			k := w.keep(c.nodes[(int(e)+n)%len(c.nodes)], byte(e), w.at(e+1))
			txs = append(txs, w.challenge(owners[n], k, deposit, 0))
		}
		w.ok(w.at(e)+5000, txs...)
		head := w.headers[w.m.Head().Height]
		m := moment{list: w.m.List(), header: head, params: slashing.InForce{Header: head, Proof: w.m.Prove(light.PartParams, []byte{1, 1})}, commits: map[telling]state.Proof{}}
		for x := range w.m.Slashing().Challenges() {
			m.rows = append(m.rows, w.m.Prove(light.PartOffences, slashing.ChallengeKey(x.ID)))
		}
		c.at[e] = m
		for x := range c.tellings(e) {
			c.at[e].commits[x] = w.m.Prove(light.PartOffences, x.commitKey(w).Key())
		}
		txs = nil
		for x := range c.tellings(e + 1) {
			txs = append(txs, w.commit(x, len(txs)))
		}
		w.ok(w.at(e)+5500, txs...)
	}
	// Some are punished before anybody is asked.
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 6 {
		p := c.make(rng, []slashing.Kind{slashing.DoubleDescriptor, slashing.DoubleVote, slashing.Unauthorised}[i%3], c.nodes[i%2], corpusEpochs-2)
		w.ok(w.at(corpusEpochs-1)+6000, w.submitProof(owners[7], p.Encode(), 0))
	}
	last := c.at[corpusEpochs-1]
	txs = nil
	for i := range 20 {
		if p, err := slashing.AssembleLost(last.header, last.rows[i]); err == nil {
			txs = append(txs, w.submitProof(owners[7], p.Encode(), len(txs)))
		}
	}
	w.block(w.at(corpusEpochs-1)+6000, txs...)
	w.ok(w.at(corpusEpochs-1)+6000, w.submitProof(teller, c.make(rng, slashing.KeyDisclosure, c.nodes[2], corpusEpochs-1).Encode(), 0))
	return c, nil
}

func (c *corpus) domain(e chain.Epoch) statement.Domain {
	return statement.Domain{Genesis: c.w.g.Hash(), Fork: c.at[e].header.Header.Fork}
}

func (c *corpus) vote(e chain.Epoch, voter, subject string, r statement.Reasons, score chain.Permille) statement.Statement {
	return statement.Sign(c.domain(e), nodeKey(voter), statement.LabelVote, statement.NewSequence(e, 0),
		statement.Vote{Subject: nodeID(subject), Epoch: e, Reasons: r, Score: score}.Encode())
}

// make is a proof of kind against node for epoch e: a good one as far as epoch
// and node allow.
func (c *corpus) make(rng *rand.Rand, k slashing.Kind, node string, e chain.Epoch) (p slashing.Proof) {
	m := c.at[e]
	seq := statement.NewSequence(e, uint32(rng.IntN(3)))
	descriptor := func(variant byte) []byte {
		d := statement.Descriptor{Version: "tunic/1", Endpoints: []string{"127.0.0.1:4000"},
			Keys: []statement.OnionKey{{First: e, Last: e + 20, Key: [32]byte{1, variant}}}}
		return statement.Sign(c.domain(e), nodeKey(node), statement.LabelDescriptor, seq, d.Encode()).Encode()
	}
	switch k {
	case slashing.DoubleDescriptor:
		p, _ = slashing.Assemble(k, descriptor(1), descriptor(2), m.header, m.list)
	case slashing.DoubleSeal:
		other := m.header.Header
		other.State[0] ^= 1
		p, _ = slashing.AssembleSeals(m.header, light.Seal(c.w.sealer, other))
	case slashing.KeyDisclosure:
		p = c.disclosure(rng, node, e)
	case slashing.DoubleVote:
		subject := c.nodes[rng.IntN(len(c.nodes))]
		p, _ = slashing.Assemble(k, c.vote(e, node, subject, 0, 900).Encode(), c.vote(e, node, subject, statement.Reasons(rng.IntN(16)), 100).Encode(), m.header, m.list)
	case slashing.LostMessage:
		if len(m.rows) > 0 {
			p, _ = slashing.AssembleLost(m.header, m.rows[rng.IntN(len(m.rows))])
		}
	case slashing.Unauthorised:
		h := statement.Heartbeat{Version: []string{"tunic/0", "tunic/1"}[min(rng.IntN(5), 1)^1], Height: 1}
		s := statement.Sign(c.domain(e), nodeKey(node), statement.LabelHeartbeat, seq, h.Encode())
		params := m.params
		if later, ok := c.at[e+chain.Epoch(rng.IntN(3))]; ok {
			params = later.params
		}
		p, _ = slashing.AssembleSoftware(s.Encode(), m.header, m.list, params)
	case slashing.Unavailable:
		var votes [][]byte
		for _, voter := range c.nodes {
			votes = append(votes, c.vote(e, voter, node, statement.Reasons(1+rng.IntN(15)), chain.Permille(rng.IntN(1001))).Encode())
		}
		p, _ = slashing.AssembleVerdict(nodeID(node), votes, m.header, m.list, m.params)
	}
	return p
}

// signer is the key of a known node; a stranger's otherwise.
func (c *corpus) signer(id chain.NodeID) ed25519.PrivateKey {
	for _, n := range append(c.nodes, "sealer") {
		if nodeID(n) == id {
			return nodeKey(n)
		}
	}
	return nodeKey("stranger")
}

// resign tamperings a statement and signs it again, so that only the change counts.
func (c *corpus) resign(rng *rand.Rand, b []byte) []byte {
	s, err := statement.Decode(b)
	if err != nil {
		return b
	}
	d := statement.Domain{Genesis: c.w.g.Hash(), Fork: s.Fork}
	key, label, body := c.signer(s.Node), s.Label, bytes.Clone(s.Body)
	switch rng.IntN(6) {
	case 0:
		d.Fork ^= 1
	case 1:
		key = nodeKey(c.nodes[rng.IntN(len(c.nodes))])
	case 2:
		label = statement.Label(1 + rng.IntN(10))
	case 3:
		s.Sequence += statement.Sequence(1) << (rng.IntN(24))
	case 4:
		body[rng.IntN(len(body))] ^= 1 << rng.IntN(8)
	case 5:
		d.Genesis[0] ^= 1
	}
	return statement.Sign(d, key, label, s.Sequence, body).Encode()
}

func (c *corpus) someMoment(rng *rand.Rand) moment { return c.at[chain.Epoch(rng.IntN(corpusEpochs))] }

// reseal tamperings a header; who seals is the network's sealer or a stranger.
func (c *corpus) reseal(rng *rand.Rand, s chain.SealedHeader) chain.SealedHeader {
	h := s.Header
	switch rng.IntN(9) {
	case 0:
		h.Fork ^= 1
	case 1:
		h.DirEpoch += chain.Epoch(rng.IntN(3)) - 1
	case 2:
		h.Beacon[0] ^= 1
	case 3:
		h.State[0] ^= 1
	case 4:
		h.Directory[0] ^= 1
	case 5:
		h.DirCount += uint32(rng.IntN(3)) - 1
	case 6:
		h.Genesis[0] ^= 1
	case 7:
		h.Time += 10_000
	case 8:
		h.Proposer = nodeID("stranger")
	}
	return light.Seal(c.signer(h.Proposer), h)
}

// tamperings are what can be done to a proof beside to its bytes.
var tamperings = []func(*corpus, *rand.Rand, *slashing.Proof){
	func(_ *corpus, _ *rand.Rand, p *slashing.Proof) { p.Genesis[0] ^= 1 },
	func(_ *corpus, rng *rand.Rand, p *slashing.Proof) { p.Fork ^= uint32(1 + rng.IntN(2)) },
	func(_ *corpus, rng *rand.Rand, p *slashing.Proof) { p.Kind = slashing.Kind(rng.IntN(9)) },
	func(_ *corpus, _ *rand.Rand, p *slashing.Proof) { p.First, p.Second = p.Second, p.First },
	func(_ *corpus, _ *rand.Rand, p *slashing.Proof) { p.Second = p.First },
	func(c *corpus, rng *rand.Rand, p *slashing.Proof) { p.First = c.resign(rng, p.First); order(p) },
	func(c *corpus, rng *rand.Rand, p *slashing.Proof) { p.Second = c.resign(rng, p.Second); order(p) },
	func(c *corpus, rng *rand.Rand, p *slashing.Proof) { // both halves alike
		seed := rng.Uint64()
		p.First = c.resign(rand.New(rand.NewPCG(seed, 0)), p.First)
		p.Second = c.resign(rand.New(rand.NewPCG(seed, 0)), p.Second)
		order(p)
	},
	func(c *corpus, rng *rand.Rand, p *slashing.Proof) {
		p.Entry = c.someMoment(rng).list.Prove(nodeID(append(c.nodes, "stranger")[rng.IntN(len(c.nodes)+1)]))
	},
	func(c *corpus, rng *rand.Rand, p *slashing.Proof) { // the list of another day, with its header
		m := c.someMoment(rng)
		p.Entry, p.Header = m.list.Prove(p.Entry.Node), m.header
	},
	func(c *corpus, rng *rand.Rand, p *slashing.Proof) { p.Header = c.someMoment(rng).header },
	func(c *corpus, rng *rand.Rand, p *slashing.Proof) { p.Header = c.reseal(rng, p.Header) },
	func(c *corpus, rng *rand.Rand, p *slashing.Proof) { p.Params = c.someMoment(rng).params },
	func(c *corpus, rng *rand.Rand, p *slashing.Proof) { p.Params.Header = c.reseal(rng, p.Params.Header) },
	func(c *corpus, rng *rand.Rand, p *slashing.Proof) { p.Params.Header = c.someMoment(rng).header },
	func(c *corpus, rng *rand.Rand, p *slashing.Proof) {
		for i, b := range [][]byte{p.First, p.Second} {
			if s, err := chain.DecodeSealedHeader(b); err == nil && rng.IntN(2) == i {
				*[]*[]byte{&p.First, &p.Second}[i] = c.reseal(rng, s).Encode()
			}
		}
		order(p)
	},
	func(c *corpus, rng *rand.Rand, p *slashing.Proof) {
		p.Verdict.Subject = nodeID(append(c.nodes, "stranger")[rng.IntN(len(c.nodes)+1)])
	},
	func(_ *corpus, rng *rand.Rand, p *slashing.Proof) {
		if v := &p.Verdict.Votes; len(*v) > 0 {
			*v = slices.Delete(slices.Clone(*v), 0, 1+rng.IntN(len(*v)))
		}
	},
	func(c *corpus, rng *rand.Rand, p *slashing.Proof) { // a vote signed again
		if len(p.Verdict.Votes) == 0 {
			return
		}
		v := &p.Verdict.Votes[rng.IntN(len(p.Verdict.Votes))]
		v.Reasons, v.Score = statement.Reasons(rng.IntN(17)), chain.Permille(rng.IntN(1002))
		if int(v.Seat) < len(p.Verdict.Drawn) {
			e := p.Header.Header.DirEpoch
			v.Sig = statement.Sign(statement.Domain{Genesis: p.Genesis, Fork: p.Fork}, c.signer(p.Verdict.Drawn[v.Seat].Node), statement.LabelVote,
				statement.NewSequence(e%corpusEpochs, 0), statement.Vote{Subject: p.Verdict.Subject, Epoch: e, Reasons: v.Reasons, Score: v.Score}.Encode()).Sig
		}
	},
	func(_ *corpus, rng *rand.Rand, p *slashing.Proof) {
		if d := p.Verdict.Drawn; len(d) > 1 {
			i, j := rng.IntN(len(d)), rng.IntN(len(d))
			d[i], d[j] = d[j], d[i]
		}
	},
	(*corpus).openOther,
	(*corpus).openOtherwise,
}

// Of a lost message.
var lostTamperings = []func(*corpus, *rand.Rand, *slashing.Proof){
	func(c *corpus, rng *rand.Rand, p *slashing.Proof) { p.First = c.resign(rng, p.First) },
	func(c *corpus, rng *rand.Rand, p *slashing.Proof) { p.Header = c.someMoment(rng).header },
	func(c *corpus, rng *rand.Rand, p *slashing.Proof) { p.Header = c.reseal(rng, p.Header) },
	func(c *corpus, rng *rand.Rand, p *slashing.Proof) { // the row of another challenge, or of another day
		if m := c.someMoment(rng); len(m.rows) > 0 {
			p.Lapsed = m.rows[rng.IntN(len(m.rows))]
		}
	},
	func(c *corpus, rng *rand.Rand, p *slashing.Proof) { // of another day, with its header
		if m := c.someMoment(rng); len(m.rows) > 0 {
			p.Header, p.Lapsed = m.header, m.rows[rng.IntN(len(m.rows))]
		}
	},
	func(_ *corpus, rng *rand.Rand, p *slashing.Proof) { // another row under its place
		if r := slices.Clone(p.Lapsed.Row.Rows); len(r) > 0 {
			r[0].Value = bytes.Clone(r[0].Value)
			r[0].Value[rng.IntN(len(r[0].Value))] ^= 1 << rng.IntN(8)
			p.Lapsed.Row.Rows = r
		}
	},
	func(_ *corpus, rng *rand.Rand, p *slashing.Proof) { p.Lapsed.Part = state.Part(rng.IntN(state.Parts)) },
}

func order(p *slashing.Proof) {
	if len(p.Second) > 0 && bytes.Compare(p.First, p.Second) > 0 {
		p.First, p.Second = p.Second, p.First
	}
}

// proof is the bytes of one seed: most of them broken somehow.
func (c *corpus) proof(seed uint64) (slashing.Kind, []byte) {
	rng := rand.New(rand.NewPCG(seed, 7))
	k := []slashing.Kind{slashing.DoubleDescriptor, slashing.DoubleSeal, slashing.DoubleVote, slashing.Unauthorised, slashing.Unavailable, slashing.KeyDisclosure, slashing.LostMessage}[rng.IntN(7)]
	node := c.nodes[rng.IntN(len(c.nodes))]
	if rng.IntN(20) == 0 {
		node = "stranger"
	}
	e := chain.Epoch(rng.IntN(corpusEpochs))
	if k == slashing.KeyDisclosure && rng.IntN(2) == 0 { // punished in its epoch alone
		e = corpusEpochs - 1
	}
	p := c.make(rng, k, node, e)
	for range []int{0, 1, 1, 1, 1, 2}[rng.IntN(6)] {
		of := tamperings
		if k == slashing.LostMessage && rng.IntN(4) > 0 {
			of = lostTamperings
		}
		of[rng.IntN(len(of))](c, rng, &p)
	}
	b := bytes.Clone(p.Encode())
	switch rng.IntN(8) {
	case 0:
		b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
	case 1:
		if rng.IntN(4) == 0 {
			b = b[:rng.IntN(len(b))]
		}
	}
	return k, b
}

// judge says what both sides find; they must agree as docs/spec/slashing.md,
// section Offline and on chain, says.
func (c *corpus) judge(b []byte) (offline, online string, err error) {
	p, no := slashing.Decode(b)
	if no != nil {
		return code(no), code(no), nil // both read the same bytes
	}
	_, off := slashing.Verify(p, c.anchor)
	on := c.w.m.CheckProof(p)
	if off != nil && code(off) != code(on) {
		return "", "", fmt.Errorf("not valid offline (%v), on chain %v", off, on)
	}
	if off == nil && on != nil && !slices.Contains([]string{"wrong_fork", "single_sealer", "counted_on_chain", "unknown_node", "proof_expired",
		"already_punished", "bad_header", "commit_lapsed"}, code(on)) {
		return "", "", fmt.Errorf("valid offline, and the ledger finds %v", on)
	}
	return code(off), code(on), nil
}

func code(err error) string {
	var r *chain.Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	if err != nil {
		return err.Error()
	}
	return "valid"
}

// TestAgreement judges a thousand seeded proofs, or TUNIC_CORPUS of them, offline
// and on one machine.
func TestAgreement(t *testing.T) {
	n := 1000
	if s := os.Getenv("TUNIC_CORPUS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	c := buildCorpus()
	codes := map[string]int{}
	accepted := map[slashing.Kind]int{}
	for seed := range uint64(n) {
		k, b := c.proof(seed)
		off, on, err := c.judge(b)
		if err != nil {
			t.Fatalf("seed %d, %s: %v", seed, k, err)
		}
		codes[off+" / "+on]++
		if on == "valid" {
			accepted[k]++
		}
	}
	// The corpus is worth something only if it meets most answers.
	for _, want := range []string{"valid / valid", "valid / proof_expired", "valid / already_punished", "valid / wrong_fork", "valid / single_sealer",
		"valid / counted_on_chain", "valid / bad_header"} {
		if codes[want] == 0 {
			t.Errorf("no proof is %s", want)
		}
	}
	if len(codes) < 20 || accepted[slashing.DoubleDescriptor] == 0 || accepted[slashing.DoubleVote] == 0 || accepted[slashing.Unauthorised] == 0 ||
		accepted[slashing.KeyDisclosure] == 0 || accepted[slashing.LostMessage] == 0 {
		t.Errorf("little variety: %v, accepted %v", codes, accepted)
	}
	t.Logf("%d proofs: %v", n, codes)
}

// FuzzAgreement is TestAgreement with seeds and bytes of the fuzzer's choice.
func FuzzAgreement(f *testing.F) {
	c := buildCorpus()
	for seed := range uint64(64) {
		_, b := c.proof(seed)
		f.Add(seed, b)
	}
	f.Fuzz(func(t *testing.T, seed uint64, b []byte) {
		if _, _, err := c.judge(b); err != nil {
			t.Fatal(err)
		}
		for s := range uint64(8) {
			k, b := c.proof(seed + s)
			if _, _, err := c.judge(b); err != nil {
				t.Fatalf("seed %d, %s: %v", seed+s, k, err)
			}
		}
	})
}
