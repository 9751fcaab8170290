package ledger

import (
	"encoding/binary"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/ledger/machine"
)

// A block's worth of commitments waits: half of it is left to accounts.
func TestCommitmentsAreHalfABlock(t *testing.T) {
	p := newPool(DefaultPoolLimits)
	body := make([]byte, 16<<10)
	for i := range 2 * machine.MaxBlockBytes / len(body) {
		x := &machine.Prepared{Bytes: body, Tx: chain.Tx{Kind: chain.KindPublish}}
		x.St.Label = statement.LabelCommitment
		binary.BigEndian.PutUint32(x.St.Node[:], uint32(i))
		binary.BigEndian.PutUint32(x.ID[:], uint32(i))
		if err := p.add(x, machine.Account{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := p.ready(func(chain.Address) uint64 { return 0 }); len(got) != machine.MaxBlockBytes/2/len(body) {
		t.Fatalf("%d are ready", len(got))
	}
}
