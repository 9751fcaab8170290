package comet

import (
	"context"
	stded25519 "crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/crypto/ed25519"
	cmtjson "github.com/cometbft/cometbft/libs/json"
	"github.com/cometbft/cometbft/libs/service"
	"github.com/cometbft/cometbft/mempool"
	"github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/proxy"
	"github.com/cometbft/cometbft/types"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/internal/durable"
	"tunic/ledger"
)

// Config is what a validator is made of.
type Config struct {
	Dir    string                // CometBFT's own files: blocks, state, what was signed last, the key of its links
	Key    stded25519.PrivateKey // the validator's identity; nil: follows without voting
	Listen string                // HOST:PORT for other validators
	Peers  []string              // ID@HOST:PORT of others
	Local  bool                  // all validators may be on one machine
	Pace   Pace                  // zero: DefaultPace of the network's parameters
	Logger *slog.Logger

	wrap func(types.PrivValidator) types.PrivValidator // what signs, for validators that cheat; nil: as it is
}

// Pace is how long a validator waits for others and between blocks.
type Pace struct {
	Propose, Vote, Commit time.Duration // for a proposal; for votes; after a block
	Empty                 time.Duration // the longest time between blocks where nothing waits
	Gossip                time.Duration // between two looks at what a peer lacks
}

// DefaultPace seals at the block interval of the parameters.
func DefaultPace(p genesis.Params) Pace {
	block := time.Duration(p.BlockInterval) * time.Millisecond
	return Pace{Propose: 3 * time.Second, Vote: time.Second, Commit: min(time.Second, block/5), Empty: block, Gossip: 50 * time.Millisecond}
}

// Node is a validator that runs. Its methods are safe for concurrent use.
type Node struct {
	node *node.Node
	app  *App

	end  context.CancelFunc // of what runs beside it
	runs sync.WaitGroup

	stopping sync.Mutex // held by Stop
	ended    chan struct{}
	once     sync.Once
	failure  error // why it ended by itself, once ended is closed
}

// Start runs CometBFT over a ledger that nothing else uses yet.
func Start(ctx context.Context, l *ledger.Ledger, cfg Config) (*Node, error) {
	n, err := start(ctx, l, cfg)
	if err != nil {
		return nil, fmt.Errorf("start validator: %w", err)
	}
	return n, nil
}

func start(ctx context.Context, l *ledger.Ledger, cfg Config) (*Node, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Pace == (Pace{}) {
		cfg.Pace = DefaultPace(l.Core().Params)
	}
	for _, d := range []string{"config", "data"} {
		if err := durable.MkdirAll(filepath.Join(cfg.Dir, d)); err != nil {
			return nil, err
		}
	}
	n := &Node{ended: make(chan struct{})}
	if err := l.Attach(n.gossip); err != nil {
		return nil, err
	}
	n.app = New(l, cfg.Logger)
	link, err := p2p.LoadOrGenNodeKey(filepath.Join(cfg.Dir, "config", "node_key.json"))
	if err != nil {
		return nil, err
	}
	signer, err := signerOf(cfg)
	if err != nil {
		return nil, err
	}
	if cfg.wrap != nil {
		signer = cfg.wrap(signer)
	}
	doc, err := genesisDoc(l.Genesis())
	if err != nil {
		return nil, err
	}
	c := engineConfig(cfg)
	dbs, err := openStores(c)
	if err != nil {
		return nil, err
	}
	// Blocks are decided anew before the node is there to ask.
	n.app.Stored(stored{dbs.blocks})
	if err = dbs.follow(l); err == nil {
		n.node, err = node.NewNodeWithContext(ctx, c, signer, link, proxy.NewLocalClientCreator(n.app),
			func() (*types.GenesisDoc, error) { return doc, nil }, dbs.provide,
			node.DefaultMetricsProvider(&config.InstrumentationConfig{}), engineLog{cfg.Logger, n.fail})
	}
	if err == nil {
		n.app.Stored(stored{n.node.BlockStore()})
		n.app.prover.blocks = n.node.BlockStore()
		err = n.node.Start()
	}
	if err != nil {
		return nil, errors.Join(err, dbs.close())
	}
	beside, end := context.WithCancel(context.WithoutCancel(ctx))
	n.end = end
	n.runs.Go(func() { n.app.prover.run(beside) })
	return n, nil
}

// Stop ends the validator, if it runs; the ledger stays open. It returns why the
// validator had ended before, nil where it had not.
func (n *Node) Stop() error {
	n.stopping.Lock()
	defer n.stopping.Unlock()
	if err := n.node.Stop(); err != nil && !errors.Is(err, service.ErrAlreadyStopped) {
		return fmt.Errorf("stop validator: %w", err)
	}
	n.node.Wait()
	n.end()
	n.runs.Wait()
	select {
	case <-n.ended:
		return n.failure
	default:
		return nil
	}
}

