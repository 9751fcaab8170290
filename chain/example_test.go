package chain_test

import (
	"fmt"

	"tunic/chain"
)

// A kind of transaction is one table, from which payload, digest and JSON
// derive.
func ExampleDefine() {
	type transfer struct {
		chain.Head
		To     chain.Address
		Amount chain.Amount
	}
	kind := chain.Define(chain.KindTransfer, "Transfer", func(v *transfer) *chain.Head { return &v.Head },
		chain.Addr("to", func(v *transfer) *chain.Address { return &v.To }),
		chain.Uint64("amount", func(v *transfer) *chain.Amount { return &v.Amount }))

	payload := kind.Encode(transfer{Head: chain.Head{Nonce: 7, Fee: 1000, ValidUntil: 99}, Amount: 5 * chain.TUN})
	message, err := kind.Schema().MarshalMessage(payload)
	fmt.Println(kind.Schema().TypeString())
	fmt.Println(string(message), err)
	// Output:
	// Transfer(uint64 nonce,uint64 fee,uint64 validUntil,address to,uint64 amount)
	// {"nonce":"7","fee":"1000","validUntil":"99","to":"0x0000000000000000000000000000000000000000","amount":"5000000000"} <nil>
}

func ExampleParseTUN() {
	a, err := chain.ParseTUN("12.5")
	fmt.Println(uint64(a), a, err)
	// Output: 12500000000 12.5 <nil>
}
