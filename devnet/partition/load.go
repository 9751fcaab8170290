package partition

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tunic/chain"
	"tunic/devnet"
	"tunic/ledger"
	"tunic/ledger/machine"
)

// load pays: one account sends another a unit, again and again. What a validator took
// and lost with its mempool is handed in again, byte for byte.
type load struct {
	net *devnet.Network

	mu      sync.Mutex
	open    []payment // not committed yet, by nonce
	done    []payment
	sent    int
	again   int
	nonce   uint64
	bad     []string
	stopped bool
}

type payment struct {
	id    chain.Hash
	bytes []byte
	at    time.Time // when it was handed in last
	block chain.Height
}

const (
	payEvery = 200 * time.Millisecond
	// payAgain is after how long what is in no block is handed in again.
	payAgain = 10 * time.Second
	// openMost bounds what waits while nothing is decided.
	openMost = 64
)

func newLoad(n *devnet.Network) *load { return &load{net: n} }

func (l *load) run(ctx context.Context) {
	t := time.NewTicker(payEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		l.look()
		if next, ok := l.next(); ok {
			l.hand(ctx, next)
		}
	}
}

// look moves what is committed.
func (l *load) look() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.open) > 0 {
		p := l.open[0]
		s, err := l.net.Ledger.Tx(p.id)
		if err != nil || s.State != ledger.TxIncluded {
			return
		}
		if s.Code != "" {
			l.bad = append(l.bad, fmt.Sprintf("payment %d was refused in block %d: %s", len(l.done), s.Height, s.Code))
		}
		p.block = s.Height
		l.done, l.open = append(l.done, p), l.open[1:]
	}
}

// next is what is to be handed in: what waits for too long, else a new one.
func (l *load) next() (payment, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.open {
		if time.Since(l.open[i].at) > payAgain {
			l.open[i].at = time.Now()
			l.again++
			return l.open[i], true
		}
	}
	if l.stopped || len(l.open) >= openMost {
		return payment{}, false
	}
	from, to := l.net.Accounts[0], l.net.Accounts[1].Address()
	def := machine.TransferType
	tx, err := from.Sign(l.net.Ledger.Domain(), def.Schema(), def.Unsigned(machine.Transfer{
		Head: chain.Head{Nonce: l.nonce, Fee: l.net.Genesis.Params.MinFee, ValidUntil: 1 << 40}, To: to, Amount: 1}))
	if err != nil {
		l.bad = append(l.bad, err.Error())
		return payment{}, false
	}
	b := tx.Encode()
	p := payment{id: chain.SHA256(b), bytes: b, at: time.Now()}
	l.open = append(l.open, p)
	l.nonce++
	l.sent++
	return p, true
}

// hand submits a payment. That nobody answers now is no failure: it comes again. That
// it is refused is one, unless it has been committed meanwhile.
func (l *load) hand(ctx context.Context, p payment) {
	ctx, stop := context.WithTimeout(ctx, payAgain)
	defer stop()
	_, err := l.net.Submit(ctx, p.bytes)
	var no *chain.Refusal
	if !errors.As(err, &no) || no.Code == machine.CodeNonceUsed {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bad = append(l.bad, fmt.Sprintf("a payment was refused: %v", no))
}

func (l *load) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
}

func (l *load) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// check says what became of payments that should not.
func (l *load) check() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	bad := l.bad
	if len(l.done) != l.sent || l.sent == 0 {
		bad = append(bad, fmt.Sprintf("%d of %d payments were committed", len(l.done), l.sent))
	}
	for i := 1; i < len(l.done); i++ {
		if l.done[i].block < l.done[i-1].block {
			bad = append(bad, fmt.Sprintf("payment %d is in block %d, the one before in %d", i, l.done[i].block, l.done[i-1].block))
		}
	}
	return bad
}
