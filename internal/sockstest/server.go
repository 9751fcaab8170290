// Package sockstest is a small SOCKS5 server (RFC 1928, CONNECT alone; RFC 1929)
// for tests of what goes through a proxy. It says who asked for what.
package sockstest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// Request is one that a client made.
type Request struct {
	User, Password string // as given; "" where the client gave none
	Address        string // host and port as the client sent them
}

// Config says how a server behaves.
type Config struct {
	// User and Password are asked for where User is not empty; others are refused.
	// Else any are taken, as Tor does.
	User, Password string
	// Plain serves without asking for a user, as most small servers do.
	Plain bool
	// Hosts says where the names are that only this server knows.
	Hosts map[string]string
	// Refuse answers every request with "host unreachable".
	Refuse bool
}

// Server is a running server.
type Server struct {
	Addr string
	cfg  Config
	ln   net.Listener
	wg   sync.WaitGroup

	mu    sync.Mutex
	seen  []Request
	conns map[net.Conn]struct{}
	over  bool
}

// Start serves on a port of 127.0.0.1 until the test ends or Close.
func Start(t testing.TB, cfg Config) *Server {
	t.Helper()
	s, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Listen is Start without a test that ends it.
func Listen(cfg Config) (*Server, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{Addr: ln.Addr().String(), cfg: cfg, ln: ln, conns: map[net.Conn]struct{}{}}
	s.wg.Go(s.run)
	return s, nil
}

// Seen are the requests so far.
func (s *Server) Seen() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// Close ends the server with all that it carries.
func (s *Server) Close() {
	s.ln.Close()
	s.mu.Lock()
	s.over = true
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *Server) run() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.wg.Go(func() {
			defer s.leave(c)
			if s.enter(c) {
				_ = s.serve(c)
			}
		})
	}
}

func (s *Server) enter(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = struct{}{}
	return !s.over
}

func (s *Server) leave(c net.Conn) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

var errRefused = errors.New("refused")

func (s *Server) serve(c net.Conn) error {
	var r Request
	if err := s.greet(c, &r); err != nil {
		return err
	}
	host, port, err := readAddress(c)
	if err != nil {
		return err
	}
	r.Address = net.JoinHostPort(host, strconv.Itoa(int(port)))
	s.mu.Lock()
	s.seen = append(s.seen, r)
	s.mu.Unlock()
	to := r.Address
	if h, ok := s.cfg.Hosts[host]; ok {
		to = h
	}
	const unreachable = 4
	if net.ParseIP(host) == nil && to == r.Address || s.cfg.Refuse {
		return reply(c, unreachable)
	}
	out, err := net.Dial("tcp", to)
	if err != nil {
		return reply(c, unreachable)
	}
	defer s.leave(out)
	if !s.enter(out) {
		return errRefused
	}
	if err := reply(c, 0); err != nil {
		return err
	}
	s.wg.Go(func() {
		_, _ = io.Copy(out, c)
		out.Close()
	})
	_, err = io.Copy(c, out)
	return err
}

// greet agrees on a method, and reads user and password.
func (s *Server) greet(c net.Conn, r *Request) error {
	const none, userPassword, noneFits = 0, 2, 0xff
	methods, err := readCounted(c, 5)
	if err != nil {
		return err
	}
	switch {
	case s.cfg.User == "" && (s.cfg.Plain || !slices.Contains(methods, userPassword)):
		_, err = c.Write([]byte{5, none})
		return err
	case !slices.Contains(methods, userPassword):
		_, _ = c.Write([]byte{5, noneFits})
		return errRefused
	}
	if _, err := c.Write([]byte{5, userPassword}); err != nil {
		return err
	}
	user, err := readCounted(c, 1)
	if err != nil {
		return err
	}
	password, err := readCounted(c, -1)
	if err != nil {
		return err
	}
	r.User, r.Password = string(user), string(password)
	if s.cfg.User != "" && (r.User != s.cfg.User || r.Password != s.cfg.Password) {
		_, _ = c.Write([]byte{1, 1})
		return errRefused
	}
	_, err = c.Write([]byte{1, 0})
	return err
}

// readCounted reads version | length | so many bytes; without a version where it is
// negative.
func readCounted(c io.Reader, version int) ([]byte, error) {
	var b [255]byte
	if version >= 0 {
		if _, err := io.ReadFull(c, b[:1]); err != nil || int(b[0]) != version {
			return nil, errRefused
		}
	}
	if _, err := io.ReadFull(c, b[:1]); err != nil {
		return nil, err
	}
	n := b[0]
	_, err := io.ReadFull(c, b[:n])
	return slices.Clone(b[:n]), err
}

// readAddress reads 5 | CONNECT 1 | 0 | type | address | port.
func readAddress(c io.Reader) (host string, port uint16, err error) {
	var head [4]byte
	if _, err = io.ReadFull(c, head[:]); err != nil || head[0] != 5 || head[1] != 1 {
		return "", 0, errRefused
	}
	switch head[3] {
	case 1, 4:
		ip := make(net.IP, map[byte]int{1: 4, 4: 16}[head[3]])
		_, err = io.ReadFull(c, ip)
		host = ip.String()
	case 3:
		var b []byte
		b, err = readCounted(c, -1)
		host = string(b)
	default:
		err = errRefused
	}
	if err != nil {
		return "", 0, err
	}
	err = binary.Read(c, binary.BigEndian, &port)
	return host, port, err
}

func reply(c io.Writer, code byte) error {
	_, err := c.Write([]byte{5, code, 0, 1, 0, 0, 0, 0, 0, 0})
	return err
}
