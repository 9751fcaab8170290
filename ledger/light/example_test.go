package light_test

import (
	"fmt"

	"tunic/chain"
	"tunic/ledger/light"
)

// Whoever serves headers and lists is not trusted; the network file is.
func Example() {
	net := network(1) // genesis.ParseNetwork of the file in earnest
	v, err := light.New(net)
	if err != nil {
		fmt.Println(err)
		return
	}
	served := history(net, 12, nil)[11]
	fmt.Println("header:", v.Accept(served, served.Header.Time, true))
	fmt.Println("its list:", v.List(mustList(1, nil)))
	fmt.Println("another list:", v.List(mustList(1, entries(3))))

	served.Header.Removals = []chain.NodeID{{1}}
	fmt.Println("changed header:", v.CheckHeader(served) != nil)
	// Output:
	// header: <nil>
	// its list: <nil>
	// another list: directory: does not match the header
	// changed header: true
}
