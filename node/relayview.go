package node

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/httpx"
	"tunic/relay"
)

// relayView is what a relay's admin listener shows. What says how much the relay
// carries is read once a minute and rounded, from a start that nobody knows, so
// that who reads it of two relays cannot tell which packet went from one to the
// other: docs/decisions/0034. Safe for concurrent use.
type relayView struct {
	relay   *relay.Relay
	cfg     *RelayConfig
	started time.Time
	offsets map[string]uint64 // by metric

	mu     sync.Mutex
	coarse map[string]uint64
}

// coarseEvery is how often coarse numbers are read.
const coarseEvery = time.Minute

// loadMetric is a coarse number.
type loadMetric struct {
	name, kind, help string
	step             uint64 // it is rounded down to this, from a start drawn by lot
	read             func(relay.Status) uint64
}

// dropped sums reasons of relay.Drop.
func dropped(reasons ...relay.Drop) func(relay.Status) uint64 {
	return func(s relay.Status) (n uint64) {
		for _, d := range reasons {
			n += s.Counters.Dropped[d.String()]
		}
		return n
	}
}

// loadMetrics are all coarse numbers. What becomes of a packet at its end, a
// mailbox command, an answer to a messenger or another relay's turn, is not told
// apart.
var loadMetrics = []loadMetric{
	{"tunic_relay_packets_total", "counter", "Packets that came.", 1000, func(s relay.Status) uint64 { return s.Counters.In }},
	{"tunic_relay_packets_done_total", "counter", "Packets that were passed on, or had come to their end.", 1000, func(s relay.Status) uint64 {
		c := s.Counters
		return c.Forwarded + c.Delivered + c.ToClient + c.Probes
	}},
	{"tunic_relay_dropped_overload_total", "counter", "Packets dropped because a bound of this relay was reached.", 100,
		dropped(relay.DropOverload, relay.DropDelayFull, relay.DropReplayFull, relay.DropMailboxBusy)},
	{"tunic_relay_dropped_invalid_total", "counter", "Packets dropped because they were not as they should be, or came twice.", 100,
		dropped(relay.DropMalformed, relay.DropHeader, relay.DropRouting, relay.DropReplay, relay.DropDelayBound, relay.DropNextHop, relay.DropPayload, relay.DropCommand)},
	{"tunic_relay_dropped_late_total", "counter", "Packets dropped because of an epoch or key that is over or has not begun, or that this relay does not know.", 100,
		dropped(relay.DropUnknownKey, relay.DropExpired, relay.DropNoList)},
	{"tunic_relay_dropped_link_total", "counter", "Packets dropped because the other side's link did not take them.", 100,
		dropped(relay.DropLink, relay.DropClient, relay.DropClientLink)},
	{"tunic_relay_dropped_disk_total", "counter", "Packets dropped because the disk did not take their replay tag.", 100, dropped(relay.DropReplayWrite)},
	{"tunic_relay_links", "gauge", "Links that are open.", 10, func(s relay.Status) uint64 { return uint64(s.Links) }},
	{"tunic_relay_replay_tags", "gauge", "Packets remembered until their onion keys end; at the bound packets are dropped.", 10_000, func(s relay.Status) uint64 { return uint64(s.Replay) }},
	{"tunic_relay_mailbox_items", "gauge", "Messages kept in mailboxes.", 1000, func(s relay.Status) uint64 { return uint64(s.Items) }},
	{"tunic_relay_memory_bytes", "gauge", "Resident memory of the process.", 1 << 20, func(relay.Status) uint64 { return residentMemory() }},
}

func newRelayView(r *relay.Relay, cfg *RelayConfig) (*relayView, error) {
	v := &relayView{relay: r, cfg: cfg, started: time.Now(), offsets: map[string]uint64{}}
	for _, m := range loadMetrics {
		var b [8]byte
		if _, err := rand.Read(b[:]); err != nil {
			return nil, fmt.Errorf("relay: %w", err)
		}
		v.offsets[m.name] = binary.BigEndian.Uint64(b[:]) % m.step
	}
	v.read()
	return v, nil
}

// round is n, moved by offset and rounded down to a multiple of step.
func round(n, offset, step uint64) uint64 { return (n + offset) / step * step }

// refresh reads the coarse numbers once a minute until ctx ends.
func (v *relayView) refresh(ctx context.Context) {
	t := time.NewTicker(coarseEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			v.read()
		case <-ctx.Done():
			return
		}
	}
}

