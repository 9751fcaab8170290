package comet_test

import (
	"bytes"
	"context"
	"flag"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/ledger"
	"tunic/ledger/comet"
	"tunic/ledger/machine"
	"tunic/ledger/recording"
)

var (
	conformBlocks = flag.Uint64("conformance", 40, "blocks of TestConformance; from 300 on every kind of transaction must have been in one")
	conformFile   = flag.String("record", "", "file for the recording of TestConformance; default: none")
)

// recorded is the recording that is kept beside the tests: go test ./ledger/comet
// -run TestConformance$ -conformance 300 -record ../testdata/cometbft.recording.gz
const recorded = "../testdata/cometbft.recording.gz"

var fast = comet.Pace{Propose: time.Second, Vote: 300 * time.Millisecond, Commit: 20 * time.Millisecond, Empty: 50 * time.Millisecond, Gossip: 5 * time.Millisecond}

// recorder is an application that keeps what it was handed.
type recorder struct {
	abci.Application
	mu  sync.Mutex
	all []*abci.RequestFinalizeBlock
}

func (r *recorder) FinalizeBlock(ctx context.Context, q *abci.RequestFinalizeBlock) (*abci.ResponseFinalizeBlock, error) {
	r.mu.Lock()
	r.all = append(r.all, q)
	r.mu.Unlock()
	return r.Application.FinalizeBlock(ctx, q)
}

