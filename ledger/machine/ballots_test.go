package machine_test

import (
	"crypto/ed25519"
	"slices"
	"testing"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/state"
	"tunic/ledger/comettest"
	"tunic/ledger/machine"
	"tunic/slashing"
)

// twice are two votes by the node of this name at a height.
func twice(t testing.TB, c *comettest.Chain, name string, at chain.Height, blocks ...byte) cometbft.DuplicateVote {
	t.Helper()
	votes := make([]cometbft.Vote, len(blocks))
	for i, b := range blocks {
		v := cometbft.Vote{Type: cometbft.Precommit, Height: at, Time: cometbft.TimeAt(c.Genesis.Time + chain.Time(at)), Validator: cometbft.AddressOf(comettest.Node(name))}
		if b > 0 {
			v.BlockID = cometbft.BlockID{Hash: chain.Hash{b}, Parts: cometbft.PartSet{Total: 1, Hash: chain.Hash{b, b}}}
		}
		v.Signature = [64]byte(ed25519.Sign(comettest.Key(name), v.SignBytes(cometbft.ChainID(c.Genesis.Hash()))))
		votes[i] = v
	}
	d, err := cometbft.NewDuplicateVote(comettest.Node(name), votes[0], votes[1])
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// grown is a chain of n blocks a second apart with the headers and, of each, the
// proof that v1 is a validator.
func grown(t *testing.T, n int) (c *comettest.Chain, heads map[chain.Height]chain.SealedHeader, rows map[chain.Height]state.Proof) {
	t.Helper()
	c = comettest.New(t, comettest.Genesis(t, []string{"v1", "v2", "v3", "v4"}, []string{"a"}), "v1", "v2", "v3", "v4", "a")
	heads, rows = map[chain.Height]chain.SealedHeader{}, map[chain.Height]state.Proof{}
	for range n {
		b := c.OK(c.Machine.Head().Time + 1000)
		heads[b.Header.Height] = b.SealedHeader
		rows[b.Header.Height] = c.Machine.Prove(state.PartNodes, state.ValidatorKey(comettest.Node("v1")))
	}
	return c, heads, rows
}

// TestBallotsArePunished: whoever shows two votes of a validator has it slashed as
// the engine's conclusion would, once, and gets the reporter's part.
func TestBallotsArePunished(t *testing.T) {
	c, heads, rows := grown(t, 8)
	submit := func(p slashing.Proof) string {
		t.Helper()
		_, out := c.Block(c.Machine.Head().Time+1000, c.Sign("a", slashing.SubmitProofType.Unsigned(slashing.SubmitProof{Head: c.Head("a", 0), Proof: p.Encode()})))
		return out.Results[0].Code
	}
	const at = 5
	good, err := slashing.AssembleBallots(twice(t, c, "v1", at, 1, 2), heads[at-2], rows[at-2])
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		with func(*slashing.Proof)
		want *chain.Refusal
	}{
		"other bytes beside": {func(p *slashing.Proof) { p.Second = []byte{1} }, slashing.ErrMalformed},
		"cut":                {func(p *slashing.Proof) { p.First = p.First[:100] }, slashing.ErrMalformed},
		"one block":          {func(p *slashing.Proof) { copy(p.First[len(p.First)-144:], p.First[len(p.First)-288:len(p.First)-144]) }, slashing.ErrWrongPair},
		"signature":          {func(p *slashing.Proof) { p.First[len(p.First)-1] ^= 1 }, slashing.ErrBadSignature},
		"time":               {func(p *slashing.Proof) { p.First[len(p.First)-65] ^= 1 }, slashing.ErrBadSignature},
		"genesis":            {func(p *slashing.Proof) { p.Genesis[1] ^= 1 }, slashing.ErrForeignNetwork},
		"fork":               {func(p *slashing.Proof) { p.Fork = 1 }, slashing.ErrWrongFork},
		"header too early":   {func(p *slashing.Proof) { p.Header, p.Seat = heads[at-3], rows[at-3] }, slashing.ErrWrongEpoch},
		"header too late":    {func(p *slashing.Proof) { p.Header, p.Seat = heads[at+1], rows[at+1] }, slashing.ErrWrongEpoch},
		"row of elsewhere":   {func(p *slashing.Proof) { p.Seat.Roots[0].Root[0] ^= 1 }, slashing.ErrBadState},
		"not a validator": {func(p *slashing.Proof) {
			d := twice(t, c, "a", at, 1, 2)
			p.First = append([]byte{0x80}, d.Encode()...)
		}, slashing.ErrBadState},
		"header of nobody":    {func(p *slashing.Proof) { p.Header = chain.Commit(p.Header.Header, heads[at].Commit) }, slashing.ErrBadHeader},
		"header, unsigned":    {func(p *slashing.Proof) { p.Header = unsigned(c, p.Header) }, slashing.ErrBadHeader},
		"header of elsewhere": {func(p *slashing.Proof) { p.Header.Header.Beacon[0] ^= 1 }, slashing.ErrBadHeader},
	} {
		p, err := slashing.Decode(good.Encode())
		if err != nil {
			t.Fatal(err)
		}
		p.First = slices.Clone(p.First)
		x.with(&p)
		if code := submit(p); code != x.want.Code {
			t.Errorf("%s: %q, want %s", name, code, x.want.Code)
		}
	}
	if code := submit(good); code != "" {
		t.Fatalf("refused: %s", code)
	}
	all := c.Machine.Slashing().All()
	loss := c.Genesis.Params.SlashDoubleSeal.Of(c.Genesis.Params.StakingRequirement)
	if len(all) != 1 || all[0].ID != good.ID() || all[0].Total != loss || all[0].Reward == 0 || all[0].Height != at || all[0].Node != comettest.Node("v1") {
		t.Fatalf("records %+v", all)
	}
	if c.Machine.Registry().IsValidator(comettest.Node("v1")) {
		t.Error("it votes on")
	}
	// The engine finds the same, later.
	found := machine.MisbehaviourTx(slashing.Conclusion{Fault: slashing.DuplicateVote, Node: comettest.Node("v1"), Height: at, Time: heads[at].Header.Time, Power: 1, Total: 4})
	if _, out := c.Block(c.Machine.Head().Time+1000, found.Encode()); out.Results[0].Code != slashing.ErrAlreadyPunished.Code {
		t.Errorf("the engine's: %+v", out.Results)
	}
	if err := c.Machine.Check(); err != nil {
		t.Error(err)
	}
}

// unsigned is a header whose commit has one signature of four.
func unsigned(c *comettest.Chain, s chain.SealedHeader) chain.SealedHeader {
	x, err := cometbft.Of(s)
	if err != nil {
		panic(err)
	}
	_, set := c.Engine()
	return c.Certify(s.Header, x.Header, set, 1, 2, 3)
}

// TestEvidenceReaches: a header is evidence neither while nobody can have a commit
// of it, nor when only those would know it that have the whole history.
func TestEvidenceReaches(t *testing.T) {
	c, heads, _ := grown(t, 4)
	for at, want := range map[chain.Height]bool{1: true, 3: true, 4: false} {
		if err := c.Machine.CheckHeader(heads[at]); (err == nil) != want {
			t.Errorf("height %d of 4: %v", at, err)
		}
	}
	c.OK(c.Machine.Head().Time + machine.Reach(c.Genesis.Params))
	c.OK(c.Machine.Head().Time + 1000) // the time above is that of this block
	if err := c.Machine.CheckHeader(heads[1]); err == nil {
		t.Error("a header of long ago is evidence")
	}
	if err := c.Machine.CheckHeader(heads[4]); err != nil {
		t.Error(err)
	}
}
