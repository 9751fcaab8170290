package bench_test

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tunic/devnet/bench"
)

// TestDirectory looks at the shape of a short run: every server answered, lists
// verified, deltas led where they should; what it measured is for people.
func TestDirectory(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{nil, {exe, "generate"}} {
		var told []int
		opts := bench.DirectoryOptions{Nodes: 150, Rounds: 1, Load: 20 * time.Millisecond, Connections: 3, Verify: []int{1, 77}, Relays: 6, Epochs: 2,
			Generator: command, Tell: func(done, all int) { told = append(told, done*1000/all) }}
		r, err := bench.Directory(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s", b)
		h := r.HTTP
		if r.Nodes != 150 || h.GzipBytes <= 0 || h.ListBytes <= h.GzipBytes || (h.Generator == "process") != (command != nil) {
			t.Errorf("measured %+v", h)
		}
		for _, f := range []bench.AnswerFigures{h.Gzip, h.NotModified} {
			if f.PerS <= 0 || f.GinPerS <= 0 || f.LeastPerS <= 0 || f.Ratio <= 0 || f.LeastRatio <= 0 || (f.NginxPerS > 0) != (h.Nginx != "") || (f.NginxRatio > 0) != (h.Nginx != "") {
				t.Errorf("measured %+v", f)
			}
		}
		if len(r.Verify) != 2 || r.Verify[1].Entries != 77 || r.Verify[1].Bytes <= 77*203 || r.Verify[1].Ratio <= 0 {
			t.Errorf("measured %+v", r.Verify)
		}
		// Per entry 203 bytes, endpoint and version; a delta carries of a change
		// index and fields, six bytes, and what changed: of performance 2.
		d := r.Delta.Nodes
		if len(d) != 4 || d[0].Bytes != 65 || d[1].Bytes != 65+150*8 || d[2].Bytes <= d[1].Bytes || d[3].Bytes <= d[2].Bytes || d[3].Bytes >= d[3].ListBytes {
			t.Errorf("measured %+v", d)
		}
		if d[1].Beside != 0 || d[2].Beside <= 0 || d[3].Beside <= d[2].Beside || d[2].Entries != 150 {
			t.Errorf("measured %+v", d)
		}
		if n := r.Delta.Devnet; n.DeltaFigures.Entries != 6 || n.Epochs != 2 || n.Bytes < 65 || n.Bytes >= n.ListBytes {
			t.Errorf("measured %+v", n)
		}
		if !slices.IsSorted(told) || len(told) == 0 || told[len(told)-1] > 1000 {
			t.Errorf("told %v", told)
		}
	}
}

// TestDirectoryFields: scripts read these.
func TestDirectoryFields(t *testing.T) {
	b, err := json.Marshal(bench.DirectoryResult{Verify: make([]bench.VerifyFigures, 1), Delta: bench.DeltaResult{Nodes: make([]bench.DeltaFigures, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	delta := `"what":"","entries":0,"bytes":0,"gzip_bytes":0,"list_bytes":0,"list_gzip_bytes":0,"share":0,"gzip_share":0,"share_beside":0,"make_us":0,"apply_us":0,"list_us":0,"apply_ratio":0}`
	answer := `{"per_s":0,"gin_per_s":0,"cpu_us":0,"gin_cpu_us":0,"cpu_ratio":0,"ratio":0,"ratio_low":0,"ratio_high":0,"gin_least_per_s":0,"gin_least_ratio":0}`
	want := `{"cores":0,"nodes":0,"http":{"connections":0,"rounds":0,"round_ms":0,"generator":"","list_bytes":0,"gzip_bytes":0,"goal":0,"gzip":` + answer + `,"not_modified":` + answer + `},` +
		`"verify":[{"entries":0,"bytes":0,"verify_us":0,"hash_us":0,"ratio":0,"goal":0,"allocs":0}],` +
		`"delta":{"devnet":{"relays":0,"epochs":0,"changes":null,` + delta + `,"nodes":[{` + delta + `],"goal":0}}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
}

func TestDirectoryRefusals(t *testing.T) {
	for _, opts := range []bench.DirectoryOptions{{Nodes: 9}, {Nodes: 10_001}, {Rounds: -1}, {Load: 11 * time.Second}, {Connections: 1025}, {Verify: []int{0}}, {Relays: 3}, {Epochs: 101}} {
		if _, err := bench.Directory(t.Context(), opts); err == nil {
			t.Errorf("%+v: no error", opts)
		}
	}
}

// TestGenerate: an answer that is not as it should be is no answer counted.
func TestGenerate(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/gone":
			http.Error(w, "gone", http.StatusGone)
		default:
			_, _ = w.Write(bytes.Repeat([]byte("x"), 100_000))
		}
	})}
	go s.Serve(ln)
	defer s.Close()
	run := func(path string, status, length, connections int) (answers int64, failed string, err error) {
		in, _ := json.Marshal(map[string]any{"addr": ln.Addr().String(), "request": []byte("GET " + path + " HTTP/1.1\r\nHost: here\r\n\r\n"),
			"status": status, "length": length, "connections": connections, "time": 10 * time.Millisecond})
		var out bytes.Buffer
		if err := bench.Generate(t.Context(), bytes.NewReader(in), &out); err != nil {
			return 0, "", err
		}
		var done struct {
			Answers int64
			Failed  string
		}
		return done.Answers, done.Failed, json.Unmarshal(out.Bytes(), &done)
	}
	// Over several writes a body has no length of its own.
	if n, failed, err := run("/", 200, 100_000, 2); err != nil || failed == "" || n != 0 {
		t.Errorf("chunks: %d %q %v", n, failed, err)
	}
	if _, failed, err := run("/gone", 200, 5, 1); err != nil || !strings.Contains(failed, "status 410") {
		t.Errorf("status: %q %v", failed, err)
	}
	if _, failed, err := run("/gone", 410, 6, 1); err != nil || !strings.Contains(failed, "5 bytes") {
		t.Errorf("length: %q %v", failed, err)
	}
	if _, _, err := run("/gone", 410, 5, 0); err == nil {
		t.Error("no connections: no error")
	}
	if err := bench.Generate(t.Context(), strings.NewReader("{"), new(bytes.Buffer)); err == nil {
		t.Error("half a load: no error")
	}
}
