package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"tunic/internal/httpx"
)

// shutdownGrace is how long requests may go on once a server ends.
const shutdownGrace = 5 * time.Second

// Serve answers on ln until ctx ends. Then event streams are told so, other
// requests finish, for at most five seconds, and what is left is cut off.
func Serve(ctx context.Context, ln net.Listener, h http.Handler) error {
	return serve(ctx, ln, h, nil, shutdownGrace)
}

// serve is Serve, over TLS where there is a configuration of it.
func serve(ctx context.Context, ln net.Listener, h http.Handler, secure *tls.Config, grace time.Duration) error {
	srv := httpx.NewServer(h)
	srv.TLSConfig = secure
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	base = httpx.WithClosing(base, ctx.Done())
	srv.BaseContext = func(net.Listener) context.Context { return base }
	done := make(chan error, 1)
	go func() {
		if secure != nil {
			done <- srv.ServeTLS(ln, "", "")
			return
		}
		done <- srv.Serve(ln)
	}()
	select {
	case err := <-done:
		return fmt.Errorf("serve the API: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(base, grace)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		cut()
		srv.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the API: %w", err)
	}
	return nil
}

// ErrTLS means that a certificate and its key cannot be used.
var ErrTLS = errors.New("node: TLS certificate")

// loadTLS reads a certificate with its chain and its key; nil without both.
func loadTLS(cert, key string) (*tls.Config, error) {
	switch {
	case cert == "" && key == "":
		return nil, nil
	case cert == "" || key == "":
		return nil, fmt.Errorf("%w: a certificate needs its key, and a key its certificate", ErrTLS)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%w: %s with %s: %w", ErrTLS, cert, key, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
