package main

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"tunic/api/feed"
	"tunic/chain"
	"tunic/internal/wire"
	"tunic/ledger/light"
	"tunic/node"
)

// doubleSealCmd seals two headers for height 1 with a ledger's key and writes
// them as a feed, a relay and a client do; one of the two is what the API gives:
// doubleseal DIR URL FEED RELAY CLIENT.
func doubleSealCmd(ts *testscript.TestScript, _ bool, args []string) {
	seed, err := hex.DecodeString(strings.TrimSpace(ts.ReadFile(args[0] + "/" + node.SealerFile)))
	ts.Check(err)
	n, err := node.ReadNetwork(ts.MkAbs(args[0] + "/" + node.NetworkFile))
	ts.Check(err)
	key := ed25519.NewKeyFromSeed(seed)
	req, err := http.NewRequest(http.MethodGet, args[1]+"/v1/headers/1", nil)
	ts.Check(err)
	req.Header.Set("Accept", "application/octet-stream")
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	ts.Check(err)
	one, err := chain.DecodeSealedHeader(b)
	ts.Check(err)
	if one.Header.Genesis != n.Genesis {
		ts.Fatalf("%s is of another network", args[1])
	}
	h := one.Header
	h.State[0] ^= 1
	two := &light.TwoHeads{First: one, Second: light.Seal(key, h)}
	ts.Check(feed.SaveConflict(ts.MkAbs(args[2]), two))
	ts.Check(os.WriteFile(ts.MkAbs(args[3]), []byte(fmt.Sprintf("two headers\n\nheader a:\n%x\n\nheader b:\n%x\n", two.First.Encode(), two.Second.Encode())), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[4]), wire.AppendBytes(wire.AppendBytes(nil, two.First.Encode()), two.Second.Encode()), 0o600))
}
