package ledger

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger/machine"
	"tunic/slashing"
)

// Verify replays every block of the database in dir from genesis and holds all
// that is stored against it: headers, seals, results, state, what undoes the
// last blocks, lists and indexes, and every invariant. A row that the blocks do
// not account for is an error too. Of a database that does not begin with genesis
// it replays the blocks from the oldest state that is kept (verify_pruned.go).
// No ledger may run there.
func Verify(ctx context.Context, dir string) (DBReport, error) {
	r, err := verify(ctx, dir)
	if err != nil {
		return r, fmt.Errorf("verify database: %w", err)
	}
	return r, nil
}

func verify(ctx context.Context, dir string) (DBReport, error) {
	db, g, err := openExisting(dir)
	if err != nil {
		return DBReport{}, err
	}
	defer db.close()
	r := DBReport{Genesis: g.Hash()}
	head, err := verifyChain(ctx, db, g)
	if err != nil {
		return r, err
	}
	if _, err := db.findUndo(head.Header.Height); err != nil { // stale ones go when it is opened
		return r, err
	}
	if db.first > 1 {
		return verifyPruned(ctx, db, g, head.Header, r)
	}
	// The replay keeps its own header index, apart from the database's.
	m, err := machine.New(g, nil)
	if err != nil {
		return r, err
	}
	places, lists, sets := map[chain.Hash]place{}, map[chain.Epoch]chain.Height{}, validatorRows{}
	if g.Engine == genesis.EngineComet {
		sets[0] = appendNodes(nil, g.Sealers)
	}
	for h := chain.Height(1); h <= head.Header.Height; h++ {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		b, err := db.block(h)
		if err != nil {
			return r, err
		}
		if g.Engine == genesis.EngineComet { // a sealer's seal is verified already
			if err := m.VerifyNext(b.SealedHeader); err != nil {
				return r, corrupt("the commit of block %d: %v", h, err)
			}
		}
		out, err := m.Replay(b.Header, m.PrepareAll(b.Txs))
		if err != nil {
			return r, corrupt("%v", err)
		}
		if err := verifyBeside(db, b, out.Results, places); err != nil {
			return r, err
		}
		if err := verifyCarried(db, h, m, &out, lists, sets); err != nil {
			return r, err
		}
		r.Txs += uint64(len(b.Txs))
	}
	if err := m.Check(); err != nil {
		return r, corrupt("%v", err)
	}
	r.Height, r.Epoch, r.State = head.Header.Height, head.Header.DirEpoch, m.Head().State
	if r.Height > 0 {
		r.Head = m.HeadHash()
	}
	if _, err := rebuild(db, g, m.Head()); err != nil {
		return r, err
	}
	// Older ones go with the next list.
	must, err := db.firstList(r.Epoch, db.keptFrom(r.Height)+1)
	if err != nil {
		return r, err
	}
	return r, verifyKeys(db, r.Height, places, lists, sets, must)
}

// verifyUndo holds what undoes a block against the changes that it made.
func verifyUndo(db *store, h chain.Height, out *machine.Output) error {
	if db.oldest == 0 || h < db.oldest {
		return nil
	}
	record, err := db.undo(h)
	if err == nil && !bytes.Equal(record, encodeUndo(&out.Changes)) {
		err = corrupt("what undoes block %d is not what the block changed", h)
	}
	return err
}

// verifyCarried holds what undoes block h against out, with which m has carried it
// out, and notes the list that it froze and the validators that it changed.
func verifyCarried(db *store, h chain.Height, m *machine.Machine, out *machine.Output, lists map[chain.Epoch]chain.Height, sets validatorRows) error {
	if err := verifyUndo(db, h, out); err != nil {
		return err
	}
	if out.List != nil {
		lists[out.List.Epoch] = h
	}
	if len(out.Validators) > 0 {
		sets[h] = appendNodes(nil, m.Registry().Validators())
	}
	return nil
}

// verifyBeside holds what is stored beside a block against what it gave, and
// notes where its transactions are to be found.
func verifyBeside(db *store, b chain.Block, want []machine.Result, places map[chain.Hash]place) error {
	h := b.Header.Height
	if at, err := db.heightOf(b.Header.Hash()); err != nil || at != h {
		return corrupt("the index does not find block %d by its hash: %v", h, err)
	}
	got, err := db.results(h)
	if err != nil {
		return err
	}
	if len(got) != len(want) {
		return corrupt("block %d has %d results, %d are stored", h, len(want), len(got))
	}
	for i, r := range want {
		if got[i] != r {
			return corrupt("stored result %d of block %d", i, h)
		}
		note(places, r, place{h, uint32(i), r.Code})
	}
	return nil
}

