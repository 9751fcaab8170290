package mailbox

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
)

// apart reports whether the value of a row is in a segment, and the row itself
// has where.
func apart(key []byte) bool { return len(key) > 0 && key[0] == rowContent }

// countContents counts what of each segment is alive, and removes those of which
// nothing is: a crash may have left them.
func (l *Level) countContents() error {
	var missing error
	err := l.scan([]byte{rowContent}, nil, func(_, v []byte) bool {
		x, ok := decodeSpot(v)
		if !ok || !l.segments.holds(x) {
			missing = damaged(errRecord)
			return false
		}
		l.segments.sizes[x.segment].live += int64(x.size)
		return true
	})
	if err != nil || missing != nil {
		return errors.Join(missing, err)
	}
	for n := range l.segments.sizes {
		l.segments.tidy(n)
	}
	return nil
}

// spot is where the content of a row stands; false where there is no row.
func (l *Level) spot(key []byte) (spot, bool, error) {
	v, err := l.get(key)
	if err != nil || v == nil {
		return spot{}, false, err
	}
	x, ok := decodeSpot(v)
	if !ok {
		return x, false, fmt.Errorf("%w: place of a content", ErrStore)
	}
	return x, true, nil
}

// content reads what a row points to, nil where the row has gone since. The
// content may move while it is read; then the row says where to.
func (l *Level) content(key, row []byte) ([]byte, error) {
	for {
		x, ok := decodeSpot(row)
		if !ok {
			return nil, fmt.Errorf("%w: place of a content", ErrStore)
		}
		v, err := l.segments.read(x, key)
		if err == nil {
			return v, nil
		}
		again, gerr := l.get(key)
		switch {
		case gerr != nil:
			return nil, gerr
		case again == nil:
			return nil, nil
		case bytes.Equal(again, row):
			if errors.Is(err, fs.ErrNotExist) {
				err = errRecord
			}
			return nil, fmt.Errorf("%w: %w", ErrStore, err)
		}
		row = again
	}
}

// collectStep is how many bytes of contents are moved in one write.
const collectStep = 1 << 20

// collect begins to move what is alive out of segments of which most is not, so
// that the disk has their space again. Nothing is alive for long: most segments
// go without that. It is called with mu held.
func (l *Level) collect() {
	if l.collecting || l.closing {
		return
	}
	n, ok := l.segments.sparse()
	if !ok {
		return
	}
	l.collecting = true
	l.collector.Go(func() {
		for ok {
			err := l.empty(n)
			if errors.Is(err, fs.ErrNotExist) {
				err = nil // all of it was deleted meanwhile
			}
			l.mu.Lock()
			if !l.closing && err == nil {
				l.segments.spare(n) // where it is left, what it has cannot be read
			}
			if n, ok = l.segments.sparse(); !ok || l.closing || err != nil {
				l.collecting, ok = false, false
			}
			l.mu.Unlock()
		}
	})
}

// empty moves what is alive out of a segment, which goes with the last of it.
func (l *Level) empty(n uint64) error {
	var live []Row
	var spots []spot
	var failed error
	bytesLive := 0
	flush := func() bool {
		failed = l.move(live, spots)
		live, spots, bytesLive = nil, nil, 0
		return failed == nil
	}
	err := l.segments.walk(n, func(x spot, key, value []byte) bool {
		at, ok, err := l.spot(key)
		if err != nil {
			failed = err
			return false
		}
		if !ok || at != x {
			return true
		}
		live = append(live, Row{bytes.Clone(key), bytes.Clone(value)})
		spots = append(spots, x)
		bytesLive += len(value)
		return bytesLive < collectStep || flush()
	})
	if failed == nil && err == nil {
		flush()
	}
	return errors.Join(failed, err)
}

var errClosing = errors.New("the store is being closed")

// move writes contents anew that stand at from, but for those that have gone or
// been replaced since they were read.
func (l *Level) move(rows []Row, from []spot) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return errClosing
	}
	var still []Row
	var old []spot
	for i, r := range rows {
		at, ok, err := l.spot(r.Key)
		if err != nil {
			return err
		}
		if ok && at == from[i] {
			still, old = append(still, r), append(old, at)
		}
	}
	if len(still) == 0 {
		return nil
	}
	spots, err := l.contents(still)
	if err != nil {
		return err
	}
	return l.write(still, spots, old)
}
