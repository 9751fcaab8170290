package api_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"

	"tunic/api"
	"tunic/api/oas"
	"tunic/chain"
	"tunic/ledger"
)

// TestPruned: a ledger that began from a snapshot of height 5 says of what is
// below which block is its first, and answers everything else.
func TestPruned(t *testing.T) {
	_, c, blocks := committed(t)
	feed := func(l *ledger.Ledger, blocks []chain.Block) {
		t.Helper()
		n, err := l.Import(t.Context(), func(yield func([]byte, error) bool) {
			for _, b := range blocks {
				if !yield(b.Encode(), nil) {
					return
				}
			}
		})
		if err != nil || n != len(blocks) {
			t.Fatalf("%d blocks, %v", n, err)
		}
	}
	old, err := ledger.Open(t.Context(), ledger.Config{Dir: t.TempDir(), Genesis: c.Genesis})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	feed(old, blocks[:5])
	write, err := old.Freeze(nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	f, err := write(t.Context())
	if err != nil || len(f.Chunks) != 1 {
		t.Fatalf("%+v, %v", f, err)
	}
	file, err := old.StateChunkAt(5, 0)
	if err != nil {
		t.Fatal(err)
	}
	w := empty(t, func(cfg *api.Config, l *ledger.Config) {
		cfg.Network = c.Genesis.Network()
		*l = ledger.Config{Genesis: c.Genesis}
	})
	if err := w.ledger.Attach(func(context.Context, []byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := w.ledger.Restore(t.Context(), bytes.NewReader(file), old.Certificate); err != nil {
		t.Fatal(err)
	}
	pruned := func(path string) {
		t.Helper()
		a := w.get(path)
		w.refused(a, http.StatusNotFound, "pruned")
		if path != "" && !strings.Contains(string(a.body), "6") {
			t.Errorf("%s: %s", path, a.body)
		}
	}
	var head oas.Header
	w.ok("/v1/headers/latest", &head) // right after the restore there is no whole block
	if head.Height != 5 {
		t.Fatalf("head %+v", head)
	}
	pruned("/v1/blocks/latest")
	w.ok("/v1/headers/5", nil)
	list := func(total int64) {
		t.Helper()
		var l oas.ListBlocks200JSONResponse
		w.ok("/v1/blocks?limit=100", &l)
		if l.Total != total || len(l.Items) != int(total) || l.NextCursor != nil {
			t.Fatalf("%+v", l)
		}
	}
	list(1)
	w.ok("/v1/chain/certificates/6", nil)
	feed(w.ledger, blocks[5:])
	w.ok("/v1/blocks/latest", nil)
	w.ok("/v1/blocks/6", nil)
	list(3)
	for _, path := range []string{"/v1/blocks/5", "/v1/blocks/1", "/v1/headers/4", "/v1/chain/certificates/5", "/v1/events?since=3"} {
		pruned(path)
	}
	w.refused(w.get("/v1/blocks/9"), http.StatusNotFound, "block_not_found")
	w.refused(w.get("/v1/nodes?height=4"), http.StatusGone, "height_not_kept")
	var v oas.Validators
	w.ok("/v1/chain/validators", &v)
	if v.From != 6 {
		t.Fatalf("%+v", v)
	}
	for _, path := range []string{"/", "/blocks", "/nodes", "/epochs", "/map", "/v1/nodes", "/v1/status", "/v1/directory", "/v1/epochs", "/v1/epochs/latest", "/v1/slashes", "/v1/blocks"} {
		if a := w.get(path); a.StatusCode != http.StatusOK {
			t.Errorf("%s: %s\n%s", path, a.Status, a.body)
		}
	}
}
