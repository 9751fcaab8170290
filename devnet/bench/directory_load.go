package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// load is what one server is asked for: the same request again and again over
// connections that stay open. The bytes of the request are made before, answers
// are read by their Content-Length and not looked at beyond status and length,
// so that making load costs little and the same for every server.
type load struct {
	Addr        string        `json:"addr"`
	Request     []byte        `json:"request"`
	Status      int           `json:"status"` // of every answer
	Length      int           `json:"length"` // of every body
	Connections int           `json:"connections"`
	Time        time.Duration `json:"time"`
}

// loaded is what came of it.
type loaded struct {
	Answers int64         `json:"answers"`
	Time    time.Duration `json:"time"`
	CPU     time.Duration `json:"cpu"` // of the generator's process, where that is its own
	Failed  string        `json:"failed,omitempty"`
}

func (l loaded) perSecond() float64 { return float64(l.Answers) / max(l.Time.Seconds(), 1e-9) }

// run makes the load: each connection is opened and has had an answer before
// the clock starts.
func (l load) run(ctx context.Context) (loaded, error) {
	conns := make([]*loadConn, l.Connections)
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	for i := range conns {
		c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", l.Addr)
		if err != nil {
			return loaded{}, err
		}
		conns[i] = &loadConn{Conn: c, buf: make([]byte, 64<<10)}
		if err := c.SetDeadline(time.Now().Add(l.Time + 30*time.Second)); err != nil {
			return loaded{}, err
		}
		if err := conns[i].ask(&l); err != nil {
			return loaded{}, err
		}
	}
	counts, errs := make([]int64, len(conns)), make([]error, len(conns))
	begin := time.Now()
	end := begin.Add(l.Time)
	var wg sync.WaitGroup
	for i, c := range conns {
		wg.Go(func() {
			for errs[i] == nil && time.Now().Before(end) && ctx.Err() == nil {
				errs[i] = c.ask(&l)
				counts[i]++
			}
		})
	}
	wg.Wait()
	out := loaded{Time: time.Since(begin)}
	for _, n := range counts {
		out.Answers += n
	}
	return out, errors.Join(append(errs, ctx.Err())...)
}

type loadConn struct {
	net.Conn
	buf []byte
}

var (
	headEnd      = []byte("\r\n\r\n")
	lengthHeader = []byte("\r\nContent-Length: ")
)

// ask sends the request and reads one answer.
func (c *loadConn) ask(l *load) error {
	if _, err := c.Write(l.Request); err != nil {
		return err
	}
	n, head := 0, -1
	for head < 0 {
		k, err := c.Read(c.buf[n:])
		if err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		n += k
		if head = bytes.Index(c.buf[:n], headEnd); head < 0 && n == len(c.buf) {
			return errors.New("the head of an answer is too long")
		}
	}
	if status := c.buf[9:min(12, head)]; string(status) != strconv.Itoa(l.Status) {
		return fmt.Errorf("status %s, want %d", status, l.Status)
	}
	length := 0
	if l.Length > 0 { // a 304 may say the length of what it does not send
		at := bytes.Index(c.buf[:head+2], lengthHeader)
		if at < 0 {
			return errors.New("an answer without Content-Length")
		}
		for _, d := range c.buf[at+len(lengthHeader) : head] {
			if d < '0' || d > '9' || length > 1<<30 {
				break
			}
			length = 10*length + int(d-'0')
		}
	}
	if length != l.Length {
		return fmt.Errorf("a body of %d bytes, want %d", length, l.Length)
	}
	for rest := length - (n - head - len(headEnd)); rest != 0; {
		if rest < 0 {
			return errors.New("more bytes than were announced")
		}
		k, err := c.Read(c.buf[:min(rest, len(c.buf))])
		if err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		rest -= k
	}
	return nil
}

// Generate makes load: it reads what to ask, as JSON values, until in ends, and
// writes what came of each. `tunic bench directory` runs it in a process of its
// own.
func Generate(ctx context.Context, in io.Reader, out io.Writer) error {
	d, e := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var l load
		if err := d.Decode(&l); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read load: %w", err)
		}
		if l.Connections < 1 || l.Connections > 1024 || l.Time < 0 || l.Time > time.Minute {
			return fmt.Errorf("load: %d connections for %s is out of range", l.Connections, l.Time)
		}
		before := processTime()
		done, err := l.run(ctx)
		done.CPU = processTime() - before
		if err != nil {
			done.Failed = err.Error()
		}
		if err := e.Encode(done); err != nil {
			return fmt.Errorf("write load: %w", err)
		}
	}
}

// generator makes load in this process or in one of its own.
type generator struct {
	process *process // nil: in this one
}

func newGenerator(ctx context.Context, command []string) (*generator, error) {
	if len(command) == 0 {
		return &generator{}, nil
	}
	p, err := start(ctx, command)
	if err != nil {
		return nil, fmt.Errorf("start generator: %w", err)
	}
	return &generator{p}, nil
}

func (g *generator) close() {
	if g.process != nil {
		g.process.stop()
	}
}

func (g *generator) run(ctx context.Context, l load) (loaded, error) {
	if g.process == nil {
		return l.run(ctx)
	}
	var done loaded
	if err := json.NewEncoder(g.process.in).Encode(l); err != nil {
		return done, fmt.Errorf("generator: %w", err)
	}
	if err := g.process.read(&done); err != nil {
		return done, fmt.Errorf("generator: %w", err)
	}
	if done.Failed != "" {
		return done, errors.New(done.Failed)
	}
	return done, nil
}
