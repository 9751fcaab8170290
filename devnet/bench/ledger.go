package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger"
	"tunic/ledger/light"
	"tunic/ledger/machine"
)

// LedgerOptions says how long Ledger measures. The zero value takes some seconds.
type LedgerOptions struct {
	Rounds   int    // how often both parts are timed; 0 means 5, the most is 100
	Blocks   int    // blocks imported in a round; 0 means 8, the most is 64
	BlockTxs int    // transfers in a block; 0 means 1,000, the most is 10,000
	Accounts int    // 0 means 10,000, the most is 100,000
	Dir      string // where the database's temporary folder is made; empty: the system's
}

// LedgerResult is what Ledger measured. Figures are medians over the rounds.
type LedgerResult struct {
	Rounds    int     `json:"rounds"`
	Blocks    int     `json:"blocks"` // timed in all
	Txs       int     `json:"txs"`    // timed in all
	BlockTxs  int     `json:"block_txs"`
	Accounts  int     `json:"accounts"`
	Cores     int     `json:"cores"`
	BlockUS   int64   `json:"block_us"`    // one block: decode, digest, recover, apply, roots, synced batch
	TxPerS    int64   `json:"tx_per_s"`    // through all of it
	LimitPerS int64   `json:"limit_per_s"` // bare public-key recoveries on all cores, in the same rounds
	Ratio     float64 `json:"ratio"`       // of the two, median of the rounds' own ratios
}

// Ledger times the import of blocks of signed transfers into a ledger on disk,
// the path that every transaction takes, against the one thing in it that
// cannot be avoided: recovering the signer of each from its signature. Both
// take turns in every round. Keys, signatures and blocks are made before.
func Ledger(ctx context.Context, opts LedgerOptions) (LedgerResult, error) {
	r, err := measureLedger(ctx, opts)
	if err != nil {
		return r, fmt.Errorf("measure ledger: %w", err)
	}
	return r, nil
}

func measureLedger(ctx context.Context, opts LedgerOptions) (LedgerResult, error) {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&opts.Rounds, 5)
	def(&opts.Blocks, 8)
	def(&opts.BlockTxs, 1000)
	def(&opts.Accounts, 10_000)
	if opts.Rounds < 1 || opts.Rounds > 100 || opts.Blocks < 1 || opts.Blocks > 64 ||
		opts.BlockTxs < 1 || opts.BlockTxs > 10_000 || opts.Accounts < 2 || opts.Accounts > 100_000 {
		return LedgerResult{}, fmt.Errorf("options %+v are out of range", opts)
	}
	s, err := newLedgerSubject(opts)
	if err != nil {
		return LedgerResult{}, err
	}
	dir, err := os.MkdirTemp(opts.Dir, "tunic-bench-")
	if err != nil {
		return LedgerResult{}, err
	}
	defer os.RemoveAll(dir)
	l, err := ledger.Open(ctx, ledger.Config{Dir: dir, Genesis: s.genesis, Mode: ledger.ModeManual, Clock: ledger.NewDrivenClock(s.genesis.Time)})
	if err != nil {
		return LedgerResult{}, err
	}
	defer l.Close()

	txs := opts.Blocks * opts.BlockTxs
	var limits, imports []int64
	var ratios []float64
	for round := -1; round < opts.Rounds; round++ { // the first round warms up
		blocks, err := s.round(ctx)
		if err != nil {
			return LedgerResult{}, err
		}
		runtime.GC() // what making the blocks left behind
		limit, err := s.recoverAll()
		if err != nil {
			return LedgerResult{}, err
		}
		begin := time.Now()
		n, err := l.Import(ctx, func(yield func([]byte, error) bool) {
			for _, b := range blocks {
				if !yield(b, nil) {
					return
				}
			}
		})
		took := int64(time.Since(begin))
		if err != nil || n != len(blocks) {
			return LedgerResult{}, fmt.Errorf("import of %d blocks ended at %d: %w", len(blocks), n, err)
		}
		if round >= 0 {
			limits, imports = append(limits, limit), append(imports, took)
			ratios = append(ratios, float64(limit)/float64(max(1, took)))
		}
	}
	perS := func(ns int64) int64 { return int64(txs) * int64(time.Second) / max(1, ns) }
	slices.Sort(ratios)
	return LedgerResult{
		Rounds: opts.Rounds, Blocks: opts.Rounds * opts.Blocks, Txs: opts.Rounds * txs,
		BlockTxs: opts.BlockTxs, Accounts: opts.Accounts, Cores: runtime.GOMAXPROCS(0),
		BlockUS: median(imports) / int64(opts.Blocks) / 1000, TxPerS: perS(median(imports)), LimitPerS: perS(median(limits)),
		Ratio: ratios[len(ratios)/2],
	}, nil
}

// ledgerSubject makes blocks of transfers, each account in its turn, to a
// random-looking other.
type ledgerSubject struct {
	opts    LedgerOptions
	genesis genesis.Genesis
	hash    chain.Hash
	sealer  ed25519.PrivateKey
	machine *machine.Machine
	keys    []*ecdsa.PrivateKey
	at      []chain.Address
	next    int // transfers made so far
	digests []chain.Hash
	sigs    [][chain.SignatureSize]byte
}

