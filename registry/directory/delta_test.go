package directory_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/internal/testenv"
	"tunic/registry/directory"
)

// drawEntry draws an entry with a node id out of a small set and few values,
// so that fields often stay as they are.
func drawEntry(t *rapid.T, node int) directory.Entry {
	e := entry(node)
	pick := func(name string) int { return rapid.IntRange(0, 2).Draw(t, name) }
	e.VRF[0] = byte(pick("vrf"))
	e.Operator[0] = byte(pick("operator"))
	e.Endpoints = []string{"127.0.0.1:1", "127.0.0.2:2", "[::1]:3"}[:pick("endpoints")+1]
	e.Family = []chain.NodeID{{1}, {2}}[:pick("family")]
	e.Swarm = directory.SwarmID(pick("swarm"))
	e.PreviousSwarm = directory.SwarmID(pick("previous"))
	e.Version = []string{"", "1", "2"}[pick("version")]
	e.Stake = chain.Amount(pick("stake"))
	e.Onion.First = chain.Epoch(pick("onion"))
	e.OnionNext = e.Onion
	e.OnionNext.First = chain.Epoch(pick("next"))
	e.Performance = chain.Permille(pick("performance"))
	return e
}

func drawList(t *rapid.T, name string) *directory.List {
	var all []directory.Entry
	for node := range 8 {
		if rapid.Bool().Draw(t, fmt.Sprint(name, " has ", node)) {
			all = append(all, drawEntry(t, node))
		}
	}
	return list(chain.Epoch(rapid.IntRange(0, 9).Draw(t, name+" epoch")), all)
}

// Apply(Diff(a, b), a) is b, through the encoding, for any two lists.
func TestDeltaRoundTrip(t *testing.T) {
	testenv.Check(t, func(t *rapid.T) {
		a, b := drawList(t, "a"), drawList(t, "b")
		enc := directory.Diff(a, b).Encode()
		d, err := directory.DecodeDelta(enc)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(d.Encode(), enc) {
			t.Fatal("two encodings of one delta")
		}
		got, err := d.Apply(a)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Encode(), b.Encode()) || got.Root() != b.Root() {
			t.Fatal("not the second list")
		}
		if a.Root() != b.Root() || a.Epoch != b.Epoch {
			if _, err := d.Apply(b); a.Root() != b.Root() && !errors.Is(err, directory.ErrBase) {
				t.Fatalf("applied to another list: %v", err)
			}
		}
	})
}

// A change carries the changed field and nothing else.
func TestDeltaIsPerField(t *testing.T) {
	a := list(1, entries(3))
	empty := len(directory.Diff(a, list(2, entries(3))).Encode())
	for name, c := range map[string]struct {
		fields []string
		bytes  int
	}{
		"stake": {[]string{"stake"}, 8}, "onion shift": {[]string{"onion"}, 0}, "onion": {[]string{"onion"}, 40},
		"onion next": {[]string{"onion_next"}, 40}, "swarm": {[]string{"swarm"}, 8}, "performance": {[]string{"performance"}, 2},
		"version": {[]string{"version"}, 9}, "family": {[]string{"family"}, 4}, "operator": {[]string{"operator"}, 20},
		"vrf": {[]string{"vrf_key"}, 32}, "previous swarm": {[]string{"previous_swarm"}, 8},
	} {
		e := entries(3)
		changes[name](&e[1])
		d := directory.Diff(a, list(2, e))
		if len(d.Changed) != 1 || !slices.Equal(d.Changed[0].Fields.Names(), c.fields) {
			t.Errorf("%s: %+v", name, d.Changed)
		}
		if got := len(d.Encode()) - empty; got != 6+c.bytes {
			t.Errorf("%s: %d bytes, want %d", name, got, 6+c.bytes)
		}
	}
}

