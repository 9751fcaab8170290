package comet

import (
	"crypto/ed25519"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/cometbft/cometbft/proto/tendermint/types"
)

// What was signed last: not known, begun anew, and never overwritten; up to the height
// that was forbidden nothing is signed.
func TestSigned(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadSigned(dir); !errors.Is(err, ErrSigned) {
		t.Error(err)
	}
	if err := ForbidUpTo(dir, 100); err != nil {
		t.Fatal(err)
	}
	if s, err := ReadSigned(dir); err != nil || s.Height != 100 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := ForbidUpTo(dir, 7); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	cfg := Config{Dir: dir, Key: ed25519.NewKeyFromSeed(make([]byte, 32))}
	pv, err := signerOf(cfg)
	if err != nil {
		t.Fatal(err)
	}
	vote := func(height int64, round int32) error {
		return pv.SignVote("chain", &types.Vote{Type: types.PrecommitType, Height: height, Round: round})
	}
	for _, h := range []int64{1, 99, 100} {
		if vote(h, 1<<20) == nil {
			t.Errorf("height %d is signed", h)
		}
	}
	if err := vote(101, 0); err != nil {
		t.Error(err)
	}
	if s, err := ReadSigned(dir); err != nil || s.Height != 101 || s.Step != 3 {
		t.Errorf("%+v, %v", s, err)
	}

	// What cannot be read is moved away, and says nothing.
	if err := os.WriteFile(signedFile(dir), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := signerOf(cfg); !errors.Is(err, ErrSigned) {
		t.Error(err)
	}
	if err := ForbidUpTo(dir, 200); err != nil {
		t.Fatal(err)
	}
	if s, err := ReadSigned(dir); err != nil || s.Height != 200 {
		t.Errorf("%+v, %v", s, err)
	}

	// With blocks and without the record nothing is signed.
	if err := os.Remove(signedFile(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "data", "blockstore.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := signerOf(cfg); !errors.Is(err, ErrSigned) {
		t.Error(err)
	}
	id, err := LinkID(dir)
	if again, err2 := LinkID(dir); err != nil || err2 != nil || id != again || len(id) != 40 {
		t.Errorf("%q, %v, %q, %v", id, err, again, err2)
	}
}
