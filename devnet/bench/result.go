package bench

import (
	"fmt"
	"time"
)

// Verdict is the part of a result that says which goals were missed.
type Verdict struct {
	Failed []string `json:"failed"` // goals that were missed; empty, never null
}

// Missed are the goals that were missed.
func (v Verdict) Missed() []string { return v.Failed }

// passed is the verdict while nothing was missed.
func passed() Verdict { return Verdict{[]string{}} }

// fail notes a goal that was missed, if it was.
func (v *Verdict) fail(missed bool, format string, args ...any) {
	if missed {
		v.Failed = append(v.Failed, fmt.Sprintf(format, args...))
	}
}

// Spans say how long something took that was done many times.
type Spans struct {
	P50US int64 `json:"p50_us"` // half of the times are no longer, and so on
	P99US int64 `json:"p99_us"`
}

// spansOf are those of times, ascending and at least one.
func spansOf(times []time.Duration) Spans {
	return Spans{within(times, 500).Microseconds(), within(times, 990).Microseconds()}
}

// within is the time that so many of a thousand, 1,000 for all, stay within, of
// times, ascending and at least one.
func within(times []time.Duration, permille int) time.Duration {
	return times[min(len(times)-1, len(times)*permille/1000)]
}
