package httpx_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tunic/internal/httpx"
)

// TestGiveWay: heavy requests wait for their turn, for so long and no longer;
// others never do.
func TestGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		var served atomic.Int64
		h := httpx.GiveWay(2, 50*time.Millisecond,
			func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/heavy") },
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				served.Add(1)
				if r.URL.Path == "/heavy/slow" {
					<-done
				}
				_, _ = io.WriteString(w, "ok")
			}))
		client := &http.Client{Transport: httpx.InMemory(h)}
		get := func(ctx context.Context, path string) (time.Duration, error) {
			begin := time.Now()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://here"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := client.Do(req)
			if err != nil {
				return time.Since(begin), err
			}
			_, err = io.ReadAll(res.Body)
			res.Body.Close()
			return time.Since(begin), err
		}
		for range 2 {
			go func() { _, _ = get(t.Context(), "/heavy/slow") }()
		}
		synctest.Wait()
		if took, err := get(t.Context(), "/light"); took != 0 || err != nil {
			t.Errorf("a light request took %v, %v", took, err)
		}
		if took, err := get(t.Context(), "/heavy"); took != 50*time.Millisecond || err != nil {
			t.Errorf("a heavy request behind slow ones took %v, %v, want its wait", took, err)
		}
		gone, goes := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer goes()
		before := served.Load()
		if _, err := get(gone, "/heavy"); err == nil {
			t.Error("who goes is answered")
		}
		if synctest.Wait(); served.Load() != before {
			t.Error("who went is served")
		}
		go func() { time.Sleep(20 * time.Millisecond); close(done) }()
		if took, err := get(t.Context(), "/heavy"); took != 20*time.Millisecond || err != nil {
			t.Errorf("a heavy request whose turn came took %v, %v", took, err)
		}
		synctest.Wait()
		if took, err := get(t.Context(), "/heavy"); took != 0 || err != nil {
			t.Errorf("turns do not come back: %v, %v", took, err)
		}
	})
}

// TestGiveWayToOthers: while others ask, half of the turns are theirs.
func TestGiveWayToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := httpx.GiveWay(2, time.Second,
			func(r *http.Request) bool { return r.URL.Path == "/heavy" },
			http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/heavy" {
					time.Sleep(10 * time.Millisecond)
				}
			}))
		client := &http.Client{Transport: httpx.InMemory(h)}
		get := func(path string) {
			res, err := client.Get("http://here" + path)
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
		}
		four := func() time.Duration {
			begin := time.Now()
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() { get("/heavy") })
			}
			wg.Wait()
			return time.Since(begin)
		}
		if took := four(); took != 20*time.Millisecond {
			t.Errorf("alone, four in two turns took %v", took)
		}
		get("/light")
		if took := four(); took != 40*time.Millisecond {
			t.Errorf("beside others, four in one turn took %v", took)
		}
		time.Sleep(100 * time.Millisecond)
		if took := four(); took != 20*time.Millisecond {
			t.Errorf("alone again, four took %v", took)
		}
	})
}
