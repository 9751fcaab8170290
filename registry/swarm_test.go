package registry

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/testenv"
	"tunic/registry/directory"
)

// net is a network as the placing sees it.
type net struct {
	target, least int
	epoch         uint64
	nodes         map[chain.NodeID]*Node // whoever was ever listed
	out           map[chain.NodeID]bool
	family        map[chain.NodeID][]chain.NodeID
	seed          byte
}

func newNet(target, least int) *net {
	return &net{target: target, least: least, nodes: map[chain.NodeID]*Node{}, out: map[chain.NodeID]bool{}, family: map[chain.NodeID][]chain.NodeID{}}
}

// add makes n more nodes of an operator.
func (w *net) add(n int, operator int) {
	for range n {
		id := chain.NodeID(chain.SHA256(binary.BigEndian.AppendUint64([]byte{w.seed}, uint64(len(w.nodes)))))
		w.nodes[id] = &Node{ID: id, Operator: chain.Address{1, byte(operator >> 8), byte(operator)}, Swarm: directory.NoSwarm, PreviousSwarm: directory.NoSwarm}
	}
}

// ids are the nodes that are listed, ascending.
func (w *net) ids() []chain.NodeID {
	var ids []chain.NodeID
	for id := range w.nodes {
		if !w.out[id] {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b chain.NodeID) int { return slices.Compare(a[:], b[:]) })
	return ids
}

// step places the nodes of the next epoch.
func (w *net) step() {
	w.epoch++
	var listed []candidate
	for id := range w.out {
		w.nodes[id].away()
	}
	for _, id := range w.ids() {
		listed = append(listed, candidate{*w.nodes[id], statement.Descriptor{Family: w.family[id]}})
	}
	placeAll(listed, w.target, w.least, chain.SHA256(binary.BigEndian.AppendUint64([]byte{w.seed, 1}, w.epoch)))
	for _, c := range listed {
		*w.nodes[c.node.ID] = c.node
	}
}

// follows holds an epoch against what whoever has its list alone computes.
func (w *net) follows(t interface{ Fatalf(string, ...any) }, homes map[chain.NodeID]directory.SwarmID) {
	var entries []directory.Entry
	for _, id := range w.ids() {
		n := w.nodes[id]
		entries = append(entries, directory.Entry{Node: id, Operator: n.Operator, Family: w.family[id], Swarm: n.Swarm, PreviousSwarm: n.PreviousSwarm})
	}
	home := func(id chain.NodeID) directory.SwarmID {
		if s, ok := homes[id]; ok {
			return s
		}
		return directory.NoSwarm
	}
	seed := chain.SHA256(binary.BigEndian.AppendUint64([]byte{w.seed, 1}, w.epoch))
	for i, s := range Placed(&directory.List{Entries: entries}, home, w.target, w.least, seed) {
		if s != entries[i].Swarm {
			t.Fatalf("%s is in swarm %d, and whoever has the list alone finds %d", entries[i].Node.Short(), entries[i].Swarm, s)
		}
	}
}

func (w *net) sizes(of func(*Node) directory.SwarmID) map[directory.SwarmID]int {
	sizes := map[directory.SwarmID]int{}
	for _, id := range w.ids() {
		if s := of(w.nodes[id]); s != directory.NoSwarm {
			sizes[s]++
		}
	}
	return sizes
}

func now(n *Node) directory.SwarmID { return n.Swarm }

