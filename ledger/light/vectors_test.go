package light_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/testenv"
	"tunic/internal/wire"
	"tunic/ledger/light"
	"tunic/registry/directory"
)

// vector is something served, and what a verifier has to say of it. Positive
// ones are files, so that they can be tried by hand; negative ones are here.
type vector struct {
	Name  string        `json:"name"`
	Kind  string        `json:"kind"`            // proof, directory or delta
	File  string        `json:"file,omitempty"`  // beside the vectors
	Bytes string        `json:"bytes,omitempty"` // or in hex
	Base  string        `json:"base,omitempty"`  // of a delta: the file with the directory that it is applied to
	Node  *chain.NodeID `json:"node,omitempty"`  // asked about
	Valid bool          `json:"valid"`

	Epoch   chain.Epoch `json:"epoch,omitempty"`
	Count   int         `json:"count,omitempty"` // entries of the list
	InList  bool        `json:"in_list,omitempty"`
	Removed bool        `json:"removed,omitempty"`
	Why     string      `json:"why,omitempty"` // it is not valid

	want error
	data []byte
}

type vectors struct {
	Command string   `json:"command"`
	Network string   `json:"network"` // file: all that is trusted
	Cases   []vector `json:"cases"`
}

// vectorEntry is the n-th fixed entry; of two epochs some members differ.
func vectorEntry(n int, e chain.Epoch) directory.Entry {
	h := func(what string, of any) [32]byte { return sha256.Sum256(fmt.Appendf(nil, "vector %s %v", what, of)) }
	op := h("operator", n)
	return directory.Entry{
		Node: h("node", n), VRF: h("vrf", n), Operator: chain.Address(op[:20]), Endpoints: []string{fmt.Sprintf("127.%d.0.1:22021", n+1)},
		Family: []chain.NodeID{h("node", n+1)}, Swarm: directory.SwarmID(n % 2), PreviousSwarm: directory.NoSwarm, Version: "1.0.0",
		Stake: 2000*chain.TUN + chain.Amount(n)*chain.Amount(e), Onion: directory.Key{First: 1, Key: h("onion", n)},
		OnionNext: directory.Key{First: 25, Key: h("onion next", n)}, Performance: chain.Permille(1000 - n*int(e)),
	}
}

func vectorList(e chain.Epoch, numbers ...int) *directory.List {
	var all []directory.Entry
	for _, n := range numbers {
		all = append(all, vectorEntry(n, e))
	}
	return mustList(e, all)
}

