package httpx_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tunic/internal/httpx"
)

// echo answers in each way the comparison below asks for.
func echo() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %q %q host=%v len=%d %s %v", r.Method, r.RequestURI, r.URL.String(), r.URL.Query(), r.Host != "", r.ContentLength, body, err)
	})
	mux.HandleFunc("/empty", func(w http.ResponseWriter, r *http.Request) {})
	mux.HandleFunc("/created", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Early", "1")
		w.WriteHeader(201)
		w.WriteHeader(500)            // too late
		w.Header().Set("X-Late", "1") // likewise
		io.WriteString(w, "<html>")
	})
	mux.HandleFunc("/none", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(204)
		_, err := io.WriteString(w, "x")
		if !errors.Is(err, http.ErrBodyNotAllowed) {
			panic(err)
		}
	})
	mux.HandleFunc("/long", func(w http.ResponseWriter, r *http.Request) {
		for range 100 {
			w.Write(bytes.Repeat([]byte("long"), 1000))
		}
	})
	mux.HandleFunc("/flushed", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "a")
		http.NewResponseController(w).Flush()
		io.WriteString(w, "b")
	})
	mux.HandleFunc("/short", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "5")
		io.WriteString(w, "abc")
	})
	mux.HandleFunc("/exact", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "3")
		io.WriteString(w, "abc")
		if _, err := io.WriteString(w, "d"); !errors.Is(err, http.ErrContentLength) {
			panic(err)
		}
	})
	mux.HandleFunc("/abort", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "a")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/limited", func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 3))
		fmt.Fprint(w, err)
	})
	mux.HandleFunc("/here", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/empty", http.StatusFound) })
	return mux
}

// TestInMemoryIsLikeASocket asks a handler the same questions over a connection
// and in memory.
func TestInMemoryIsLikeASocket(t *testing.T) {
	ts := httptest.NewUnstartedServer(echo())
	ts.Config.ErrorLog = log.New(io.Discard, "", 0) // it remarks on the second WriteHeader
	ts.Start()
	defer ts.Close()
	socket := ts.Client()
	socket.Transport.(*http.Transport).DisableCompression = true
	memory := &http.Client{Transport: httpx.InMemory(echo())}

	type answer struct {
		status   string
		length   int64
		body     string
		err      error
		ctype    string
		early    string
		late     string
		location string
	}
	ask := func(c *http.Client, method, path, body string, unknown bool) answer {
		t.Helper()
		var r io.Reader
		if body != "" {
			r = strings.NewReader(body)
		}
		if unknown {
			r = io.MultiReader(r)
		}
		req, err := http.NewRequest(method, ts.URL+path, r)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(method, path, err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		h := resp.Header
		return answer{resp.Status, resp.ContentLength, string(b), err, h.Get("Content-Type"), h.Get("X-Early"), h.Get("X-Late"), resp.Request.URL.Path}
	}
	for _, c := range []struct {
		method, path, body string
		unknown            bool
	}{
		{"GET", "/echo?a=1&b=%20x#frag", "", false},
		{"POST", "/echo", "hello", false},
		{"PUT", "/echo", "hello", true},
		{"GET", "/empty", "", false},
		{"HEAD", "/echo", "", false},
		{"HEAD", "/empty", "", false},
		{"HEAD", "/long", "", false},
		{"GET", "/created", "", false},
		{"GET", "/none", "", false},
		{"GET", "/long", "", false},
		{"GET", "/flushed", "", false},
		{"GET", "/short", "", false},
		{"GET", "/exact", "", false},
		{"GET", "/abort", "", false},
		{"POST", "/limited", "hello", false},
		{"GET", "/here", "", false},
		{"GET", "/nothing", "", false},
	} {
		want := ask(socket, c.method, c.path, c.body, c.unknown)
		if got := ask(memory, c.method, c.path, c.body, c.unknown); got != want {
			t.Errorf("%s %s\nin memory     %.300q\nover a socket %.300q", c.method, c.path, fmt.Sprint(got), fmt.Sprint(want))
		}
	}
}

func TestInMemoryStreams(t *testing.T) {
	next := make(chan string)
	client := &http.Client{Transport: httpx.InMemory(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		for s := range next {
			io.WriteString(w, s)
		}
	}))}
	resp, err := client.Get("http://tunic/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 10)
	for _, s := range []string{"one", "two"} {
		next <- s
		if n, err := io.ReadFull(resp.Body, buf[:3]); string(buf[:n]) != s || err != nil {
			t.Fatalf("%q, %v", buf[:n], err)
		}
	}
	close(next)
	if n, err := resp.Body.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("%d, %v", n, err)
	}
}