// sound holds an epoch against the one before: was is where each node was, and
// whoever was not listed is not in it.
func (w *net) sound(t interface{ Fatalf(string, ...any) }, was map[chain.NodeID]directory.SwarmID, homes map[chain.NodeID]directory.SwarmID) (moved int) {
	after, old := w.sizes(now), map[directory.SwarmID]int{}
	for _, id := range w.ids() {
		if s, ok := homes[id]; ok {
			old[s]++
		}
	}
	for id, n := range w.nodes {
		if w.out[id] {
			continue
		}
		s, listed := was[id]
		if !listed {
			s = directory.NoSwarm
		}
		if n.Swarm == directory.NoSwarm || n.PreviousSwarm != s {
			t.Fatalf("in %d, before %d; was in %d", n.Swarm, n.PreviousSwarm, s)
		}
		home, ok := homes[id]
		if !ok || n.Swarm == home {
			continue
		}
		moved++
		if _, existed := old[n.Swarm]; after[home] > 0 && existed {
			t.Fatalf("moved from swarm %d, which is not dissolved, to %d, which is not new", home, n.Swarm)
		}
	}
	made, gone := 0, 0
	for s, size := range after {
		if _, existed := old[s]; !existed {
			if made++; len(old) > 0 && size != w.target {
				t.Fatalf("a new swarm of %d", size)
			}
		}
	}
	for s, size := range old {
		if after[s] == 0 {
			if gone++; size >= w.least {
				t.Fatalf("a swarm of %d is dissolved", size)
			}
		} else if after[s] < size && after[s] < w.target {
			t.Fatalf("a swarm gave away nodes and has %d", after[s])
		}
	}
	if made > 0 && gone > 0 && len(old) > 0 {
		t.Fatalf("swarms made and dissolved in one epoch")
	}
	return moved
}

// homes are the swarms of all nodes that have been in one, was of those listed.
func (w *net) homes() (homes, was map[chain.NodeID]directory.SwarmID) {
	homes, was = map[chain.NodeID]directory.SwarmID{}, map[chain.NodeID]directory.SwarmID{}
	for id, n := range w.nodes {
		if s := n.home(); s != directory.NoSwarm {
			homes[id] = s
		}
		if n.Swarm != directory.NoSwarm {
			was[id] = n.Swarm
		}
	}
	return homes, was
}

// Whatever nodes come, go and come back: who has a swarm changes it only where
// that is dissolved or a new one is made; only so many are at a time; and after
// some quiet epochs no swarm is below the least size or could give a whole one.
func TestPlacementIsSticky(t *testing.T) {
	testenv.Check(t, func(t *rapid.T) {
		target := rapid.IntRange(1, 8).Draw(t, "target")
		w := newNet(target, rapid.IntRange(1, target).Draw(t, "least"))
		w.seed = rapid.Byte().Draw(t, "seed")
		operators := rapid.IntRange(1, 60).Draw(t, "operators")
		for range rapid.IntRange(1, 12).Draw(t, "epochs") {
			for range rapid.IntRange(0, 40).Draw(t, "new") {
				w.add(1, rapid.IntRange(1, operators).Draw(t, "operator"))
			}
			leave, back := rapid.IntRange(0, 100).Draw(t, "leave"), rapid.IntRange(0, 100).Draw(t, "back")
			for id := range w.nodes {
				if draw := int(id[7])*256 + int(id[8]); w.out[id] && draw%101 < back {
					delete(w.out, id)
				} else if int(id[w.epoch%30])*100/256 < leave {
					w.out[id] = true
				}
			}
			homes, was := w.homes()
			w.step()
			w.sound(t, was, homes)
			w.follows(t, homes)
		}
		for range 60 {
			homes, was := w.homes()
			w.step()
			w.sound(t, was, homes)
		}
		ids, sizes := w.ids(), w.sizes(now)
		if len(ids) >= (len(sizes)+1)*w.target {
			t.Fatalf("%d nodes in %d swarms", len(ids), len(sizes))
		}
		for s, size := range sizes {
			if size < w.least && len(sizes) > 1 {
				t.Fatalf("swarm %d has %d: %v", s, size, sizes)
			}
		}
		if homes, was := w.homes(); len(ids) > 0 {
			if w.step(); w.sound(t, was, homes) != 0 {
				t.Fatalf("a quiet network moves")
			}
		}
	})
}

// A network that grows by one node an epoch to 200 and shrinks again: all swarms
// stay within bounds, few nodes move, and one that leaves moves nobody but
// where its swarm is dissolved.
func TestGrowAndShrink(t *testing.T) {
	w := newNet(7, 5)
	moved := 0
	for n := 1; n <= 200; n++ {
		w.add(1, n)
		homes, was := w.homes()
		w.step()
		moved += w.sound(t, was, homes)
		sizes := w.sizes(now)
		if want := max(1, n/7); len(sizes) != want {
			t.Fatalf("%d nodes: %d swarms", n, len(sizes))
		}
		for s, size := range sizes {
			if (len(sizes) > 1 && size < 7) || size > 13 {
				t.Fatalf("%d nodes: swarm %d has %d", n, s, size)
			}
		}
	}
	if moved > 27*7 { // 27 new swarms
		t.Errorf("growing moved %d nodes", moved)
	}
	for i, id := range w.ids() {
		w.out[id] = true
		homes, was := w.homes()
		w.step()
		if moved := w.sound(t, was, homes); moved > 4 {
			t.Fatalf("%d nodes left: %d move", i+1, moved)
		}
		sizes, left := w.sizes(now), 199-i
		if left > 0 && (len(sizes) < 1 || len(sizes) > max(1, left/5)) {
			t.Fatalf("%d nodes in %d swarms", left, len(sizes))
		}
		for s, size := range sizes {
			if size < 5 && len(sizes) > 1 {
				t.Fatalf("%d nodes: swarm %d has %d", left, s, size)
			}
		}
	}
}

