package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/proxy"
)

var (
	// ErrProxyURL means that a text names no SOCKS5 proxy.
	ErrProxyURL = errors.New("node: unusable proxy")
	// ErrProxy means that the proxy itself does not do its work: it is not there,
	// speaks something else, or refuses user and password.
	ErrProxy = errors.New("the SOCKS5 proxy does not work")
)

// What a proxy's connections are for. It is the password where the user gave none,
// so that Tor keeps what the guard sees and what a ledger sees on two circuits.
const (
	forGuard  = "guard"
	forLedger = "ledger"
)

const (
	// proxyTimeout is how long an answer may take through a proxy, besides the
	// mixing delays: a circuit of three relays elsewhere is built, and crossed.
	proxyTimeout = 10 * time.Second
	// proxyWait bounds a proxy's own part, the building of its circuit too.
	proxyWait = 30 * time.Second
)

// Proxy is a SOCKS5 proxy (RFC 1928, 1929), such as Tor's, through which all
// connections of one client go. Names are resolved by the proxy; nothing is ever
// opened around it. Use one for each account: where its URL has no user, it has a
// random one of its own, by which Tor (IsolateSOCKSAuth, its default) keeps the
// circuits of different ones apart.
type Proxy struct {
	addr       string // IP address and port
	user, pass string
	given      bool // user and pass are the user's
	log        *slog.Logger
	down       atomic.Bool // said, and not up again since
}

// ParseProxy reads socks5://[user:password@]address:port; socks5h is the same. The
// address is an IP address or localhost: a name would have to be looked up in front
// of the proxy. The error is ErrProxyURL, and does not repeat the password.
func ParseProxy(s string) (*Proxy, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return nil, fmt.Errorf("%w: want socks5://127.0.0.1:9050, or socks5://user:password@127.0.0.1:9050", ErrProxyURL)
	case u.Scheme != "socks5" && u.Scheme != "socks5h":
		return nil, fmt.Errorf("%w: %q is not spoken here; want socks5://127.0.0.1:9050", ErrProxyURL, u.Scheme)
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%w: nothing may follow the port", ErrProxyURL)
	case u.Port() == "":
		return nil, fmt.Errorf("%w: a port is missing (Tor listens at 9050, Tor Browser at 9150)", ErrProxyURL)
	}
	host := u.Hostname()
	if strings.EqualFold(host, "localhost") {
		host = "127.0.0.1"
	}
	at, err := netip.ParseAddrPort(net.JoinHostPort(host, u.Port()))
	if err != nil || at.Port() == 0 {
		return nil, fmt.Errorf("%w: %q is no IP address and port; a name would have to be looked up around the proxy, so give the address", ErrProxyURL, u.Host)
	}
	p := &Proxy{addr: at.String(), log: slog.New(slog.DiscardHandler)}
	if u.User != nil {
		p.user, p.given = u.User.Username(), true
		p.pass, _ = u.User.Password()
		if p.user == "" || p.pass == "" || len(p.user) > 255 || len(p.pass) > 255 {
			return nil, fmt.Errorf("%w: user and password have 1 to 255 bytes each", ErrProxyURL)
		}
		return p, nil
	}
	var b [16]byte
	rand.Read(b[:])
	p.user = hex.EncodeToString(b[:])
	return p, nil
}

// String is where the proxy listens, without user and password.
func (p *Proxy) String() string { return "socks5://" + p.addr }

// Warn has log say once that the proxy does not work, and again when it has worked
// since.
func (p *Proxy) Warn(log *slog.Logger) { p.log = log }

// HTTP makes requests to ledgers through the proxy, whatever the environment says
// of proxies.
func (p *Proxy) HTTP() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: p.dialer(forLedger),
		MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10}}
}

// dialer opens connections through the proxy, for one purpose.
func (p *Proxy) dialer(purpose string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, proxyWait)
		defer cancel()
		c, err := p.dial(ctx, purpose, network, address)
		p.note(err)
		return c, err
	}
}

// note says once that the proxy does not work.
func (p *Proxy) note(err error) {
	switch {
	case err == nil:
		p.down.Store(false)
	case errors.Is(err, ErrProxy) && !p.down.Swap(true):
		p.log.Warn("nothing is sent: " + err.Error())
	}
}

// opened keeps the connection to the proxy: what proxy.SOCKS5 returns wraps it, and
// links set options of TCP.
type opened struct {
	conn net.Conn
	err  error // of connecting to the proxy
}

func (o *opened) Dial(network, address string) (net.Conn, error) {
	return o.DialContext(context.Background(), network, address)
}

func (o *opened) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	o.conn, o.err = new(net.Dialer).DialContext(ctx, network, address)
	return o.conn, o.err
}

func (p *Proxy) dial(ctx context.Context, purpose, network, address string) (net.Conn, error) {
	auth := &proxy.Auth{User: p.user, Password: p.pass}
	if !p.given {
		auth.Password = purpose
	}
	var o opened
	d, err := proxy.SOCKS5("tcp", p.addr, auth, &o)
	if err != nil {
		return nil, fmt.Errorf("dial through the proxy: %w", err)
	}
	_, err = d.(proxy.ContextDialer).DialContext(ctx, network, address)
	if err == nil {
		return o.conn, nil
	}
	if cause := ctx.Err(); errors.Is(cause, context.Canceled) {
		return nil, cause
	}
	return nil, p.wrong(&o, err)
}

// wrong says what went wrong, without where the connection was to go.
func (p *Proxy) wrong(o *opened, err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var errno syscall.Errno
	_, refused := strings.CutPrefix(err.Error(), "unknown error ")
	switch {
	case o.err != nil && errors.As(o.err, &errno):
		return fmt.Errorf("%w: nobody answers at %s (%w)", ErrProxy, p, errno)
	case o.err != nil:
		return fmt.Errorf("%w: nobody answers at %s", ErrProxy, p)
	case refused: // "unknown error host unreachable"
		return fmt.Errorf("the proxy at %s does not get through: %s", p, strings.TrimPrefix(err.Error(), "unknown error "))
	case strings.Contains(err.Error(), "authentication"):
		return fmt.Errorf("%w: %s does not take this user and password", ErrProxy, p)
	case strings.Contains(err.Error(), "protocol version"):
		return fmt.Errorf("%w: what listens at %s speaks no SOCKS5", ErrProxy, p)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the proxy at %s does not get through in time: %w", p, context.DeadlineExceeded)
	}
	return fmt.Errorf("%w: %s breaks off", ErrProxy, p)
}

// Check asks whether somebody listens at the proxy's port, so that a command can say
// at once that nobody does: ErrProxy.
func (p *Proxy) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, proxyTimeout)
	defer cancel()
	var o opened
	c, err := o.DialContext(ctx, "tcp", p.addr)
	if err != nil {
		return p.wrong(&o, err)
	}
	return c.Close()
}
