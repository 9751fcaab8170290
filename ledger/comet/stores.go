package comet

import (
	"bytes"
	"errors"
	"fmt"

	dbm "github.com/cometbft/cometbft-db"
	"github.com/cometbft/cometbft/config"
	sm "github.com/cometbft/cometbft/state"
	bstore "github.com/cometbft/cometbft/store"

	"tunic/chain"
	"tunic/ledger"
)

// ErrApart means that a ledger and CometBFT's files are not of one moment, so
// that neither can go on from the other.
var ErrApart = errors.New("comet: the ledger and CometBFT's files do not belong together")

// apart is what to do then. What was signed last must outlive every other file:
// without it a validator can sign a height twice.
const apart = "put back both folders as they were at one moment, or remove both but for CometBFT's data/last_signed.json and let this validator begin from a snapshot of others"

// stores are CometBFT's databases, open before CometBFT is: what they hold
// decides whether it can start at all.
type stores struct {
	open   map[string]dbm.DB
	blocks *bstore.BlockStore
	state  sm.State
}

func openStores(c *config.Config) (*stores, error) {
	s := &stores{open: map[string]dbm.DB{}}
	for _, id := range []string{"blockstore", "state"} {
		if _, err := s.provide(&config.DBContext{ID: id, Config: c}); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	s.blocks = bstore.NewBlockStore(s.open["blockstore"])
	var err error
	if s.state, err = sm.NewStore(s.open["state"], sm.StoreOptions{DiscardABCIResponses: true}).Load(); err != nil {
		return nil, errors.Join(fmt.Errorf("read CometBFT's state: %w", err), s.close())
	}
	return s, nil
}

// provide is CometBFT's way to a database.
func (s *stores) provide(c *config.DBContext) (dbm.DB, error) {
	if db, ok := s.open[c.ID]; ok {
		return db, nil
	}
	db, err := config.DefaultDBProvider(c)
	if err != nil {
		return nil, fmt.Errorf("open CometBFT's %s: %w", c.ID, err)
	}
	s.open[c.ID] = parting{db}
	return s.open[c.ID], nil
}

func (s *stores) close() (err error) {
	for _, db := range s.open {
		err = errors.Join(err, db.Close())
	}
	return err
}

// follow asks whether CometBFT can bring the ledger to where its blocks end: it
// decides those above the ledger's head anew, one or two of them after a crash.
func (s *stores) follow(l *ledger.Ledger) error {
	height, hash := l.Tip()
	no := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s; %s", ErrApart, fmt.Sprintf(format, args...), apart)
	}
	base, blocks, state := chain.Height(s.blocks.Base()), chain.Height(s.blocks.Height()), chain.Height(s.state.LastBlockHeight)
	named := s.state.AppHash // of the state after the ledger's head
	switch {
	case blocks == 0 && state == 0 && height > 0:
		return no("the ledger is at height %d, and CometBFT has no block yet", height)
	case blocks == 0 && state == 0:
		return nil
	case blocks == 0 && height != state: // a snapshot was restored, and no block followed
		return no("the ledger is at height %d, CometBFT at %d and without blocks", height, state)
	case blocks == 0:
	case blocks < state || blocks > state+1:
		return no("CometBFT's blocks end at height %d, its state is of height %d", blocks, state)
	case height > blocks:
		return no("the ledger is at height %d, CometBFT's blocks end at %d", height, blocks)
	case height+1 < base:
		return no("the ledger is at height %d, CometBFT's blocks begin at %d", height, base)
	case height == 0:
		return nil
	case height < blocks:
		meta := s.blocks.LoadBlockMeta(int64(height + 1))
		if meta == nil {
			return no("CometBFT's block %d is missing", height+1)
		}
		named = meta.Header.AppHash
	case height > state: // the block is stored, its state is not: nothing names it yet
		return no("the ledger is at height %d, CometBFT's state at %d", height, state)
	}
	if !bytes.Equal(named, hash[:]) {
		return no("after height %d the ledger has state %s, CometBFT %x", height, hash, named)
	}
	return nil
}
