package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/slashing"
)

// Where validators decide blocks together, a ledger is two blocks of one history:
// the head, which is stored, shown, and known to be committed, and the tip, which
// the engine has decided. What names the state after a block is the engine's next
// header; so the tip becomes the head when the block above it is committed. The
// tip is nowhere on disk: the engine has its blocks and decides them anew after a
// start.

// ErrEngine means that an engine's block does not follow the tip, or that this
// ledger seals by itself.
var ErrEngine = errors.New("ledger: not the next block of its engine")

// Gossip sends a transaction that this ledger has taken to the other validators.
// It may be handed to this ledger again.
type Gossip func(ctx context.Context, tx []byte) error

// tip is the state after the newest decided block.
type tip struct {
	machine *machine.Machine
	decided []decided // above the head, ascending
	gossip  Gossip
}

type decided struct {
	block chain.Block // without commit
	txs   []machine.Prepared
}

// find looks for a transaction that is decided and not shown yet; l.mu is held.
func (t *tip) find(id chain.Hash) ([]byte, bool) {
	if t == nil {
		return nil, false
	}
	for _, d := range t.decided {
		for i := range d.txs {
			if d.txs[i].ID == id {
				return d.txs[i].Bytes, true
			}
		}
	}
	return nil, false
}

// Decided is a block that the validators agree on.
type Decided struct {
	Height   chain.Height
	Time     chain.Time
	Proposer chain.NodeID
	Found    []slashing.Conclusion // misbehaviour that the block carries
	Txs      [][]byte              // in the order of the engine's block
}

// Carried is what a decided block did when it was carried out.
type Carried struct {
	Header     chain.Header               // its hash is what the engine's next header must name
	Codes      []string                   // of Decided.Txs, "" means applied
	Validators []registry.ValidatorChange // they act two blocks later
}

// Attach makes the ledger one that follows an engine, from the head on: gossip
// sends what is submitted to the others. Call it once, before anything else.
func (l *Ledger) Attach(gossip Gossip) error {
	l.sealing.Lock()
	defer l.sealing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.core.Engine != genesis.EngineComet || l.tip != nil {
		return fmt.Errorf("%w: engine %s", ErrEngine, l.core.Engine)
	}
	m, err := l.reload()
	if err != nil {
		return err
	}
	l.tip = &tip{machine: m, gossip: gossip}
	return nil
}

// newest is the machine that the next block is for; mu is held.
func (l *Ledger) newest() *machine.Machine {
	if l.tip != nil {
		return l.tip.machine
	}
	return l.machine
}

func (l *Ledger) gossip(ctx context.Context, tx []byte) error {
	if l.tip == nil {
		return nil
	}
	return l.tip.gossip(ctx, tx)
}

// Tip is the height of the newest decided block and the hash of its header, that
// of genesis before the first.
func (l *Ledger) Tip() (chain.Height, chain.Hash) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	m := l.newest()
	return m.Head().Height, m.HeadHash()
}

// Validators are those that the tip's state names, ascending: they decide the
// second block above it.
func (l *Ledger) Validators() []chain.NodeID {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.newest().Registry().Validators()
}

// Take is Submit of what another validator has sent: it is sent no further. A
// transaction that waits already is taken again.
func (l *Ledger) Take(tx []byte) error {
	if len(tx) > chain.MaxTx {
		return chain.Refuse(machine.CodeMalformed, "%d bytes, at most %d", len(tx), chain.MaxTx)
	}
	if l.pool.has(chain.SHA256(tx)) {
		return nil
	}
	p := l.intake.Prepare(slices.Clone(tx))
	return l.submit(&p)
}

// Waits reports whether a transaction is in the mempool.
func (l *Ledger) Waits(tx []byte) bool { return l.pool.has(chain.SHA256(tx)) }

