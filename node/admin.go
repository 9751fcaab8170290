package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strconv"

	"tunic/internal/httpx"
)

// ErrAdmin means that an address is not one for the admin listener.
var ErrAdmin = errors.New("node: admin address")

// ListenAdmin listens for the operator of this machine: on a loopback address and
// port alone, such as 127.0.0.1:9400; port 0 takes a free one.
func ListenAdmin(addr string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %q is no address and port such as 127.0.0.1:9400", ErrAdmin, addr)
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.Unmap().IsLoopback()) {
		return nil, fmt.Errorf("%w: %s is not a loopback address; metrics and profiles are for this machine alone: use 127.0.0.1:9400, and a tunnel from elsewhere", ErrAdmin, addr)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for the admin: %w", err)
	}
	if at, ok := ln.Addr().(*net.TCPAddr); !ok || !at.IP.IsLoopback() {
		ln.Close()
		return nil, fmt.Errorf("%w: %s leads to %s, which is not a loopback address", ErrAdmin, addr, ln.Addr())
	}
	return ln, nil
}

// ServeAdmin serves /metrics and /debug/pprof on ln until ctx ends.
func ServeAdmin(ctx context.Context, ln net.Listener, m *Metrics) error {
	return Serve(ctx, ln, adminHandler(m))
}

// adminHandler answers programs of this machine, and no page of another origin:
// a profile stops the world for a moment, and says what the program does.
func adminHandler(m *Metrics) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.handler())
	profiles(mux)
	return localOnly(mux)
}

func profiles(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}

// localOnly refuses who is not on this machine.
func localOnly(mux *http.ServeMux) http.Handler {
	next := httpx.ProblemMux(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !httpx.IsLocal(r) || httpx.FromPage(r) {
			httpx.WriteProblem(w, r, httpx.Problem{Status: http.StatusForbidden, Detail: "this is for programs on this machine, by a loopback name"})
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
