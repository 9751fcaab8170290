package mailbox

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"tunic/internal/durable"
	"tunic/internal/wire"
)

// Segments are the files in which a Level keeps long contents: docs/spec/mail.md,
// section Store. A segment is records one behind the other,
//
//	sum 4 | key length 4 | value length 4 | key | value
//
// where sum is the CRC-32C of all that follows it. Nothing is changed once it is
// written. A new run begins a new segment, so that what a crash has torn is
// always the end of one, to which no row points.
const (
	segmentFolder = "contents"
	segmentEnding = ".seg"
	segmentSize   = 64 << 20 // from here on the next is begun
	recordHeader  = 12
	maxRecord     = 1 << 20 // bytes of key and value
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errRecord means that a segment does not hold what a row says.
var errRecord = errors.New("a content is not what was written")

// spot is where a record stands: what the row of a long content holds.
type spot struct {
	segment uint64
	offset  uint32
	size    uint32 // of the whole record
	sum     uint32
}

const spotSize = 20

func (s spot) encode() []byte {
	b := wire.AppendUint64(make([]byte, 0, spotSize), s.segment)
	b = wire.AppendUint32(b, s.offset)
	b = wire.AppendUint32(b, s.size)
	return wire.AppendUint32(b, s.sum)
}

func decodeSpot(b []byte) (s spot, ok bool) {
	r := wire.NewReader(b)
	s = spot{segment: r.Uint64(), offset: r.Uint32(), size: r.Uint32(), sum: r.Uint32()}
	return s, r.Done() == nil && s.size >= recordHeader && s.size <= recordHeader+maxRecord
}

// appendRecord appends a record and returns its sum.
func appendRecord(b, key, value []byte) ([]byte, uint32) {
	at := len(b)
	b = wire.AppendUint32(b, 0)
	b = wire.AppendUint32(b, uint32(len(key)))
	b = wire.AppendUint32(b, uint32(len(value)))
	b = append(append(b, key...), value...)
	sum := crc32.Checksum(b[at+4:], castagnoli)
	binary.BigEndian.PutUint32(b[at:], sum)
	return b, sum
}

// splitRecord is key and value of a whole record whose sum is right.
func splitRecord(b []byte) (key, value []byte, err error) {
	if len(b) < recordHeader {
		return nil, nil, errRecord
	}
	k, v := uint64(binary.BigEndian.Uint32(b[4:])), uint64(binary.BigEndian.Uint32(b[8:]))
	if k+v != uint64(len(b)-recordHeader) || crc32.Checksum(b[4:], castagnoli) != binary.BigEndian.Uint32(b) {
		return nil, nil, errRecord
	}
	return b[recordHeader : recordHeader+k : recordHeader+k], b[recordHeader+k:], nil
}

// segments are the files of one folder. Several goroutines may use them.
type segments struct {
	dir     string
	full    int64                   // the size from which on a segment takes no more
	reached func(step string) error // a hook of tests: an error stands for one of the disk

	turn sync.Mutex // one append at a time; taken before mu
	buf  []byte     // of whose turn it is

	mu    sync.Mutex
	sizes map[uint64]*segment
	next  uint64   // the number of the next segment
	open  *os.File // the one that takes records, nil where there is none; changed only in turn
	last  uint64   // its number
}

// segment is what is counted of one file.
type segment struct {
	size   int64 // of its records
	live   int64 // of those to which rows point, or will
	staged int   // how many of these wait for their rows
	keep   bool  // not to be removed in this run: whether rows point to it is not known
}

// listSegments finds the files of a folder; the folder may be missing.
func listSegments(dir string) (*segments, error) {
	s := &segments{dir: dir, full: segmentSize, sizes: make(map[uint64]*segment), next: 1, reached: func(string) error { return nil }}
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, f := range files {
		digits, ok := strings.CutSuffix(f.Name(), segmentEnding)
		n, err := strconv.ParseUint(digits, 16, 64)
		if !ok || err != nil || f.Name() != filepath.Base(s.path(n)) {
			continue // nothing of this program's
		}
		info, err := f.Info()
		if err != nil {
			return nil, err
		}
		s.sizes[n] = &segment{size: info.Size()}
		s.next = max(s.next, n+1)
	}
	return s, nil
}

func (s *segments) path(n uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%016x%s", n, segmentEnding))
}

// holds reports whether there is a file that can hold a record there.
func (s *segments) holds(x spot) bool {
	f := s.sizes[x.segment]
	return f != nil && int64(x.offset)+int64(x.size) <= f.size
}

// read returns the value of a record of key, as memory of the caller's; an error
// of fs.ErrNotExist where the file is gone, which a reader may see that has found
// the row before the segment was collected.
func (s *segments) read(x spot, key []byte) ([]byte, error) {
	f, err := os.Open(s.path(x.segment))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, x.size)
	if _, err := f.ReadAt(b, int64(x.offset)); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	k, v, err := splitRecord(b)
	if err != nil || binary.BigEndian.Uint32(b) != x.sum || !bytes.Equal(k, key) {
		return nil, errRecord
	}
	return v, nil
}