func newLedgerSubject(opts LedgerOptions) (*ledgerSubject, error) {
	prm, err := genesis.For(genesis.Dev)
	if err != nil {
		return nil, err
	}
	prm.EpochLength = genesis.Day
	prm.UnlockDelay, prm.DeregisterLock = 30*genesis.Day, 30*genesis.Day
	seed := chain.SHA256([]byte("tunic bench sealer"))
	s := &ledgerSubject{opts: opts, sealer: ed25519.NewKeyFromSeed(seed[:]),
		keys: make([]*ecdsa.PrivateKey, opts.Accounts), at: make([]chain.Address, opts.Accounts)}
	s.genesis = genesis.Genesis{Core: genesis.Core{ChainID: 1, Profile: genesis.Dev, Dev: true, Clock: genesis.ClockLedger,
		Engine: genesis.EngineSealer, Time: 1, Sealers: []chain.NodeID{chain.NodeID(s.sealer.Public().(ed25519.PublicKey))}, Params: prm}}
	parallel(opts.Accounts, func(i int) {
		d := chain.SHA256(binary.BigEndian.AppendUint64([]byte("tunic bench account"), uint64(i)))
		// A hash is a valid key but with a chance of 2^-128.
		s.keys[i], _ = crypto.ToECDSA(d[:])
		s.at[i] = chain.Address(crypto.PubkeyToAddress(s.keys[i].PublicKey))
	})
	for _, a := range s.at {
		s.genesis.Allocations = append(s.genesis.Allocations, genesis.Allocation{Address: a, Balance: 1000 * chain.TUN})
	}
	slices.SortFunc(s.genesis.Allocations, func(a, b genesis.Allocation) int {
		return strings.Compare(string(a.Address[:]), string(b.Address[:]))
	})
	s.hash = s.genesis.Hash()
	s.machine, err = machine.New(s.genesis, nil)
	return s, err
}

// round makes the blocks of one round and keeps their digests and signatures.
func (s *ledgerSubject) round(ctx context.Context) ([][]byte, error) {
	n := s.opts.Blocks * s.opts.BlockTxs
	s.digests, s.sigs = make([]chain.Hash, n), make([][chain.SignatureSize]byte, n)
	domain, schema := chain.NewDomain(s.genesis.ChainID, s.hash), machine.TransferType.Schema()
	txs := make([][]byte, n)
	var failed sync.Map
	first := s.next
	parallel(n, func(i int) {
		turn := first + i
		from := turn % len(s.keys)
		v := machine.Transfer{Head: chain.Head{Nonce: uint64(turn / len(s.keys)), Fee: s.genesis.Params.MinFee, ValidUntil: 1 << 40},
			To: s.at[(turn*7919+13)%len(s.at)], Amount: chain.Amount(turn + 1)}
		tx := machine.TransferType.Unsigned(v)
		d, err := domain.Digest(schema, tx.Payload)
		if err != nil {
			failed.Store(i, err)
			return
		}
		sig, err := crypto.Sign(d[:], s.keys[from])
		if err != nil {
			failed.Store(i, err)
			return
		}
		tx.Sig = [chain.SignatureSize]byte(sig)
		s.digests[i], s.sigs[i], txs[i] = d, tx.Sig, tx.Encode()
	})
	for _, err := range failed.Range {
		return nil, err.(error)
	}
	s.next += n
	blocks := make([][]byte, 0, s.opts.Blocks)
	for part := range slices.Chunk(txs, s.opts.BlockTxs) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h := s.machine.Head()
		out, err := s.machine.Apply(machine.Input{Height: h.Height + 1, Time: h.Time + 1000,
			Proposer: s.genesis.Sealers[0], Txs: s.machine.PrepareAll(part)})
		if err != nil {
			return nil, err
		}
		for _, r := range out.Results {
			if r.Code != "" {
				return nil, fmt.Errorf("a transfer of the measurement was refused: %s", r.Code)
			}
		}
		blocks = append(blocks, chain.Block{SealedHeader: light.Seal(s.sealer, out.Header), Txs: part}.Encode())
	}
	return blocks, nil
}

// recoverAll is the limit: nothing but recovering the round's signers.
func (s *ledgerSubject) recoverAll() (int64, error) {
	var failed sync.Map
	begin := time.Now()
	parallel(len(s.digests), func(i int) {
		if _, err := chain.Recover(s.digests[i], s.sigs[i]); err != nil {
			failed.Store(i, err)
		}
	})
	took := int64(time.Since(begin))
	for _, err := range failed.Range {
		return 0, err.(error)
	}
	return took, nil
}

// parallel calls f(0) to f(n-1) on all cores.
func parallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := n * w / workers; i < n*(w+1)/workers; i++ {
				f(i)
			}
		})
	}
	wg.Wait()
}
