package staking

import "tunic/chain"

// Contribute adds stake to a registered node.
type Contribute struct {
	chain.Head
	Node   chain.NodeID
	Amount chain.Amount
}

// RequestUnlock starts the unlocking of a whole node; its operator or any
// contributor may.
type RequestUnlock struct {
	chain.Head
	Node chain.NodeID
}

// Withdraw pays out the sender's accrued rewards and, once matured, its stake.
type Withdraw struct {
	chain.Head
	Node chain.NodeID
}

// The kinds of transactions.
var (
	ContributeType = chain.Define(chain.KindContribute, "Contribute",
		func(v *Contribute) *chain.Head { return &v.Head },
		chain.Bytes32("node", func(v *Contribute) *chain.NodeID { return &v.Node }),
		chain.Uint64("amount", func(v *Contribute) *chain.Amount { return &v.Amount }))
	RequestUnlockType = chain.Define(chain.KindRequestUnlock, "RequestUnlock",
		func(v *RequestUnlock) *chain.Head { return &v.Head },
		chain.Bytes32("node", func(v *RequestUnlock) *chain.NodeID { return &v.Node }))
	WithdrawType = chain.Define(chain.KindWithdraw, "Withdraw",
		func(v *Withdraw) *chain.Head { return &v.Head },
		chain.Bytes32("node", func(v *Withdraw) *chain.NodeID { return &v.Node }))
)
