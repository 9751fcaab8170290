// Package recording reads and writes what an engine has handed to a ledger, block
// by block, and the headers that came of it: whoever hands the same to a ledger
// again must get the same headers. It is for tests.
//
// A recording is a gzip stream of
//
//	"tunic recording" | version 1 | genesis 4 + n | for each block: length 4, then
//	sealed header | seconds 8 | nanoseconds 4 | found 4, each: fault 1, node 32,
//	height 8, seconds 8, nanoseconds 4, power 8, total 8 | transactions 4, each 4 + n
//
// with genesis as JSON and integers as in docs/spec/encoding.md.
package recording

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/wire"
	"tunic/ledger/machine"
	"tunic/slashing"
)

// Version is that of the format.
const Version = 1

// Bounds of what is read.
const (
	maxGenesis = 4 << 20
	maxBlock   = 16 << 20
)

const magic = "tunic recording"

// ErrFormat means that a stream is no recording, or of another version.
var ErrFormat = errors.New("recording: not in this format")

// Moment is an engine's time, in full.
type Moment struct {
	Seconds int64
	Nanos   uint32
}

// Fault is a misbehaviour as an engine reports it.
type Fault struct {
	Kind   uint8
	Node   chain.NodeID
	Height chain.Height
	Time   Moment
	Power  uint64 // of the node
	Total  uint64 // of all
}

// Block is what an engine has decided, and the header that it gave with the commit
// for it. The proposer is the header's.
type Block struct {
	Sealed chain.SealedHeader
	Time   Moment
	Found  []Fault
	Txs    [][]byte // as they stood in the engine's block
}

// Block is the ledger's block: misbehaviour, then the transactions but for those
// that only an engine may make.
func (x Block) Block() chain.Block {
	out := chain.Block{SealedHeader: x.Sealed}
	for _, f := range x.Found {
		c := slashing.Conclusion{Fault: slashing.Fault(f.Kind), Node: f.Node, Height: f.Height, Time: chain.Time(f.Time.Millis()), Power: f.Power, Total: f.Total}
		out.Txs = append(out.Txs, machine.MisbehaviourTx(c).Encode())
	}
	for _, tx := range x.Txs {
		if len(tx) == 0 || !chain.Kind(tx[0]).Engine() {
			out.Txs = append(out.Txs, tx)
		}
	}
	return out
}

// Millis is the moment in whole milliseconds since 1970.
func (m Moment) Millis() int64 { return m.Seconds*1000 + int64(m.Nanos)/1_000_000 }

func (m Moment) append(b []byte) []byte {
	return wire.AppendUint32(wire.AppendUint64(b, uint64(m.Seconds)), m.Nanos)
}

func readMoment(r *wire.Reader) Moment { return Moment{int64(r.Uint64()), r.Uint32()} }

func (x Block) encode() []byte {
	b := x.Time.append(x.Sealed.Encode())
	b = wire.AppendUint32(b, uint32(len(x.Found)))
	for _, f := range x.Found {
		b = append(append(b, f.Kind), f.Node[:]...)
		b = f.Time.append(wire.AppendUint64(b, uint64(f.Height)))
		b = wire.AppendUint64(wire.AppendUint64(b, f.Power), f.Total)
	}
	b = wire.AppendUint32(b, uint32(len(x.Txs)))
	for _, tx := range x.Txs {
		b = wire.AppendBytes(b, tx)
	}
	return b
}

func decode(b []byte) (x Block, err error) {
	r := wire.NewReader(b)
	x.Sealed = chain.ReadSealedHeader(r)
	x.Time = readMoment(r)
	for range r.Count(chain.MaxBlockTxs, 69) {
		f := Fault{Kind: r.Uint8()}
		r.Copy(f.Node[:])
		f.Height = chain.Height(r.Uint64())
		f.Time = readMoment(r)
		f.Power, f.Total = r.Uint64(), r.Uint64()
		x.Found = append(x.Found, f)
	}
	for range r.Count(chain.MaxBlockTxs, 4) {
		x.Txs = append(x.Txs, r.Bytes(chain.MaxTx))
	}
	return x, r.Done()
}

// Writer writes a recording.
type Writer struct {
	zip *gzip.Writer
}

// NewWriter begins one.
func NewWriter(w io.Writer, g genesis.Genesis) (*Writer, error) {
	b, err := json.Marshal(g)
	if err != nil {
		return nil, err
	}
	zip, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err == nil {
		_, err = zip.Write(wire.AppendBytes(append([]byte(magic), Version), b))
	}
	return &Writer{zip}, err
}

// Write adds a block.
func (w *Writer) Write(x Block) error {
	_, err := w.zip.Write(wire.AppendBytes(nil, x.encode()))
	return err
}

// Close ends the recording; what it was written to stays open.
func (w *Writer) Close() error { return w.zip.Close() }

// Reader reads a recording.
type Reader struct {
	Genesis genesis.Genesis

	in *bufio.Reader
}

// NewReader reads as far as the genesis.
func NewReader(in io.Reader) (*Reader, error) {
	zip, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	r := &Reader{in: bufio.NewReader(zip)}
	head := make([]byte, len(magic)+1)
	if _, err := io.ReadFull(r.in, head); err != nil || string(head[:len(magic)]) != magic || head[len(magic)] != Version {
		return nil, errors.Join(ErrFormat, err)
	}
	b, err := r.sized(maxGenesis)
	if err != nil {
		return nil, fmt.Errorf("%w: genesis: %w", ErrFormat, err)
	}
	if r.Genesis, err = genesis.Parse(b); err != nil {
		return nil, fmt.Errorf("%w: genesis: %w", ErrFormat, err)
	}
	return r, nil
}

// Next is the next block; io.EOF behind the last.
func (r *Reader) Next() (Block, error) {
	if _, err := r.in.Peek(1); err == io.EOF {
		return Block{}, io.EOF
	}
	b, err := r.sized(maxBlock)
	if err != nil {
		return Block{}, fmt.Errorf("%w: block: %w", ErrFormat, err)
	}
	x, err := decode(b)
	if err != nil {
		return x, fmt.Errorf("%w: block: %w", ErrFormat, err)
	}
	return x, nil
}

func (r *Reader) sized(most uint32) ([]byte, error) {
	var n [4]byte
	if _, err := io.ReadFull(r.in, n[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(n[:])
	if size > most {
		return nil, fmt.Errorf("%d bytes, at most %d", size, most)
	}
	b := make([]byte, size)
	_, err := io.ReadFull(r.in, b)
	return b, err
}
