package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"tunic/api"
	"tunic/internal/httpx"
)

// HTTPFigures are of servers that take turns, all on 127.0.0.1:
//
//   - the API with all its middleware, on httpx.NewServer;
//   - a bare gin handler, which gives the very same answer, the request id as a
//     constant, on httpx.NewServer too: so that nothing but the API and its
//     middleware differs;
//   - the least: a bare gin handler with no header field that the body does not
//     need, on a plain http.Server, so without any time limit;
//   - nginx, where it is installed, with the same answer.
//
// They share the machine's cores with what makes the load, alike.
type HTTPFigures struct {
	Connections  int           `json:"connections"`
	Rounds       int           `json:"rounds"`
	RoundMS      int64         `json:"round_ms"`  // load of one server in one round
	Generator    string        `json:"generator"` // "process": of its own; "goroutines": of the servers' process
	ListBytes    int           `json:"list_bytes"`
	GzipBytes    int           `json:"gzip_bytes"`
	Nginx        string        `json:"nginx,omitempty"` // its version; none where it is not installed
	NginxWorkers int           `json:"nginx_workers,omitempty"`
	Goal         float64       `json:"goal"` // of ratio
	Gzip         AnswerFigures `json:"gzip"`
	NotModified  AnswerFigures `json:"not_modified"`
}

// AnswerFigures are requests per second for one kind of answer: medians over
// the rounds. Ratios are medians of the rounds' own ratios. What other programs
// take from the cores hits the processor time of an answer less than requests
// per second.
type AnswerFigures struct {
	PerS       int64   `json:"per_s"`
	GinPerS    int64   `json:"gin_per_s"`
	CPUUS      float64 `json:"cpu_us"` // processor time of one answer, of server and generator together; 0 where the system does not say
	GinCPUUS   float64 `json:"gin_cpu_us"`
	CPURatio   float64 `json:"cpu_ratio"`       // gin_cpu_us / cpu_us
	Ratio      float64 `json:"ratio"`           // of a bare gin handler with the same answer
	RatioLow   float64 `json:"ratio_low"`       // a quarter of the rounds lie below
	RatioHigh  float64 `json:"ratio_high"`      // a quarter of the rounds lie above
	LeastPerS  int64   `json:"gin_least_per_s"` // the least that gin can do
	LeastRatio float64 `json:"gin_least_ratio"`
	NginxPerS  int64   `json:"nginx_per_s,omitempty"`
	NginxRatio float64 `json:"nginx_ratio,omitempty"`
}

const directoryPath = "/v1/directory"

// target is one server under load.
type target struct {
	addr string
	etag string // what it answers 304 to
}

// measureHTTP serves the list from all servers and loads them in turn.
func (w *world) measureHTTP(ctx context.Context, opts DirectoryOptions, tell func(done, all int)) (HTTPFigures, error) {
	f := HTTPFigures{Connections: opts.Connections, Rounds: opts.Rounds, RoundMS: opts.Load.Milliseconds(), Generator: "goroutines", Goal: DirectoryHTTPGoal}
	h, err := api.New(api.Config{Ledger: w.ledger, Network: w.genesis.Network(), Version: "bench", ReadOrigins: []string{"https://explorer.example"},
		// On, and never in the way.
		Limits: &httpx.LimiterConfig{PerSecond: 1e9, Burst: 1e9}})
	if err != nil {
		return f, err
	}
	ours, stop, err := serve(httpx.NewServer(h))
	if err != nil {
		return f, err
	}
	defer stop()
	raw, _, err := fetch(ctx, ours, "", false)
	if err != nil {
		return f, err
	}
	body, answer, err := fetch(ctx, ours, "", true)
	if err != nil {
		return f, err
	}
	_, unchanged, err := fetch(ctx, ours, answer.Get("ETag"), true)
	if err != nil {
		return f, err
	}
	f.ListBytes, f.GzipBytes = len(raw), len(body)

	targets := []target{{addr: ours}}
	least := http.Header{}
	for _, name := range []string{"Content-Type", "Content-Length", "Content-Encoding", "Etag"} {
		least[name] = answer[name]
	}
	for _, s := range []*http.Server{httpx.NewServer(bareGin(body, answer, unchanged)),
		{Handler: bareGin(body, least, http.Header{"Etag": answer["Etag"]})}} {
		addr, stop, err := serve(s)
		if err != nil {
			return f, err
		}
		defer stop()
		targets = append(targets, target{addr: addr})
	}
	if path := findNginx(); path != "" {
		n, err := startNginx(ctx, path, body, answer)
		if err != nil {
			return f, err
		}
		defer n.close()
		f.Nginx, f.NginxWorkers = n.version, n.workers
		targets = append(targets, target{addr: n.addr})
	}
	for i := range targets {
		t := &targets[i]
		got, header, err := fetch(ctx, t.addr, "", true)
		if err != nil {
			return f, err
		}
		if !bytes.Equal(got, body) {
			return f, fmt.Errorf("server %d answers with other bytes", i)
		}
		t.etag = header.Get("ETag")
		if got, _, err = fetch(ctx, t.addr, t.etag, true); err != nil || got != nil {
			return f, fmt.Errorf("server %d does not answer 304 to its own tag: %w", i, err)
		}
	}

	g, err := newGenerator(ctx, opts.Generator)
	if err != nil {
		return f, err
	}
	defer g.close()
	if len(opts.Generator) > 0 {
		f.Generator = "process"
	}
	var rates, costs [2][][]float64                 // of each kind of answer, for each round, of each target
	for round := -1; round < opts.Rounds; round++ { // the first round warms up
		tell(max(0, round), opts.Rounds)
		for kind, status := range []int{http.StatusOK, http.StatusNotModified} {
			row, cost := make([]float64, len(targets)), make([]float64, len(targets))
			for k := range targets {
				i := (k + max(0, round)) % len(targets) // each is first, and last, as often
				l := load{Addr: targets[i].addr, Request: request(targets[i], status), Status: status, Connections: opts.Connections, Time: opts.Load}
				if status == http.StatusOK {
					l.Length = len(body)
				}
				before := processTime()
				done, err := g.run(ctx, l)
				if err != nil {
					return f, fmt.Errorf("load server %d: %w", i, err)
				}
				row[i] = done.perSecond()
				cost[i] = float64(processTime()-before+done.CPU) / float64(max(1, done.Answers))
			}
			if round >= 0 {
				rates[kind], costs[kind] = append(rates[kind], row), append(costs[kind], cost)
			}
		}
	}
	f.Gzip, f.NotModified = answerFigures(rates[0], costs[0]), answerFigures(rates[1], costs[1])
	return f, nil
}

