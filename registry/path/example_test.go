package path_test

import (
	"fmt"

	"tunic/registry/path"
)

// A client makes its list ready once an epoch, keeps its guards, and draws a
// path to a mailbox member.
func Example() {
	k := path.New(list(relays(12)), nil, params()) // a verified list, its header's removals
	var guards path.Guards                         // kept on disk
	o := path.Options{Target: id(7)}

	hops, err := guards.Choose(k, nil, o, day, seed(1)) // path.FromReader(rand.Reader) in earnest
	if err != nil {
		fmt.Println(err)
		return
	}
	o.Guard = guards.Sample[0].Node // as kept, not drawn for this path
	fmt.Print(k.Explain(hops, o))
	// Output:
	// 12 listed, 12 usable
	// guard   000b0000  as asked
	// target  00070000  as asked
	// exit    00010000  weight 1000000 of 10000000 (10.0 %) among 10 candidates; not: 2 already in the path
	// middle  00080000  weight 1000000 of 9000000 (11.1 %) among 9 candidates; not: 3 already in the path
}
