// Verify prints whether nodes are listed: go run ./docs/examples/verify network.json NODE...
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"

	"tunic/chain"
	"tunic/ledger/light"
)

func main() {
	v := must(light.Open(must(os.ReadFile(os.Args[1])))) // nothing else is trusted
	for _, id := range os.Args[2:] {
		req := must(http.NewRequest("GET", v.Network().URLs[0]+"/v1/directory/"+id+"/proof", nil))
		req.Header.Set("Accept", "application/octet-stream")
		found := must(v.Entry(must(io.ReadAll(must(http.DefaultClient.Do(req)).Body)), must(chain.ParseNodeID(id))))
		fmt.Println(id, "listed:", found.Listed(), "epoch:", found.Header.Header.DirEpoch, found.Entry.Endpoints)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
