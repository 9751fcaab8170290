package comet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cometbft/cometbft/crypto/ed25519"
	cmtstate "github.com/cometbft/cometbft/proto/tendermint/state"
	cmtversion "github.com/cometbft/cometbft/proto/tendermint/version"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/types"
	"github.com/cometbft/cometbft/version"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
)

// Sync is how a validator with an empty ledger begins from a snapshot of others,
// instead of with the first block. What a snapshot is held against are the
// certificates of heights, and these against what is trusted here.
type Sync struct {
	// Certificate gets that of a height, with its set, from a ledger that runs (GET
	// /v1/chain/certificates/{height}). Nothing of it is believed.
	Certificate func(context.Context, chain.Height) (cometbft.Certificate, error)
	// Height and Hash are a CometBFT header that is trusted: a checkpoint's. Zero:
	// the validators of genesis, which is good for two thirds of the unlock delay.
	Height chain.Height
	Hash   chain.Hash
	// Discover is how long snapshots are looked for before the best is taken; zero:
	// 5 s. As often as none is found.
	Discover time.Duration
}

// maxAhead is how far a header may be ahead of the clock, in milliseconds.
const maxAhead = 60_000

// fetchTimeout bounds one certificate.
const fetchTimeout = 10 * time.Second

// provider is what CometBFT asks for a state that it can begin from.
type provider struct {
	sync  Sync
	doc   *types.GenesisDoc
	core  genesis.Genesis
	log   *slog.Logger
	turns func() [2]turns // of the snapshot that was taken

	mu       sync.Mutex
	follower *cometbft.Follower
	seen     map[chain.Height]cometbft.Certificate // verified, with its set
}

// maxSeen bounds what is kept of certificates.
const maxSeen = 1 << 10

func (p *provider) fetch(ctx context.Context, h chain.Height) (cometbft.Certificate, error) {
	ctx, stop := context.WithTimeout(ctx, fetchTimeout)
	defer stop()
	c, err := p.sync.Certificate(ctx, h)
	if err == nil && c.Header.Height != h {
		err = fmt.Errorf("it is of height %d", c.Header.Height)
	}
	if err == nil && c.Set == nil {
		err = errors.New("it comes without its validators")
	}
	if err != nil {
		return c, fmt.Errorf("get the certificate of height %d: %w", h, err)
	}
	return c, nil
}

// begin is the follower of what is trusted; mu is held.
func (p *provider) begin(ctx context.Context) error {
	if p.follower != nil {
		return nil
	}
	cfg := cometbft.Config{ChainID: p.doc.ChainID, TrustingPeriod: p.core.Params.UnlockDelay / 3 * 2, MaxAhead: maxAhead}
	var f *cometbft.Follower
	var err error
	if p.sync.Height > 0 {
		var c cometbft.Certificate
		if c, err = p.fetch(ctx, p.sync.Height); err == nil {
			f, err = cometbft.FromCertificate(cfg, c, p.sync.Hash)
		}
	} else {
		var set *cometbft.Set
		if set, err = cometbft.SetOf(p.core.Sealers); err == nil {
			f, err = cometbft.FromGenesis(cfg, 1, cometbft.TimeAt(p.core.Time), set)
		}
	}
	p.follower = f
	return err
}

// verified is a certificate with its set, signed by who was to sign it.
func (p *provider) verified(ctx context.Context, h chain.Height) (cometbft.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c, ok := p.seen[h]; ok {
		return c, nil
	}
	if err := p.begin(ctx); err != nil {
		return cometbft.Certificate{}, err
	}
	c, err := p.fetch(ctx, h)
	if err != nil {
		return c, err
	}
	now := chain.Time(time.Now().UnixMilli())
	err = p.follower.Reach(c, now, func(h chain.Height) (cometbft.Certificate, error) { return p.fetch(ctx, h) })
	if err != nil {
		return c, fmt.Errorf("verify the certificate of height %d: %w", h, err)
	}
	if len(p.seen) >= maxSeen {
		clear(p.seen)
	}
	p.seen[h] = c
	return c, nil
}

// AppHash implements statesync.StateProvider. It also says whether the two heights
// above are there, of which a state is made.
func (p *provider) AppHash(ctx context.Context, height uint64) ([]byte, error) {
	hash, err := p.appHash(ctx, chain.Height(height))
	if err != nil {
		p.log.Warn("a snapshot is not taken", "height", height, "error", err)
	}
	return hash, err
}

func (p *provider) appHash(ctx context.Context, h chain.Height) ([]byte, error) {
	if h < 2 || h > cometbft.MaxHeight-2 {
		return nil, fmt.Errorf("height %d", h)
	}
	above, err := p.verified(ctx, h+1)
	if err == nil {
		_, err = p.verified(ctx, h+2)
	}
	return above.Header.AppHash[:], err
}

