package mailbox_test

import (
	"encoding/hex"
	"fmt"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/testenv"
	"tunic/onion/mail"
	"tunic/relay/mailbox"
)

// crash stores items, prints each receipt once it has it, and ends the process
// with SIGKILL at the named point.
func crash(end *testenv.Crash) {
	l, err := mailbox.OpenLevel(end.Dir, 0)
	end.Must(err)
	m, err := mailbox.New(mailbox.Config{
		Self: self, Genesis: network, Start: begin, Params: params(), Format: small, Store: l,
		Sign: func(r statement.Receipt) []byte {
			return statement.Sign(statement.Domain{Genesis: network}, key(50), statement.LabelReceipt, 0, r.Encode()).Encode()
		},
		Kill: end.Kill,
	})
	end.Must(err)
	for i := byte(0); ; i++ {
		r := m.Handle(now, epoch, store(i, 2*(i/8), now+chain.Time(genesis.Hour)))
		if r[0].Code != mail.CodeStored {
			end.Must(fmt.Errorf("item %d: %s", i, r[0].Code))
		}
		fmt.Printf("%d %x\n", i, r[0].Body)
	}
}

func TestNothingWithAReceiptIsLostInACrash(t *testing.T) {
	for _, point := range []string{"before-commit", "after-commit", "after-receipt"} {
		for _, after := range []int{1, 2, 9, 20} {
			t.Run(fmt.Sprintf("%s %d", point, after), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				lines := testenv.Killed(t, dir, point, after)
				l, err := mailbox.OpenLevel(dir, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				m := open(t, l, nil)
				receipts := 0
				kept := map[byte]bool{}
				for pair := byte(0); pair < 10; pair += 2 {
					for _, n := range contents(t, m, pair, now) {
						kept[n] = true
					}
				}
				for _, line := range lines {
					var n byte
					var receipt string
					if _, err := fmt.Sscan(line, &n, &receipt); err != nil {
						continue
					}
					receipts++
					if !kept[n] {
						t.Errorf("item %d has a receipt and is gone", n)
					}
					// Stored again, it gives the same receipt.
					r := one(t, m, now, store(n, 2*(n/8), now+chain.Time(genesis.Hour)))
					if hex.EncodeToString(r.Body) != receipt {
						t.Errorf("item %d: another receipt", n)
					}
				}
				if receipts != after-1 || len(kept) < receipts || len(kept) > receipts+1 || m.Items() != len(kept) {
					t.Errorf("%d receipts, %d items kept, %d counted", receipts, len(kept), m.Items())
				}
			})
		}
	}
}
