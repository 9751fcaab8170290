package feed_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"tunic/api/feed"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/wire"
	"tunic/ledger/light"
)

func higherFee(p *genesis.Params) { p.MinFee++ }

// numbers says which events carry parameters, as height:number.
func numbers(all []feed.Event) (s string) {
	for _, e := range all {
		if e.Params != nil {
			s += fmt.Sprintf("%d:%d ", e.Header.Header.Height, e.Params.Number)
		}
	}
	return s
}

// A stream's first event carries the parameters in force, and so does the first
// block in which others are; no proof is fetched for any other block.
func TestEventsCarryParams(t *testing.T) {
	w := newWorld(t, genesis.ClockLedger, 5)
	l := serve(t, w)
	f := open(t, feed.Config{}, l)
	in := follow(t, f, 3)
	all := take(t, in, 2)
	var first chain.Height
	for range 2 {
		next := *l.world
		next.change(t, higherFee)
		first = next.head().Header.Height
		next.grow(t, 3)
		l.change(func() { l.world = &next })
		all = append(all, take(t, in, int(next.head().Header.Height-all[len(all)-1].Header.Header.Height))...)
	}
	if got, want := numbers(all), fmt.Sprintf("4:0 %d:1 %d:2 ", first-10, first); got != want {
		t.Errorf("parameters in %q, want %q", got, want)
	}
	if n := l.count("/v1/params"); n != 3 {
		t.Errorf("%d proofs fetched", n)
	}
	if p, at, err := f.Params(t.Context()); err != nil || p.Number != 2 || p.Since != at.Header.DirEpoch || p.Params.MinFee != w.core.Params.MinFee+2 {
		t.Errorf("asked for: %+v, %v", p, err)
	}
	// Who reads the past hears of it in the epoch since which it is so.
	if got := numbers(take(t, follow(t, f, first-15), 18)); got != fmt.Sprintf("%d:2 ", first) {
		t.Errorf("from the past on: %q", got)
	}
}

// TestParamsLies has a row for each lie about parameters: the stream that holds
// it ends, and another server is followed.
func TestParamsLies(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 5)
	w.change(t, higherFee)
	w.grow(t, 3)
	other := newWorld(t, genesis.ClockReal, 5)
	other.core.ChainID++
	other.net = genesis.Genesis{Core: other.core}.Network()
	other.headers = nil
	other.grow(t, 13)
	forged := w.inForce
	forged.Params.MinFee = 1
	for _, c := range []struct {
		lie    string
		params func(chain.SealedHeader, genesis.InForce) []byte
		number func(uint32) uint32
		want   error
	}{
		{"a number above the one in force", nil, func(n uint32) uint32 { return n + 1 }, nil},
		{"another state", func(h chain.SealedHeader, _ genesis.InForce) []byte { return honestParams(h, forged) }, nil, light.ErrProof},
		{"another state, and a header that says so without a seal", func(h chain.SealedHeader, _ genesis.InForce) []byte {
			h.Header.State = light.StateRoot(stateOf(forged).Roots)
			return honestParams(h, forged)
		}, nil, light.ErrSeal},
		{"a sealer of its own", func(h chain.SealedHeader, _ genesis.InForce) []byte {
			h.Header.State, h.Header.Proposer = light.StateRoot(stateOf(forged).Roots), id(key(50))
			return honestParams(light.Seal(key(50), h.Header), forged)
		}, nil, light.ErrSealer},
		{"another network", func(_ chain.SealedHeader, f genesis.InForce) []byte { return honestParams(other.head(), f) }, nil, light.ErrNetwork},
		{"those of before, against a header of before", func(chain.SealedHeader, genesis.InForce) []byte {
			return honestParams(w.at(2), genesis.InForce{Params: w.core.Params})
		}, nil, nil},
		{"an older state against the head", func(h chain.SealedHeader, _ genesis.InForce) []byte {
			return honestParams(h, genesis.InForce{Params: w.core.Params})
		}, nil, light.ErrProof},
		{"another part", func(h chain.SealedHeader, f genesis.InForce) []byte {
			p := stateOf(f)
			p.Part = light.PartNodes
			return append(wire.AppendBytes(nil, h.Encode()), p.Encode()...)
		}, nil, light.ErrProof},
		{"a byte behind", func(h chain.SealedHeader, f genesis.InForce) []byte { return append(honestParams(h, f), 0) }, nil, light.ErrProof},
		{"no proof", func(h chain.SealedHeader, f genesis.InForce) []byte { return wire.AppendBytes(nil, h.Encode()) }, nil, light.ErrProof},
		{"nothing", func(chain.SealedHeader, genesis.InForce) []byte { return nil }, nil, nil},
		{"endless", func(h chain.SealedHeader, f genesis.InForce) []byte {
			return append(honestParams(h, f), make([]byte, 1<<20)...)
		}, nil, nil},
	} {
		t.Run(c.lie, func(t *testing.T) {
			liar, good := serve(t, w), serve(t, w)
			liar.params, liar.number = c.params, c.number
			f := open(t, feed.Config{}, liar, good)
			got := take(t, follow(t, f, w.head().Header.Height-1), 1)
			if got[0].Params == nil || got[0].Params.Number != 1 || got[0].Params.Params.MinFee != w.inForce.Params.MinFee {
				t.Fatalf("with an honest second server: %+v", got[0].Params)
			}
			if good.count("/v1/events") == 0 {
				t.Fatal("the liar was followed")
			}
			if c.params == nil || c.lie == "those of before, against a header of before" {
				return
			}
			if _, _, err := open(t, feed.Config{}, liar).Params(t.Context()); !errors.Is(err, feed.ErrUnreachable) || c.want != nil && !errors.Is(err, c.want) {
				t.Fatalf("asked alone: %v, want %v", err, c.want)
			}
		})
	}
}

// Each byte of the answer counts.
func TestFlippedParams(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 5)
	truth := honestParams(w.head(), w.inForce)
	l := serve(t, w)
	for i := 0; i < len(truth); i += 3 {
		for _, lie := range [][]byte{append(append(bytes.Clone(truth[:i]), truth[i]^1), truth[i+1:]...), truth[:i]} {
			l.params = func(chain.SealedHeader, genesis.InForce) []byte { return lie }
			if _, _, err := open(t, feed.Config{}, l).Params(t.Context()); err == nil {
				t.Fatalf("accepted with byte %d flipped or cut there", i)
			}
		}
	}
}

// After a revert the parameters are asked for again: they may be older ones.
func TestParamsAfterARevert(t *testing.T) {
	w := newWorld(t, genesis.ClockLedger, 5)
	before := w.inForce
	w.change(t, higherFee)
	l := serve(t, w)
	f := open(t, feed.Config{}, l)
	in := follow(t, f, w.head().Header.Height-1)
	if got := take(t, in, 1)[0].Params; got == nil || got.Number != 1 {
		t.Fatalf("%+v", got)
	}
	r := *w
	r.inForce = before
	h := r.branch(t, 5, 0).next(t)
	h.Fork = 1
	h.State = light.StateRoot(stateOf(before).Roots)
	r.headers = append(append([]chain.SealedHeader(nil), w.headers[:5]...), light.Seal(r.sealer, h))
	r.grow(t, 12)
	l.event = func(h chain.SealedHeader, said [][]byte, send func(name, data string)) {
		for _, h := range r.headers[5:] {
			send("block", eventJSON(h, nil))
		}
	}
	l.change(func() { l.world = &r })
	if got := take(t, in, 1)[0]; got.Header.Header.Fork != 1 || got.Params == nil || got.Params.Number != 0 {
		t.Fatalf("%+v", got)
	}
}