// append writes the values of rows and returns where each stands, when all are on
// stable storage. They count as alive, and as staged until settle. What it has
// written before an error is nobody's.
func (s *segments) append(rows []Row) ([]spot, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	f, err := s.taker()
	if err != nil {
		return nil, err
	}
	spots := make([]spot, len(rows))
	b := s.buf[:0]
	for i, r := range rows {
		at := len(b)
		x := spot{segment: s.last, offset: uint32(f.size) + uint32(at)}
		b, x.sum = appendRecord(b, r.Key, r.Value)
		x.size = uint32(len(b) - at)
		spots[i] = x
	}
	if s.buf = b; cap(b) > 4<<20 {
		s.buf = nil
	}
	if err = s.reached("write"); err == nil {
		_, err = s.open.WriteAt(b, f.size)
	}
	if err != nil {
		// Most often the disk is full: what is half there goes.
		if s.open.Truncate(f.size) == nil {
			return nil, err
		}
	} else if err = cmp.Or(s.reached("sync"), s.open.Sync()); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		f.size += int64(len(b))
		f.live += int64(len(b))
		f.staged += len(spots)
		return spots, nil
	}
	// After a failed sync nobody knows what the system still has to write.
	_ = s.open.Truncate(f.size)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close()
	return nil, err
}

// taker is the segment that takes records, a new one where the last is full. Its
// size and number change only in turn.
func (s *segments) taker() (*segment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open != nil && s.sizes[s.last].size >= s.full {
		s.close()
	}
	if s.open == nil {
		if err := s.begin(); err != nil {
			return nil, err
		}
	}
	return s.sizes[s.last], nil
}

// begin makes the next segment, whose name is on stable storage before a row may
// point to it.
func (s *segments) begin() error {
	if err := cmp.Or(s.reached("begin"), durable.MkdirAll(s.dir)); err != nil {
		return err
	}
	f, err := os.OpenFile(s.path(s.next), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := durable.SyncDir(s.dir); err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	s.open, s.last = f, s.next
	s.sizes[s.next] = &segment{}
	s.next++
	return nil
}

// close ends the segment that takes records.
func (s *segments) close() {
	if s.open != nil {
		_ = s.open.Close() // everything that counts is synced
		s.open = nil
		s.tidy(s.last)
	}
}

// end is close for who holds no lock.
func (s *segments) end() {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close()
}

// outcome is what became of the rows that point to staged records.
type outcome uint8

const (
	rowsWritten outcome = iota
	rowsDropped         // nothing was written
	rowsUnknown         // they may be there after the next start
)

// settle ends the staging of records.
func (s *segments) settle(spots []spot, o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range spots {
		f := s.sizes[x.segment]
		f.staged--
		if o != rowsWritten {
			f.live -= int64(x.size)
		}
		if o == rowsUnknown {
			f.keep = true
		}
		s.tidy(x.segment)
	}
}

// dead notes that no row points to records any more.
func (s *segments) dead(spots []spot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range spots {
		if f := s.sizes[x.segment]; f != nil {
			f.live -= int64(x.size)
			s.tidy(x.segment)
		}
	}
}

// tidy removes a segment to which no row points or will. A file that cannot be
// removed now is removed at the next start.
func (s *segments) tidy(n uint64) {
	f := s.sizes[n]
	if f == nil || f.live > 0 || f.keep || s.taking(n) {
		return
	}
	delete(s.sizes, n)
	_ = os.Remove(s.path(n))
}

func (s *segments) taking(n uint64) bool { return s.open != nil && s.last == n }

// sparse finds the segment with the least part alive, of those with less than
// half.
func (s *segments) sparse() (n uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, f := range s.sizes {
		if f.keep || f.staged > 0 || s.taking(at) || 2*f.live >= f.size {
			continue
		}
		if best := s.sizes[n]; !ok || float64(f.live)*float64(best.size) < float64(best.live)*float64(f.size) {
			n, ok = at, true
		}
	}
	return n, ok
}

// spare keeps a segment, where it is still there, from being emptied again.
func (s *segments) spare(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.sizes[n]; f != nil {
		f.keep = true
	}
}

// walk calls fn with each record of a segment, in order, until fn returns false
// or the records end: at the end of the file or of what a crash has left whole.
// Key and value are valid until fn returns.
func (s *segments) walk(n uint64, fn func(x spot, key, value []byte) bool) error {
	f, err := os.Open(s.path(n))
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 256<<10)
	var b []byte
	for offset := uint64(0); offset < 1<<32; {
		b = append(b[:0], make([]byte, recordHeader)...)
		if _, err := io.ReadFull(r, b); err != nil {
			return ended(err)
		}
		size := uint64(binary.BigEndian.Uint32(b[4:])) + uint64(binary.BigEndian.Uint32(b[8:]))
		if size > maxRecord {
			return nil
		}
		b = append(b, make([]byte, size)...)
		if _, err := io.ReadFull(r, b[recordHeader:]); err != nil {
			return ended(err)
		}
		key, value, err := splitRecord(b)
		if err != nil {
			return nil
		}
		x := spot{segment: n, offset: uint32(offset), size: uint32(len(b)), sum: binary.BigEndian.Uint32(b)}
		if !fn(x, key, value) {
			return nil
		}
		offset += uint64(len(b))
	}
	return nil
}

// ended tells the end of a file from a failure.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}
