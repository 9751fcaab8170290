package link

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"tunic/chain"
)

// Memory is a network inside one process: endpoints are arbitrary strings, and
// the transports that it hands out reach each other by them. Identities are
// taken at their word; everything else follows the rules of TLS.
type Memory struct {
	body   int
	limits Limits
	budget *budget
	frames *sync.Pool // of *[]byte, one frame body each

	moving atomic.Int64  // frames sent that their receiver is not done with
	total  atomic.Uint64 // frames ever sent

	mu        sync.Mutex
	listeners map[string]*memListener
	next      int
}

// NewMemory returns an empty network of frames with the given body size. Limits.QueueBytes
// holds for all of its links together, so a large network wants it larger.
func NewMemory(bodySize int, limits Limits) (*Memory, error) {
	if err := checkBodySize(bodySize); err != nil {
		return nil, err
	}
	limits = limits.withDefaults(bodySize)
	return &Memory{
		body:      bodySize,
		limits:    limits,
		budget:    &budget{limit: int64(limits.QueueBytes)},
		frames:    &sync.Pool{New: func() any { b := make([]byte, 0, bodySize); return &b }},
		listeners: make(map[string]*memListener),
	}, nil
}

// Transport is the transport of the node id.
func (m *Memory) Transport(id chain.NodeID) Transport {
	return &memTransport{hub: m, id: id, known: true}
}

// Moving is how many frames were sent and are not dealt with: they wait on a
// link, or their receiver has not asked for the next one yet. total counts all
// that were ever sent. Whoever finds none moving and the same total twice, with
// every node at rest in between, has seen the network at rest.
func (m *Memory) Moving() (now int64, total uint64) { return m.moving.Load(), m.total.Load() }

// Client is the transport of a client without identity. It cannot listen.
func (m *Memory) Client() Transport { return &memTransport{hub: m} }

type memTransport struct {
	hub   *Memory
	id    chain.NodeID
	known bool
}

func (t *memTransport) Listen(endpoint string) (Listener, error) {
	if !t.known {
		return nil, fmt.Errorf("listen on %s: %w: a client has no identity to show", endpoint, ErrConfig)
	}
	m := t.hub
	m.mu.Lock()
	defer m.mu.Unlock()
	if endpoint == "" {
		m.next++
		endpoint = "memory-" + strconv.Itoa(m.next)
	}
	if m.listeners[endpoint] != nil {
		return nil, fmt.Errorf("listen on %s: %w: another node of this network holds it", endpoint, ErrAddressInUse)
	}
	l := &memListener{hub: m, id: t.id, endpoint: endpoint, ready: make(chan *memConn), done: make(chan struct{})}
	m.listeners[endpoint] = l
	return l, nil
}

func (t *memTransport) Dial(ctx context.Context, endpoint string, peer chain.NodeID) (Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("dial link: %w", err)
	}
	m := t.hub
	m.mu.Lock()
	l := m.listeners[endpoint]
	m.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("dial link: %w", ErrUnreachable)
	}
	if l.id != peer {
		return nil, fmt.Errorf("dial link: %w", ErrIdentity)
	}
	there, back := newPipes(m)
	mine := &memConn{peer: peer, known: true, in: back, out: there}
	theirs := &memConn{peer: t.id, known: t.known, in: there, out: back}
	select {
	case l.ready <- theirs:
		return mine, nil
	case <-l.done:
		return nil, fmt.Errorf("dial link: %w", ErrUnreachable)
	case <-ctx.Done():
		return nil, fmt.Errorf("dial link: %w", ctx.Err())
	}
}

type memListener struct {
	hub      *Memory
	id       chain.NodeID
	endpoint string
	ready    chan *memConn
	done     chan struct{}
	once     sync.Once
}

func (l *memListener) Addr() string { return l.endpoint }

func (l *memListener) Accept() (Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.done:
		return nil, ErrClosed
	}
}

func (l *memListener) Close() error {
	l.once.Do(func() {
		l.hub.mu.Lock()
		delete(l.hub.listeners, l.endpoint)
		l.hub.mu.Unlock()
		close(l.done)
	})
	return nil
}
