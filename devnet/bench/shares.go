package bench

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Share is the processor time of one part of the program.
type Share struct {
	Part  string  `json:"part"`
	MS    int64   `json:"ms"`
	Share float64 `json:"share"` // of all samples
}

// rule gives samples with a function of one of these beginnings to a part.
type rule struct {
	part     string
	prefixes []string
}

// rules are asked frame by frame, from the innermost outwards: so what a reducer
// spends on a signature is verification, and what the runtime does for JSON is
// the API's.
var rules = []rule{
	{"verification", []string{"tunic/chain/statement.Domain.VerifyRaw", "tunic/chain/beacon.Verify", "tunic/chain.Recover"}},
	{"signing", []string{"tunic/chain/statement.Domain.SignRaw", "tunic/chain/beacon.Key.Prove"}},
	{"probing", []string{"tunic/registry/probe.", "tunic/onion.", "tunic/relay.(*prober)", "tunic/relay.(*Relay).peel"}},
	{"sealing and machine", []string{"tunic/ledger.", "tunic/ledger/machine.", "tunic/registry.", "tunic/staking.", "tunic/slashing.",
		"tunic/internal/table.", "github.com/syndtr/goleveldb/"}},
	{"feed and API", []string{"tunic/api.", "tunic/api/", "tunic/internal/httpx.", "tunic/ledger/light.", "github.com/gin-gonic/"}},
	{"links", []string{"tunic/onion/link."}},
	{"relays", []string{"tunic/relay.", "tunic/relay/", "tunic/node.", "tunic/devnet."}},
	{"garbage collection", []string{"runtime.gcBgMarkWorker", "runtime.bgsweep", "runtime.bgscavenge"}},
}

// rest is the part of samples that no rule takes: the scheduler and timers.
const rest = "scheduler and rest"

// part is where a stack, innermost frame first, belongs.
func part(stack []string) string {
	for _, f := range stack {
		for _, r := range rules {
			if slices.ContainsFunc(r.prefixes, func(p string) bool { return strings.HasPrefix(f, p) }) {
				return r.part
			}
		}
	}
	return rest
}

// shares divides a CPU profile as runtime/pprof writes it among the parts,
// largest first.
func shares(profile []byte) ([]Share, int64, error) {
	p, err := readProfile(profile)
	if err != nil {
		return nil, 0, fmt.Errorf("read own profile: %w", err)
	}
	var total int64
	ns := map[string]int64{}
	for _, s := range p.samples {
		var stack []string
		for _, at := range s.locations {
			for _, f := range p.locations[at] {
				stack = append(stack, p.text(p.functions[f]))
			}
		}
		ns[part(stack)] += s.ns
		total += s.ns
	}
	var out []Share
	for part, v := range ns {
		out = append(out, Share{part, v / 1e6, float64(v) / float64(max(1, total))})
	}
	slices.SortFunc(out, func(a, b Share) int {
		if a.MS != b.MS {
			return int(b.MS - a.MS)
		}
		return strings.Compare(a.Part, b.Part)
	})
	return out, total / 1e6, nil
}

// profile is what is needed of profile.proto (github.com/google/pprof).
type profile struct {
	samples   []sample
	locations map[uint64][]uint64 // functions by location, innermost first
	functions map[uint64]uint64   // place of the name in strings
	strings   []string
}

// sample is one stack and the processor time that was seen in it.
type sample struct {
	locations []uint64 // innermost first
	ns        int64
}

func (p *profile) text(i uint64) string {
	if i < uint64(len(p.strings)) {
		return p.strings[i]
	}
	return ""
}

// Fields of profile.proto's messages.
const (
	profileSample, profileLocation, profileFunction, profileString = 2, 4, 5, 6
	sampleLocation, sampleValue                                    = 1, 2
	locationID, locationLine                                       = 1, 4
	lineFunction                                                   = 1
	functionID, functionName                                       = 1, 2
)

func readProfile(b []byte) (*profile, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	if b, err = io.ReadAll(z); err != nil {
		return nil, err
	}
	p := &profile{locations: map[uint64][]uint64{}, functions: map[uint64]uint64{}}
	return p, fields(b, func(field int, _ uint64, data []byte) error {
		switch field {
		case profileString:
			p.strings = append(p.strings, string(data))
		case profileSample:
			return p.sample(data)
		case profileLocation:
			var id uint64
			var called []uint64
			err := fields(data, func(field int, v uint64, line []byte) error {
				switch field {
				case locationID:
					id = v
				case locationLine:
					return fields(line, func(field int, v uint64, _ []byte) error {
						if field == lineFunction {
							called = append(called, v)
						}
						return nil
					})
				}
				return nil
			})
			p.locations[id] = called
			return err
		case profileFunction:
			var id, name uint64
			err := fields(data, func(field int, v uint64, _ []byte) error {
				switch field {
				case functionID:
					id = v
				case functionName:
					name = v
				}
				return nil
			})
			p.functions[id] = name
			return err
		}
		return nil
	})
}

// sample reads a sample; the last of its values is the time.
func (p *profile) sample(data []byte) error {
	var s sample
	err := fields(data, func(field int, v uint64, packed []byte) error {
		all, err := numbers(v, packed)
		switch field {
		case sampleLocation:
			s.locations = append(s.locations, all...)
		case sampleValue:
			for _, n := range all {
				s.ns = int64(n)
			}
		}
		return err
	})
	p.samples = append(p.samples, s)
	return err
}

// numbers are those of a repeated field, packed or one alone.
func numbers(v uint64, packed []byte) ([]uint64, error) {
	if packed == nil {
		return []uint64{v}, nil
	}
	var out []uint64
	for len(packed) > 0 {
		v, n := binary.Uvarint(packed)
		if n <= 0 {
			return out, errProto
		}
		out, packed = append(out, v), packed[n:]
	}
	return out, nil
}

var errProto = errors.New("not a protocol buffer")

// fields calls f for each field of a message: with its number, or its bytes.
func fields(b []byte, f func(field int, v uint64, data []byte) error) error {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return errProto
		}
		b = b[n:]
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return errProto
		}
		b = b[n:]
		var data []byte
		switch tag & 7 {
		case 0: // a number
		case 2: // bytes behind their length
			if v > uint64(len(b)) {
				return errProto
			}
			data, b = b[:v:v], b[v:]
		default: // the runtime writes no other
			return errProto
		}
		if err := f(int(tag>>3), v, data); err != nil {
			return err
		}
	}
	return nil
}