func (v *relayView) read() {
	s, coarse := v.relay.Status(), map[string]uint64{}
	for _, m := range loadMetrics {
		coarse[m.name] = round(m.read(s), v.offsets[m.name], m.step)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.coarse = coarse
}

// RelayReport is what GET /status of a relay's admin listener answers.
type RelayReport struct {
	Node     chain.NodeID      `json:"node"`
	Version  string            `json:"version"`
	StartMS  int64             `json:"started_ms"`
	Ready    bool              `json:"ready"`
	Why      string            `json:"why,omitempty"` // not ready
	Synced   bool              `json:"synced"`
	Listed   bool              `json:"listed"`
	State    string            `json:"state"` // what the relay makes of it, in words
	Epoch    chain.Epoch       `json:"epoch"`
	Height   chain.Height      `json:"height"`
	HeadMS   chain.Time        `json:"head_time_ms"`
	Relays   int               `json:"relays"` // in the list
	Listen   []string          `json:"listen"`
	Endpoint []string          `json:"advertise"`
	Load     map[string]uint64 `json:"load"` // coarse
}

func (v *relayView) report() RelayReport {
	s := v.relay.Status()
	v.mu.Lock()
	load := v.coarse
	v.mu.Unlock()
	r := RelayReport{Node: s.Node, Version: Version, StartMS: v.started.UnixMilli(), Synced: s.Synced, Listed: s.Listed, State: s.State,
		Epoch: s.Epoch, Height: s.Height, HeadMS: s.HeadTime, Relays: s.Relays, Listen: v.cfg.Listen, Endpoint: v.cfg.endpoints(), Load: load}
	r.Why = v.notReady(s, time.Now())
	r.Ready = r.Why == ""
	return r
}

// notReady says why the relay is of no use now, empty where it is. Whether it is
// listed is the ledger's to say, and no fault of the process.
func (v *relayView) notReady(s relay.Status, now time.Time) string {
	core := &v.cfg.Network.Core
	age := time.Duration(now.UnixMilli()-int64(s.HeadTime)) * time.Millisecond
	switch {
	case !s.Synced:
		return "it has no head yet: does a ledger of the network file answer?"
	case core.Clock == genesis.ClockReal && age > headAge(core):
		return fmt.Sprintf("its newest block is %s old: is the ledger down, unreachable, or this machine's clock wrong?", age.Round(time.Second))
	}
	return ""
}

// headAge is how old a head may be before something is wrong.
func headAge(core *genesis.Core) time.Duration {
	return max(time.Minute, 4*time.Duration(core.Params.BlockInterval)*time.Millisecond)
}

func (v *relayView) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_ = v.relay.Status() // it answers, so no lock is stuck
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		r := v.report()
		if !r.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, "not ready: "+r.Why)
			return
		}
		fmt.Fprintf(w, "ready: epoch %d, height %d; %s\n", r.Epoch, r.Height, r.State)
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		b, err := httpx.EncodeJSON(v.report())
		if err != nil {
			httpx.WriteProblem(w, r, httpx.Problem{Status: http.StatusInternalServerError, Detail: err.Error()})
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(b)
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(v.metrics())
	})
	if v.cfg.Profiles {
		profiles(mux)
	}
	return mux
}

// stateMetric is what the ledger shows everybody of the node, or its operator has
// set: exact.
type stateMetric struct {
	name, help string
	value      func(RelayReport, *RelayConfig) int64
}

func truth(x bool) int64 {
	if x {
		return 1
	}
	return 0
}

var stateMetrics = []stateMetric{
	{"tunic_relay_ready", "1 while the relay works: it follows a ledger and listens.", func(r RelayReport, _ *RelayConfig) int64 { return truth(r.Ready) }},
	{"tunic_relay_listed", "1 while the list of the present epoch names the relay.", func(r RelayReport, _ *RelayConfig) int64 { return truth(r.Listed) }},
	{"tunic_relay_epoch", "Epoch of the head that the relay acted on last.", func(r RelayReport, _ *RelayConfig) int64 { return int64(r.Epoch) }},
	{"tunic_relay_height", "Height of that head.", func(r RelayReport, _ *RelayConfig) int64 { return int64(r.Height) }},
	{"tunic_relay_head_time_seconds", "Time of that head, in seconds since the Unix epoch.", func(r RelayReport, _ *RelayConfig) int64 { return int64(r.HeadMS) / 1000 }},
	{"tunic_relay_start_time_seconds", "When the process started, in seconds since the Unix epoch.", func(r RelayReport, _ *RelayConfig) int64 { return r.StartMS / 1000 }},
	{"tunic_relay_replay_limit", "How many packets can be remembered.", func(_ RelayReport, c *RelayConfig) int64 { return int64(c.ReplayTags) }},
	{"tunic_relay_mailbox_limit", "How many messages can be kept.", func(_ RelayReport, c *RelayConfig) int64 { return int64(c.Mail.Items) }},
}

// buildMetric has the version as its label.
const buildMetric = "tunic_build_info"

// RelayMetrics are the names of all metrics of a relay.
func RelayMetrics() []string {
	names := []string{buildMetric}
	for _, m := range stateMetrics {
		names = append(names, m.name)
	}
	for _, m := range loadMetrics {
		names = append(names, m.name)
	}
	return names
}

// metrics are in the text format of Prometheus.
func (v *relayView) metrics() []byte {
	var b bytes.Buffer
	r := v.report()
	fmt.Fprintf(&b, "# HELP %[1]s The version that runs.\n# TYPE %[1]s gauge\n%[1]s{version=%[2]q} 1\n", buildMetric, Version)
	for _, m := range stateMetrics {
		fmt.Fprintf(&b, "# HELP %[1]s %[2]s\n# TYPE %[1]s gauge\n%[1]s %[3]d\n", m.name, m.help, m.value(r, v.cfg))
	}
	for _, m := range loadMetrics {
		fmt.Fprintf(&b, "# HELP %[1]s %[2]s Read once a minute, in steps of %[3]d.\n# TYPE %[1]s %[4]s\n%[1]s %[5]d\n", m.name, m.help, m.step, m.kind, r.Load[m.name])
	}
	return b.Bytes()
}

// residentMemory is what the process holds in memory, 0 where the system does not
// say.
func residentMemory() uint64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize())
}