// Proposal is what of the mempool a block of at most so many transactions and bytes
// could hold, in the order in which it applies: statements, then accounts, each as
// far as its nonces join. overhead is what the engine adds to each.
func (l *Ledger) Proposal(count, bytes, overhead int) [][]byte {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var out [][]byte
	size, publishes := 0, 0
	skipped := map[chain.Address]bool{} // nothing of an account goes before what was left out
	for _, p := range l.pool.ready(l.nonce) {
		switch {
		case len(out) == count:
			return out
		case skipped[p.Sender]:
		case p.IsPublish() && publishes == machine.MaxPublishes:
		case size+len(p.Bytes)+overhead > bytes:
			if !p.IsPublish() {
				skipped[p.Sender] = true
			}
		default:
			size += len(p.Bytes) + overhead
			out = append(out, p.Bytes)
			if p.IsPublish() {
				publishes++
			}
		}
	}
	return out
}

// Decide carries out the block above the tip. What only an engine may say and
// stands among its transactions is left out, with the code for it.
func (l *Ledger) Decide(d Decided) (Carried, error) {
	words := make([][]byte, 0, len(d.Found)+len(d.Txs))
	for _, c := range d.Found {
		words = append(words, machine.MisbehaviourTx(c).Encode())
	}
	for _, tx := range d.Txs {
		if !ofEngine(tx) {
			words = append(words, slices.Clone(tx))
		}
	}
	txs := l.prepareAll(words)

	l.sealing.Lock()
	defer l.sealing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.halted != nil:
		return Carried{}, l.halted
	case l.tip == nil:
		return Carried{}, ErrEngine
	}
	l.cfg.Hook("before-decide")
	m := l.tip.machine
	out, err := m.Apply(machine.Input{Height: d.Height, Time: max(d.Time, m.Head().Time), Proposer: d.Proposer, Fork: m.Fork(), Txs: txs})
	if err != nil {
		return Carried{}, fmt.Errorf("%w: %w", ErrEngine, err)
	}
	b := chain.Block{SealedHeader: chain.SealedHeader{Header: out.Header}, Txs: words}
	l.tip.decided = append(l.tip.decided, decided{block: b, txs: txs})
	x := Carried{Header: out.Header, Codes: make([]string, len(d.Txs)), Validators: out.Validators}
	next := len(d.Found)
	for i, tx := range d.Txs {
		if ofEngine(tx) {
			x.Codes[i] = machine.CodeEngineOnly
			continue
		}
		x.Codes[i] = out.Results[next].Code
		next++
	}
	l.pool.settle(d.Height, txs, nil, nil, l.nonce)
	l.cfg.Hook("after-decide")
	return x, nil
}

// prepareAll prepares transactions, those that wait in the mempool without doing
// the work again.
func (l *Ledger) prepareAll(txs [][]byte) []machine.Prepared {
	out := make([]machine.Prepared, len(txs))
	var rest [][]byte
	var at []int
	for i, tx := range txs {
		if p, ok := l.pool.get(chain.SHA256(tx)); ok {
			out[i] = *p
		} else {
			rest, at = append(rest, tx), append(at, i)
		}
	}
	for n, p := range l.intake.PrepareAll(rest) {
		out[at[n]] = p
	}
	return out
}

func ofEngine(tx []byte) bool { return len(tx) > 0 && chain.Kind(tx[0]).Engine() }

// Settle stores and shows the decided blocks for which there is a commit:
// commits gives that of a header, by the height of the header.
func (l *Ledger) Settle(ctx context.Context, commits func(chain.Height) ([]byte, bool)) error {
	for {
		l.mu.RLock()
		var d *decided
		if l.tip != nil && len(l.tip.decided) > 0 {
			d = &l.tip.decided[0]
		}
		l.mu.RUnlock()
		if d == nil {
			return nil
		}
		commit, ok := commits(d.block.Header.Height)
		if !ok {
			return nil
		}
		d.block.SealedHeader = chain.Commit(d.block.Header, commit)
		if err := l.importOne(ctx, prepared{block: d.block, txs: d.txs}); err != nil {
			return fmt.Errorf("store block %d: %w", d.block.Header.Height, err)
		}
		l.mu.Lock()
		l.tip.decided = slices.Delete(l.tip.decided, 0, 1)
		l.mu.Unlock()
		l.cfg.Hook("after-settle")
	}
}
