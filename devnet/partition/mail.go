package partition

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tunic/client"
	"tunic/devnet"
)

// mail is a conversation: one messenger writes to the other, again and again.
type mail struct {
	net *devnet.Network

	mu      sync.Mutex
	sent    []letter
	arrived int
	slowest time.Duration
	bad     []string
	stopped bool
}

type letter struct {
	id   client.MessageID
	at   time.Time
	done bool
}

// writeEvery is how often a message is sent.
const writeEvery = time.Second

func newMail(n *devnet.Network) *mail { return &mail{net: n} }

func (m *mail) run(ctx context.Context) {
	alice, bob := m.net.Clients[0], m.net.Clients[1].Account.ID()
	if err := alice.AddContact(bob, "bob"); err != nil {
		m.say("add a contact: %v", err)
		return
	}
	t := time.NewTicker(writeEvery)
	defer t.Stop()
	for n := 0; ; n++ {
		m.look(alice)
		if !m.over() {
			id, err := alice.Send(ctx, bob, fmt.Sprintf("letter %d", n))
			if err != nil && ctx.Err() == nil {
				m.say("letter %d could not be sent: %v", n, err)
			}
			if err == nil {
				m.mu.Lock()
				m.sent = append(m.sent, letter{id: id, at: time.Now()})
				m.mu.Unlock()
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// look notes what was confirmed.
func (m *mail) look(alice *devnet.Client) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.sent {
		if x := &m.sent[i]; !x.done && alice.IsDelivered(x.id) {
			x.done = true
			m.arrived++
			m.slowest = max(m.slowest, time.Since(x.at))
		}
	}
}

func (m *mail) say(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bad = append(m.bad, fmt.Sprintf(format, args...))
}

func (m *mail) over() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stopped
}

func (m *mail) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped = true
}

func (m *mail) delivered() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.arrived
}

func (m *mail) waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.sent) - m.arrived
}

// check says which letters came not at all, or more than once.
func (m *mail) check() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	bad := m.bad
	if m.arrived != len(m.sent) || m.arrived == 0 {
		bad = append(bad, fmt.Sprintf("%d of %d letters were delivered", m.arrived, len(m.sent)))
	}
	times := map[client.MessageID]int{}
	for _, x := range m.net.Clients[1].Inbox() {
		times[x.ID]++
	}
	for i, x := range m.sent {
		if n := times[x.id]; n != 1 {
			bad = append(bad, fmt.Sprintf("letter %d is in the inbox %d times", i, n))
		}
	}
	return bad
}
