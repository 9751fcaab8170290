package directory_test

import (
	"fmt"

	"tunic/chain"
	"tunic/registry/directory"
)

// A list comes from anyone; the header, verified before, says whether it is the
// one of its epoch.
func Example() {
	made, _ := directory.NewList(7, []directory.Entry{entry(1), entry(2), entry(3)})
	header := chain.Header{DirEpoch: 7, DirCount: 3, Directory: made.Root()} // verified by ledger/light
	served := made.Encode()                                                  // by a server that nobody trusts

	list, err := directory.Decode(served)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("as served:", list.Check(header))

	fewer, _ := directory.NewList(7, list.Entries[:2])
	fmt.Println("one node left out:", fewer.Check(header))

	listed, err := list.Prove(entry(9).Node).Verify(header)
	fmt.Println("a stranger is listed:", listed, err)
	// Output:
	// as served: <nil>
	// one node left out: directory: does not match the header
	// a stranger is listed: false <nil>
}
