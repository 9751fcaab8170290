package pages_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/devnet"
	"tunic/ledger/machine"
	"tunic/slashing"
)

// world is a devnet with a past: epochs, transactions, a verdict of a quorum,
// and two nodes that were proven to cheat.
type world struct {
	*devnet.Network
	offence map[slashing.Kind]string // one id of each kind
}

// Who does what, by the relays' numbers.
const (
	doubleSigner = 11
	doubleVoter  = 10
	silent       = 9
	laterSigner  = 5 // while a browser looks on
)

func startWorld(t testing.TB) *world {
	t.Helper()
	relays, operators := 12, 7
	if *screenshots != "" {
		relays, operators = pictured, 17
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	d, err := devnet.Start(context.Background(), devnet.Spec{Relays: relays, Operators: operators, Contributors: 3, Clients: 0, Seed: 7, HTTP: "127.0.0.1:0"})
	must("start", err)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	n := &world{Network: d, offence: map[slashing.Kind]string{}}
	must("advance", d.AdvanceEpochs(ctx, 2))
	for i := range 3 {
		must("fund", d.Fund(ctx, d.Accounts[i].Address(), chain.TUN))
	}
	d.Silence(silent)
	must("double vote", d.DoubleVote(ctx, doubleVoter, 2))
	must("seal", d.Seal(ctx))
	must("advance", d.AdvanceEpochs(ctx, 2))
	_, err = d.DoubleDescriptor(ctx, doubleSigner)
	must("double descriptor", err)
	must("seal", d.Seal(ctx))
	must("advance", d.AdvanceEpochs(ctx, 2))
	d.Ledger.View(func(m *machine.Machine) {
		for _, r := range m.Slashing().All() {
			n.offence[r.Kind] = r.ID.String()
		}
	})
	for _, kind := range []slashing.Kind{slashing.DoubleDescriptor, slashing.DoubleVote, slashing.Unavailable} {
		if n.offence[kind] == "" {
			t.Fatalf("no %v was punished: %v", kind, n.offence)
		}
	}
	return n
}

// pages are the paths of all pages of openapi.yaml, each as a reader would open
// it, some twice.
func (n *world) pages(t testing.TB) []string {
	t.Helper()
	spec, err := oas.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	head := n.Ledger.Head().Header
	var tx string
	for h := head.Height; h > 0 && tx == ""; h-- {
		b, err := n.Ledger.Block(h)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range b.Txs {
			tx = chain.SHA256(x).String()
		}
	}
	last := n.offence
	is := map[string][]string{
		"/blocks/{block}":     {fmt.Sprint("/blocks/", head.Height), "/blocks/1"},
		"/transactions/{id}":  {"/transactions/" + tx},
		"/accounts/{address}": {"/accounts/" + n.Accounts[0].Address().String()},
		"/nodes":              {"/nodes", "/nodes?state=decommissioned", "/nodes?search=zz"},
		"/nodes/{node}":       {"/nodes/" + n.Relays[0].ID.String(), "/nodes/" + n.Relays[silent].ID.String(), "/nodes/" + n.Relays[doubleSigner].ID.String()},
		"/directory":          {"/directory", fmt.Sprintf("/directory?epoch=%d&with=2", head.DirEpoch)},
		"/slashes/{offence}":  {"/slashes/" + last[slashing.DoubleDescriptor], "/slashes/" + last[slashing.DoubleVote], "/slashes/" + last[slashing.Unavailable]},
		"/epochs/{epoch}":     {"/epochs/latest", fmt.Sprint("/epochs/", head.DirEpoch-1)},
		"/search":             {"/search?q=" + n.Relays[0].ID.String()[:6], "/search?q=nothing"},
		"/assets/{file}":      nil, // no page
		"/docs/{file}":        nil,
		"/docs":               {docsPath},
	}
	var all []string
	for _, path := range spec.Paths.InMatchingOrder() {
		op := spec.Paths.Value(path).Get
		if op == nil || len(op.Tags) != 1 || op.Tags[0] != "pages" {
			continue
		}
		opened, known := is[path]
		switch {
		case known:
			all = append(all, opened...)
		case strings.Contains(path, "{"):
			t.Errorf("no example of page %s", path)
		default:
			all = append(all, path)
		}
	}
	return all
}

// proof is the proof file behind an offence, as a reader downloads it.
func (n *world) proof(t testing.TB, offence string) []byte {
	t.Helper()
	res, err := http.Get(n.URL + "/v1/slashes/" + offence + "/proof")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("proof: %d %v", res.StatusCode, err)
	}
	return b
}
