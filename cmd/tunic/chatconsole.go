package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// notStopped is after how long it is plain that the kernel does not stop us: it
// does not where nobody could let us go on.
const notStopped = 250 * time.Millisecond

// errHungUp means that the terminal is gone.
var errHungUp = errors.New("the terminal is gone")

// console is the terminal of a chat. While it is open, what is typed comes at
// once; whatever ends the chat, the terminal is left as it was. One goroutine
// calls its methods.
type console struct {
	in            *os.File
	out           io.Writer
	paint         *painter // nil: shut
	last          frame    // that was posted
	width, height int      // then
	wipe          bool     // the terminal may show something else
	typed         chan []byte
	gone          chan struct{}  // closed when nothing will be typed any more
	resized       chan os.Signal // SIGWINCH
	stops         chan os.Signal // SIGTSTP
	resumed       chan os.Signal // SIGCONT
	ends          chan os.Signal // those that end the program
	finish        context.CancelFunc

	mu     sync.Mutex // guards what follows
	before *term.State
	raw    bool
}

// newConsole takes over a terminal's signals and what is typed; it leaves the
// terminal itself as it is. The caller closes it.
func newConsole(in *os.File, out io.Writer) (*console, error) {
	c := &console{in: in, out: out, typed: make(chan []byte), gone: make(chan struct{}),
		resized: make(chan os.Signal, 1), stops: make(chan os.Signal, 1), resumed: make(chan os.Signal, 1), ends: make(chan os.Signal, 2)}
	var err error
	if c.before, err = term.GetState(int(in.Fd())); err != nil {
		return nil, fmt.Errorf("set up the terminal: %w", err)
	}
	wake, waker, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("set up the terminal: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.finish = func() {
		cancel()
		_ = waker.Close()
	}
	go func() {
		defer close(c.gone)
		defer wake.Close()
		c.read(ctx, wake)
	}()
	signal.Notify(c.resized, syscall.SIGWINCH)
	signal.Notify(c.resumed, syscall.SIGCONT)
	if !signal.Ignored(syscall.SIGTSTP) {
		signal.Notify(c.stops, syscall.SIGTSTP)
	}
	signal.Notify(c.ends, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	go c.guard(ctx)
	return c, nil
}

// guard lets the second signal end the program at once, whatever holds it up, and
// SIGQUIT, with the terminal as it was. The first one ends the chat's context.
func (c *console) guard(ctx context.Context) {
	for asked := false; ; asked = true {
		select {
		case s := <-c.ends:
			if !asked && s != syscall.SIGQUIT {
				continue
			}
			if c.restore() {
				within(stalled, func() { _, _ = io.WriteString(c.out, chatClose) })
			}
			signal.Reset(s)
			_ = syscall.Kill(os.Getpid(), s.(syscall.Signal))
			return
		case <-ctx.Done():
			return
		}
	}
}

// open sets the terminal up, or again where others may have changed it meanwhile.
func (c *console) open() error {
	c.shut()
	if _, err := term.MakeRaw(int(c.in.Fd())); err != nil {
		return failed("set up the terminal", err)
	}
	c.mu.Lock()
	c.raw = true
	c.mu.Unlock()
	c.paint, c.wipe = newPainter(c.out), true
	return nil
}

// shut leaves the terminal as it was.
func (c *console) shut() {
	if c.paint != nil {
		c.paint.end()
		c.paint = nil
	}
	c.restore()
}

// restore leaves the terminal's modes as they were; false: they are so already.
func (c *console) restore() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.raw {
		return false
	}
	c.raw = false
	_ = term.Restore(int(c.in.Fd()), c.before)
	return true
}

// close is shut for good.
func (c *console) close() {
	c.shut()
	c.finish()
	for _, s := range []chan os.Signal{c.resized, c.resumed, c.stops, c.ends} {
		signal.Stop(s)
	}
}

// suspend stops the program until somebody lets it go on; all says that its process
// group is to stop too, as at a terminal's own key. What stops us is SIGTTOU, as the
// runtime keeps SIGTSTP, once it was caught, from stopping anything.
func (c *console) suspend(all bool) error {
	c.shut()
	if all {
		_ = syscall.Kill(0, syscall.SIGTSTP)
	}
	select {
	case <-c.resumed: // of before
	default:
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGTTOU); err == nil {
		select {
		case <-c.resumed:
		case <-time.After(notStopped):
		}
	}
	select {
	case <-c.stops: // our own
	default:
	}
	return c.open()
}

// show paints a screen in the terminal's present size.
func (c *console) show(s *screen) error {
	w, h, err := term.GetSize(int(c.in.Fd()))
	if err = cmp.Or(err, c.paint.failed()); err != nil {
		return failed("show the chat", err)
	}
	if w <= 0 || h <= 0 { // a terminal that does not know
		w, h = 80, 24
	}
	c.wipe = c.wipe || w != c.width || h != c.height
	c.width, c.height, s.width, s.height = w, h, w, h
	f := frame{wipe: c.wipe}
	f.rows, f.row, f.column = s.view()
	if f.wipe || f.row != c.last.row || f.column != c.last.column || !slices.Equal(f.rows, c.last.rows) {
		c.paint.post(f)
		c.last, c.wipe = f, false
	}
	return nil
}

// failed is the error of a terminal.
func failed(what string, err error) error {
	if errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENXIO) {
		return errHungUp
	}
	return fmt.Errorf("%s: %w", what, err)
}

// read hands on what is typed until ctx ends, of which wake tells, or nothing more
// can come. Behind the end it takes nothing from the terminal.
func (c *console) read(ctx context.Context, wake *os.File) {
	for {
		p := []unix.PollFd{{Fd: int32(c.in.Fd()), Events: unix.POLLIN}, {Fd: int32(wake.Fd()), Events: unix.POLLIN}}
		_, err := unix.Poll(p, -1)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, syscall.EINTR), err == nil && p[0].Revents == 0:
			continue
		case err != nil:
			return
		}
		b := make([]byte, 4096)
		n, err := c.in.Read(b)
		if n > 0 {
			select {
			case c.typed <- b[:n]:
			case <-ctx.Done():
				return
			}
		}
		if err != nil && !errors.Is(err, syscall.EAGAIN) {
			return
		}
	}
}
