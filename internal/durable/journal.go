package durable

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A journal of LevelDB (its doc/log_format.md): blocks of 32 KiB, filled with chunks of checksum 4,
// length 2, type 1 (little-endian) and data; a record is one full chunk, or a
// first, middles and a last. Less than a chunk's header at a block's end is padding.
const (
	journalBlock = 32 << 10
	chunkHeader  = 7

	chunkFull   = 1
	chunkFirst  = 2
	chunkMiddle = 3
	chunkLast   = 4
)

// TrimJournals cuts off the record that a crash or a full disk left unfinished at
// the end of a journal or of the manifest of the LevelDB in a folder, which nobody
// has open, and returns how many bytes that were. Strict readers would call it
// corrupt, but its write had not returned well: nobody was told that it is kept. A
// write that fails is the last one of its journal, but newer journals may have been
// begun since. A record that is whole and wrong is left for strict readers to refuse.
func TrimJournals(path string) (int64, error) {
	names, err := filepath.Glob(filepath.Join(path, "*.log"))
	if err != nil {
		return 0, err
	}
	current, err := os.ReadFile(filepath.Join(path, "CURRENT"))
	if err == nil {
		names = append(names, filepath.Join(path, filepath.Base(strings.TrimSpace(string(current)))))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	cut := int64(0)
	for _, name := range names {
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return cut, err
		}
		end := wholeRecords(b)
		if end == len(b) {
			continue
		}
		if err := truncate(name, int64(end)); err != nil {
			return cut, fmt.Errorf("cut unfinished record: %w", err)
		}
		cut += int64(len(b) - end)
	}
	return cut, nil
}

func truncate(name string, size int64) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = f.Truncate(size)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// wholeRecords is where an unfinished last record of the journal b begins; its
// length where there is none, or where something else is wrong with it.
func wholeRecords(b []byte) int {
	begin, within, sound := 0, false, true
	for at := 0; ; {
		if left := journalBlock - at%journalBlock; left < chunkHeader {
			at += left
		}
		if !within {
			begin = at
		}
		if at >= len(b) {
			break
		}
		rest := b[at:]
		if len(rest) < chunkHeader {
			return torn(b, begin, sound)
		}
		size, kind := int(binary.LittleEndian.Uint16(rest[4:])), rest[6]
		switch {
		case isZero(rest):
			return torn(b, begin, sound) // the file grew before its bytes arrived
		case kind < chunkFull || kind > chunkLast, within == (kind <= chunkFirst),
			at%journalBlock+chunkHeader+size > journalBlock:
			return len(b)
		case chunkHeader+size > len(rest):
			// A wrong length of a chunk that is there is not an unfinished write.
			return torn(b, begin, sound && !checks(rest))
		}
		if kind <= chunkFirst {
			sound = true
		}
		sound = sound && checks(rest[:chunkHeader+size])
		within = kind == chunkFirst || kind == chunkMiddle
		at += chunkHeader + size
	}
	if within {
		return torn(b, begin, sound)
	}
	return len(b)
}

// torn is begin if all that is there of the record is sound.
func torn(b []byte, begin int, sound bool) int {
	if sound {
		return min(begin, len(b))
	}
	return len(b)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checks verifies a chunk's checksum, which is masked.
func checks(chunk []byte) bool {
	c := crc32.Checksum(chunk[6:], castagnoli)
	return (c>>15|c<<17)+0xa282ead8 == binary.LittleEndian.Uint32(chunk)
}

func isZero(b []byte) bool {
	return !slices.ContainsFunc(b, func(x byte) bool { return x != 0 })
}
