package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Press says what a process of its own does to a server, and Press.Run does it:
// readers of events that wait, and connections that ask for the directory again
// and again. It is told what to do by lines of JSON and answers each with one.
type Press struct {
	Addr        string   `json:"addr"`
	Readers     int      `json:"readers"`
	Types       []string `json:"types"` // of the readers in turn; empty for block alone
	Connections int      `json:"connections"`
	MaxPerS     int      `json:"max_per_s"` // directory requests of all connections; 0 for as many as they can
}

// Orders of a press.
const (
	pressOpen  = "open"  // the readers
	pressBegin = "begin" // asking for the directory
	pressEnd   = "end"   // asking
)

// pressOrder is one line to a press.
type pressOrder struct {
	Do    string `json:"do"`
	Press Press  `json:"press,omitzero"` // with open
}

// pressReport answers an order.
type pressReport struct {
	Readers int    `json:"readers,omitempty"` // open now
	Lost    int    `json:"lost,omitempty"`    // readers that ended
	Answers int64  `json:"answers,omitempty"` // whole directories since begin
	Bytes   int64  `json:"bytes,omitempty"`   // of their bodies
	NS      int64  `json:"ns,omitempty"`      // since begin
	Error   string `json:"error,omitempty"`
}

// RunPress obeys the orders on in until it ends.
func RunPress(ctx context.Context, in io.Reader, out io.Writer) error {
	p := &press{}
	defer p.close()
	orders := json.NewDecoder(in)
	for {
		var o pressOrder
		if err := orders.Decode(&o); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("read order: %w", err)
		}
		r := p.obey(ctx, o)
		if err := json.NewEncoder(out).Encode(r); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
}

type press struct {
	Press
	readers []net.Conn
	lost    atomic.Int64
	answers atomic.Int64
	bytes   atomic.Int64
	begun   time.Time
	stop    context.CancelFunc
	failed  atomic.Pointer[error]
	wg      sync.WaitGroup
}

func (p *press) obey(ctx context.Context, o pressOrder) pressReport {
	var err error
	switch o.Do {
	case pressOpen:
		p.Press = o.Press
		err = p.open(ctx)
	case pressBegin:
		err = p.begin(ctx)
	case pressEnd:
		if p.stop != nil {
			p.stop()
		}
	default:
		err = fmt.Errorf("no such order: %q", o.Do)
	}
	r := pressReport{Readers: len(p.readers) - int(p.lost.Load()), Lost: int(p.lost.Load()), Answers: p.answers.Load(), Bytes: p.bytes.Load()}
	if !p.begun.IsZero() {
		r.NS = int64(time.Since(p.begun))
	}
	if f := p.failed.Load(); err == nil && f != nil {
		err = *f
	}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

// open connects the readers and waits until each has the head of its answer.
func (p *press) open(ctx context.Context) error {
	for i := range p.Readers {
		path := "/v1/events"
		if len(p.Types) > 0 {
			if types := p.Types[i%len(p.Types)]; types != "" {
				path += "?types=" + types
			}
		}
		c, r, err := ask(ctx, p.Addr, path, "")
		if err != nil {
			return fmt.Errorf("reader %d: %w", i+1, err)
		}
		p.readers = append(p.readers, c)
		p.wg.Go(func() {
			_, _ = io.Copy(io.Discard, r) // it reads all that comes, and never says anything
			p.lost.Add(1)
		})
	}
	return nil
}

// ask opens a connection, sends a request and reads the head of its answer.
func ask(ctx context.Context, addr, path, header string) (net.Conn, *bufio.Reader, error) {
	c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	r := bufio.NewReaderSize(c, 1024)
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err == nil {
		_, err = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: bench\r\n%s\r\n", path, header)
		if err == nil {
			var res *http.Response
			if res, err = http.ReadResponse(r, nil); err == nil && res.StatusCode != http.StatusOK {
				err = fmt.Errorf("GET %s: %s", path, res.Status)
			}
		}
		if err == nil {
			err = c.SetDeadline(time.Time{})
		}
		if err != nil {
			c.Close()
			return nil, nil, err
		}
	}
	return c, r, nil
}

// begin lets the connections ask.
func (p *press) begin(ctx context.Context) error {
	if p.stop != nil {
		return errors.New("it has begun")
	}
	ctx, p.stop = context.WithCancel(ctx)
	p.begun = time.Now()
	pause := time.Duration(0)
	if p.MaxPerS > 0 {
		pause = time.Second * time.Duration(p.Connections) / time.Duration(p.MaxPerS)
	}
	for range p.Connections {
		c, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", p.Addr)
		if err != nil {
			return err
		}
		p.wg.Go(func() {
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			if err := p.fetch(ctx, c, pause); err != nil && ctx.Err() == nil {
				p.failed.Store(&err)
			}
		})
	}
	return nil
}

// fetch asks for the directory, compressed, on one connection.
func (p *press) fetch(ctx context.Context, c net.Conn, pause time.Duration) error {
	r := bufio.NewReaderSize(c, 64<<10)
	request := []byte("GET /v1/directory HTTP/1.1\r\nHost: bench\r\nAccept-Encoding: gzip\r\n\r\n")
	next := time.Now()
	for ctx.Err() == nil {
		if _, err := c.Write(request); err != nil {
			return err
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if err == nil && (res.StatusCode != http.StatusOK || n == 0) {
			err = fmt.Errorf("GET /v1/directory: %s, %d bytes", res.Status, n)
		}
		if err != nil {
			return err
		}
		p.answers.Add(1)
		p.bytes.Add(n)
		if next = next.Add(pause); pause > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(time.Until(next)):
			}
		}
	}
	return nil
}

func (p *press) close() {
	if p.stop != nil {
		p.stop()
	}
	for _, c := range p.readers {
		c.Close()
	}
	p.wg.Wait()
}