// verifyKeys holds every key of the database against what a chain up to head
// has: of the lists those from epoch must on, and perhaps earlier ones. Rows of
// the state are rebuild's.
func verifyKeys(db *store, head chain.Height, places map[chain.Hash]place, lists map[chain.Epoch]chain.Height, sets validatorRows, must chain.Epoch) error {
	it := db.db.NewIterator(nil, nil)
	defer it.Release()
	count := map[byte]int{}
	for it.Next() {
		k := it.Key()
		prefix, rest := k[0], k[1:]
		count[prefix]++
		switch prefix {
		case keyRow:
		case keyMeta:
			if name, ok := bytes.CutPrefix(rest, []byte(keySnapshot)); ok {
				if err := verifySnapshot(db, string(name), it.Value(), head); err != nil {
					return err
				}
			} else if string(rest) == keyWaiting {
				if _, err := readWaiting(it.Value()); err != nil {
					return err
				}
			} else if string(rest) == keyFirst { // findFirst has read it
			} else if string(rest) != "genesis" && string(rest) != "head" {
				return corrupt("unknown key %q", k)
			}
		case keyBlock, keySeal, keyResults, keyUndo:
			if len(rest) != 8 || binary.BigEndian.Uint64(rest)-uint64(db.first) > uint64(head)-uint64(db.first) || db.first > head {
				return corrupt("key %x is of no block from %d to %d", k, db.first, head)
			}
		case keyHeader:
			if len(rest) != 8 || binary.BigEndian.Uint64(rest)-1 >= uint64(db.first-1) {
				return corrupt("key %x is of no block below %d", k, db.first)
			}
		case keyValidators:
			if err := sets.check(k, it.Value()); err != nil {
				return err
			}
		case keyHash: // each block's own was found: a surplus shows in the count
		case keyTx:
			if len(rest) != 32 {
				return corrupt("unknown key %x", k)
			}
			id := chain.Hash(rest)
			want, known := places[id]
			if got, err := db.tx(id); err != nil || !known || got != want {
				return corrupt("index of transaction %s: %v", id, err)
			}
			delete(places, id)
		case keyProof:
			if len(rest) != 32 {
				return corrupt("unknown key %x", k)
			}
			if p, err := slashing.Decode(it.Value()); err != nil || p.ID() != chain.Hash(rest) || p.Validate() != nil {
				return corrupt("the proof of offence %x", rest)
			}
		case keyList:
			if len(rest) != 8 {
				return corrupt("unknown key %x", k)
			}
			e := chain.Epoch(binary.BigEndian.Uint64(rest))
			if l, at, err := db.list(e); err != nil || l.Epoch != e || at.Header.Height != lists[e] {
				return corrupt("list of epoch %d: %v", e, err)
			}
			delete(lists, e)
		default:
			return corrupt("unknown key %x", k)
		}
	}
	if err := it.Error(); err != nil {
		return dbError("read database", err)
	}
	blocks := int(head - (db.first - 1))
	for prefix, want := range map[byte]int{keyBlock: blocks, keyResults: blocks, keyHash: blocks, keyHeader: int(db.first - 1), keyValidators: len(sets)} {
		if count[prefix] != want {
			return corrupt("%d rows under %q, the blocks give %d", count[prefix], prefix, want)
		}
	}
	for id, p := range places { // those that were not found
		// What was applied below the first block and refused above was never noted.
		if db.first == 1 || p.code == "" {
			return corrupt("transaction %s of block %d is not in the index", id, p.height)
		}
	}
	for e := range lists {
		if e >= must {
			return corrupt("the list of epoch %d is missing", e)
		}
	}
	return nil
}

// verifySnapshot holds a snapshot against the block that it names.
func verifySnapshot(db *store, name string, value []byte, head chain.Height) error {
	x, err := readSnapshot(name, value)
	if err != nil || x.Height == 0 {
		return err
	}
	if x.Height > head {
		return corrupt("snapshot %s is of height %d, the head is %d", name, x.Height, head)
	}
	if b, err := db.header(x.Height); err != nil || b.Header.Hash() != x.Hash {
		return corrupt("snapshot %s is not of this history: %v", name, err)
	}
	return nil
}
