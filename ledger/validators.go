package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/util"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/internal/wire"
	"tunic/registry"
)

// ValidatorSet is who seals from a height on.
type ValidatorSet struct {
	From  chain.Height   // the first height that they decide
	Nodes []chain.NodeID // ascending
}

// Where validators decide blocks together, the database has a row for each block
// that changed who they are: from a former state nobody could tell, and whoever
// verifies headers needs to know.

// validatorDelay is how many blocks above the one that changed it the new set
// decides first.
const validatorDelay = 2

// ValidatorsAt are the validators that decide a height, ascending: those after
// the block two below it, those of genesis for 1 and 2. It knows them up to two
// above the head. ErrNotFound above, for 0, and below the first block that a
// pruned ledger has; ErrEngine where sealers of genesis seal.
func (l *Ledger) ValidatorsAt(h chain.Height) ([]chain.NodeID, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	set, err := l.validatorsAt(h)
	return set.Nodes, err
}

func (l *Ledger) validatorsAt(h chain.Height) (ValidatorSet, error) {
	if l.core.Engine != genesis.EngineComet {
		return ValidatorSet{}, fmt.Errorf("%w: engine %s", ErrEngine, l.core.Engine)
	}
	if head := l.head.Header.Height; h == 0 || h > head+validatorDelay {
		return ValidatorSet{}, fmt.Errorf("%w: validators of height %d, the head is %d", ErrNotFound, h, head)
	}
	return l.db.validators(max(h, validatorDelay) - validatorDelay)
}

// ValidatorSets are the sets that decide height h and, descending, those before
// it, at most so many.
func (l *Ledger) ValidatorSets(h chain.Height, most int) ([]ValidatorSet, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var out []ValidatorSet
	for len(out) < most {
		set, err := l.validatorsAt(h)
		if errors.Is(err, ErrNotFound) && len(out) > 0 {
			break // this ledger began later
		}
		if err != nil {
			return out, err
		}
		out = append(out, set)
		if set.From == 1 {
			break
		}
		h = set.From - 1
	}
	return out, nil
}

// Certificate is what shows that the engine decided a height, with the set that
// signed it and the one that signs the next: the certificate behind the header
// below it. There is one for each height from 2 up to one above the head.
func (l *Ledger) Certificate(h chain.Height) (cometbft.Certificate, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	c, err := l.certificate(h)
	if err != nil {
		return cometbft.Certificate{}, fmt.Errorf("certificate of height %d: %w", h, err)
	}
	return c, nil
}

func (l *Ledger) certificate(h chain.Height) (c cometbft.Certificate, err error) {
	sets := [2]*cometbft.Set{}
	for i := range sets {
		set, err := l.validatorsAt(h + chain.Height(i))
		if err != nil {
			return c, err
		}
		if sets[i], err = cometbft.SetOf(set.Nodes); err != nil {
			return c, corrupt("the validators of height %d: %v", h, err)
		}
	}
	if err := l.within(h - 1); err != nil {
		return c, err
	}
	s, err := l.sealedHeader(h - 1)
	if err != nil {
		return c, err
	}
	if c, err = cometbft.Of(s); err != nil {
		return c, corrupt("%v", err)
	}
	if c.Header.NextValidatorsHash == sets[0].Hash() {
		sets[1] = sets[0]
	}
	c.Set, c.Next = sets[0], sets[1]
	if err := c.Validate(cometbft.ChainID(l.domain)); err != nil {
		return c, corrupt("%v", err)
	}
	return c, nil
}

// validators are those after block h, and what they decide first.
func (s *store) validators(h chain.Height) (ValidatorSet, error) {
	it := s.r.NewIterator(&util.Range{Start: []byte{keyValidators}, Limit: key(keyValidators, u64(uint64(h+1)))}, nil)
	defer it.Release()
	if !it.Last() {
		if err := it.Error(); err != nil {
			return ValidatorSet{}, dbError("read validators", err)
		}
		return ValidatorSet{}, fmt.Errorf("%w: the validators after block %d", ErrNotFound, h)
	}
	at, nodes, err := readValidators(it.Key(), it.Value())
	if err != nil {
		return ValidatorSet{}, err
	}
	first := at + validatorDelay
	if at == 0 {
		first = 1
	}
	return ValidatorSet{first, nodes}, nil
}

// readValidators reads a row; what it returns is copied.
func readValidators(k, v []byte) (at chain.Height, nodes []chain.NodeID, err error) {
	r := wire.NewReader(k[1:])
	at = chain.Height(r.Uint64())
	if r.Done() != nil || len(v) == 0 || len(v)%len(chain.NodeID{}) != 0 {
		return at, nil, corrupt("validators under key %x", k)
	}
	for n := range slices.Chunk(v, len(chain.NodeID{})) {
		nodes = append(nodes, chain.NodeID(n))
	}
	return at, nodes, nil
}

// putValidators adds the set after block h to the block's batch.
func putValidators(b *leveldb.Batch, h chain.Height, nodes []chain.NodeID) {
	b.Put(key(keyValidators, u64(uint64(h))), appendNodes(nil, nodes))
}

func appendNodes(b []byte, nodes []chain.NodeID) []byte {
	for i := range nodes {
		b = append(b, nodes[i][:]...)
	}
	return b
}

// turn adds the set after block h to its batch, where the block changed it.
func (s *store) turn(b *leveldb.Batch, h chain.Height, changes []registry.ValidatorChange) error {
	if len(changes) == 0 {
		return nil
	}
	before, err := s.validators(h - 1)
	if err != nil {
		return err
	}
	putValidators(b, h, turned(before.Nodes, changes))
	return nil
}

// turned is a set after changes; the slice may be used up.
func turned(nodes []chain.NodeID, changes []registry.ValidatorChange) []chain.NodeID {
	for _, c := range changes {
		i, is := slices.BinarySearchFunc(nodes, c.Node, func(a, b chain.NodeID) int { return bytes.Compare(a[:], b[:]) })
		switch {
		case c.Seals && !is:
			nodes = slices.Insert(nodes, i, c.Node)
		case !c.Seals && is:
			nodes = slices.Delete(nodes, i, i+1)
		}
	}
	return nodes
}

// validatorRows are the rows that a replay gives, by height of the block.
type validatorRows map[chain.Height][]byte

func (rows validatorRows) check(k, v []byte) error {
	at, _, err := readValidators(k, v)
	if err == nil && !bytes.Equal(rows[at], v) {
		err = corrupt("the validators after block %d are not those that the blocks give", at)
	}
	return err
}
