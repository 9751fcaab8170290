package machine

import (
	"errors"
	"fmt"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/merkle"
	"tunic/internal/table"
	"tunic/internal/wire"
	"tunic/ledger/light"
	"tunic/registry"
	"tunic/registry/directory"
	"tunic/slashing"
)

// Bounds of one block beside chain.MaxBlockTxs.
const (
	MaxPublishes  = 2048    // statements
	MaxBlockBytes = 8 << 20 // sum of the transactions' encodings
)

var (
	// ErrInput means that an engine's input does not follow the head.
	ErrInput = errors.New("machine: input does not follow the head")
	// ErrMismatch means that a block's header is not what its transactions give.
	ErrMismatch = errors.New("machine: header does not match the recomputed block")
)

// Input is all that an engine decides about a block.
type Input struct {
	Height   chain.Height
	Time     chain.Time // not below the head's
	Proposer chain.NodeID
	Fork     uint32 // the machine's or, where the first transaction says so (Dev), above it
	Txs      []Prepared
}

// Result is what became of one transaction: an empty code means applied.
type Result struct {
	Tx   chain.Hash
	Code string
}

// Encode is the canonical encoding, a leaf of the header's result root:
// transaction id 32 | code.
func (r Result) Encode() []byte {
	return wire.AppendString(append(make([]byte, 0, 36+len(r.Code)), r.Tx[:]...), r.Code)
}

// Refused is a transaction that a proposal left out, and why.
type Refused struct {
	Tx  int // index in the input
	Why *chain.Refusal
}

// Output is what a block did.
type Output struct {
	Header   chain.Header
	Results  []Result              // one per transaction of the block
	Changes  [Parts][]table.Change // rows to write, by part
	List     *directory.List       // frozen in this block, or nil
	Included []int                 // Propose only: indexes of the input's transactions in the block
	Refused  []Refused             // Propose only
	Events   []Event               // changes of nodes' lives, in order

	Validators []registry.ValidatorChange // they act two blocks later
}

// block is what reducers may know of the block being applied.
type block struct {
	height chain.Height
	time   chain.Time
	epoch  chain.Epoch
	fork   uint32
	raise  bool         // the fork rises here, and the transaction that says so is to come
	bonded chain.Amount // behind all nodes, before anything was done

	verified *statement.Verified // by CheckTx before; nil where a block is replayed

	list   *directory.List // the newest
	beacon chain.Hash      // of its epoch
}

// Apply executes a block as it is: every transaction gets a result, a refused
// one changes nothing and has its code in the results. On an error the machine
// is unchanged.
func (m *Machine) Apply(in Input) (Output, error) { return m.run(in, false) }

// Propose executes a block of those transactions that apply, in their order,
// leaves out refused ones, and stops taking where the block is full: what is
// neither included nor refused waits for the next block. A statement that
// CheckTx verified is not verified again.
func (m *Machine) Propose(in Input) (Output, error) { return m.run(in, true) }

// Replay executes a block and holds the outcome against its header. After
// ErrMismatch the machine has gone astray and must be thrown away.
func (m *Machine) Replay(h chain.Header, txs []Prepared) (Output, error) {
	if h.Genesis != m.genesis || h.Parent != m.parent() {
		return Output{}, fmt.Errorf("%w: height %d has another parent or genesis", ErrInput, h.Height)
	}
	out, err := m.Apply(Input{Height: h.Height, Time: h.Time, Proposer: h.Proposer, Fork: h.Fork, Txs: txs})
	if err != nil {
		return out, err
	}
	if got, want := out.Header.Hash(), h.Hash(); got != want {
		return out, fmt.Errorf("%w: height %d is %s, recomputed %s", ErrMismatch, h.Height, want, got)
	}
	return out, nil
}

