package node

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"tunic/api"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/durable"
	"tunic/internal/httpx"
	"tunic/ledger"
)

// Files of a ledger's folder.
const (
	GenesisFile = "genesis.json"
	NetworkFile = "network.json"
	SealerFile  = "sealer.key"
	ledgerDB    = "db"
)

// ErrExists means that a folder holds a ledger already.
var ErrExists = errors.New("node: a ledger is there already")

// InitLedger writes genesis, sealer key and network file into dir.
func InitLedger(dir string, g genesis.Genesis, sealer ed25519.PrivateKey, urls ...string) error {
	if err := g.Validate(); err != nil {
		return err
	}
	if err := durable.MkdirAll(dir); err != nil {
		return fmt.Errorf("init ledger: %w", err)
	}
	b, err := json.MarshalIndent(g, "", "  ")
	if err != nil {
		return fmt.Errorf("init ledger: %w", err)
	}
	err = durable.CreateFile(filepath.Join(dir, SealerFile), []byte(hex.EncodeToString(sealer.Seed())+"\n"), 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %s; choose another folder or run it", ErrExists, dir)
	}
	if err == nil {
		err = durable.WriteFile(filepath.Join(dir, GenesisFile), append(b, '\n'), 0o644)
	}
	if err == nil {
		err = durable.WriteFile(filepath.Join(dir, NetworkFile), g.Network(urls...).Encode(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("init ledger: %w", err)
	}
	return nil
}

// ReadGenesis reads a ledger folder's genesis.
func ReadGenesis(dir string) (genesis.Genesis, error) {
	b, err := durable.ReadFile(filepath.Join(dir, GenesisFile), 64<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return genesis.Genesis{}, fmt.Errorf("%w: no %s in %s; make one with `tunic ledger init`", genesis.ErrGenesis, GenesisFile, dir)
	}
	if err != nil {
		return genesis.Genesis{}, fmt.Errorf("read genesis: %w", err)
	}
	g, err := genesis.Parse(b)
	if err != nil {
		return g, fmt.Errorf("%s: %w; restore it from a copy", filepath.Join(dir, GenesisFile), err)
	}
	return g, nil
}

// ReadNetwork reads a network file.
func ReadNetwork(path string) (genesis.Network, error) {
	if path == "" {
		return genesis.Network{}, fmt.Errorf("%w: no network file is named; pass --network FILE", genesis.ErrGenesis)
	}
	b, err := durable.ReadFile(path, 1<<20)
	if err != nil {
		return genesis.Network{}, fmt.Errorf("read network file: %w", err)
	}
	return genesis.ParseNetwork(b)
}

func readSealer(dir string) (ed25519.PrivateKey, error) {
	b, err := durable.ReadFile(filepath.Join(dir, SealerFile), 1024)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no %s in %s; it was made with the network: put it there, and run no second ledger with it", SealerFile, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("read sealer key: %w", err)
	}
	seed, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("read sealer key: %s holds no 32-byte seed; restore it from a copy", filepath.Join(dir, SealerFile))
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// LedgerConfig configures the ledger daemon.
type LedgerConfig struct {
	// Dir holds genesis.json, sealer.key and the database.
	Dir string
	// HTTP is where the API listens ("127.0.0.1:8400").
	HTTP string
	// Mode says when to seal (mixed on dev networks, else interval).
	Mode ledger.Mode
	// Engine decides the blocks, on a network whose genesis says cometbft; nil: the
	// sealer, and then the key of it is needed. It is started before the API
	// answers, and stopped after it, before the ledger closes.
	Engine StartEngine
	// Rate limits requests a second from one address; 0 does not limit.
	Rate float64
	// KeepStates is for how many blocks back the state can be asked for; 0 means
	// ledger.DefaultKeepStates.
	KeepStates int
	// Proxies are those whose X-Forwarded-For is believed when rates are
	// counted; none by default.
	Proxies []netip.Prefix
	// Origins are the web origins whose pages may read ("https://example.org"),
	// "*" for all; none by default.
	Origins []string
	// TLSCert and TLSKey are PEM files of a certificate, its chain after it, and
	// of its key: the API is served over TLS 1.2 or newer. Both or neither.
	TLSCert, TLSKey string
	// Turns is how many directories are answered at once; see api.Config.
	Turns int
	// Admin is a loopback address and port where /metrics and /debug/pprof are
	// served; empty: nowhere.
	Admin string
	// Ready is called once when the API answers, with its URL and that of the
	// admin listener, if there is one.
	Ready func(url, admin string)
	// Hook is called at the sealer's named points (crash tests).
	Hook   func(point string)
	Logger *slog.Logger
}

// RunLedger runs a ledger and its API until ctx ends, or until the ledger halts:
// then with the reason, so that whoever watches the process starts it again.
func RunLedger(ctx context.Context, cfg LedgerConfig) error {
	g, err := ReadGenesis(cfg.Dir)
	if err != nil {
		return err
	}
	if err := cfg.Engine.fits(cfg.Dir, g); err != nil {
		return err
	}
	var key ed25519.PrivateKey
	if cfg.Engine == nil {
		if key, err = readSealer(cfg.Dir); err != nil {
			return err
		}
	}
	if cfg.HTTP == "" {
		cfg.HTTP = "127.0.0.1:8400"
	}
	if cfg.Mode == "" {
		cfg.Mode = ledger.ModeInterval
		if g.Dev {
			cfg.Mode = ledger.ModeMixed
		}
	}
	secure, err := loadTLS(cfg.TLSCert, cfg.TLSKey)
	if err != nil {
		return err
	}
	var admin net.Listener
	var adminURL string
	if cfg.Admin != "" {
		if admin, err = ListenAdmin(cfg.Admin); err != nil {
			return err
		}
		defer admin.Close()
		adminURL = "http://" + admin.Addr().String()
	}
	ln, err := net.Listen("tcp", cfg.HTTP)
	if err != nil {
		return fmt.Errorf("listen for the API: %w", err)
	}
	defer ln.Close()
	clock := ledger.NewRealClock()
	if g.Clock == genesis.ClockLedger {
		clock = ledger.NewOffsetClock(g.Time)
	}
	lcfg := ledger.Config{
		Dir: filepath.Join(cfg.Dir, ledgerDB), Genesis: g, SealerKey: key, Mode: cfg.Mode, Clock: clock,
		KeepStates: cfg.KeepStates, Hook: cfg.Hook, Logger: cfg.Logger,
	}
	var present atomic.Pointer[ledger.Ledger]
	var metrics *Metrics
	if admin != nil {
		metrics = NewMetrics(present.Load)
		lcfg.Sealed = metrics.Sealed
	}
	l, err := ledger.Open(ctx, lcfg)
	if err != nil {
		return err
	}
	defer l.Close()
	present.Store(l)
	if clock.Movable() {
		// A dev network goes on at the time at which it stopped.
		if err := clock.Set(l.Head().Header.Time); err != nil {
			return err
		}
	}
	var engine Engine
	if cfg.Engine != nil {
		if engine, err = cfg.Engine(ctx, l, cfg.Logger); err != nil {
			return err
		}
		defer engine.Stop()
		if state := stateOf(engine); metrics != nil && state != nil {
			metrics.Watch(state)
		}
	}
	url := "http://" + ln.Addr().String()
	if secure != nil {
		url = "https://" + ln.Addr().String()
	}
	acfg := api.Config{Ledger: l, Network: g.Network(url), Version: Version, Limits: limits(cfg.Rate, cfg.Proxies), ReadOrigins: cfg.Origins, Turns: cfg.Turns, Logger: cfg.Logger}
	if metrics != nil {
		acfg.Observer = metrics
	}
	h, err := api.New(acfg)
	if err != nil {
		return err
	}
	if cfg.Ready != nil {
		cfg.Ready(url, adminURL) // the port is open: what arrives from now on is answered
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		stop(over(ctx, l, engine))
	}()
	adminDone := make(chan error, 1)
	if admin != nil {
		go func() { adminDone <- ServeAdmin(ctx, admin, metrics) }()
	} else {
		close(adminDone)
	}
	err = serve(ctx, ln, h, secure, shutdownGrace)
	stop(nil)
	<-watched
	err = errors.Join(err, <-adminDone)
	if engine != nil {
		err = errors.Join(err, engine.Stop())
	}
	if cause := context.Cause(ctx); errors.Is(cause, ledger.ErrHalted) || errors.Is(cause, ErrEngine) {
		return cause
	}
	return err
}

// Halted waits until l halts and says why; nil where ctx ends before.
func Halted(ctx context.Context, l *ledger.Ledger) error {
	f := l.Follow(l.Head().Header.Height)
	for ctx.Err() == nil {
		changed := f.Changed()
		s, ok, err := f.Next()
		if ok {
			_, err = l.Event(s)
		}
		switch {
		case errors.Is(err, ledger.ErrPruned): // it has begun from a snapshot
			f = l.Follow(l.Head().Header.Height)
		case ok && errors.Is(err, ledger.ErrNotFound): // reverted meanwhile, and f goes back
		case err != nil:
			return fmt.Errorf("%w: its blocks cannot be read: %w", ledger.ErrHalted, err)
		case ok:
		case l.Err() != nil:
			return l.Err()
		default:
			select {
			case <-ctx.Done():
			case <-changed:
			}
		}
	}
	return nil
}

// limits lets one address make rate requests a second, and two seconds' worth
// at once; nil for no limit.
func limits(rate float64, proxies []netip.Prefix) *httpx.LimiterConfig {
	if rate <= 0 {
		return nil
	}
	return &httpx.LimiterConfig{PerSecond: rate, Burst: max(1, int(2*rate)), Trusted: proxies}
}

// GenesisTime is when a network that starts now should begin, so that epoch 1,
// the first that lists anybody, begins after wait.
func GenesisTime(now time.Time, p genesis.Params, wait time.Duration) chain.Time {
	return chain.Time(now.Add(wait).UnixMilli()) - chain.Time(p.EpochLength)
}
