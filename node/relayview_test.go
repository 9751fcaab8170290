package node

import (
	"bytes"
	"crypto/ed25519"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/relay"
)

func view(t *testing.T) *relayView {
	t.Helper()
	p, err := genesis.For(genesis.Private)
	if err != nil {
		t.Fatal(err)
	}
	hub, err := link.NewMemory(onion.Small.PacketSize(), link.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultRelay()
	cfg.Network = genesis.Network{Core: genesis.Core{Profile: genesis.Private, Clock: genesis.ClockReal, Params: p}, Genesis: chain.Hash{1}}
	cfg.Listen = []string{"192.0.2.7:9001"}
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	r, err := relay.New(relay.Config{Identity: key, Core: cfg.Network.Core, Genesis: cfg.Network.Genesis,
		Ledger: struct{ relay.Ledger }{}, Transport: hub.Transport(chain.NodeID(key.Public().(ed25519.PublicKey))), Listen: cfg.Listen})
	if err != nil {
		t.Fatal(err)
	}
	v, err := newRelayView(r, &cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A packet more changes what is shown with the chance of one in a step, and where
// the step is nobody knows: over all starts each count is as good as any other.
func TestCoarseNumbers(t *testing.T) {
	const step = 100
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		n := random.Uint64N(1 << 40)
		changed := 0
		for offset := range uint64(step) {
			a, b := round(n, offset, step), round(n+1, offset, step)
			if a%step != 0 || a > n+step || a+step <= n {
				t.Fatalf("%d with %d is shown as %d", n, offset, a)
			}
			if a != b {
				changed++
			}
		}
		if changed != 1 {
			t.Fatalf("one more than %d shows with %d of %d starts", n, changed, step)
		}
	}
}

// What is shown between two readings is the former one, whatever happens.
func TestCoarseNumbersStandStill(t *testing.T) {
	v := view(t)
	const packets = "tunic_relay_packets_total"
	before := v.report().Load[packets]
	v.coarse[packets] = 424_000
	for range 3 {
		if got := v.report().Load[packets]; got != 424_000 {
			t.Fatalf("%d", got)
		}
	}
	v.read()
	if after := v.report().Load[packets]; after != before {
		t.Fatalf("%v, then %v", before, after)
	}
}

// Names are these and no others, without labels but the version: what a scraper
// sees is decided here.
func TestRelayMetricNames(t *testing.T) {
	v := view(t)
	text := string(v.metrics())
	want := "tunic_build_info tunic_relay_dropped_disk_total tunic_relay_dropped_invalid_total tunic_relay_dropped_late_total " +
		"tunic_relay_dropped_link_total tunic_relay_dropped_overload_total tunic_relay_epoch tunic_relay_head_time_seconds tunic_relay_height " +
		"tunic_relay_links tunic_relay_listed tunic_relay_mailbox_items tunic_relay_mailbox_limit tunic_relay_memory_bytes " +
		"tunic_relay_packets_done_total tunic_relay_packets_total tunic_relay_ready tunic_relay_replay_limit tunic_relay_replay_tags tunic_relay_start_time_seconds"
	names := map[string]bool{}
	for line := range strings.Lines(text) {
		if line[0] == '#' {
			continue
		}
		name, _, _ := strings.Cut(line, " ")
		name, labels, _ := strings.Cut(name, "{")
		if labels != "" && name != "tunic_build_info" {
			t.Errorf("labels: %s", line)
		}
		if names[name] {
			t.Errorf("%s twice", name)
		}
		names[name] = true
	}
	for name := range strings.SplitSeq(want, " ") {
		if !names[name] {
			t.Errorf("no %s", name)
		}
		delete(names, name)
	}
	for name := range names {
		t.Errorf("%s is new: does it tell of single packets, peers or messengers?", name)
	}
	if bad := regexp.MustCompile(`(?i)(peer|client|token|guard|forwarded|delivered|answers|address)[a-z_]*[ {]`).FindString(regexp.MustCompile(`(?m)^#.*$`).ReplaceAllString(text, "")); bad != "" {
		t.Errorf("a metric names %q", bad)
	}
	for _, m := range loadMetrics {
		if m.step < 10 {
			t.Errorf("%s in steps of %d", m.name, m.step)
		}
	}
	// Every reason to drop is in one of them.
	sums := map[string]int{}
	for _, d := range relay.Drops() {
		s := relay.Status{Counters: relay.Counters{Dropped: map[string]uint64{d.String(): 7}}}
		for _, m := range loadMetrics {
			if strings.Contains(m.name, "dropped") && m.read(s) == 7 {
				sums[d.String()]++
			}
		}
		if want := map[bool]int{true: 0, false: 1}[d == relay.DropStopped]; sums[d.String()] != want {
			t.Errorf("%s is in %d metrics", d, sums[d.String()])
		}
	}
}

func TestNotReady(t *testing.T) {
	v := view(t)
	now := time.UnixMilli(1_800_000_000_000)
	for _, c := range []struct {
		s    relay.Status
		want string
	}{
		{relay.Status{}, "no head yet"},
		{relay.Status{Synced: true, HeadTime: chain.Time(now.UnixMilli() - 300_000)}, "its newest block is 5m0s old"},
		{relay.Status{Synced: true, HeadTime: chain.Time(now.UnixMilli() - 50_000)}, ""},
		{relay.Status{Synced: true, HeadTime: chain.Time(now.UnixMilli() + 9_000)}, ""},
	} {
		if got := v.notReady(c.s, now); !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%+v: %q, want %q", c.s, got, c.want)
		}
	}
	v.cfg.Network.Core.Clock = genesis.ClockLedger
	if got := v.notReady(relay.Status{Synced: true, HeadTime: 1}, now); got != "" {
		t.Errorf("a network whose clock stands still: %q", got)
	}
}
