package link

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"tunic/chain"
)

// tlsListener accepts TCP connections and hands out those that complete the
// handshake. A connection that says nothing costs one slot until the handshake
// times out or a newer connection displaces it.
type tlsListener struct {
	t      *TLS
	ln     net.Listener
	config *tls.Config
	ready  chan *tlsConn
	ctx    context.Context // ends with Close
	stop   context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	slots *list.List // of context.CancelFunc, the oldest handshake in front
}

func newTLSListener(t *TLS, ln net.Listener) *tlsListener {
	l := &tlsListener{
		t:      t,
		ln:     ln,
		config: serverConfig(*t.cert),
		ready:  make(chan *tlsConn),
		slots:  list.New(),
	}
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.wg.Add(1)
	go l.run()
	return l
}

func (l *tlsListener) Addr() string { return l.ln.Addr().String() }

func (l *tlsListener) Accept() (Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.ctx.Done():
		return nil, ErrClosed
	}
}

func (l *tlsListener) Close() error {
	l.stop()
	l.ln.Close()
	l.wg.Wait()
	return nil
}

func (l *tlsListener) run() {
	defer l.wg.Done()
	pause := 5 * time.Millisecond
	for {
		raw, err := l.ln.Accept()
		if err != nil {
			if l.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				l.stop()
				return
			}
			// Out of descriptors, most likely: they come back.
			select {
			case <-time.After(pause):
			case <-l.ctx.Done():
				return
			}
			pause = min(2*pause, time.Second)
			continue
		}
		pause = 5 * time.Millisecond
		ctx, cancel := context.WithCancel(l.ctx)
		slot := l.enter(cancel)
		l.wg.Add(1)
		go func() {
			defer l.wg.Done()
			defer l.leave(slot)
			defer cancel()
			l.handshake(ctx, raw)
		}()
	}
}

func (l *tlsListener) enter(cancel context.CancelFunc) *list.Element {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.slots.Len() >= l.t.cfg.MaxHandshakes {
		l.slots.Remove(l.slots.Front()).(context.CancelFunc)()
	}
	return l.slots.PushBack(cancel)
}

func (l *tlsListener) leave(slot *list.Element) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slots.Remove(slot)
}

func (l *tlsListener) handshake(ctx context.Context, raw net.Conn) {
	tune(raw, l.t.cfg.WriteTimeout)
	w := newChunkConn(raw, l.t.cfg.WriteTimeout, l.t.chunks)
	sec := tls.Server(w, l.config)
	hctx, cancel := context.WithTimeout(ctx, l.t.cfg.HandshakeTimeout)
	defer cancel()
	if err := sec.HandshakeContext(hctx); err != nil {
		raw.Close()
		if l.ctx.Err() == nil {
			l.t.cfg.Stats.drop(BadHandshake, 1)
		}
		return
	}
	var id chain.NodeID
	certs := sec.ConnectionState().PeerCertificates
	if len(certs) > 0 {
		id, _ = certIdentity(certs) // VerifyConnection has checked it
	}
	c := l.t.newConn(w, sec, id, len(certs) > 0)
	select {
	case l.ready <- c:
	case <-hctx.Done():
		c.abort()
		<-c.written
	}
}
