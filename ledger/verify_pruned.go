package ledger

import (
	"context"

	"github.com/syndtr/goleveldb/leveldb/util"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/internal/merkle"
	"tunic/ledger/machine"
)

// verifyPruned is verify of a database whose whole blocks begin above genesis. The
// chain of headers is verified from genesis already. Blocks from the oldest state
// that is kept on are replayed; of those below, transactions and results are held
// against the header, and the commit against the validators of its height.
func verifyPruned(ctx context.Context, db *store, g genesis.Genesis, head chain.Header, r DBReport) (DBReport, error) {
	from := max(db.keptFrom(head.Height), db.first-1)
	m, err := former(db, g, from, head.Height, db)
	if err != nil {
		return r, err
	}
	places, lists, sets := map[chain.Hash]place{}, map[chain.Epoch]chain.Height{}, validatorRows{}
	if err := db.storedBeside(from, lists, sets); err != nil {
		return r, err
	}
	if err := verifyCommit(db, g, db.first-1); err != nil {
		return r, err
	}
	for h := db.first; h <= head.Height; h++ {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		b, err := db.block(h)
		if err != nil {
			return r, err
		}
		if err := verifyCommit(db, g, h); err != nil {
			return r, err
		}
		results, err := db.results(h)
		if err != nil {
			return r, err
		}
		if h > from {
			out, err := m.Replay(b.Header, m.PrepareAll(b.Txs))
			if err != nil {
				return r, corrupt("%v", err)
			}
			results = out.Results
			if err := verifyCarried(db, h, m, &out, lists, sets); err != nil {
				return r, err
			}
		} else if err := verifyResults(b, results); err != nil {
			return r, err
		}
		if err := verifyBeside(db, b, results, places); err != nil {
			return r, err
		}
		r.Txs += uint64(len(b.Txs))
	}
	if err := m.Check(); err != nil {
		return r, corrupt("%v", err)
	}
	r.Height, r.Epoch, r.State, r.Head = head.Height, head.DirEpoch, m.Head().State, m.HeadHash()
	if _, err := rebuild(db, g, m.Head()); err != nil {
		return r, err
	}
	return r, verifyKeys(db, r.Height, places, lists, sets, head.DirEpoch)
}

// storedBeside reads the lists and validators that blocks up to from have left.
func (s *store) storedBeside(from chain.Height, lists map[chain.Epoch]chain.Height, sets validatorRows) error {
	it := s.db.NewIterator(util.BytesPrefix([]byte{keyValidators}), nil)
	defer it.Release()
	for it.Next() {
		at, _, err := readValidators(it.Key(), it.Value())
		if err != nil {
			return err
		}
		if at <= from {
			sets[at] = append([]byte(nil), it.Value()...)
		}
	}
	if err := it.Error(); err != nil {
		return dbError("read validators", err)
	}
	for e, err := range s.epochs() {
		if err != nil {
			return err
		}
		if _, at, err := s.list(e); err != nil {
			return err
		} else if at.Header.Height <= from {
			lists[e] = at.Header.Height
		}
	}
	return nil
}

// verifyCommit holds the seal of block h against those who may give it.
func verifyCommit(db *store, g genesis.Genesis, h chain.Height) error {
	s, err := db.header(h)
	if err != nil || g.Engine != genesis.EngineComet { // a sealer's seal is verified already
		return err
	}
	who, err := db.validators(h - 1)
	if err != nil {
		return err
	}
	set, err := cometbft.SetOf(who.Nodes)
	if err == nil {
		err = set.VerifySealed(s)
	}
	if err != nil {
		return corrupt("the commit of block %d: %v", h, err)
	}
	return nil
}

// verifyResults holds what is said to have become of a block's transactions against
// its header.
func verifyResults(b chain.Block, results []machine.Result) error {
	leaves := make([]merkle.Hash, len(results))
	for i, r := range results {
		if i >= len(b.Txs) || r.Tx != chain.SHA256(b.Txs[i]) {
			return corrupt("stored result %d of block %d", i, b.Header.Height)
		}
		leaves[i] = merkle.Leaf(r.Encode())
	}
	if chain.Hash(merkle.Root(leaves)) != b.Header.Results {
		return corrupt("the results of block %d are not those that its header commits to", b.Header.Height)
	}
	return nil
}