// Commit implements statesync.StateProvider.
func (p *provider) Commit(ctx context.Context, height uint64) (*types.Commit, error) {
	c, err := p.verified(ctx, chain.Height(height))
	if err != nil {
		return nil, err
	}
	return engineCommit(c.Commit), nil
}

// State implements statesync.StateProvider: what CometBFT knows after a height.
func (p *provider) State(ctx context.Context, height uint64) (sm.State, error) {
	var at [3]cometbft.Certificate // of the height and of the two above
	var sets [3]*types.ValidatorSet
	turns := p.turns()
	for i := range at {
		var err error
		if at[i], err = p.verified(ctx, chain.Height(height)+chain.Height(i)); err != nil {
			return sm.State{}, err
		}
		var order []int64
		if i > 0 {
			order = turns[i-1]
		}
		if sets[i], err = engineSet(at[i].Set, order); err != nil {
			return sm.State{}, fmt.Errorf("validators of height %d: %w", at[i].Header.Height, err)
		}
	}
	above := at[1].Header
	if got := p.doc.ConsensusParams.Hash(); string(got) != string(above.ConsensusHash[:]) {
		return sm.State{}, fmt.Errorf("height %d is of consensus parameters %s, this program has %x; use the version that the network uses", above.Height, above.ConsensusHash, got)
	}
	return sm.State{
		Version:       cmtstate.Version{Consensus: cmtversion.Consensus{Block: above.Version.Block, App: above.Version.App}, Software: version.TMCoreSemVer},
		ChainID:       p.doc.ChainID,
		InitialHeight: 1,

		LastBlockHeight: int64(height),
		LastBlockID:     engineID(at[0].Commit.BlockID),
		LastBlockTime:   engineTime(at[0].Header.Time),
		LastValidators:  sets[0], Validators: sets[1], NextValidators: sets[2],
		LastHeightValidatorsChanged: int64(height) + 2,

		ConsensusParams:                  *p.doc.ConsensusParams,
		LastHeightConsensusParamsChanged: int64(above.Height),
		AppHash:                          above.AppHash[:],
		LastResultsHash:                  above.LastResultsHash[:],
	}, nil
}

// engineSet is a set as CometBFT has it, with whose turn it is to propose.
func engineSet(s *cometbft.Set, turns []int64) (*types.ValidatorSet, error) {
	all := make([]*types.Validator, s.Len())
	for i := range all {
		v := s.At(i)
		all[i] = types.NewValidator(ed25519.PubKey(v.Key[:]), int64(v.Power))
	}
	set := types.NewValidatorSet(all)
	if hash := s.Hash(); string(set.Hash()) != string(hash[:]) {
		return nil, errors.New("CometBFT has another hash for them")
	}
	if turns == nil {
		return set, nil
	}
	if len(turns) != set.Size() {
		return nil, fmt.Errorf("%d validators, and the turns of %d", set.Size(), len(turns))
	}
	// No turn is further off than two rounds of all: more would be nonsense, and
	// CometBFT would have to add it up.
	for i, v := range set.Validators {
		if most := 2*set.TotalVotingPower() + 1; turns[i] > most || turns[i] < -most {
			return nil, fmt.Errorf("a turn of %d", turns[i])
		}
		v.ProposerPriority = turns[i]
	}
	set.Proposer = set.GetProposer()
	return set, set.ValidateBasic()
}

func engineID(b cometbft.BlockID) types.BlockID {
	hash := func(h chain.Hash) []byte {
		if h.IsZero() {
			return nil
		}
		return h[:]
	}
	return types.BlockID{Hash: hash(b.Hash), PartSetHeader: types.PartSetHeader{Total: b.Parts.Total, Hash: hash(b.Parts.Hash)}}
}

func engineTime(t cometbft.Time) time.Time { return time.Unix(t.Seconds, int64(t.Nanos)).UTC() }

func engineCommit(c cometbft.Commit) *types.Commit {
	out := &types.Commit{Height: int64(c.Height), Round: int32(c.Round), BlockID: engineID(c.BlockID)}
	for _, s := range c.Signatures {
		x := types.CommitSig{BlockIDFlag: types.BlockIDFlag(s.Flag)}
		if s.Flag != cometbft.FlagAbsent {
			x.ValidatorAddress, x.Timestamp, x.Signature = s.Validator[:], engineTime(s.Time), s.Signature[:]
		}
		out.Signatures = append(out.Signatures, x)
	}
	return out
}