// What a delta must not say of the list that it is applied to.
func TestApplyRefuses(t *testing.T) {
	a := list(1, entries(4))
	e := entries(5)[1:]
	changes["stake"](&e[0])
	b := list(2, e)
	stakeOf := func(i uint32, by chain.Amount) directory.Change {
		n := a.Entries[i]
		n.Stake += by
		return directory.Change{Index: i, Fields: directory.FieldStake, New: n}
	}
	for name, c := range map[string]struct {
		with func(*directory.Delta)
		want error
	}{
		"good":                   {func(*directory.Delta) {}, nil},
		"other base":             {func(d *directory.Delta) { d.Base[0] ^= 1 }, directory.ErrBase},
		"other epoch":            {func(d *directory.Delta) { d.From++ }, directory.ErrBase},
		"count":                  {func(d *directory.Delta) { d.Count++ }, directory.ErrMalformed},
		"removal out of list":    {func(d *directory.Delta) { d.Removed = []uint32{4} }, directory.ErrMalformed},
		"change out of list":     {func(d *directory.Delta) { d.Changed[0].Index = 4 }, directory.ErrMalformed},
		"addition is there":      {func(d *directory.Delta) { d.Added[0] = a.Entries[0] }, directory.ErrMalformed},
		"change changes nothing": {func(d *directory.Delta) { d.Changed = []directory.Change{stakeOf(1, 0)} }, directory.ErrMalformed},
		"shift without need": {func(d *directory.Delta) {
			n := a.Entries[1]
			n.Onion = n.OnionNext
			d.Removed, d.Added, d.Count = nil, nil, 4
			d.Changed = []directory.Change{{Index: 1, Fields: directory.FieldOnion, New: n}}
		}, directory.ErrMalformed},
		"onion twice": {func(d *directory.Delta) {
			n := a.Entries[1]
			n.Onion.Key[0] ^= 1
			d.Removed, d.Added, d.Count = nil, nil, 4
			d.Changed = []directory.Change{{Index: 1, Fields: directory.FieldOnion | directory.FieldOnionShift, New: n}}
		}, directory.ErrMalformed},
		"no field": {func(d *directory.Delta) { d.Changed[0].Fields = 0 }, directory.ErrMalformed},
		"additions out of order": {func(d *directory.Delta) {
			x, y := entry(90), entry(91)
			if bytes.Compare(x.Node[:], y.Node[:]) < 0 {
				x, y = y, x
			}
			d.Added, d.Count = []directory.Entry{x, y}, 5
		}, directory.ErrMalformed},
	} {
		d := directory.Diff(a, b)
		c.with(&d)
		if _, err := d.Apply(a); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// A change may carry no field that stays, whatever else it carries; and a list
// that nobody has hashed is no base.
func TestChangeCarriesWhatChanges(t *testing.T) {
	a := list(1, entries(4))
	for bit := directory.FieldVRF; bit <= directory.FieldPerformance; bit <<= 1 {
		n := a.Entries[2]
		d := directory.Delta{From: 1, To: 2, Base: a.Root(), Count: 4, Changed: []directory.Change{{Index: 2, Fields: bit, New: n}}}
		_, err := d.Apply(a)
		if shift := bit == directory.FieldOnionShift; (err == nil) != shift { // to the next key, which is another
			t.Errorf("%s alone, as it was: %v", bit.Names(), err)
		}
		if bit == directory.FieldStake {
			continue
		}
		n.Stake++
		d.Changed[0].Fields, d.Changed[0].New = bit|directory.FieldStake, n
		if _, err := d.Apply(a); (err == nil) != (bit == directory.FieldOnionShift) {
			t.Errorf("%s as it was, with another stake: %v", bit.Names(), err)
		}
	}
	bare := &directory.List{Epoch: 1, Entries: a.Entries}
	if _, err := (directory.Delta{From: 1, To: 2, Base: bare.Root(), Count: 4}).Apply(bare); !errors.Is(err, directory.ErrBase) {
		t.Errorf("a list without a tree: %v", err)
	}
}

// What a list decodes to is its own: no entry shares what another may change.
func TestDecodedEntriesShareNothing(t *testing.T) {
	want := list(1, entries(300))
	b := want.Encode()
	l, err := directory.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	for i := range l.Entries {
		e := &l.Entries[i]
		if cap(e.Endpoints) != len(e.Endpoints) || cap(e.Family) != len(e.Family) {
			t.Fatalf("entry %d has room behind its values", i)
		}
		if e.Leaf() != want.Entries[i].Leaf() {
			t.Fatalf("entry %d changed with the input", i)
		}
	}
	if list(1, l.Entries).Root() != l.Root() {
		t.Error("the root of what was decoded is another")
	}
}

// Encodings that no delta has.
func TestDecodeDeltaRefuses(t *testing.T) {
	a, b := list(1, entries(6)), list(2, entries(8)[2:])
	good := func() directory.Delta {
		d := directory.Diff(a, b)
		d.Changed = []directory.Change{{Index: 1, Fields: directory.FieldStake}, {Index: 2, Fields: directory.FieldSwarm}}
		d.Removed = []uint32{3, 4}
		return d
	}
	g := good()
	if _, err := directory.DecodeDelta(g.Encode()); err != nil {
		t.Fatal(err)
	}
	for name, with := range map[string]func(*directory.Delta) []byte{
		"version":             func(d *directory.Delta) []byte { b := d.Encode(); b[0]++; return b },
		"trailing":            func(d *directory.Delta) []byte { return append(d.Encode(), 0) },
		"short":               func(d *directory.Delta) []byte { b := d.Encode(); return b[:len(b)-1] },
		"count":               func(d *directory.Delta) []byte { d.Count = directory.MaxEntries + 1; return d.Encode() },
		"removal twice":       func(d *directory.Delta) []byte { d.Removed[1] = 3; return d.Encode() },
		"change twice":        func(d *directory.Delta) []byte { d.Changed[1].Index = 1; return d.Encode() },
		"changed and removed": func(d *directory.Delta) []byte { d.Changed[1].Index = 3; return d.Encode() },
		"no field":            func(d *directory.Delta) []byte { d.Changed[0].Fields = 0; return d.Encode() },
		"unknown field":       func(d *directory.Delta) []byte { d.Changed[0].Fields |= 1 << 12; return d.Encode() },
		"onion twice": func(d *directory.Delta) []byte {
			d.Changed[0].Fields = directory.FieldOnion | directory.FieldOnionShift
			return d.Encode()
		},
		"performance": func(d *directory.Delta) []byte {
			d.Changed[0].Fields, d.Changed[0].New.Performance = directory.FieldPerformance, 1001
			return d.Encode()
		},
		"additions out of order": func(d *directory.Delta) []byte { slices.Reverse(d.Added); return d.Encode() },
	} {
		d := good()
		if _, err := directory.DecodeDelta(with(&d)); !errors.Is(err, directory.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
