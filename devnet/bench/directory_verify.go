package bench

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"tunic/chain"
	"tunic/registry/directory"
)

// VerifyFigures are of a list as it comes from anybody, decoded strictly and
// held against a header that is trusted, on one core; beside the SHA-256 of its
// leaves and of the nodes above them, and nothing else. Medians over the rounds.
type VerifyFigures struct {
	Entries  int     `json:"entries"`
	Bytes    int     `json:"bytes"`
	VerifyUS int64   `json:"verify_us"` // decoded and checked
	HashUS   int64   `json:"hash_us"`   // the hashes alone
	Ratio    float64 `json:"ratio"`     // median of the rounds' own ratios
	Goal     float64 `json:"goal"`      // at most
	Allocs   int64   `json:"allocs"`    // allocations of one verification
}

// syntheticList is a list of entries as a network's, with random-looking keys.
func syntheticList(epoch chain.Epoch, n int) (*directory.List, error) {
	entries := make([]directory.Entry, n)
	parallel(n, func(i int) {
		key := directory.Key{First: 1, Key: benchSeed("list onion", i)}
		entries[i] = directory.Entry{
			Node: benchSeed("list node", i), VRF: benchSeed("list vrf", i), Operator: chain.Address(slices.Clone(benchBytes("list operator", i/perOperator, 20))),
			Endpoints: []string{fmt.Sprintf("127.%d.%d.%d:22021", i>>16&255, i>>8&255, i&255)},
			Swarm:     directory.SwarmID(binary.BigEndian.Uint64(benchBytes("list swarm", i/8, 8))), PreviousSwarm: directory.SwarmID(binary.BigEndian.Uint64(benchBytes("list swarm", i/8, 8))),
			Version: "0.2.0", Stake: 15_000 * chain.TUN, Onion: key, OnionNext: key, Performance: chain.Permille(1000 - i%50),
		}
	})
	return directory.NewList(epoch, entries)
}

func benchBytes(kind string, i, n int) []byte { s := benchSeed(kind, i); return s[:n] }

func measureVerify(ctx context.Context, entries, rounds int, tell func(done, all int)) (VerifyFigures, error) {
	f := VerifyFigures{Entries: entries, Goal: DirectoryVerifyGoal}
	list, err := syntheticList(1, entries)
	if err != nil {
		return f, err
	}
	header := chain.Header{DirEpoch: 1, DirCount: uint32(entries), Directory: list.Root()}
	encoded := list.Encode()
	f.Bytes = len(encoded)
	h := newHashing(list)
	list = nil
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	verify := func() error {
		l, err := directory.Decode(encoded)
		if err != nil {
			return err
		}
		return l.Check(header)
	}
	// Small lists are verified more often, but never several in a turn: so other
	// programs hit few of the figures and not a part of each.
	rounds *= max(1, 10_000/entries)
	var verified, hashed []int64
	var ratios []float64
	for round := -1; round < rounds; round++ { // the first round warms up
		if err := ctx.Err(); err != nil {
			return f, err
		}
		tell(max(0, round), rounds)
		begin := time.Now()
		if root := h.root(); root != header.Directory {
			return f, errors.New("the hashes alone lead to another root")
		}
		hashing := time.Since(begin)
		begin = time.Now()
		if err := verify(); err != nil {
			return f, err
		}
		took := time.Since(begin)
		if round >= 0 {
			verified, hashed = append(verified, int64(took)), append(hashed, int64(hashing))
			ratios = append(ratios, float64(took)/float64(max(1, hashing)))
		}
	}
	slices.Sort(ratios)
	f.VerifyUS, f.HashUS, f.Ratio = median(verified)/1000, median(hashed)/1000, ratios[len(ratios)/2]
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err = verify()
	runtime.ReadMemStats(&after)
	f.Allocs = int64(after.Mallocs - before.Mallocs)
	return f, err
}

// hashing is what a list's root is made of, laid out so that nothing but hashing
// is left to do.
type hashing struct {
	leaves [][]byte // each behind its zero byte
	row    []chain.Hash
}

func newHashing(l *directory.List) *hashing {
	h := &hashing{leaves: make([][]byte, len(l.Entries)), row: make([]chain.Hash, len(l.Entries))}
	for i := range l.Entries {
		h.leaves[i] = directory.AppendEntry([]byte{0}, l.Entries[i])
	}
	return h
}

// root hashes all leaves and nodes: RFC 6962, a last node without sibling
// carried up.
func (h *hashing) root() chain.Hash {
	for i, b := range h.leaves {
		h.row[i] = sha256.Sum256(b)
	}
	node := [65]byte{1}
	for row := h.row; len(row) > 1; {
		up := row[:0]
		for i := 0; i+1 < len(row); i += 2 {
			copy(node[1:], row[i][:])
			copy(node[33:], row[i+1][:])
			up = append(up, sha256.Sum256(node[:]))
		}
		if len(row)%2 == 1 {
			up = append(up, row[len(row)-1])
		}
		row = up
	}
	return h.row[0]
}
