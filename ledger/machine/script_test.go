package machine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/testenv"
)

// TestScript runs the scripts of testdata and compares what every block did with
// their golden files, roots included: the protocol's bytes do not change
// unnoticed.
func TestScript(t *testing.T) {
	runScript(t, newWorld(t, "a", "b", "c", "d"), "life")
	runScript(t, newWorld(t, "a", "b", "c", "d", "e", "f"), "judged")
}

// TestCouncilScript runs testdata/council.script, in which a council of k1, k2
// and k3 changes parameters.
func TestCouncilScript(t *testing.T) { runScript(t, newCouncil(t, "a", "b"), "council") }

func runScript(t *testing.T, w *world, name string) {
	script, err := os.ReadFile("testdata/" + name + ".script")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "genesis %s state %s\n", w.g.Hash(), w.m.Head().State)
	for _, line := range strings.Split(string(script), "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		when, acts, _ := strings.Cut(rest, " ")
		now := w.m.Head().Time
		if word == "epoch" {
			e, _ := strconv.Atoi(when)
			now = w.at(chain.Epoch(e))
		} else {
			d, err := time.ParseDuration(when[1:])
			if err != nil {
				t.Fatal(err)
			}
			now += chain.Time(d.Milliseconds())
		}
		var txs [][]byte
		count := map[string]int{}
		for _, act := range strings.Split(acts, ";") {
			if f := strings.Fields(act); len(f) > 0 {
				txs = append(txs, w.acts(f, count)...)
			}
		}
		o := w.block(now, txs...)
		h := o.Header
		fmt.Fprintf(&out, "\n%s\n  height %d time +%d epoch %d listed %d removals %d\n", line, h.Height, h.Time-w.g.Time, h.DirEpoch, h.DirCount, len(h.Removals))
		for i, r := range o.Results {
			code := r.Code
			if code == "" {
				code = "applied"
			}
			fmt.Fprintf(&out, "  tx %d %s\n", i, code)
		}
		for _, e := range o.Events {
			fmt.Fprintf(&out, "  node %s %s -> %s: %s\n", e.Node.Short(), e.From, e.To, e.Reason)
		}
		if f := w.m.InForce(); f.Since == h.DirEpoch && f.Number > 0 {
			fmt.Fprintf(&out, "  parameters %d in force, versions since %d\n", f.Number, f.VersionsSince)
		}
		if c, ok := w.m.Scheduled(); ok {
			fmt.Fprintf(&out, "  parameters %d scheduled for %d: %s\n", c.Number, c.Epoch, c.Hash())
		}
		for _, a := range w.m.Approvals() {
			fmt.Fprintf(&out, "  parameters %d for %d approved by %d: %s\n", a.Number, a.Epoch, len(a.Members), a.Hash())
		}
		s := w.m.Supply()
		fmt.Fprintf(&out, "  accounts %s bonded %s outstanding %s pool %s burned %s\n", s.Accounts, s.Bonded, s.Outstanding, s.Pool, s.Burned)
		fmt.Fprintf(&out, "  beacon %s\n  directory %s\n  state %s\n  header %s\n", h.Beacon, h.Directory, h.State, h.Hash())
	}
	testenv.Golden(t, "testdata/"+name+".golden", out.Bytes())
}

// acts makes the transactions of one action of the script.
func (w *world) acts(f []string, count map[string]int) (txs [][]byte) {
	w.t.Helper()
	switch f[0] {
	case "join": // NODE OPERATOR: fully staked, and published for epoch 1
		seq := w.next(f[1], 1)
		return append(txs, w.act([]string{"register", f[1], f[2], "2000"}, count), publish(w.descriptor(f[1], seq, 0)), publish(w.heartbeat(f[1], seq)))
	case "heartbeats": // EPOCH NODE...
		for _, n := range f[2:] {
			txs = append(txs, w.act([]string{"heartbeat", n, f[1]}, count))
		}
		return txs
	case "votes": // SUBJECT REASONS SCORE NODE...: of those nodes that have a vote
		why, _ := strconv.Atoi(f[2])
		score, _ := strconv.Atoi(f[3])
		for _, n := range w.voters(f[1], f[4:]...) {
			txs = append(txs, publish(w.vote(n, f[1], statement.Reasons(why), chain.Permille(score))))
		}
		return txs
	}
	return append(txs, w.act(f, count))
}

// act makes the transaction of one action of the script.
func (w *world) act(f []string, count map[string]int) []byte {
	w.t.Helper()
	tun := func(s string) chain.Amount {
		x, err := chain.ParseTUN(s)
		if err != nil {
			w.t.Fatal(err)
		}
		return x
	}
	after := func(who string) int {
		count[who]++
		return count[who] - 1
	}
	epoch := func(s string) chain.Epoch {
		e, _ := strconv.Atoi(s)
		return chain.Epoch(e)
	}
	switch f[0] {
	case "transfer":
		return w.transfer(f[1], f[2], tun(f[3]), after(f[1]))
	case "register":
		return w.register(f[1], f[2], tun(f[3]), after(f[2]))
	case "contribute":
		return w.contribute(f[1], f[2], tun(f[3]), after(f[2]))
	case "unlock":
		return w.unlock(f[1], f[2], after(f[2]))
	case "withdraw":
		return w.withdraw(f[1], f[2], after(f[2]))
	case "descriptor":
		return publish(w.descriptor(f[1], w.next(f[1], epoch(f[2])), 0))
	case "heartbeat":
		return publish(w.heartbeat(f[1], w.next(f[1], epoch(f[2]))))
	case "commit":
		return publish(w.commitment(f[1], epoch(f[2])))
	case "change": // change WHO NUMBER EPOCH NAME=VALUE
		n, _ := strconv.Atoi(f[2])
		return w.change(f[1], uint32(n), epoch(f[3]), after(f[1]), func(p *genesis.Params) {
			key, value, _ := strings.Cut(f[4], "=")
			if err := json.Unmarshal([]byte(`{"`+key+`":`+value+`}`), p); err != nil {
				w.t.Fatal(err)
			}
		})
	case "proof":
		return w.submitProof(f[2], w.equivocation(f[1]).Encode(), after(f[2]))
	}
	w.t.Fatalf("unknown action %q", f[0])
	return nil
}
