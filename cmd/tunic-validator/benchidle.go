package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"tunic/internal/proc"
)

// idle is what one validator takes in which nothing happens but blocks.
type idle struct {
	Seconds    float64 `json:"seconds"`
	RSSAnon    int64   `json:"rss_anon_bytes"` // memory of its own
	RSS        int64   `json:"rss_bytes"`      // with pages of the program itself
	CPUPercent float64 `json:"cpu_percent"`    // of one core
	Blocks     int64   `json:"blocks"`         // meanwhile
}

// measureIdle runs this program as the only validator of a private network for a while.
func (p *program) measureIdle(ctx context.Context, dir string, settle, during time.Duration) (out idle, err error) {
	at, err := os.MkdirTemp(dir, "tunic-bench-")
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(at)) }()
	exe, err := os.Executable()
	if err != nil {
		return out, err
	}
	net := filepath.Join(at, "net")
	if b, err := exec.CommandContext(ctx, exe, "testnet", "--dir", net, "--validators", "1").CombinedOutput(); err != nil {
		return out, fmt.Errorf("make a network: %w: %s", err, b)
	}
	c := exec.CommandContext(ctx, exe, "start", "--dir", filepath.Join(net, "validator1"), "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--admin", "", "-o", "json")
	c.Stderr, c.Cancel, c.WaitDelay = p.Err, func() error { return c.Process.Signal(os.Interrupt) }, 10*time.Second
	pipe, err := c.StdoutPipe()
	if err != nil {
		return out, err
	}
	if err := c.Start(); err != nil {
		return out, err
	}
	defer func() {
		_ = c.Process.Signal(os.Interrupt)
		_ = c.Wait()
	}()
	var ready struct{ URL string }
	if err := json.NewDecoder(pipe).Decode(&ready); err != nil {
		return out, fmt.Errorf("the validator did not start: %w", err)
	}
	if err := pause(ctx, settle); err != nil {
		return out, err
	}
	height, err := heightOf(ctx, ready.URL)
	if err != nil {
		return out, err
	}
	began, cpu := time.Now(), proc.Time(c.Process.Pid)
	if err := pause(ctx, during); err != nil {
		return out, err
	}
	took := time.Since(began)
	out.Seconds = took.Seconds()
	out.CPUPercent = 100 * (proc.Time(c.Process.Pid) - cpu).Seconds() / took.Seconds()
	out.RSSAnon, out.RSS = proc.Memory(c.Process.Pid, "RssAnon:"), proc.Memory(c.Process.Pid, "VmRSS:")
	later, err := heightOf(ctx, ready.URL)
	out.Blocks = later - height
	return out, err
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