func (m *Machine) run(in Input, propose bool) (Output, error) {
	if err := m.follows(in, propose); err != nil {
		return Output{}, err
	}
	b := &block{height: in.Height, time: in.Time, epoch: m.core.EpochAt(in.Time), fork: in.Fork,
		bonded: m.staking.Bonded(), list: m.list, beacon: m.head.Beacon}
	if propose {
		b.verified = m.verified
	}
	if in.Fork != m.fork {
		b.raise = true
		m.setFork(in.Fork)
		m.forked()
	}
	var out Output
	beaconNow, begins := m.head.Beacon, b.epoch > m.head.DirEpoch
	b.epoch = max(b.epoch, m.head.DirEpoch)
	if begins { // what is over is settled by the rules under which it happened
		beaconNow = beacon.Next(beaconNow, m.contributions(m.head.DirEpoch))
		m.judge(b)
		m.beginParams(b.epoch)
	}
	m.reward()
	m.settle(b)
	m.lapse(b, begins)
	if begins {
		list, err := m.beginEpoch(b, beaconNow)
		if err != nil {
			panic(fmt.Sprintf("machine: internal error: epoch %d: %v", b.epoch, err))
		}
		m.list, out.List = list, list
		b.list, b.beacon = list, beaconNow
		m.draw(b)
	}
	leaves, resultLeaves := m.transactions(in, b, propose, &out)
	m.lapseChallenges(b)
	for i, p := range m.parts {
		out.Changes[i] = p.Commit()
	}
	out.Events, out.Validators = m.registry.TakeEvents(), m.registry.TakeValidators()
	out.Header = chain.Header{
		Genesis: m.genesis, Fork: in.Fork, Height: in.Height, Time: in.Time, Parent: m.parent(),
		TxRoot: merkle.Root(leaves), TxCount: uint32(len(leaves)), Results: merkle.Root(resultLeaves),
		State:     light.StateRoot(m.roots()),
		Directory: m.list.Root(), DirCount: uint32(len(m.list.Entries)), DirEpoch: b.epoch,
		Removals: m.removals(), Beacon: beaconNow, Proposer: in.Proposer,
		Committed: m.core.Engine == genesis.EngineComet,
	}
	m.head = out.Header
	m.headHash = out.Header.Hash()
	m.headers.record(in.Height, m.headHash, m.registry.Validators())
	return out, nil
}

// follows refuses an input before anything is touched.
func (m *Machine) follows(in Input, propose bool) error {
	switch {
	case in.Height != m.head.Height+1:
		return fmt.Errorf("%w: height %d after %d", ErrInput, in.Height, m.head.Height)
	case in.Time < m.head.Time:
		return fmt.Errorf("%w: time %d before the head's %d", ErrInput, in.Time, m.head.Time)
	case in.Fork < m.fork:
		return fmt.Errorf("%w: fork %d after %d", ErrInput, in.Fork, m.fork)
	case in.Fork != m.fork && !m.core.Dev:
		return fmt.Errorf("%w: fork %d, and only dev networks have any", ErrInput, in.Fork)
	case in.Fork != m.fork && !raises(in):
		return fmt.Errorf("%w: fork %d after %d, and the first transaction is not a revert or load that says so", ErrInput, in.Fork, m.fork)
	case propose:
		return nil
	case len(in.Txs) > chain.MaxBlockTxs:
		return fmt.Errorf("%w: %d transactions, at most %d", ErrInput, len(in.Txs), chain.MaxBlockTxs)
	}
	size := 0
	for i := range in.Txs {
		size += len(in.Txs[i].Bytes)
	}
	if size > MaxBlockBytes {
		return fmt.Errorf("%w: %d bytes of transactions, at most %d", ErrInput, size, MaxBlockBytes)
	}
	return nil
}

// transactions runs them in order and returns the leaves of both roots.
func (m *Machine) transactions(in Input, b *block, propose bool, out *Output) (leaves, results []merkle.Hash) {
	leaves = make([]merkle.Hash, 0, len(in.Txs))
	results = make([]merkle.Hash, 0, len(in.Txs))
	out.Results = make([]Result, 0, len(in.Txs))
	purse := purse{m: m}
	publishes, size := 0, 0
	for i := range in.Txs {
		p := &in.Txs[i]
		if propose && (len(leaves) == chain.MaxBlockTxs || size+len(p.Bytes) > MaxBlockBytes) {
			break
		}
		if propose && p.IsPublish() && publishes == MaxPublishes {
			continue // waits
		}
		why := m.one(b, &purse, p, publishes)
		if propose && why != nil {
			out.Refused = append(out.Refused, Refused{i, why})
			continue
		}
		size += len(p.Bytes)
		if p.IsPublish() {
			publishes++
		}
		r := Result{Tx: p.ID}
		if why != nil {
			r.Code = why.Code
		}
		if propose {
			out.Included = append(out.Included, i)
		}
		leaves = append(leaves, p.leaf)
		results = append(results, merkle.Leaf(r.Encode()))
		out.Results = append(out.Results, r)
	}
	return leaves, results
}

