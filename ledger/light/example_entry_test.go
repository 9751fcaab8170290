package light_test

import (
	"fmt"
	"os"

	"tunic/chain"
	"tunic/ledger/light"
)

// One entry and one absence, from bytes that anyone may have served: only the
// network file is trusted.
func ExampleVerifier_Entry() {
	file, _ := os.ReadFile("testdata/network.json")
	v, err := light.Open(file)
	fmt.Println("network file:", err)
	for name, id := range map[string]string{"present.bin": "62151bc0158f306a05856d2000bcd5a579051fc49f2bf32bca4aca4831882232", "absent.bin": "62151bc0158f306a05856d2000bcd5a579051fc49f2bf32bca4aca4831882233"} {
		proof, _ := os.ReadFile("testdata/" + name) // GET /v1/directory/{id}/proof, as octets
		node, _ := chain.ParseNodeID(id)
		found, err := v.Entry(proof, node)
		fmt.Println(name, "listed:", found.Listed(), found.Entry.Endpoints, err)
	}
	// Unordered output:
	// network file: <nil>
	// present.bin listed: true [127.4.0.1:22021] <nil>
	// absent.bin listed: false [] <nil>
}