// fail says that CometBFT decides nothing any more, and why: the first time.
func (n *Node) fail(why error) {
	n.once.Do(func() {
		n.failure = why
		close(n.ended)
	})
}

// Address is ID@HOST:PORT, what others have as a peer.
func (n *Node) Address() string {
	return string(n.node.NodeInfo().ID()) + "@" + n.node.Switch().NetAddress().DialString()
}

// Done is closed when the validator has ended by itself: what it could not write,
// or an answer of the ledger that it cannot go on with.
func (n *Node) Done() <-chan struct{} { return n.ended }

// gossip hands a transaction to CometBFT's mempool, which sends it to the others.
func (n *Node) gossip(_ context.Context, tx []byte) error {
	if n.node == nil {
		return nil
	}
	err := n.node.Mempool().CheckTx(tx, func(*abci.ResponseCheckTx) {}, mempool.TxInfo{})
	if errors.Is(err, mempool.ErrTxInCache) {
		return nil
	}
	return err
}

// engineConfig is CometBFT's configuration of a validator.
func engineConfig(cfg Config) *config.Config {
	c := config.DefaultConfig()
	c.SetRoot(cfg.Dir)
	c.Moniker = "tunic"
	c.DBBackend = "goleveldb"
	c.RPC.ListenAddress = "" // the ledger has an API of its own
	c.P2P.ListenAddress = "tcp://" + cfg.Listen
	c.P2P.PexReactor = false // validators know each other
	c.P2P.AddrBookStrict = !cfg.Local
	c.P2P.AllowDuplicateIP = cfg.Local
	for i, p := range cfg.Peers {
		if i > 0 {
			c.P2P.PersistentPeers += ","
		}
		c.P2P.PersistentPeers += p
	}
	c.TxIndex.Indexer = "null" // so has it an index
	c.Instrumentation.Prometheus = false
	c.Storage.DiscardABCIResponses = true
	c.Mempool.Size, c.Mempool.MaxTxsBytes, c.Mempool.MaxTxBytes = ledger.DefaultPoolLimits.Count, int64(ledger.DefaultPoolLimits.Bytes), chain.MaxTx
	c.Mempool.CacheSize = 2 * ledger.DefaultPoolLimits.Count
	c.Consensus.TimeoutPropose, c.Consensus.TimeoutPrevote, c.Consensus.TimeoutPrecommit = cfg.Pace.Propose, cfg.Pace.Vote, cfg.Pace.Vote
	c.Consensus.TimeoutCommit = cfg.Pace.Commit
	c.Consensus.CreateEmptyBlocks, c.Consensus.CreateEmptyBlocksInterval = true, cfg.Pace.Empty
	c.Consensus.PeerGossipSleepDuration = cfg.Pace.Gossip
	return c
}

// genesisDoc is CometBFT's genesis. It is made of ours at every start and nowhere
// on disk.
func genesisDoc(g genesis.Genesis) (*types.GenesisDoc, error) {
	p := types.DefaultConsensusParams()
	p.Block.MaxBytes, p.Block.MaxGas = maxTxBytes+1<<20, -1
	p.Evidence.MaxAgeDuration = time.Duration(g.Params.EvidenceAge) * time.Millisecond
	p.Evidence.MaxAgeNumBlocks = 1 // both must have passed: the time decides
	p.Evidence.MaxBytes = 1 << 17
	p.Version.App = AppVersion
	hash := g.Hash()
	doc := &types.GenesisDoc{GenesisTime: time.UnixMilli(int64(g.Time)).UTC(), ChainID: cometbft.ChainID(hash), InitialHeight: 1,
		ConsensusParams: p, AppHash: hash[:]}
	for _, n := range g.Sealers {
		key := ed25519.PubKey(n[:])
		doc.Validators = append(doc.Validators, types.GenesisValidator{Address: key.Address(), PubKey: key, Power: 1})
	}
	return doc, doc.ValidateAndComplete()
}

// signerOf signs votes, and remembers on disk which was the last.
func signerOf(cfg Config) (types.PrivValidator, error) {
	key := cfg.Key
	if key == nil {
		_, fresh, err := stded25519.GenerateKey(nil)
		if err != nil {
			return nil, err
		}
		key = fresh // of nobody
	}
	path := filepath.Join(cfg.Dir, "data", "last_signed.json")
	pv := privval.NewFilePV(ed25519.PrivKey(key), "", path)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		pv.LastSignState.Save()
	case err != nil:
		return nil, err
	default:
		if err := cmtjson.Unmarshal(b, &pv.LastSignState); err != nil {
			return nil, fmt.Errorf("read %s, which says what was signed last: %w; restore it, or wait until the network is two blocks on and remove it", path, err)
		}
	}
	return pv, nil
}