// one applies one transaction or says why not, and then nothing has changed.
func (m *Machine) one(b *block, p *purse, t *Prepared, publishes int) *chain.Refusal {
	if t.Err != nil {
		return t.Err
	}
	if t.IsPublish() {
		if publishes >= MaxPublishes {
			return chain.Refuse(CodeTooManyPublishes, "at most %d statements a block", MaxPublishes)
		}
		p.touched = p.touched[:0]
		if err := m.publish(b, p, t.St); err != nil {
			return refusal(err)
		}
		p.keep()
		return nil
	}
	if t.Tx.Kind.Engine() {
		p.touched = p.touched[:0]
		if err := m.engine(b, p, t.msg); err != nil {
			return refusal(err)
		}
		p.keep()
		return nil
	}
	if why := m.admit(t, b.height); why != nil {
		return why
	}
	if acc := m.Account(t.Sender); t.Head.Nonce != acc.Nonce {
		return chain.Refuse(CodeNonceGap, "nonce %d, the account's next is %d", t.Head.Nonce, acc.Nonce)
	}
	p.touched = p.touched[:0]
	p.Debit(t.Sender, t.Head.Fee)
	p.get(t.Sender).Nonce++
	if err := kinds[t.Tx.Kind].apply(m, b, p, t.Sender, t.msg); err != nil {
		return refusal(err)
	}
	p.keep()
	m.burn(t.Head.Fee)
	return nil
}

// engine carries out what only an engine says.
func (m *Machine) engine(b *block, p *purse, msg any) error {
	switch v := msg.(type) {
	case *Dev:
		return m.dev(b, p, v)
	case slashing.Conclusion:
		return m.misbehaved(b, p, v)
	}
	panic("machine: internal error: an engine's transaction of no known kind")
}

// admit checks what must hold of an account transaction whatever its kind, for
// a block at height, and leaves a gap in the nonces to the caller.
func (m *Machine) admit(t *Prepared, height chain.Height) *chain.Refusal {
	acc := m.Account(t.Sender)
	switch {
	case t.Head.Nonce < acc.Nonce:
		return chain.Refuse(CodeNonceUsed, "nonce %d, the account's next is %d", t.Head.Nonce, acc.Nonce)
	case t.Head.ValidUntil < height:
		return chain.Refuse(CodeExpired, "valid until height %d, the next is %d", t.Head.ValidUntil, height)
	case t.Head.Fee < m.core.Params.MinFee:
		return chain.Refuse(CodeFeeTooLow, "fee of %d units, at least %d", uint64(t.Head.Fee), uint64(m.core.Params.MinFee))
	case acc.Balance < t.Head.Fee:
		return chain.Refuse(CodeInsufficientFunds, "balance %s, fee %s", acc.Balance, t.Head.Fee)
	}
	return nil
}

// CheckTx says whether t could enter a block sealed at now or, where its nonce
// leaves a gap, a later one. What only execution shows is found when it is
// proposed. It changes nothing, and may be called from several goroutines while
// nothing else is.
func (m *Machine) CheckTx(t *Prepared, now chain.Time) error {
	if t.Err != nil {
		return t.Err
	}
	switch t.Tx.Kind {
	case chain.KindDev:
		return chain.Refuse(CodeDevOnly, "made by a dev network's sealer alone")
	case chain.KindMisbehaviour:
		return chain.Refuse(CodeEngineOnly, "made by the validators alone")
	}
	b := m.next(now)
	var err error
	if t.IsPublish() {
		err = m.checkPublish(b, t.St)
	} else if why := m.admit(t, b.height); why != nil {
		return why
	} else {
		err = m.checkKind(b, t)
	}
	if err != nil {
		return refusal(err)
	}
	return nil
}

// next is the block that follows the head at now.
func (m *Machine) next(now chain.Time) *block {
	now = max(now, m.head.Time)
	return &block{height: m.head.Height + 1, time: now, epoch: max(m.core.EpochAt(now), m.head.DirEpoch), fork: m.fork,
		list: m.list, beacon: m.head.Beacon, verified: m.verified}
}

// refusal is a reducer's error as what enters the results.
func refusal(err error) *chain.Refusal {
	var r *chain.Refusal
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, statement.ErrFork):
		return chain.Refuse(CodeWrongFork, "%v", err)
	case errors.Is(err, statement.ErrSignature):
		return chain.Refuse(CodeBadSignature, "%v", err)
	case errors.Is(err, statement.ErrMalformed):
		return chain.Refuse(CodeMalformed, "%v", err)
	}
	return chain.Refuse(CodeRefused, "%v", err)
}
