package comet

import (
	"testing"

	dbm "github.com/cometbft/cometbft-db"
	bstore "github.com/cometbft/cometbft/store"
)

// Who reads CometBFT's blocks once they are closed ends, without a panic.
func TestReadersOfAClosedDatabaseEnd(t *testing.T) {
	db, err := dbm.NewGoLevelDB("x", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	blocks := bstore.NewBlockStore(parting{db})
	if blocks.LoadSeenCommit(1) != nil {
		t.Error("a commit of no block")
	}
	batch := parting{db}.NewBatch()
	if err := batch.Set([]byte("x"), []byte("y")); err != nil {
		t.Fatal(err)
	}
	if err := blocks.Close(); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func(){
		"commit": func() { blocks.LoadSeenCommit(1) },
		"meta":   func() { blocks.LoadBlockMeta(1) },
		"set":    func() { _ = parting{db}.SetSync([]byte("x"), []byte("y")) },
		"batch":  func() { _ = batch.WriteSync() },
		"has":    func() { _, _ = parting{db}.Has([]byte("x")) },
	} {
		over := make(chan bool, 1)
		go func() {
			wentOn := false
			defer func() { over <- wentOn }()
			read()
			wentOn = true
		}()
		if <-over {
			t.Errorf("%s: it goes on without an answer", name)
		}
	}
}
