package bench

import (
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// quietPacket is one packet of a quiet link.
type quietPacket struct {
	sent time.Time
	took int64 // 0: not there yet; set and read atomically until all are there
}

func phaseOf(packets []quietPacket) (p FloodPhase) {
	p.Packets = len(packets)
	var times []time.Duration
	for i := range packets {
		if t := atomic.LoadInt64(&packets[i].took); t > 0 {
			times = append(times, time.Duration(t))
		}
	}
	p.Lost = len(packets) - len(times)
	if slices.Sort(times); len(times) > 0 {
		p.Spans, p.MaxUS = spansOf(times), within(times, 1000).Microseconds()
	}
	return p
}

func (r *FloodResult) judge(before, during, after []quietPacket, ended time.Time) {
	r.Unloaded, r.Flooded = phaseOf(before), phaseOf(during)
	second := slices.IndexFunc(after, func(p quietPacket) bool { return p.sent.Sub(ended) >= time.Second })
	r.After = phaseOf(after[max(0, second):])
	r.Ratio = float64(r.Flooded.P99US) / float64(max(1, r.Unloaded.P99US))
	usual := medianP99(stretches(before))
	rest := stretches(after)
	later := slices.IndexFunc(rest, func(x stretch) bool { return x.from.Sub(ended) >= time.Second })
	r.AfterRatio = float64(medianP99(rest[max(0, later):])) / float64(usual)
	r.RecoveryMS = after[len(after)-1].sent.Sub(ended).Milliseconds() // or later
	isBack := func(x stretch) bool { return float64(x.p99) <= FloodBack*float64(usual) }
	for i, x := range rest {
		n := 0
		for _, y := range rest[i:] {
			if isBack(y) {
				n++
			}
		}
		if isBack(x) && isBack(rest[min(i+1, len(rest)-1)]) && 4*n >= 3*len(rest[i:]) {
			r.RecoveryMS = x.from.Sub(ended).Milliseconds()
			break
		}
	}
	r.Verdict = passed()
	r.fail(r.Ratio >= FloodGoal, "the 99th percentile under the flood is %.1f times that without, goal %.0f", r.Ratio, FloodGoal)
	r.fail(r.AfterRatio > FloodBack, "a second after the flood the 99th percentile is %.2f times that before, goal %.1f", r.AfterRatio, FloodBack)
	r.fail(r.RecoveryMS > FloodRecovery, "%d ms until the relay was what it had been, goal %d", r.RecoveryMS, FloodRecovery)
	r.fail(float64(r.OfferedPS) < FloodOffered*float64(r.Times)*float64(r.CapacityPS), "the flood offered %d/s, %.1f times the capacity, and was to offer %d times",
		r.OfferedPS, r.TimesCapacity(r.OfferedPS), r.Times)
	r.fail(r.Unloaded.Lost+r.Flooded.Lost+r.After.Lost > 0, "%d packets of quiet links were lost, %d of them during the flood",
		r.Unloaded.Lost+r.Flooded.Lost+r.After.Lost, r.Flooded.Lost)
	r.fail(!r.Counters.Balanced(), "the relay's counters do not balance")
}

// TimesCapacity is a rate over the relay's capacity.
func (r FloodResult) TimesCapacity(perS int64) float64 {
	return float64(perS) / float64(max(1, r.CapacityPS))
}

// stretch is a quarter of a second of a phase.
type stretch struct {
	from time.Time
	p99  int64 // us; where more was lost than a hundredth, no time is long enough
}

const stretchOf = 250 * time.Millisecond

// stretches divides a phase. What is left at its end counts where it is half a one.
func stretches(packets []quietPacket) (out []stretch) {
	first := 0
	for len(packets) > 0 {
		from := packets[0].sent
		n := slices.IndexFunc(packets, func(p quietPacket) bool { return p.sent.Sub(from) >= stretchOf })
		if n < 0 {
			n = len(packets)
		}
		if len(out) == 0 {
			first = n
		} else if 2*n < first {
			break
		}
		p := phaseOf(packets[:n])
		x := stretch{from, p.P99US}
		if 100*p.Lost > n {
			x.p99 = math.MaxInt64
		}
		out, packets = append(out, x), packets[n:]
	}
	return out
}

func medianP99(of []stretch) int64 {
	var p99 []int64
	for _, x := range of {
		p99 = append(p99, x.p99)
	}
	return max(1, median(p99))
}
