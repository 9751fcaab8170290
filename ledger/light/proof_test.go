package light_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"tunic/chain"
	"tunic/internal/table"
	"tunic/internal/wire"
	"tunic/ledger/light"
	"tunic/registry/directory"
)

func entries(n int) []directory.Entry {
	var all []directory.Entry
	for i := range n {
		all = append(all, directory.Entry{Node: chain.NodeID{byte(2*i + 1)}, Operator: chain.Address{byte(i)}, Endpoints: []string{"127.0.0.1:1"}, Stake: 1, Performance: 1000})
	}
	return all
}

func mustList(e chain.Epoch, all []directory.Entry) *directory.List {
	l, err := directory.NewList(e, all)
	if err != nil {
		panic(err)
	}
	return l
}

// listed is a verifier whose newest header commits to four nodes in epoch 1.
func listed(t *testing.T, removals ...chain.NodeID) (*light.Verifier, *directory.List, chain.SealedHeader) {
	net := network(1)
	l := mustList(1, entries(4))
	s := reseal(sealer, history(net, 15, nil)[14], func(h *chain.Header) {
		h.Directory, h.DirCount, h.Removals = l.Root(), 4, removals
	})
	v := verifier(t, net)
	if err := v.Accept(s, 0, false); err != nil {
		t.Fatal(err)
	}
	return v, l, s
}

// Every lie about a list is seen.
func TestListLies(t *testing.T) {
	v, l, s := listed(t)
	changed := slices.Clone(l.Entries)
	changed[2].Onion.Key[0] ^= 1
	for name, c := range map[string]struct {
		l    *directory.List
		want error
	}{
		"the list":      {l, nil},
		"node added":    {mustList(1, entries(5)), directory.ErrRoot},
		"node removed":  {mustList(1, entries(3)), directory.ErrRoot},
		"node changed":  {mustList(1, changed), directory.ErrRoot},
		"other epoch":   {mustList(2, entries(4)), directory.ErrEpoch},
		"an empty list": {mustList(1, nil), directory.ErrRoot},
	} {
		if err := v.List(c.l); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err := v.ListAt(c.l, s); !errors.Is(err, c.want) {
			t.Errorf("%s at its header: %v", name, err)
		}
	}
	if err := v.ListAt(l, reseal(key(9), s, func(*chain.Header) {})); !errors.Is(err, light.ErrSeal) {
		t.Errorf("a header of a stranger: %v", err)
	}
	if err := verifier(t, network(1)).List(l); !errors.Is(err, light.ErrNoHeader) {
		t.Errorf("no header: %v", err)
	}
}

func TestMembership(t *testing.T) {
	gone := chain.NodeID{3}
	v, l, s := listed(t, gone)
	for id, want := range map[chain.NodeID]bool{{1}: true, gone: false, {5}: true, {4}: false, {}: false, {200}: false} {
		m := l.Prove(id)
		if got, err := v.Membership(m); err != nil || got != want {
			t.Errorf("%s: %v, %v", id.Short(), got, err)
		}
		if got, err := v.MembershipAt(m, s); err != nil || got != want {
			t.Errorf("%s at its header: %v, %v", id.Short(), got, err)
		}
	}
	if _, err := v.Membership(mustList(1, entries(5)).Prove(chain.NodeID{1})); !errors.Is(err, directory.ErrRoot) {
		t.Errorf("of another list: %v", err)
	}
	if _, err := verifier(t, network(1)).Membership(l.Prove(gone)); !errors.Is(err, light.ErrNoHeader) {
		t.Errorf("no header: %v", err)
	}
}

// A row of the state is shown present or absent under a header, and every
// changed byte of the proof is refused.
func TestRow(t *testing.T) {
	var part table.Part
	rows := table.New(&part, table.Codec[uint16, uint32]{Prefix: 1, AppendKey: wire.AppendUint16, ReadKey: (*wire.Reader).Uint16,
		AppendValue: wire.AppendUint32, ReadValue: (*wire.Reader).Uint32})
	for k := range uint16(5) {
		rows.Set(10*k, uint32(k))
	}
	part.Commit()
	p := light.StateProof{Part: light.PartOffences, Row: part.Prove(rows.Key(20))}
	p.Roots[light.PartOffences] = light.PartRoot{Root: part.Root(), Count: uint32(part.Count())}
	net := network(1)
	s := reseal(sealer, history(net, 3, nil)[2], func(h *chain.Header) { h.State = light.StateRoot(p.Roots) })
	v := verifier(t, net)

	if value, ok, err := v.Row(p, rows.Key(20), s); err != nil || !ok || !bytes.Equal(value, []byte{0, 0, 0, 2}) {
		t.Errorf("present: %x %v %v", value, ok, err)
	}
	absent := p
	absent.Row = part.Prove(rows.Key(21))
	if _, ok, err := v.Row(absent, rows.Key(21), s); err != nil || ok {
		t.Errorf("absent: %v %v", ok, err)
	}
	if _, _, err := v.Row(p, rows.Key(30), s); !errors.Is(err, light.ErrProof) {
		t.Errorf("proof of another key: %v", err)
	}
	if _, _, err := v.Row(p, rows.Key(20), reseal(sealer, s, func(h *chain.Header) { h.State[0] ^= 1 })); !errors.Is(err, light.ErrProof) {
		t.Errorf("another state: %v", err)
	}
	if _, _, err := v.Row(p, rows.Key(20), reseal(key(9), s, func(*chain.Header) {})); !errors.Is(err, light.ErrSeal) {
		t.Errorf("a stranger's header: %v", err)
	}
	good := p.Encode()
	if back, err := light.DecodeStateProof(good); err != nil || !bytes.Equal(back.Encode(), good) {
		t.Fatalf("encoding: %v", err)
	}
	for i := range good {
		bad := slices.Clone(good)
		bad[i] ^= 0x40
		back, err := light.DecodeStateProof(bad)
		if err == nil {
			_, _, err = v.Row(back, rows.Key(20), s)
		}
		if !errors.Is(err, light.ErrProof) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
}

func FuzzStateProof(f *testing.F) {
	var p light.StateProof
	f.Add(p.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := light.DecodeStateProof(b)
		if err == nil && !bytes.Equal(p.Encode(), b) {
			t.Fatal("two encodings of one proof")
		}
	})
}