// write records what was handed over up to a ledger's head.
func (r *recorder) write(t *testing.T, w io.Writer, l *ledger.Ledger) {
	t.Helper()
	out, err := recording.NewWriter(w, l.Genesis())
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for h := chain.Height(1); h <= l.Head().Header.Height; h++ {
		q := r.all[h-1]
		if q.Height != int64(h) {
			t.Fatalf("block %d was handed over as number %d", q.Height, h)
		}
		b, err := l.Block(h)
		if err != nil {
			t.Fatal(err)
		}
		x := recording.Block{Sealed: b.SealedHeader, Time: moment(q.Time), Txs: q.Txs}
		for i, m := range q.Misbehavior {
			tx, err := chain.DecodeTx(b.Txs[i])
			if err != nil {
				t.Fatal(err)
			}
			c, err := machine.DecodeMisbehaviour(tx.Payload)
			if err != nil || !bytes.Equal(m.Validator.Address, address20(c.Node)) {
				t.Fatalf("block %d, misbehaviour of %x: %+v, %v", h, m.Validator.Address, c, err)
			}
			x.Found = append(x.Found, recording.Fault{Kind: uint8(m.Type), Node: c.Node, Height: chain.Height(m.Height), Time: moment(m.Time),
				Power: uint64(m.Validator.Power), Total: uint64(m.TotalVotingPower)})
		}
		if err := out.Write(x); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

func moment(t time.Time) recording.Moment {
	return recording.Moment{Seconds: t.Unix(), Nanos: uint32(t.Nanosecond())}
}

func (m moments) time() time.Time { return time.Unix(m.Seconds, int64(m.Nanos)).UTC() }

type moments recording.Moment

func address20(n chain.NodeID) []byte {
	a := cometbft.AddressOf(n)
	return a[:]
}

// handed is CometBFT's blocks as a recording has them.
type handed []recording.Block

// Certificate is that behind the header below.
func (all handed) Certificate(h chain.Height) (cometbft.Certificate, bool) {
	if h < 2 || int(h) > len(all)+1 {
		return cometbft.Certificate{}, false
	}
	c, err := cometbft.Of(all[h-2].Sealed)
	return c, err == nil
}

// replay reads a recording and hands it over anew: to an application, as CometBFT
// would, and as blocks to a ledger that imports. Both must give the recorded
// header at each height. It returns the blocks and what both have in common.
func replay(t *testing.T, in io.Reader) (blocks handed, results [][]machine.Result) {
	t.Helper()
	r, err := recording.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	for {
		b, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, b)
	}
	open := func() *ledger.Ledger {
		l, err := ledger.Open(t.Context(), ledger.Config{Genesis: r.Genesis})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	adapted := open()
	if err := adapted.Attach(func(context.Context, []byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	app := comet.New(adapted, slog.New(slog.DiscardHandler))
	app.Stored(blocks)
	for i, b := range blocks {
		h := chain.Height(i + 1)
		q := &abci.RequestFinalizeBlock{Height: int64(h), Time: moments(b.Time).time(), ProposerAddress: address20(b.Sealed.Header.Proposer), Txs: b.Txs}
		for _, f := range b.Found {
			q.Misbehavior = append(q.Misbehavior, abci.Misbehavior{Type: abci.MisbehaviorType(f.Kind), Height: int64(f.Height), Time: moments(f.Time).time(),
				Validator: abci.Validator{Address: address20(f.Node), Power: int64(f.Power)}, TotalVotingPower: int64(f.Total)})
		}
		a, err := app.FinalizeBlock(t.Context(), q)
		if want := b.Sealed.Header.Hash(); err != nil || !bytes.Equal(a.AppHash, want[:]) {
			t.Fatalf("adapter, height %d: %x, recorded %s: %v", h, a.GetAppHash(), want, err)
		}
		if _, err := app.Commit(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	imported := open()
	if n, err := imported.Import(t.Context(), func(yield func([]byte, error) bool) {
		for _, b := range blocks {
			if !yield(b.Block().Encode(), nil) {
				return
			}
		}
	}); err != nil || n != len(blocks) {
		t.Fatalf("imported %d of %d: %v", n, len(blocks), err)
	}
	for i, b := range blocks {
		h := chain.Height(i + 1)
		var all [2]chain.Block
		for i, l := range []*ledger.Ledger{adapted, imported} {
			if all[i], err = l.Block(h); err != nil || all[i].Header.Hash() != b.Sealed.Header.Hash() {
				t.Fatalf("ledger %d, height %d: %v", i, h, err)
			}
		}
		if !bytes.Equal(all[0].Encode(), all[1].Encode()) {
			t.Fatalf("height %d: two blocks", h)
		}
		got, err := imported.Results(h)
		if err != nil {
			t.Fatal(err)
		}
		results = append(results, got)
	}
	imported.View(func(m *machine.Machine) {
		if err := m.Check(); err != nil {
			t.Error(err)
		}
	})
	return blocks, results
}

// everyKind are the kinds of transaction of a network under CometBFT.
func everyKind() (out []string) {
	for _, s := range machine.Schemas() {
		out = append(out, s.Name)
	}
	return append(out, "descriptor", "heartbeat", "vote", "commitment", "proof report", "storage answer", "misbehaviour", "malformed statement", "dev")
}

// count is how often each kind was in a block with each result, and complains
// about a kind that never applied, or that is only ever accepted.
func count(t *testing.T, blocks handed, results [][]machine.Result) map[string]int {
	seen, refused := map[string]int{}, 0
	for i, b := range blocks {
		for n, tx := range b.Block().Txs {
			r := results[i][n]
			if r.Code != "" {
				refused++
			}
			seen[strings.TrimSpace(kindOf(tx)+" "+r.Code)]++
		}
		for _, tx := range b.Txs {
			if chain.Kind(tx[0]).Engine() {
				seen[kindOf(tx)+" engine_only"]++
			}
		}
	}
	for _, k := range everyKind() {
		switch k {
		case "malformed statement":
			k += " " + machine.CodeMalformed
		case "dev":
			k += " " + machine.CodeEngineOnly
		}
		if seen[k] == 0 {
			t.Errorf("in no block: %s", k)
		}
	}
	for _, k := range []string{"misbehaviour engine_only", "Transfer nonce_gap", "Transfer bad_signature"} {
		if seen[k] == 0 {
			t.Errorf("in no block: %s", k)
		}
	}
	return seen
}

// TestConformance: four validators carry out transactions of all kinds, refused
// ones and misbehaviour among them, and agree at every height; what CometBFT
// handed to one of them gives the same headers through the adapter and through
// the importer.
func TestConformance(t *testing.T) {
	g, keys := driven(t)
	r := &recorder{}
	d := &driver{Rand: rand.New(rand.NewPCG(1, 1)), t: t, g: g, seq: map[string]uint32{}}
	var peers []string
	for i, k := range keys {
		v := start(t, t.TempDir(), g, k, peers, func(c *comet.Config) {
			c.Pace = fast
			switch i {
			case 0:
				c.Through(func(a abci.Application) abci.Application { r.Application = a; return r })
			case 3:
				c.Through(func(a abci.Application) abci.Application { return &junk{Application: a, g: g} })
			}
		})
		d.all = append(d.all, v)
		peers = append(peers, v.node.Address())
	}
	d.drive(chain.Height(*conformBlocks))
	for _, v := range d.all {
		if err := v.node.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	least := slices.MinFunc(d.all, func(a, b *validator) int { return int(a.Head().Header.Height) - int(b.Head().Header.Height) }).Head().Header.Height
	for h := chain.Height(1); h <= least; h++ {
		first, err := d.all[0].Block(h)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range d.all {
			b, err := v.Block(h)
			if err != nil || b.Header.Hash() != first.Header.Hash() || !slices.EqualFunc(b.Txs, first.Txs, bytes.Equal) {
				t.Fatalf("validator %d has another block %d: %v", i, h, err)
			}
		}
	}
	var file bytes.Buffer
	r.write(t, &file, d.all[0].Ledger)
	for _, v := range d.all {
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if *conformFile != "" {
		if err := os.WriteFile(filepath.FromSlash(*conformFile), file.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	size := file.Len()
	blocks, results := replay(t, &file)
	if *conformBlocks >= 300 {
		t.Logf("%d blocks, %d bytes: %v", len(blocks), size, count(t, blocks, results))
	}
}

// TestRecorded: the recording beside the tests, in which every kind has its place.
func TestRecorded(t *testing.T) {
	f, err := os.Open(recorded)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	blocks, results := replay(t, f)
	if len(blocks) < 300 {
		t.Errorf("%d blocks", len(blocks))
	}
	t.Logf("%v", count(t, blocks, results))
}
