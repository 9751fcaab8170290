package bench

import (
	"strings"
	"testing"
	"time"
)

// quietly makes a phase of packets, one each 2 ms, that take what took says at a
// time of the phase, 0 for those that are lost.
func quietly(from time.Time, length time.Duration, took func(i int, at time.Duration) time.Duration) (out []quietPacket) {
	for at := time.Duration(0); at < length; at += 2 * time.Millisecond {
		out = append(out, quietPacket{sent: from.Add(at), took: int64(took(len(out), at))})
	}
	return out
}

func TestFloodIsJudged(t *testing.T) {
	const us = time.Microsecond
	// Some packets always take longer, none three times as long.
	usual := func(i int, _ time.Duration) time.Duration { return 200*us + time.Duration(i*7919%300)*us }
	flooded := func(i int, at time.Duration) time.Duration { return 2 * usual(i, at) }
	for name, c := range map[string]struct {
		during, after func(i int, at time.Duration) time.Duration
		offered       int64
		want          []string // of what is missed
	}{
		"served, and back at once": {flooded, usual, 1000, nil},
		"five times the percentile": {func(i int, at time.Duration) time.Duration { return 6 * usual(i, at) }, usual, 1000,
			[]string{"under the flood is 6.0 times"}},
		"never back": {flooded, flooded, 1000, []string{"a second after the flood", "ms until the relay"}},
		// Medians alone would not see it.
		"two in a hundred stay slow": {flooded, func(i int, at time.Duration) time.Duration {
			if i%50 == 0 {
				return 3000 * us
			}
			return usual(i, at)
		}, 1000, []string{"a second after the flood", "ms until the relay"}},
		"back after half a second": {flooded, func(i int, at time.Duration) time.Duration {
			if at < 500*time.Millisecond {
				return 4 * usual(i, at)
			}
			return usual(i, at)
		}, 1000, nil},
		"back after two seconds": {flooded, func(i int, at time.Duration) time.Duration {
			if at < 2*time.Second {
				return 4 * usual(i, at)
			}
			return usual(i, at)
		}, 1000, []string{"ms until the relay"}},
		"a hiccup of the machine": {flooded, func(i int, at time.Duration) time.Duration {
			if at > 2*time.Second && at < 2060*time.Millisecond {
				return 40 * time.Millisecond
			}
			return usual(i, at)
		}, 1000, nil},
		"packets lost": {func(i int, at time.Duration) time.Duration {
			if i == 77 {
				return 0
			}
			return flooded(i, at)
		}, usual, 1000, []string{"1 packets of quiet links were lost, 1 of them during the flood"}},
		"too small a flood": {flooded, usual, 600, []string{"offered 600/s, 6.0 times the capacity"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := FloodResult{CapacityPS: 100, Times: 10, OfferedPS: c.offered}
			start := time.Unix(1_000_000, 0)
			ended := start.Add(10 * time.Second)
			r.judge(quietly(start, 4*time.Second, usual), quietly(start.Add(5*time.Second), 4*time.Second, c.during), quietly(ended, 5*time.Second, c.after), ended)
			if len(r.Failed) != len(c.want) {
				t.Fatalf("missed: %q, want %q; after %.2f, back after %d ms", r.Failed, c.want, r.AfterRatio, r.RecoveryMS)
			}
			for i, want := range c.want {
				if !strings.Contains(r.Failed[i], want) {
					t.Errorf("missed: %q, want %q", r.Failed[i], want)
				}
			}
		})
	}
}
