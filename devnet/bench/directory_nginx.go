package bench

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// findNginx is where nginx is installed; empty where it is not.
func findNginx() string {
	if path, err := exec.LookPath("nginx"); err == nil {
		return path
	}
	if path, err := exec.LookPath("/usr/sbin/nginx"); err == nil { // not in everybody's PATH
		return path
	}
	return ""
}

// nginx is a running server of one file, with a folder of its own.
type nginx struct {
	addr    string
	version string
	workers int
	dir     string
	cmd     *exec.Cmd
	stderr  bytes.Buffer
	done    chan struct{} // closed when it has ended
	err     error         // of the end
}

// nginxConf: a worker for each core, nothing logged, the file kept open.
const nginxConf = `daemon off;
worker_processes %[1]d;
pid %[2]s/pid;
error_log stderr crit;
events { worker_connections 2048; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_requests 1000000000;
	open_file_cache max=16;
	client_body_temp_path %[2]s/t1; proxy_temp_path %[2]s/t2; fastcgi_temp_path %[2]s/t3; uwsgi_temp_path %[2]s/t4; scgi_temp_path %[2]s/t5;
	server {
		listen %[3]s;
		location = %[4]s {
			default_type application/json;
			%[5]s
			alias %[2]s/body;
		}
	}
}
`

// startNginx serves body under the directory's path, with the fields of answer
// but for what nginx writes itself.
func startNginx(ctx context.Context, path string, body []byte, answer http.Header) (*nginx, error) {
	version, err := exec.CommandContext(ctx, path, "-v").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s -v: %w", path, err)
	}
	dir, err := os.MkdirTemp("", "tunic-bench-nginx-")
	if err != nil {
		return nil, err
	}
	n := &nginx{dir: dir, workers: runtime.GOMAXPROCS(0), done: make(chan struct{})}
	_, n.version, _ = strings.Cut(strings.TrimSpace(string(version)), "nginx/")
	if err := n.start(ctx, path, body, answer); err != nil {
		n.close()
		return nil, fmt.Errorf("start nginx: %w", err)
	}
	return n, nil
}

func (n *nginx) start(ctx context.Context, path string, body []byte, answer http.Header) error {
	// Its workers may run as another user.
	if err := os.Chmod(n.dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(n.dir, "body"), body, 0o644); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	n.addr = ln.Addr().String()
	if err := ln.Close(); err != nil {
		return err
	}
	var fields strings.Builder
	for name, values := range answer {
		switch name {
		case "Etag", "Content-Type", "Content-Length": // its own, of the file
		default:
			for _, v := range values {
				fmt.Fprintf(&fields, "add_header %s %q; ", name, v)
			}
		}
	}
	conf := filepath.Join(n.dir, "conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, n.workers, n.dir, n.addr, directoryPath, fields.String()), 0o644); err != nil {
		return err
	}
	n.cmd = exec.CommandContext(ctx, path, "-p", n.dir, "-e", "stderr", "-c", conf)
	n.cmd.Stderr = &n.stderr
	// Its master ends the workers.
	n.cmd.Cancel = func() error { return n.cmd.Process.Signal(syscall.SIGTERM) }
	n.cmd.WaitDelay = 5 * time.Second
	if err := n.cmd.Start(); err != nil {
		n.cmd = nil
		return err
	}
	go func() { defer close(n.done); n.err = n.cmd.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 250 {
		select {
		case <-n.done:
			return fmt.Errorf("it ended: %w: %s", n.err, bytes.TrimSpace(n.stderr.Bytes()))
		case <-tick.C:
		}
		if c, err := net.Dial("tcp", n.addr); err == nil {
			return c.Close()
		}
	}
	return fmt.Errorf("nothing listens on %s after 5 s", n.addr)
}

// close ends nginx and removes its folder.
func (n *nginx) close() {
	if n.cmd != nil {
		_ = n.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-n.done:
		case <-time.After(5 * time.Second):
			_ = n.cmd.Process.Kill()
			<-n.done
		}
	}
	_ = os.RemoveAll(n.dir)
}
