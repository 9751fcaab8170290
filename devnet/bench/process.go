package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"tunic/internal/proc"
)

// process is one that this one started.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
	err bytes.Buffer
}

// start runs a command; its standard output is lines of JSON.
func start(ctx context.Context, command []string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, command[0], command[1:]...)}
	p.cmd.Stderr, p.cmd.Cancel, p.cmd.WaitDelay = &p.err, func() error { return p.cmd.Process.Signal(os.Interrupt) }, 5*time.Second
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = json.NewDecoder(out)
	return p, p.cmd.Start()
}

// read reads the next line; a process that gives none is stopped.
func (p *process) read(v any) error {
	if err := p.out.Decode(v); err != nil {
		p.stop() // then all that it said is there
		return fmt.Errorf("%s ended: %w: %s", strings.Join(p.cmd.Args, " "), err, strings.TrimSpace(p.err.String()))
	}
	return nil
}

// stop ends the process, which ends with its input, and waits for it. It may be
// called again.
func (p *process) stop() {
	p.in.Close()
	_ = p.cmd.Process.Signal(os.Interrupt)
	_ = p.cmd.Wait()
}

// memory is what the process holds in memory of its own, in bytes; 0 where the
// system does not say.
func (p *process) memory() int64 { return proc.Memory(p.cmd.Process.Pid, "RssAnon:") }

// ownMemory is the same of this process, after a garbage collection.
func ownMemory() int64 {
	debug.FreeOSMemory()
	return proc.Memory(os.Getpid(), "RssAnon:")
}

func startLedger(ctx context.Context, command []string, dir string) (*process, string, error) {
	p, err := start(ctx, append(slices.Clone(command), "--dir", dir, "--http", "127.0.0.1:0"))
	if err != nil {
		return nil, "", err
	}
	var ready struct{ URL string }
	err = p.read(&ready)
	var u *url.URL
	if err == nil {
		u, err = url.Parse(ready.URL)
	}
	if err != nil {
		p.stop()
		return nil, "", err
	}
	return p, u.Host, nil
}

func startPress(ctx context.Context, command []string) (*process, error) {
	if nice, err := exec.LookPath("nice"); err == nil {
		command = append([]string{nice, "-n", "19"}, command...)
	}
	return start(ctx, command)
}

func (p *process) order(o pressOrder) (r pressReport, err error) {
	if err := json.NewEncoder(p.in).Encode(o); err != nil {
		return r, err
	}
	if err := p.read(&r); err != nil {
		return r, err
	}
	if r.Error != "" {
		return r, fmt.Errorf("%s; each reader takes one file descriptor here and one at the server, see `ulimit -n`", r.Error)
	}
	return r, nil
}