// vectorNetwork is the file's network: what it once was, whatever a profile says
// today.
func vectorNetwork(t *testing.T) genesis.Network {
	path := filepath.Join("testdata", "network.json")
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		n := network(7)
		n.URLs = []string{"http://127.0.0.1:22020"}
		b = testenv.Golden(t, path, n.Encode())
	} else if err != nil {
		t.Fatal(err)
	}
	n, err := genesis.ParseNetwork(b)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func makeVectors(t *testing.T) vectors {
	net := vectorNetwork(t)
	sealed := func(height chain.Height, l *directory.List, removals ...chain.NodeID) chain.SealedHeader {
		h := sha256.Sum256(fmt.Appendf(nil, "vector header %d", height))
		return light.Seal(sealer, chain.Header{Genesis: net.Genesis, Height: height, Time: net.EpochStart(l.Epoch), Parent: h, TxRoot: h, TxCount: 1,
			Results: h, State: h, Directory: l.Root(), DirCount: uint32(len(l.Entries)), DirEpoch: l.Epoch, Removals: removals, Beacon: h, Proposer: nodeOf(sealer)})
	}
	served := func(s chain.SealedHeader, body []byte) []byte {
		return append(wire.AppendBytes(nil, s.Encode()), body...)
	}
	proof := func(s chain.SealedHeader, m directory.Membership) []byte {
		return served(s, directory.AppendMembership(nil, m))
	}
	before, l, empty := vectorList(3, 0, 1, 2, 3, 4), vectorList(4, 1, 2, 3, 4, 5, 6), mustList(0, nil)
	here, gone := l.Entries[2].Node, l.Entries[4].Node
	between, last := here, chain.NodeID(bytes.Repeat([]byte{0xff}, 32))
	between[31]++
	head, past, none := sealed(40, l, gone), sealed(30, before), sealed(1, empty)

	v := vectors{Command: "go test ./ledger/light -run TestVectors -rewrite", Network: "network.json"}
	good := func(c vector, b []byte) {
		c.File, c.data, c.Valid = c.Name+".bin", b, true
		v.Cases = append(v.Cases, c)
	}
	good(vector{Name: "present", Kind: "proof", Node: &here, Epoch: 4, InList: true}, proof(head, l.Prove(here)))
	good(vector{Name: "removed", Kind: "proof", Node: &gone, Epoch: 4, InList: true, Removed: true}, proof(head, l.Prove(gone)))
	good(vector{Name: "absent", Kind: "proof", Node: &between, Epoch: 4}, proof(head, l.Prove(between)))
	good(vector{Name: "absent-before-first", Kind: "proof", Node: &chain.NodeID{}, Epoch: 4}, proof(head, l.Prove(chain.NodeID{})))
	good(vector{Name: "absent-behind-last", Kind: "proof", Node: &last, Epoch: 4}, proof(head, l.Prove(last)))
	good(vector{Name: "absent-empty-list", Kind: "proof", Node: &here}, proof(none, empty.Prove(here)))
	good(vector{Name: "directory-before", Kind: "directory", Epoch: 3, Count: 5}, served(past, before.Encode()))
	good(vector{Name: "directory", Kind: "directory", Epoch: 4, Count: 6}, served(head, l.Encode()))
	good(vector{Name: "delta", Kind: "delta", Base: "directory-before.bin", Epoch: 4, Count: 6}, served(head, directory.Diff(before, l).Encode()))

	bad := func(c vector, why string, want error, b []byte) {
		c.Bytes, c.data, c.Why, c.want = hex.EncodeToString(b), b, why, want
		v.Cases = append(v.Cases, c)
	}
	foreign := head
	foreign.Seal[0] ^= 1
	stranger := reseal(key(9), head, func(h *chain.Header) { h.Proposer = nodeOf(key(9)) })
	richer := l.Prove(here)
	richer.Entries = []directory.Entry{richer.Entries[0]}
	richer.Entries[0].Stake++
	moved := l.Prove(between)
	moved.Node = here
	alone := l.Prove(here)
	alone.Node = between
	skipped := l.Prove(between)
	skipped.Entries = []directory.Entry{l.Entries[1], l.Entries[3]}
	skipped.Places[0], skipped.Places[1] = l.Prove(l.Entries[1].Node).Places[0], l.Prove(l.Entries[3].Node).Places[0]
	skipped.Node = here
	shorter := l.Prove(here)
	shorter.Places[0].Path = shorter.Places[0].Path[1:]
	whole := proof(head, l.Prove(here))
	for _, c := range []struct {
		name, why string
		want      error
		node      chain.NodeID
		b         []byte
	}{
		{"other-node", "the proof is of another node", light.ErrNode, gone, whole},
		{"seal-changed", "the seal is not the proposer's", light.ErrSeal, here, proof(foreign, l.Prove(here))},
		{"header-changed", "the seal is of another header", light.ErrSeal, here, proof(chain.SealedHeader{Header: func() chain.Header { h := head.Header; h.Removals = nil; return h }(), Seal: head.Seal}, l.Prove(here))},
		{"stranger-seals", "the proposer is no sealer of the network", light.ErrSealer, here, proof(stranger, l.Prove(here))},
		{"other-network", "the header is of another genesis", light.ErrNetwork, here, proof(reseal(sealer, head, func(h *chain.Header) { h.Genesis[0] ^= 1 }), l.Prove(here))},
		{"other-epoch", "the header's epoch is not that of its time", light.ErrHeader, here, proof(reseal(sealer, head, func(h *chain.Header) { h.DirEpoch++ }), l.Prove(here))},
		{"entry-changed", "the entry does not lead to the root", directory.ErrRoot, here, proof(head, richer)},
		{"listed-as-absent", "the node is one of its neighbours", directory.ErrRoot, here, proof(head, moved)},
		{"one-inner-neighbour", "one neighbour shows absence at the edges alone", directory.ErrRoot, between, proof(head, alone)},
		{"not-neighbours", "the indices do not follow each other", directory.ErrRoot, here, proof(head, skipped)},
		{"no-neighbours", "nothing shows absence in an empty list alone", directory.ErrRoot, between, proof(head, directory.Membership{Node: between})},
		{"path-short", "the path is not as long as its place has it", directory.ErrRoot, here, proof(head, shorter)},
		{"list-before", "the proof is from the list of another epoch", directory.ErrRoot, here, proof(past, l.Prove(here))},
		{"trailing", "a byte follows", directory.ErrMalformed, here, append(bytes.Clone(whole), 0)},
		{"cut-off", "a byte is missing", directory.ErrMalformed, here, whole[:len(whole)-1]},
		{"length", "the header's length is over the input", directory.ErrMalformed, here, append([]byte{0, 0, 0xff, 0xff}, whole[4:]...)},
	} {
		bad(vector{Name: c.name, Kind: "proof", Node: &c.node}, c.why, c.want, c.b)
	}
	fewer := vectorList(4, 1, 2, 3, 4, 5)
	swapped := mustList(4, l.Entries)
	swapped.Entries[0], swapped.Entries[1] = swapped.Entries[1], swapped.Entries[0]
	bad(vector{Name: "directory-node-left-out", Kind: "directory"}, "count and root are others", directory.ErrRoot, served(head, fewer.Encode()))
	bad(vector{Name: "directory-order", Kind: "directory"}, "the entries do not ascend", directory.ErrMalformed, served(head, swapped.Encode()))
	bad(vector{Name: "directory-epoch", Kind: "directory"}, "the header is of another epoch", directory.ErrEpoch, served(past, l.Encode()))
	bad(vector{Name: "delta-base", Kind: "delta", Base: "directory.bin"}, "made from another list", directory.ErrBase, served(head, directory.Diff(before, l).Encode()))
	bad(vector{Name: "delta-elsewhere", Kind: "delta", Base: "directory-before.bin"}, "leads to another list", directory.ErrRoot, served(head, directory.Diff(before, fewer).Encode()))
	return v
}