// A network that begins with many places all at once; one that grows at a stroke
// makes as many swarms as the newcomers fill.
func TestFirstEpochPlacesAll(t *testing.T) {
	w := newNet(7, 5)
	for i := range 200 {
		w.add(1, i)
	}
	w.step()
	if sizes := w.sizes(now); len(sizes) != 28 {
		t.Fatalf("200 nodes: %v", sizes)
	}
	w = newNet(7, 5)
	w.add(10, 1)
	w.step()
	for i := range 190 {
		w.add(1, 2+i)
	}
	homes, was := w.homes()
	w.step()
	if w.sound(t, was, homes); len(w.sizes(now)) != 28 {
		t.Fatalf("10 nodes and then 190 more: %v", w.sizes(now))
	}
}

// A node that was out comes back to its swarm, where others did not need its
// place: all of them do after a time in which nobody was listed.
func TestReturnHome(t *testing.T) {
	w := newNet(3, 2)
	for i := range 30 {
		w.add(1, i)
	}
	w.step()
	homes, _ := w.homes()
	all := w.ids()
	for _, id := range all {
		w.out[id] = true
	}
	for range 5 {
		w.step()
	}
	for _, id := range all { // half of them now, and the others later
		if delete(w.out, id); id == all[15] {
			w.step()
		}
	}
	w.step()
	back := 0
	for id, s := range homes {
		if n := w.nodes[id]; n.Swarm == s {
			back++
		}
	}
	if back < 15 {
		t.Errorf("%d of 30 are where they were", back)
	}
	homes, _ = w.homes()
	w.out[all[3]] = true
	w.step()
	w.step()
	delete(w.out, all[3])
	w.step()
	for id, s := range homes {
		if n := w.nodes[id]; n.Swarm != s {
			t.Errorf("one was out for two epochs: %s is in %d, was in %d", id.Short(), n.Swarm, s)
		}
	}
	if n := w.nodes[all[3]]; n.PreviousSwarm != directory.NoSwarm {
		t.Error("who was not listed was in a swarm of the epoch before")
	}
}

// An operator's nodes, and a family's, go to different swarms as far as there are.
func TestKinApart(t *testing.T) {
	w := newNet(5, 3)
	for i := range 40 {
		w.add(1, 100+i)
	}
	w.step()
	w.add(8, 1) // an operator's, for eight swarms
	w.step()
	in := map[directory.SwarmID]int{}
	var family []chain.NodeID
	for id, n := range w.nodes {
		if n.Operator == (chain.Address{1, 0, 1}) {
			in[n.Swarm]++
		} else if len(family) < 4 {
			family = append(family, id)
		}
	}
	for s, n := range in {
		if n > 1 {
			t.Errorf("swarm %d holds %d nodes of one operator", s, n)
		}
	}
	// A family comes, whose nodes have operators of their own.
	before := map[chain.NodeID]bool{}
	for id := range w.nodes {
		before[id] = true
	}
	for i := range 6 {
		w.add(1, 200+i)
	}
	family = nil
	for id := range w.nodes {
		if !before[id] {
			family = append(family, id)
		}
	}
	for _, id := range family {
		w.family[id] = family
	}
	w.step()
	in = map[directory.SwarmID]int{}
	for _, id := range family {
		if in[w.nodes[id].Swarm]++; in[w.nodes[id].Swarm] > 1 {
			t.Errorf("two of a family in swarm %d", w.nodes[id].Swarm)
		}
	}
}

