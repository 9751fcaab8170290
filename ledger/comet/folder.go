package comet

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	stded25519 "crypto/ed25519"

	"github.com/cometbft/cometbft/crypto/ed25519"
	cmtjson "github.com/cometbft/cometbft/libs/json"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/types"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/internal/durable"
)

// ErrSigned means that nothing says what a validator signed last, or that what says
// so cannot be read. To sign again what was signed before is the one offence that a
// validator can commit by accident.
var ErrSigned = errors.New("comet: what was signed last is not known")

// Signed is how far a validator has signed.
type Signed struct {
	Height chain.Height `json:"height"`
	Round  int32        `json:"round"`
	Step   int8         `json:"step"` // 1: a proposal, 2: a prevote, 3: a precommit; 0: nothing
}

func signedFile(dir string) string { return filepath.Join(dir, "data", "last_signed.json") }

func linkFile(dir string) string { return filepath.Join(dir, "config", "node_key.json") }

// makeFolders makes those of CometBFT's files in dir.
func makeFolders(dir string) error {
	for _, d := range []string{"config", "data"} {
		if err := durable.MkdirAll(filepath.Join(dir, d)); err != nil {
			return err
		}
	}
	return nil
}

// LinkID is the id of the key with which the validator in dir opens its links; one
// that is not there is made.
func LinkID(dir string) (string, error) {
	if err := makeFolders(dir); err != nil {
		return "", err
	}
	k, err := p2p.LoadOrGenNodeKey(linkFile(dir))
	if err != nil {
		return "", fmt.Errorf("read %s, the key of this validator's links: %w; restore it, or remove it and give the others the new id", linkFile(dir), err)
	}
	return string(k.ID()), nil
}

// ReadSigned says how far the validator in dir has signed; ErrSigned where that is
// not known.
func ReadSigned(dir string) (Signed, error) {
	var s privval.FilePVLastSignState
	b, err := durable.ReadFile(signedFile(dir), 1<<20)
	if err == nil {
		err = cmtjson.Unmarshal(b, &s)
	}
	if err != nil {
		return Signed{}, fmt.Errorf("%w: %w", ErrSigned, err)
	}
	return Signed{chain.Height(s.Height), s.Round, s.Step}, nil
}

// ForbidUpTo lets the validator in dir sign nothing up to a height: 0 for one whose
// key has never signed. It refuses where something says how far it has signed
// (fs.ErrExist); what cannot be read says nothing, and is moved away.
func ForbidUpTo(dir string, height chain.Height) error {
	if err := makeFolders(dir); err != nil {
		return err
	}
	file := signedFile(dir)
	if _, err := os.Stat(file); err == nil {
		if _, err := ReadSigned(dir); err != nil {
			if err := os.Rename(file, file+".broken"); err != nil {
				return err
			}
		}
	}
	var s privval.FilePVLastSignState
	if height > 0 {
		s.Height, s.Round, s.Step = int64(height), math.MaxInt32, 3
	}
	b, err := cmtjson.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return durable.CreateFile(file, b, 0o600)
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
	path := signedFile(cfg.Dir)
	pv := privval.NewFilePV(ed25519.PrivKey(key), "", path)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Join(cfg.Dir, "data", "blockstore.db")); err == nil {
			return nil, fmt.Errorf("%w: %s is gone, and there are blocks", ErrSigned, path)
		}
		if err := ForbidUpTo(cfg.Dir, 0); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrSigned, err)
	default:
		if err := cmtjson.Unmarshal(b, &pv.LastSignState); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrSigned, path, err)
		}
	}
	return pv, nil
}

// AddressOf is how CometBFT's headers name a validator, in hex.
func AddressOf(n chain.NodeID) string {
	a := cometbft.AddressOf(n)
	return hex.EncodeToString(a[:])
}
