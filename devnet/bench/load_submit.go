package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"sync"
	"time"

	"tunic/internal/httpx"
)

// submitter sends transfers at their times and reads blocks beside.
type submitter struct {
	addr   string
	world  *world
	every  time.Duration
	client http.Client
	txs    [][][]byte // by round
}

func (s *submitter) prepare(n, rounds int) error {
	s.client.Transport = &http.Transport{MaxIdleConnsPerHost: 64, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext}
	s.txs = make([][][]byte, rounds)
	for phase := range s.txs {
		s.txs[phase] = make([][]byte, n)
		errs := make([]error, n)
		parallel(n, func(i int) { s.txs[phase][i], errs[i] = s.world.transfer(i, uint64(phase)) })
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	return nil
}

// warm opens the connections that submitting takes and asks once for the
// directory, which is then made.
func (s *submitter) warm(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		wg.Go(func() { errs[i] = s.do(ctx, http.MethodGet, "/v1/status", nil, http.StatusOK) })
	}
	wg.Wait()
	return errors.Join(append(errs, s.do(ctx, http.MethodGet, "/v1/directory", nil, http.StatusOK))...)
}

func (s *submitter) do(ctx context.Context, method, path string, body []byte, want int) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.addr+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	res, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != want {
		err = fmt.Errorf("%s %s: %s: %s", method, path, res.Status, b)
	}
	return err
}

// phase submits its transactions, each at its time whether those before are
// answered or not, and notes when blocks come.
func (s *submitter) phase(ctx context.Context, n int) (p LoadPhase, err error) {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	blocks, err := s.watch(watching)
	if err != nil {
		return p, err
	}
	txs := s.txs[n]
	took, errs := make([]time.Duration, len(txs)), make([]error, len(txs))
	begin := time.Now()
	var wg sync.WaitGroup
	for i := range txs {
		due := begin.Add(time.Duration(i) * s.every)
		if err := sleep(ctx, time.Until(due)); err != nil {
			return p, err
		}
		wg.Go(func() {
			errs[i] = s.do(ctx, http.MethodPost, "/v1/transactions", txs[i], http.StatusAccepted)
			took[i] = time.Since(due)
		})
	}
	wg.Wait()
	stop()
	p.count(<-blocks)
	slices.Sort(took)
	p.Submits, p.Spans, p.MaxUS = len(took), spansOf(took), within(took, 1000).Microseconds()
	if p.Blocks < 3 {
		errs = append(errs, fmt.Errorf("only %d blocks in %v: submit more transactions", p.Blocks, time.Since(begin)))
	}
	return p, errors.Join(errs...)
}

// arrival is when a block is from, and when it was read.
type arrival struct{ made, read int64 } // ms, by two clocks

// watch reads heads until ctx ends, and then gives their times.
func (s *submitter) watch(ctx context.Context) (<-chan []arrival, error) {
	c, r, err := ask(ctx, s.addr, "/v1/events?types=head", "")
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { c.Close() })
	out := make(chan []arrival, 1)
	go func() {
		var all []arrival
		events := httpx.NewEventReader(httputil.NewChunkedReader(r), 1<<16)
		for {
			e, err := events.Next()
			if err != nil {
				out <- all
				return
			}
			var head struct {
				TimeMS int64 `json:"time_ms"`
			}
			if json.Unmarshal(e.Data, &head) == nil {
				all = append(all, arrival{head.TimeMS, time.Now().UnixMilli()})
			}
		}
	}()
	return out, nil
}

// count sums up the blocks that came. The clocks differ by a constant: the
// shortest way counts as none.
func (p *LoadPhase) count(all []arrival) {
	if p.Blocks = len(all); p.Blocks < 2 {
		return
	}
	first, last := all[0], all[len(all)-1]
	p.IntervalMS = float64(last.made-first.made) / float64(len(all)-1)
	least, most := int64(1<<62), int64(-1<<62)
	for i, a := range all {
		if i > 0 {
			p.LongestMS = max(p.LongestMS, a.made-all[i-1].made)
		}
		least, most = min(least, a.read-a.made), max(most, a.read-a.made)
	}
	p.LagMS = most - least
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