// A new swarm takes mailboxes of one other alone, no id is used twice, and none
// is the one that stands for no swarm.
func TestMiddle(t *testing.T) {
	testenv.Check(t, func(t *rapid.T) {
		ids := slices.Compact(slices.Sorted(slices.Values(rapid.SliceOfN(rapid.Uint64Max(^uint64(0)-1), 1, 40).Draw(t, "ids"))))
		id := middle(slices.Clone(ids))
		if id == directory.NoSwarm || slices.Contains(ids, uint64(id)) {
			t.Fatalf("%d among %d", id, ids)
		}
		at, _ := slices.BinarySearch(ids, uint64(id))
		low, high := ids[(at+len(ids)-1)%len(ids)], ids[at%len(ids)]
		for i, id := range ids {
			if gap := ids[(i+1)%len(ids)] - id - 1; gap > high-low-1 {
				t.Fatalf("a gap of %d, and one of %d was cut", gap, high-low-1)
			}
		}
	})
	var ids []uint64
	for range 1000 {
		ids = append(ids, uint64(middle(slices.Clone(ids))))
	}
	if ids[0] != 0 || ids[1] != 1<<63 || ids[2] != 1<<62 || ids[3] != 3<<62 || ids[4] != 1<<61 {
		t.Errorf("the first ids are %d", ids[:5])
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != 1000 {
		t.Error("an id is used twice")
	}
	if id := middle([]uint64{1<<63 - 1}); id == directory.NoSwarm {
		t.Error("no swarm's number is a swarm")
	}
}

// swarmVectors are placements of one scripted network. Written by:
// go test ./registry -run TestSwarmVectors -rewrite
type swarmVectors struct {
	Command string           `json:"command"`
	Target  int              `json:"target"`
	Least   int              `json:"least"`
	Epochs  []swarmPlacement `json:"epochs"`
}

type swarmPlacement struct {
	What  string      `json:"what"`
	Seed  chain.Hash  `json:"seed"`
	Nodes []placedRow `json:"nodes"`
}

type placedRow struct {
	Node     chain.NodeID      `json:"node"`
	Operator chain.Address     `json:"operator"`
	Family   []chain.NodeID    `json:"family,omitempty"`
	Home     directory.SwarmID `json:"home,string"`
	Swarm    directory.SwarmID `json:"swarm,string"`
}

func TestSwarmVectors(t *testing.T) {
	w := newNet(4, 3)
	got := swarmVectors{Command: "go test ./registry -run TestSwarmVectors -rewrite", Target: w.target, Least: w.least}
	step := func(what string) {
		homes, was := w.homes()
		w.step()
		w.sound(t, was, homes)
		p := swarmPlacement{What: what, Seed: chain.SHA256(binary.BigEndian.AppendUint64([]byte{w.seed, 1}, w.epoch))}
		for _, id := range w.ids() {
			row := placedRow{Node: id, Operator: w.nodes[id].Operator, Family: w.family[id], Home: directory.NoSwarm, Swarm: w.nodes[id].Swarm}
			if s, ok := homes[id]; ok {
				row.Home = s
			}
			p.Nodes = append(p.Nodes, row)
		}
		got.Epochs = append(got.Epochs, p)
	}
	for i := range 10 {
		w.add(1, i/2)
	}
	ids := w.ids()
	w.family[ids[0]], w.family[ids[1]] = []chain.NodeID{ids[1]}, []chain.NodeID{ids[0]}
	step("the first")
	w.add(1, 9)
	step("one comes")
	for i := range 2 {
		w.add(1, 10+i)
	}
	step("a third swarm")
	var first []chain.NodeID
	for _, id := range w.ids() {
		if w.nodes[id].Swarm == 0 {
			first = append(first, id)
		}
	}
	w.out[first[0]], w.out[first[1]] = true, true
	step("one is dissolved")
	delete(w.out, first[0])
	delete(w.out, first[1])
	step("two come back, and another is made")
	if n := len(w.sizes(now)); n != 3 {
		t.Errorf("%d swarms at the end", n)
	}
	testenv.Golden(t, "testdata/swarms.json", got)
}

func ExampleNode_home() {
	n := Node{Swarm: 5, PreviousSwarm: directory.NoSwarm}
	n.away()
	fmt.Println(n.home(), n.Swarm == directory.NoSwarm)
	// Output: 5 true
}
