package ledger

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/syndtr/goleveldb/leveldb"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/wire"
	"tunic/ledger/machine"
)

// dumpHead is what a dump says in its first line beside the genesis.
type dumpHead struct {
	Clock   chain.Time   `json:"clock"`   // that the ledger's clock showed
	Height  chain.Height `json:"height"`  // of the last block
	Waiting int          `json:"waiting"` // account transactions behind the blocks
}

// keyWaiting is where Load leaves the account transactions of a dump for the
// next Open: m waiting holds count 4, then each behind its 4-byte length.
const keyWaiting = "waiting"

// Dump writes the genesis, the clock, all blocks and the account transactions
// that wait: what Load goes on from. The ledger runs on meanwhile; ErrNotFound
// where a revert takes away what is being written.
func (l *Ledger) Dump(ctx context.Context, w io.Writer) error {
	if !l.core.Dev {
		return fmt.Errorf("dump: %w: genesis does not say dev: true", ErrNotDev)
	}
	l.mu.RLock()
	h, reverts := l.head.Header, len(l.reverts)
	var waiting [][]byte
	for _, t := range l.pool.all() {
		if !t.IsPublish() { // nodes sign afresh in the fork that Load begins
			waiting = append(waiting, t.Bytes)
		}
	}
	l.mu.RUnlock()
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	g := l.Genesis()
	err := enc.Encode(line{Genesis: &g, Dump: &dumpHead{max(l.clock.Now(), h.Time), h.Height, len(waiting)}})
	for at := chain.Height(1); err == nil && at <= h.Height; at++ {
		if err = ctx.Err(); err != nil {
			break
		}
		var b chain.Block
		l.mu.RLock()
		if b, err = l.block(at); err == nil && len(l.reverts) != reverts {
			err = fmt.Errorf("%w: the chain was reverted meanwhile", ErrNotFound)
		}
		l.mu.RUnlock()
		if err == nil {
			err = enc.Encode(line{Height: at, Block: base64.StdEncoding.EncodeToString(b.Encode())})
		}
	}
	for _, tx := range waiting {
		if err == nil {
			err = enc.Encode(line{Waiting: base64.StdEncoding.EncodeToString(tx)})
		}
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("dump: %w", err)
	}
	return nil
}

// Load makes a new database in dir from what Dump wrote, verifying and
// replaying every block, and begins a new fork on top of it at the time that
// the clock showed. What waited is put into the mempool by the next Open. key
// is the sealer's.
func Load(ctx context.Context, dir string, key ed25519.PrivateKey, r io.Reader) (DBReport, error) {
	report, g, d, waiting, err := importLines(ctx, dir, r)
	switch {
	case err != nil:
		return report, err
	case !g.Dev:
		return report, fmt.Errorf("load: %w", ErrNotDev)
	case d == nil:
		return report, fmt.Errorf("load: %w: an export, not a dump; import it", ErrBlock)
	}
	clock := NewRealClock()
	if g.Clock == genesis.ClockLedger {
		clock = NewDrivenClock(max(g.Time, d.Clock))
	}
	l, err := Open(ctx, Config{Dir: dir, Genesis: g, SealerKey: key, Mode: ModeManual, Clock: clock})
	if err != nil {
		return report, err
	}
	defer l.Close()
	_, refused, err := l.sealWith(ctx, func(h chain.Height) machine.Dev {
		return machine.Dev{Op: machine.DevLoad, Height: h, Fork: l.machine.Fork() + 1}
	})
	if err == nil && refused != nil {
		err = refused
	}
	if err == nil {
		err = l.db.putWaiting(waiting)
	}
	if err != nil {
		return l.report(), fmt.Errorf("load: %w", err)
	}
	return l.report(), l.Close()
}

// decodeLine is the canonical base64 of a line's member.
func decodeLine(text string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err == nil && base64.StdEncoding.EncodeToString(b) != text {
		err = errors.New("base64 with other characters in it")
	}
	return b, err
}

func (s *store) putWaiting(txs [][]byte) error {
	b := new(leveldb.Batch)
	v := wire.AppendUint32(nil, uint32(len(txs)))
	for _, tx := range txs {
		v = wire.AppendBytes(v, tx)
	}
	if b.Delete(key(keyMeta, []byte(keyWaiting))); len(txs) > 0 {
		b.Put(key(keyMeta, []byte(keyWaiting)), v)
	}
	return s.write(b)
}

func (s *store) waiting() ([][]byte, error) {
	v, err := s.get("waiting transactions", key(keyMeta, []byte(keyWaiting)))
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return readWaiting(v)
}

func readWaiting(v []byte) ([][]byte, error) {
	r := wire.NewReader(v)
	var out [][]byte
	for range r.Count(math.MaxInt32, 4) {
		out = append(out, r.Bytes(chain.MaxTx))
	}
	if err := r.Done(); err != nil {
		return nil, corrupt("waiting transactions: %v", err)
	}
	return out, nil
}

// takeWaiting puts what Load left into the mempool. It is a mempool's from then
// on: what is refused is remembered as such, and nothing of it is kept on disk.
func (l *Ledger) takeWaiting() error {
	txs, err := l.db.waiting()
	if err != nil || len(txs) == 0 {
		return err
	}
	for _, tx := range txs {
		p := l.intake.Prepare(tx)
		if err := l.submit(&p); err != nil {
			l.pool.refuse(&p, l.head.Header.Height, chain.Refuse(CodeForked, "not valid in the state that was loaded: %v", err))
		}
	}
	return l.db.putWaiting(nil)
}

func (p *pool) refuse(t *machine.Prepared, h chain.Height, why *chain.Refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(t, h, why)
}
