package comet

import (
	"errors"
	"runtime"

	dbm "github.com/cometbft/cometbft-db"
	"github.com/syndtr/goleveldb/leveldb"
)

// parting is a database whose readers may outlive it: CometBFT closes its databases
// while goroutines that serve a peer still read them, and makes a panic of what they
// are told then, which would end the process. Here a reader that comes too late ends,
// and nothing else.
type parting struct{ dbm.DB }

func ended(err error) {
	if errors.Is(err, leveldb.ErrClosed) {
		runtime.Goexit()
	}
}

func (p parting) Get(key []byte) ([]byte, error) {
	b, err := p.DB.Get(key)
	ended(err)
	return b, err
}

func (p parting) Has(key []byte) (bool, error) {
	ok, err := p.DB.Has(key)
	ended(err)
	return ok, err
}

func (p parting) Iterator(start, end []byte) (dbm.Iterator, error) {
	i, err := p.DB.Iterator(start, end)
	ended(err)
	return i, err
}

func (p parting) ReverseIterator(start, end []byte) (dbm.Iterator, error) {
	i, err := p.DB.ReverseIterator(start, end)
	ended(err)
	return i, err
}

func (p parting) Set(key, value []byte) error {
	err := p.DB.Set(key, value)
	ended(err)
	return err
}

func (p parting) SetSync(key, value []byte) error {
	err := p.DB.SetSync(key, value)
	ended(err)
	return err
}

// NewBatch is one whose writes come to nothing in the same way: a state that was
// fetched may arrive after the end.
func (p parting) NewBatch() dbm.Batch { return partingBatch{p.DB.NewBatch()} }

type partingBatch struct{ dbm.Batch }

func (b partingBatch) Write() error {
	err := b.Batch.Write()
	ended(err)
	return err
}

func (b partingBatch) WriteSync() error {
	err := b.Batch.WriteSync()
	ended(err)
	return err
}