// TestInMemoryCancel: in each way a client can go away, the handler learns of it.
func TestInMemoryCancel(t *testing.T) {
	type key struct{}
	for _, c := range []struct {
		name  string
		begin bool // the answer has begun when the client goes
		leave func(cancel func(), resp *http.Response)
	}{
		{"before the answer", false, nil},
		{"during the answer", true, func(cancel func(), _ *http.Response) { cancel() }},
		{"by closing the body", true, func(_ func(), resp *http.Response) { resp.Body.Close() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			started, ended := make(chan struct{}), make(chan error, 1)
			client := &http.Client{Transport: httpx.InMemory(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Context().Value(key{}) != nil {
					t.Error("the handler sees the client's context values")
				}
				if c.begin {
					http.NewResponseController(w).Flush()
				}
				close(started)
				<-r.Context().Done()
				var err error
				for err == nil { // a write must fail sooner or later
					_, err = w.Write(make([]byte, 10_000))
				}
				ended <- r.Context().Err()
			}))}
			ctx, cancel := context.WithCancel(context.WithValue(context.Background(), key{}, 1))
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, "GET", "http://tunic/", nil)
			if !c.begin {
				go func() { <-started; cancel() }()
			}
			resp, err := client.Do(req)
			if c.begin {
				if err != nil {
					t.Fatal(err)
				}
				<-started
				c.leave(cancel, resp)
				if _, err := io.ReadAll(resp.Body); err == nil {
					t.Error("a body that was cut off ends as if it were whole")
				}
				resp.Body.Close()
			} else if !errors.Is(err, context.Canceled) {
				t.Errorf("the client sees %v", err)
			}
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("the handler sees %v", err)
			}
		})
	}
}

func TestInMemoryClientTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &http.Client{Timeout: 3 * time.Second, Transport: httpx.InMemory(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}))}
		start := time.Now()
		_, err := client.Get("http://tunic/")
		if !isTimeout(err) || time.Since(start) != 3*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// TestInMemoryRequestBody: a handler that waits for the request's body wakes
// when the client cancels, and the body is always closed.
func TestInMemoryRequestBody(t *testing.T) {
	client := &http.Client{Transport: httpx.InMemory(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.ReadAll(r.Body)
	}))}
	ctx, cancel := context.WithCancel(context.Background())
	pr, pw := io.Pipe()
	req, _ := http.NewRequestWithContext(ctx, "POST", "http://tunic/", pr)
	go func() {
		pw.Write([]byte("first part"))
		cancel()
	}()
	if _, err := client.Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("the client sees %v", err)
	}
	var err error
	for err == nil { // until the body is closed
		_, err = pw.Write([]byte("x"))
	}
}

func TestInMemoryPanic(t *testing.T) {
	client := &http.Client{Transport: httpx.InMemory(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		panic("out of cheese")
	}))}
	if _, err := client.Get("http://tunic/"); err == nil || !strings.Contains(err.Error(), "out of cheese") {
		t.Errorf("the client sees %v", err)
	}
	if _, err := httpx.InMemory(http.NotFoundHandler()).RoundTrip(&http.Request{}); err == nil {
		t.Error("a request without URL was answered")
	}
}

func TestInMemoryConcurrent(t *testing.T) {
	client := &http.Client{Transport: httpx.InMemory(echo())}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 25 {
				body := fmt.Sprint(i, "/", j)
				resp, err := client.Post("http://tunic/echo", "text/plain", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				got, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if !strings.Contains(string(got), " "+body+" ") {
					t.Errorf("%q answers %q", got, body)
				}
			}
		})
	}
	wg.Wait()
}
