package light

import (
	"fmt"

	"tunic/chain"
	"tunic/internal/merkle"
)

// CheckTxs says whether a block's transactions are those that its header commits
// to. Whether the header is this network's is CheckHeader's question.
func CheckTxs(b chain.Block) error {
	leaves := make([]merkle.Hash, len(b.Txs))
	for i, tx := range b.Txs {
		leaves[i] = merkle.Leaf(tx)
	}
	if uint64(b.Header.TxCount) != uint64(len(b.Txs)) || merkle.Root(leaves) != b.Header.TxRoot {
		return fmt.Errorf("%w: the transactions of block %d are not those of its header", ErrProof, b.Header.Height)
	}
	return nil
}
