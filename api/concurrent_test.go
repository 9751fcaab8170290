package api_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"tunic/chain"
)

// TestConcurrent reads everything from many sides while blocks are sealed and
// epochs begin; the race detector watches.
func TestConcurrent(t *testing.T) {
	w := running(t, nil)
	paths := []string{"/healthz", "/readyz", "/v1/status", "/v1/network", "/v1/chain/eip712", "/v1/blocks", "/v1/blocks/latest", "/v1/headers/1",
		"/v1/accounts", "/v1/accounts/" + w.accounts[0].at.String() + "?proof=true", "/v1/stakes", "/v1/nodes", "/v1/nodes/" + w.relays[0].id.String(),
		"/v1/directory", "/v1/directory/delta?since=0", "/v1/directory/" + w.relays[0].id.String() + "/proof", "/v1/slashes", "/api/service_nodes",
		"/v1/epochs", "/v1/epochs/latest", "/v1/epochs/latest/quorums", "/v1/transactions", "/v1/transactions?status=pending", "/v1/rewards", "/v1/unlocking", "/v1/disclosures",
		"/v1/nodes/" + w.relays[0].id.String() + "/epochs", "/v1/nodes/" + w.relays[0].id.String() + "/explain"}
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for i := range 4 {
		readers.Go(func() {
			for n := i; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				res, err := w.client.Get("http://api.test" + paths[n%len(paths)])
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if res.StatusCode != http.StatusOK {
					t.Errorf("%s: %s", paths[n%len(paths)], res.Status)
				}
			}
		})
	}
	for e := chain.Epoch(2); e < 6; e++ {
		w.must(w.submit(w.transfer(w.accounts[0], w.accounts[1], 1)))
		w.publish(w.relays[0], e)
		w.seal()
		w.epoch(e)
	}
	close(stop)
	readers.Wait()
}

// BenchmarkRequest is what one request costs beside the socket.
func BenchmarkRequest(b *testing.B) {
	w := running(b, nil)
	for _, path := range []string{"/healthz", "/v1/directory", "/v1/status", "/v1/blocks/latest"} {
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rec := httptest.NewRecorder()
				w.handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
				if rec.Code != http.StatusOK {
					b.Fatal(rec.Code, rec.Body)
				}
			}
		})
	}
}