// The golden files verify, or do not, as they say.
func TestVectors(t *testing.T) {
	v := makeVectors(t)
	testenv.Golden(t, filepath.Join("testdata", "vectors.json"), v)
	file, err := os.ReadFile(filepath.Join("testdata", v.Network))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := light.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range v.Cases {
		if c.File != "" {
			testenv.Golden(t, filepath.Join("testdata", c.File), c.data)
		}
		switch c.Kind {
		case "proof":
			found, err := verifier.Entry(c.data, *c.Node)
			if !errors.Is(err, c.want) || found.InList != c.InList || found.Removed != c.Removed || found.Header.Header.DirEpoch != c.Epoch {
				t.Errorf("%s: %+v, %v", c.Name, found, err)
			}
			if (found.Entry.Node == *c.Node) != c.InList && c.Name != "absent-before-first" || found.Listed() != (c.InList && !c.Removed) {
				t.Errorf("%s: entry of %s", c.Name, found.Entry.Node)
			}
		case "directory":
			l, s, err := verifier.Directory(c.data)
			if !errors.Is(err, c.want) || (l != nil) != c.Valid || c.Valid && (len(l.Entries) != c.Count || s.Header.DirEpoch != c.Epoch) {
				t.Errorf("%s: %v", c.Name, err)
			}
		case "delta":
			base, err := os.ReadFile(filepath.Join("testdata", c.Base))
			if err != nil {
				t.Fatal(err)
			}
			from, _, err := verifier.Directory(base)
			if err != nil {
				t.Fatal(err)
			}
			l, s, err := verifier.Delta(c.data, from)
			if !errors.Is(err, c.want) || (l != nil) != c.Valid || c.Valid && (len(l.Entries) != c.Count || s.Header.DirEpoch != c.Epoch) {
				t.Errorf("%s: %v", c.Name, err)
			}
		}
	}
}

// Every flipped byte of what is served is found out.
func TestEveryServedByte(t *testing.T) {
	v := makeVectors(t)
	verifier := verifier(t, vectorNetwork(t))
	for _, c := range v.Cases {
		if !c.Valid || c.Kind == "delta" {
			continue
		}
		for i := range c.data {
			b := bytes.Clone(c.data)
			b[i] ^= 1 << (i % 8)
			var err error
			if c.Kind == "proof" {
				_, err = verifier.Entry(b, *c.Node)
			} else {
				_, _, err = verifier.Directory(b)
			}
			if err == nil {
				t.Fatalf("%s: byte %d", c.Name, i)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	file := vectorNetwork(t).Encode()
	for name, b := range map[string][]byte{
		"nothing": nil, "no JSON": []byte("x"), "changed": bytes.Replace(file, []byte(`"dev": true`), []byte(`"dev": false`), 1),
		"something behind": append(bytes.Clone(file), '{'),
	} {
		if _, err := light.Open(b); !errors.Is(err, genesis.ErrGenesis) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzEntry: no bytes make it panic, and none show what is not so.
func FuzzEntry(f *testing.F) {
	file, err := os.ReadFile(filepath.Join("testdata", "network.json"))
	if err != nil {
		f.Fatal(err)
	}
	v, err := light.Open(file)
	if err != nil {
		f.Fatal(err)
	}
	truth := map[chain.Epoch]*directory.List{0: mustList(0, nil)}
	for _, c := range makeVectors(new(testing.T)).Cases {
		f.Add(c.data)
		if l, s, err := v.Directory(c.data); err == nil {
			truth[s.Header.DirEpoch] = l
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, s, err := v.Directory(b); err == nil && l.Root() != truth[s.Header.DirEpoch].Root() {
			t.Error("another list was accepted")
		}
		_, m, err := light.ReadProof(b)
		if err != nil {
			return
		}
		if found, err := v.Entry(b, m.Node); err == nil {
			if e, in := truth[found.Header.Header.DirEpoch].Find(m.Node); in != found.InList || e.Leaf() != found.Entry.Leaf() {
				t.Errorf("node %s: in the list %v, shown %v", m.Node, in, found.InList)
			}
		}
	})
}
