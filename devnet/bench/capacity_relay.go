package bench

import (
	"context"
	"fmt"
	"net"
	"time"

	"tunic/chain/genesis"
	"tunic/devnet"
	"tunic/internal/proc"
)

// besideIt is how many relays run in processes of their own while one of them is
// measured: with fewer nobody probes.
const besideIt = 5

// measureRelay measures relays that are processes of their own.
func measureRelay(ctx context.Context, o CapacityOptions, profile genesis.Profile) (IdleRelayFigures, error) {
	f := IdleRelayFigures{Profile: profile}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return f, err
	}
	http := ln.Addr().String()
	ln.Close()
	n, err := devnet.StartProcesses(ctx, devnet.Spec{Relays: besideIt, Profile: profile, Dir: fmt.Sprintf("%s/relays-%s", o.Dir, profile), HTTP: http, Seed: 1}, o.Exe)
	if err != nil {
		return f, err
	}
	defer n.Close()
	if err := pause(ctx, o.Idle/4); err != nil {
		return f, err
	}
	times := func() (sum time.Duration) {
		for _, r := range n.Relays {
			sum += proc.Time(r.PID())
		}
		return sum
	}
	before, from := times(), time.Now()
	if err := pause(ctx, o.Idle); err != nil {
		return f, err
	}
	f.CPU = ofCore(times()-before, time.Since(from)) / besideIt
	for _, r := range n.Relays {
		f.RSSAnon, f.RSS = max(f.RSSAnon, proc.Memory(r.PID(), "RssAnon:")), max(f.RSS, proc.Memory(r.PID(), "VmRSS:"))
	}
	f.Ledger = proc.Memory(n.Ledger.PID(), "RssAnon:")
	return f, nil
}
