package comet

import (
	"context"
	stded25519 "crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/libs/service"
	"github.com/cometbft/cometbft/mempool"
	"github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/proxy"
	rpc "github.com/cometbft/cometbft/rpc/core"
	"github.com/cometbft/cometbft/types"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
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

	// SnapshotEvery is after how many blocks the state is written for others to begin
	// from, and SnapshotKeep how many of these files stay (zero: 2). Zero: never. It
	// needs a ledger that is on disk.
	SnapshotEvery, SnapshotKeep uint64
	// KeepBlocks is how many blocks the ledger and CometBFT keep, at least: as many
	// stay as evidence and light clients need, and as the states and directories that
	// the ledger keeps. Zero: all.
	KeepBlocks uint64
	// Sync lets an empty ledger begin from a snapshot of the peers; nil: from the
	// first block.
	Sync *Sync

	through func(abci.Application) abci.Application       // in tests: what stands between CometBFT and the application
	wrap    func(types.PrivValidator) types.PrivValidator // what signs, for validators that cheat; nil: as it is
}

// Pace is how long a validator waits for others and between blocks.
type Pace struct {
	Propose, Vote, Commit time.Duration // for a proposal; for votes; after a block
	Empty                 time.Duration // the longest time between blocks where nothing waits
	Gossip                time.Duration // between two looks at what a peer lacks
}

// DefaultPace decides a block each block interval of the parameters, empty or not:
// the state after it, which the next one names, differs each time, so that CometBFT
// knows no block that may wait. What votes take is left to them.
func DefaultPace(p genesis.Params) Pace {
	block := time.Duration(p.BlockInterval) * time.Millisecond
	return Pace{Propose: 3 * time.Second, Vote: time.Second, Commit: block - min(500*time.Millisecond, block/5), Empty: block, Gossip: 50 * time.Millisecond}
}

// Node is a validator that runs. Its methods are safe for concurrent use.
type Node struct {
	node      *node.Node
	app       *App
	self      chain.NodeID // who votes here; nobody's where it only follows
	consensus rpc.Consensus

	told    *told
	end     context.CancelFunc // of what runs beside CometBFT
	beside  sync.WaitGroup
	running sync.RWMutex // guards stopped, and what CometBFT closes when it stops
	stopped bool

	ended   chan struct{}
	once    sync.Once
	failure error // why it ended by itself, once ended is closed
}

// Start runs CometBFT over a ledger that nothing else uses yet.
func Start(ctx context.Context, l *ledger.Ledger, cfg Config) (*Node, error) {
	n, err := start(ctx, l, cfg)
	if err != nil {
		return nil, fmt.Errorf("start validator: %w", err)
	}
	return n, nil
}

// caught makes an error of a panic with which CometBFT says that its files do not
// fit the ledger's.
func caught(err *error) {
	switch r := recover().(type) {
	case nil:
	case error:
		*err = r
	default:
		*err = fmt.Errorf("%v", r)
	}
}

func start(ctx context.Context, l *ledger.Ledger, cfg Config) (*Node, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Pace == (Pace{}) {
		cfg.Pace = DefaultPace(l.Core().Params)
	}
	if err := makeFolders(cfg.Dir); err != nil {
		return nil, err
	}
	n := &Node{ended: make(chan struct{})}
	if err := l.Attach(n.gossip); err != nil {
		return nil, err
	}
	n.app = New(l, cfg.Logger)
	link, err := p2p.LoadOrGenNodeKey(linkFile(cfg.Dir))
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
	key, err := signer.GetPubKey()
	if err != nil {
		return nil, err
	}
	n.self = chain.NodeID(key.Bytes())
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
	options := n.syncs(cfg, c, dbs, doc, l)
	if err = dbs.follow(l); err == nil {
		var app abci.Application = n.app
		if cfg.through != nil {
			app = cfg.through(app)
		}
		err = n.begin(ctx, cfg.Logger, parts{c, app, signer, link, doc, dbs, options}, func() {
			n.app.Stored(stored{n.node.BlockStore()})
			n.app.prover.blocks = n.node.BlockStore()
		})
	}
	if err != nil {
		n.app.snapshots.end()
		return nil, errors.Join(err, dbs.close())
	}
	beside, end := context.WithCancel(context.WithoutCancel(ctx))
	n.end = end
	n.beside.Go(func() { n.app.prover.run(beside) })
	n.beside.Go(func() { n.redial(beside, cfg) })
	return n, nil
}

// syncs sets up snapshots: those that this validator makes and, where it has
// nothing yet and is to begin from one, how it is found and verified.
func (n *Node) syncs(cfg Config, c *config.Config, dbs *stores, doc *types.GenesisDoc, l *ledger.Ledger) []node.Option {
	s := newSnapshots(cfg, dbs)
	n.app.snapshots, n.app.keep = s, chain.Height(cfg.KeepBlocks)
	if height, _ := l.Tip(); cfg.Sync == nil || height > 0 || dbs.state.LastBlockHeight > 0 {
		return nil
	}
	p := &provider{sync: *cfg.Sync, doc: doc, core: l.Genesis(), log: cfg.Logger, turns: s.order, seen: map[chain.Height]cometbft.Certificate{}}
	s.trusted = func(h chain.Height) (cometbft.Certificate, error) { return p.verified(s.ctx, h) }
	c.StateSync.Enable, c.StateSync.TempDir, c.StateSync.DiscoveryTime = true, s.dir, max(cfg.Sync.Discover, 5*time.Second)
	return []node.Option{node.StateProvider(p)}
}

// parts are what a CometBFT node is made of.
type parts struct {
	config  *config.Config
	app     abci.Application
	signer  types.PrivValidator
	link    *p2p.NodeKey
	doc     *types.GenesisDoc
	dbs     *stores
	options []node.Option
}

// begin makes CometBFT's node and starts it, after made.
func (n *Node) begin(ctx context.Context, log *slog.Logger, p parts, made func()) (err error) {
	defer caught(&err)
	words := newEngineLog(log, n.fail)
	n.told = words.told
	n.node, err = node.NewNodeWithContext(ctx, p.config, p.signer, p.link, proxy.NewLocalClientCreator(p.app),
		func() (*types.GenesisDoc, error) { return p.doc, nil }, p.dbs.provide,
		node.DefaultMetricsProvider(&config.InstrumentationConfig{}), words, p.options...)
	if err != nil {
		return err
	}
	made()
	if err := n.watched(); err != nil {
		return err
	}
	return n.node.Start()
}

// Stop ends the validator, if it runs; the ledger stays open. It returns why the
// validator had ended before, nil where it had not.
func (n *Node) Stop() error {
	n.running.Lock()
	defer n.running.Unlock()
	n.stopped = true
	n.told.hush()
	n.end()
	n.beside.Wait()
	if err := n.node.Stop(); err != nil && !errors.Is(err, service.ErrAlreadyStopped) {
		return fmt.Errorf("stop validator: %w", err)
	}
	n.node.Wait()
	if n.app != nil { // or another application runs (StartBare)
		n.app.snapshots.end()
	}
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
