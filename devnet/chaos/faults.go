package chaos

import (
	"context"
	"time"

	"tunic/chain"
	"tunic/registry/directory"
)

// hurt is what is wrong with a relay, and until which epoch it counts as one
// that may not have what it signed for.
type hurt struct {
	down  bool
	back  uint64 // epoch in which a relay that is down starts again; 0: in the end
	until uint64
}

// bad reports whether relay i may lack, in the present epoch, what it signed for.
func (r *run) bad(i int) bool {
	h := r.hurt[i]
	return h != nil && (h.down || h.until > r.epoch())
}

// swarm is one by the newest list.
type swarm struct {
	id      uint64
	members []int
}

func (r *run) swarms() (out []swarm) {
	list, _, err := r.net.Ledger.List(r.net.Ledger.Head().Header.DirEpoch)
	if err != nil {
		return nil
	}
	at := map[directory.SwarmID]int{}
	for i, relay := range r.net.Relays {
		e, ok := list.Find(relay.ID)
		if !ok || e.Swarm == directory.NoSwarm {
			continue
		}
		k, ok := at[e.Swarm]
		if !ok {
			k = len(out)
			at[e.Swarm] = k
			out = append(out, swarm{id: uint64(e.Swarm)})
		}
		out[k].members = append(out[k].members, i)
	}
	return out
}

// spare is a relay that may be hurt, -1 if there is none: of each swarm a
// majority stays whole, so that what was stored is somewhere, and of the network
// enough for paths.
func (r *run) spare() int {
	broken := 0
	for i := range r.hurt {
		if r.bad(i) {
			broken++
		}
	}
	if broken >= (r.out.Relays-4)/2 {
		return -1
	}
	swarms := r.swarms()
	for range 8 {
		s := swarms[r.rnd.IntN(len(swarms))]
		bad := 0
		for _, i := range s.members {
			if r.bad(i) {
				bad++
			}
		}
		i := s.members[r.rnd.IntN(len(s.members))]
		if bad < (len(s.members)-1)/2 && r.hurt[i] == nil {
			return i
		}
	}
	return -1
}

func (r *run) fault(name string) { r.out.Faults[name]++ }

// happen lets one thing go wrong.
func (r *run) happen(ctx context.Context) error {
	i := r.spare()
	if i < 0 {
		return nil
	}
	relay, now := r.net.Relays[i], r.epoch()
	switch r.rnd.IntN(9) {
	case 0, 1: // killed, and back at once
		r.step("%s is killed and starts again", relay.Name())
		r.fault("kill")
		if err := r.net.Crash(ctx, i); err != nil {
			return err
		}
		return r.net.StartRelay(ctx, i)
	case 2: // killed, and away for a while; longer than three epochs and its swarm changes
		back := now + 1 + uint64(r.rnd.IntN(5))
		r.step("%s is killed and away until epoch %d", relay.Name(), back)
		r.fault("away")
		r.hurt[i] = &hurt{down: true, back: back}
		r.calm = max(r.calm, back+2)
		return r.net.Crash(ctx, i)
	case 3: // killed, and its disk is lost
		if r.calm > now {
			return nil
		}
		r.step("%s is killed, loses its disk and starts again", relay.Name())
		r.fault("lost disk")
		r.hurt[i] = &hurt{until: now + 3}
		r.calm = now + 3
		if err := r.net.Crash(ctx, i); err != nil {
			return err
		}
		if err := r.net.LoseDisk(i); err != nil {
			return err
		}
		return r.net.StartRelay(ctx, i)
	case 4: // gone for good, with another of its swarm where it has five
		return r.gone(ctx, i)
	case 5:
		by := time.Duration(2+r.rnd.IntN(20)) * time.Millisecond
		r.step("the disk of %s takes %v a write", relay.Name(), by)
		r.fault("slow disk")
		relay.Disk.Slow(by)
	case 6:
		r.step("the disk of %s is full", relay.Name())
		r.fault("full disk")
		r.hurt[i] = &hurt{until: now + 2}
		relay.Disk.Full(true)
	case 7:
		k := (i + 1 + r.rnd.IntN(r.out.Relays-1)) % r.out.Relays
		loss := chain.BasisPoints(500 + r.rnd.IntN(3000))
		r.step("the link of %s and %s loses %d of 10,000", relay.Name(), r.net.Relays[k].Name(), loss)
		r.fault("lossy link")
		r.net.Lose(i, k, loss)
	case 8:
		if r.parts {
			return nil
		}
		r.step("%s is cut off from the others", relay.Name())
		r.fault("cut")
		r.parts = true
		r.hurt[i] = &hurt{until: now + 2}
		r.net.Partition([]int{i})
	}
	return nil
}

// gone takes away a relay and, where its swarm has five, another one with it.
func (r *run) gone(ctx context.Context, i int) error {
	if r.calm > r.epoch() || r.out.Faults["gone"] > 0 {
		return nil
	}
	r.fault("gone")
	r.calm = r.epoch() + 4
	for {
		r.step("%s is gone for good", r.net.Relays[i].Name())
		r.hurt[i] = &hurt{down: true}
		if err := r.net.Crash(ctx, i); err != nil {
			return err
		}
		next := r.sibling(i)
		if next < 0 {
			return nil
		}
		i = next
	}
}

// sibling is another member of i's swarm that a majority can do without.
func (r *run) sibling(i int) int {
	for _, s := range r.swarms() {
		in, bad, whole := false, 0, -1
		for _, k := range s.members {
			in = in || k == i
			if r.bad(k) {
				bad++
			} else if r.hurt[k] == nil {
				whole = k
			}
		}
		if in && len(s.members) >= 5 && bad < (len(s.members)-1)/2 {
			return whole
		}
	}
	return -1
}

// recover ends what has lasted long enough.
func (r *run) recover(ctx context.Context) error {
	now := r.epoch()
	for i := range r.net.Relays {
		h := r.hurt[i]
		if h == nil {
			continue
		}
		switch {
		case h.down && h.back > 0 && h.back <= now:
			r.step("%s is back", r.net.Relays[i].Name())
			*h = hurt{until: now + 2}
			if err := r.net.StartRelay(ctx, i); err != nil {
				return err
			}
		case !h.down && h.until <= now:
			delete(r.hurt, i)
		}
	}
	if r.rnd.IntN(2) == 0 {
		r.mend()
	}
	return nil
}

// mend ends what is wrong with links and disks.
func (r *run) mend() {
	r.net.Heal()
	r.parts = false
	for _, relay := range r.net.Relays {
		relay.Disk.Slow(0)
		relay.Disk.Full(false)
	}
}

// heal ends all that does not last for good.
func (r *run) heal(ctx context.Context) error {
	r.step("all that is not gone for good is well again")
	r.mend()
	for i := range r.net.Relays {
		if h := r.hurt[i]; h != nil && h.down && h.back > 0 {
			h.down = false
			if err := r.net.StartRelay(ctx, i); err != nil {
				return err
			}
		}
	}
	return nil
}
