package path_test

import (
	"fmt"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/registry/directory"
	"tunic/registry/path"
)

func params() genesis.Params {
	p, err := genesis.For(genesis.Mainnet)
	if err != nil {
		panic(err)
	}
	return p
}

func id(n int) chain.NodeID { return chain.NodeID{0: byte(n >> 8), 1: byte(n), 31: 1} }

// relay is the n-th node: its own operator and its own /16.
func relay(n int) directory.Entry {
	return directory.Entry{
		Node: id(n), Operator: chain.Address{0: byte(n >> 8), 1: byte(n), 19: 1}, Endpoints: []string{fmt.Sprintf("10.%d.0.1:9", n)},
		Stake: 2000 * chain.TUN, Performance: 1000,
	}
}

func relays(n int) []directory.Entry {
	all := make([]directory.Entry, n)
	for i := range all {
		all[i] = relay(i)
	}
	return all
}

func list(all []directory.Entry) *directory.List {
	l, err := directory.NewList(1, all)
	if err != nil {
		panic(err)
	}
	return l
}

func picker(all []directory.Entry) *path.Picker { return path.New(list(all), nil, params()) }

func seed(n int) *beacon.Draw { return beacon.NewDraw(chain.Hash{byte(n), byte(n >> 8)}, "test") }
