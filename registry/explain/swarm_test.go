package explain_test

import (
	"slices"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/registry/directory"
	"tunic/registry/explain"
)

func TestWhySwarm(t *testing.T) {
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	var entries []directory.Entry
	add := func(before, now directory.SwarmID) chain.NodeID {
		id := chain.NodeID{byte(len(entries) + 1)}
		entries = append(entries, directory.Entry{Node: id, Swarm: now, PreviousSwarm: before})
		return id
	}
	const half, quarter = directory.SwarmID(1) << 63, directory.SwarmID(1) << 62
	kept := add(0, 0)
	came := add(directory.NoSwarm, 0)
	drawn := add(half, quarter)
	add(half, half)
	lost := add(7, half)
	nowhere := add(directory.NoSwarm, directory.NoSwarm)
	l, err := directory.NewList(9, entries)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[chain.NodeID][2]string{
		kept: {explain.CodeSwarmKept, "it is in swarm 0 with 1 others, as it was in epoch 8"}, came: {explain.CodeSwarmPlaced, "came back"},
		drawn: {explain.CodeSwarmNew, "it is alone in swarm 4611686018427387904: this swarm was made in epoch 9, and the beacon drew it out of swarm 9223372036854775808, which had more than the target of 3"},
		lost:  {explain.CodeSwarmDissolved, "swarm 7, where it was in epoch 8, had fewer than 2 left"},
	} {
		if why, ok := explain.WhySwarm(l, id, p); !ok || why.Code != want[0] || !strings.Contains(why.Text, want[1]) {
			t.Errorf("%s: %v, want %s", id.Short(), why, want)
		}
	}
	for _, id := range []chain.NodeID{nowhere, {99}} {
		if why, ok := explain.WhySwarm(l, id, p); ok {
			t.Errorf("in no swarm, because %v", why)
		}
	}
	swarms, gone := explain.Swarms(l)
	if len(swarms) != 3 || !slices.Equal(gone, []directory.SwarmID{7}) {
		t.Fatalf("%v, gone %v", swarms, gone)
	}
	for i, want := range []struct {
		share chain.Permille
		made  bool
	}{{500, false}, {250, true}, {250, false}} {
		if s := swarms[i]; s.Share != want.share || s.Made != want.made {
			t.Errorf("%+v, want %+v", s, want)
		}
	}
	if swarms, _ := explain.Swarms(&directory.List{Entries: entries[:1]}); swarms[0].Share != 1000 {
		t.Error("a lone swarm does not keep all mailboxes")
	}
}
