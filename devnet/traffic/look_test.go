package traffic

import (
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"tunic/chain"
	"tunic/onion"
	"tunic/onion/mail"
	"tunic/registry/probe"
)

// step is one packet at one relay, opened with that relay's key.
type step struct {
	sight
	at   time.Time
	kind onion.Kind
	tag  onion.Tag
	raw  []byte // as it came
	end  bool   // it ends here with nothing in it
	op   string // of a command that ends here
	pred int    // the same packet at the hop before; -1: it begins here
}

// sights are what relays saw, by what it was in truth.
type sights struct {
	between   map[string][]sight // from a relay, for a relay
	out, back map[string][]sight // at a guard: from a client, and for one
}

// steady is the part of an epoch in which times in it are compared: probes leave in its
// first three quarters, by the clock of relays that hear of it a little later, and
// the hops of the first and the last are later again.
const steadyFrom, steadyTo = 0.25, 0.7

// look opens every packet that was captured and follows it from its first relay to
// its last.
func (w *world) look(s *senders, opens map[string][]*onion.Key, seen past) sights {
	w.t.Helper()
	steps, refused := w.steps(opens, seen)
	if refused*50 > len(steps) {
		w.t.Errorf("%d of %d packets cannot be opened", refused, refused+len(steps))
	}
	probes := map[onion.Tag]bool{}
	for e := range seen {
		if seen[e-1].list == nil || e < probe.First {
			continue
		}
		for tag := range w.probes(seen, e) {
			probes[tag] = true
		}
	}
	kind := make([]string, len(steps))
	for i, x := range steps {
		if x.kind == onion.Forward {
			continue
		}
		way := []int{i}
		for p := x.pred; p >= 0; p = steps[p].pred {
			way = append(way, p)
		}
		k := w.kindOf(s, steps[way[len(way)-1]], x, probes)
		for _, p := range way {
			kind[p] = k
		}
	}
	out := sights{map[string][]sight{}, map[string][]sight{}, map[string][]sight{}}
	for i, x := range steps {
		x.calm = s.calm.at(x.at)
		stranger := strings.HasPrefix(x.prev, "link")
		switch {
		case kind[i] == "":
		case x.kind == onion.Forward && x.next == "": // of a list that came after the watch
		case x.kind == onion.Client:
			out.back[kind[i]] = append(out.back[kind[i]], x.sight)
		case stranger:
			out.out[kind[i]] = append(out.out[kind[i]], x.sight)
		case x.kind == onion.Forward:
			out.between[kind[i]] = append(out.between[kind[i]], x.sight)
		}
	}
	return out
}

// kindOf is what a packet was that went from first to last.
func (w *world) kindOf(s *senders, first, last step, probes map[onion.Tag]bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.kind[sha256.Sum256(first.raw)]; k != "" {
		return k
	}
	if k := s.kind[sha256.Sum256(first.raw[:onion.HeaderSize])]; k != "" {
		return k
	}
	stranger := strings.HasPrefix(first.prev, "link")
	switch {
	case probes[last.tag]:
		return "probe"
	case last.end && !stranger:
		return "cover"
	case last.kind == onion.Client && stranger:
		return "loop"
	case stranger:
		return last.op
	case last.kind == onion.Client:
		return "answer"
	}
	return ""
}

// steps are the packets that relays got, in the order in which they came, each
// opened; and how many could not be.
func (w *world) steps(opens map[string][]*onion.Key, seen past) (out []step, refused int) {
	w.t.Helper()
	keys := map[string]*onion.Keys{}
	for name, of := range opens {
		k, err := onion.NewKeys(w.geometry(), w.File.Genesis, of...)
		if err != nil {
			w.t.Fatal(err)
		}
		keys[name] = k
	}
	lists, selectors := map[chain.Epoch][]string{}, map[chain.Epoch]map[string]byte{}
	for e, x := range seen {
		selectors[e] = map[string]byte{}
		for i := range x.list.Entries {
			name := w.tap.name[x.list.Entries[i].Node]
			lists[e] = append(lists[e], name)
			selectors[e][name] = onion.Selector(x.list.Entries[i].Onion.First)
		}
	}
	arrivals := w.tap.got()
	slices.SortStableFunc(arrivals, func(a, b arrival) int { return a.at.Compare(b.at) })
	passed := map[[32]byte]int{} // by what leaves
	last, lastOf := map[string]time.Time{}, map[[2]string]time.Time{}
	for _, a := range arrivals {
		k := keys[a.to]
		if k == nil {
			continue // a client's
		}
		x := step{at: a.at, raw: a.data, pred: -1}
		x.relay, x.prev, x.size = a.to, a.from, len(a.data)
		x.gap, x.gapPrev = a.at.Sub(last[a.to]).Seconds(), a.at.Sub(lastOf[[2]string{a.to, a.from}]).Seconds()
		last[a.to], lastOf[[2]string{a.to, a.from}] = a.at, a.at
		now := w.clock(a.at)
		length := chain.Time(epochLength)
		x.phase = float64((now-w.Genesis.Time)%length) / float64(length)
		x.tick = float64(a.at.UnixNano()%int64(tick)) / float64(tick)
		work := slices.Clone(a.data)
		o, err := k.OpenHeader(work)
		if err != nil {
			refused++
			continue
		}
		message, err := o.Finish()
		if err != nil && o.Kind != onion.Deliver {
			refused++
			continue
		}
		x.kind, x.tag, x.delay = o.Kind, o.Tag, float64(o.Delay)
		if cmd, err := mail.FormatOf(w.geometry()).Decode(message); o.Kind == onion.Deliver && err == nil {
			x.op = "command"
			if cmd.Poll != nil {
				x.op = "poll"
			}
		}
		x.end = o.Kind == onion.Deliver && err == nil && len(message) == 0
		x.before, x.after = a.data[2:], work[2:]
		if o.Kind == onion.Client {
			clear(x.after[:len(o.Token)]) // which client it is for its guard knows anyway
		}
		if names := lists[o.Directory()]; o.Kind == onion.Forward && int(o.NextIndex) < len(names) {
			x.next = names[o.NextIndex]
			of := selectors[o.Directory()]
			x.keys = a.data[1] == of[a.to] && work[1] == of[x.next]
		}
		if p, ok := passed[sha256.Sum256(a.data)]; ok {
			x.pred = p
		}
		if o.Kind == onion.Forward {
			passed[sha256.Sum256(work)] = len(out)
		}
		out = append(out, x)
	}
	byRank(out, func(x *step) (string, *float64) { return x.relay, &x.gap })
	byRank(out, func(x *step) (string, *float64) { return x.relay + x.prev, &x.gapPrev })
	return out, refused
}

// byRank puts a value's rank among those of one name, from 0 to 1, in its place:
// how busy a relay or a link is says nothing of a packet.
func byRank(steps []step, f func(*step) (name string, value *float64)) {
	all := map[string][]float64{}
	for i := range steps {
		name, v := f(&steps[i])
		all[name] = append(all[name], *v)
	}
	for _, v := range all {
		slices.Sort(v)
	}
	for i := range steps {
		name, v := f(&steps[i])
		at, _ := slices.BinarySearch(all[name], *v)
		*v = (float64(at) + 0.5) / float64(len(all[name]))
	}
}

// tick is the clock that a planted leak goes by.
const tick = 500 * time.Millisecond

// clock is the ledger's time at a moment of the machine's: it is ahead by what was
// skipped at the start, and runs as fast.
func (w *world) clock(at time.Time) chain.Time {
	return chain.Time(at.UnixMilli()) + w.ahead
}