// answerFigures makes them of requests per second and processor time in
// nanoseconds, by round and server: ours, gin, the least of gin, nginx.
func answerFigures(rates, costs [][]float64) AnswerFigures {
	column := func(of func(round int) float64) []float64 {
		v := make([]float64, len(rates))
		for i := range v {
			v[i] = of(i)
		}
		slices.Sort(v)
		return v
	}
	mid := len(rates) / 2
	rate := func(i int) int64 { return int64(column(func(r int) float64 { return rates[r][i] })[mid]) }
	cost := func(i int) float64 { return column(func(r int) float64 { return costs[r][i] / 1000 })[mid] }
	ratios := func(i int) []float64 {
		return column(func(r int) float64 { return rates[r][0] / max(rates[r][i], 1) })
	}
	ratio := ratios(1)
	f := AnswerFigures{PerS: rate(0), GinPerS: rate(1), Ratio: ratio[mid], RatioLow: ratio[len(ratio)/4], RatioHigh: ratio[len(ratio)*3/4],
		CPUUS: cost(0), GinCPUUS: cost(1), CPURatio: column(func(r int) float64 { return costs[r][1] / max(costs[r][0], 1) })[mid],
		LeastPerS: rate(2), LeastRatio: ratios(2)[mid]}
	if len(rates[0]) > 3 {
		f.NginxPerS, f.NginxRatio = rate(3), ratios(3)[mid]
	}
	return f
}

// bareGin serves body with gin and nothing else, no recovery, no log, no checks;
// with these header fields, for 200 and 304.
func bareGin(body []byte, full, unchanged http.Header) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	type field struct {
		name   string
		values []string
	}
	fields := func(h http.Header) (all []field) {
		for name, values := range h {
			all = append(all, field{name, values})
		}
		return all
	}
	etag, of200, of304 := full.Get("ETag"), fields(full), fields(unchanged)
	e.GET(directoryPath, func(c *gin.Context) {
		h := c.Writer.Header()
		if c.Request.Header.Get("If-None-Match") == etag {
			for _, f := range of304 {
				h[f.name] = f.values
			}
			c.Writer.WriteHeader(http.StatusNotModified)
			return
		}
		for _, f := range of200 {
			h[f.name] = f.values
		}
		c.Writer.WriteHeader(http.StatusOK)
		_, _ = c.Writer.Write(body) // the generator sees what is missing
	})
	return e
}

// serve runs s on a free port of 127.0.0.1.
func serve(s *http.Server) (addr string, stop func(), err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(ln) }() // ErrServerClosed
	return ln.Addr().String(), func() { _ = s.Close(); <-ended }, nil
}

// request is what is sent for an answer of status.
func request(t target, status int) []byte {
	b := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: tunic-bench\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n", directoryPath, t.addr)
	if status == http.StatusNotModified {
		b = fmt.Appendf(b, "If-None-Match: %s\r\n", t.etag)
	}
	return append(b, "\r\n"...)
}

// fetch asks once, for what has not the tag etag; no body where it is a 304. Date
// is left out of the header.
func fetch(ctx context.Context, addr, etag string, packed bool) (body []byte, h http.Header, err error) {
	tr := &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	c := http.Client{Transport: tr, Timeout: 30 * time.Second}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+directoryPath, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "application/json")
	if packed {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	res, err := c.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	h = res.Header
	h.Del("Date")
	if etag != "" && res.StatusCode == http.StatusNotModified {
		return nil, h, nil
	}
	if body, err = io.ReadAll(res.Body); err != nil {
		return nil, nil, err
	}
	switch {
	case res.StatusCode != http.StatusOK:
		return nil, nil, fmt.Errorf("GET %s: %s: %s", req.URL, res.Status, body)
	case packed != (res.Header.Get("Content-Encoding") == "gzip"):
		return nil, nil, fmt.Errorf("GET %s: Content-Encoding %q", req.URL, res.Header.Get("Content-Encoding"))
	case h.Get("ETag") == "":
		return nil, nil, errors.New("an answer without ETag")
	}
	return body, h, nil
}
