package main

import (
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"tunic/api/client"
	"tunic/chain"
	"tunic/ledger/light"
	"tunic/registry/directory"
)

// entryView is an entry as JSON, its members named as in the API.
type entryView struct {
	Node          chain.NodeID   `json:"node"`
	VRF           string         `json:"vrf_key"`
	Operator      chain.Address  `json:"operator"`
	Stake         chain.Amount   `json:"stake"`
	Endpoints     []string       `json:"endpoints"`
	Family        []chain.NodeID `json:"family"`
	Swarm         string         `json:"swarm"`          // "none" where it is in none
	PreviousSwarm string         `json:"previous_swarm"` // the same
	Version       string         `json:"version"`
	Onion         keyView        `json:"onion"`
	OnionNext     keyView        `json:"onion_next"`
	Performance   chain.Permille `json:"performance"`
	Removed       bool           `json:"removed,omitempty"`
}

type keyView struct {
	First chain.Epoch `json:"first_epoch"`
	Key   string      `json:"key"`
}

// viewOf is e under the header of its list.
func viewOf(e directory.Entry, h chain.Header) entryView {
	key := func(k directory.Key) keyView { return keyView{k.First, hex.EncodeToString(k.Key[:])} }
	return entryView{
		Node: e.Node, VRF: hex.EncodeToString(e.VRF[:]), Operator: e.Operator, Stake: e.Stake, Endpoints: append([]string{}, e.Endpoints...),
		Family: append([]chain.NodeID{}, e.Family...), Swarm: swarmName(e.Swarm), PreviousSwarm: swarmName(e.PreviousSwarm), Version: e.Version,
		Onion: key(e.Onion), OnionNext: key(e.OnionNext), Performance: e.Performance, Removed: light.Removed(h, e.Node),
	}
}

func swarmName(s directory.SwarmID) string {
	if s == directory.NoSwarm {
		return "none"
	}
	return strconv.FormatUint(uint64(s), 10)
}

// directoryFileOf is a list with its header as GET /v1/directory has it in JSON.
func directoryFileOf(l *directory.List, s chain.SealedHeader) client.Directory {
	key := func(k directory.Key) client.OnionKey {
		return client.OnionKey{FirstEpoch: int64(k.First), Key: hex.EncodeToString(k.Key[:])}
	}
	f := client.Directory{Epoch: int64(l.Epoch), Root: l.Root().String(), Count: len(l.Entries), Header: s.Encode(), Entries: []client.DirectoryEntry{}}
	for _, e := range l.Entries {
		out := client.DirectoryEntry{
			Node: e.Node.String(), VrfKey: hex.EncodeToString(e.VRF[:]), Operator: e.Operator.String(), Endpoints: append([]string{}, e.Endpoints...),
			Family: []client.NodeID{}, Swarm: strconv.FormatUint(uint64(e.Swarm), 10), PreviousSwarm: strconv.FormatUint(uint64(e.PreviousSwarm), 10),
			Version: e.Version, Stake: strconv.FormatUint(uint64(e.Stake), 10), Onion: key(e.Onion), OnionNext: key(e.OnionNext), Performance: int(e.Performance),
		}
		for _, id := range e.Family {
			out.Family = append(out.Family, id.String())
		}
		f.Entries = append(f.Entries, out)
	}
	return f
}

// listOf is the list that a JSON file holds. Nothing is verified but that its
// entries ascend; its epoch is the header's to check.
func listOf(f client.Directory) (*directory.List, error) {
	l := directory.List{Epoch: chain.Epoch(f.Epoch)}
	for i, in := range f.Entries {
		e, err := entryOf(in)
		if err != nil {
			return nil, fmt.Errorf("%w: entry %d: %w", directory.ErrMalformed, i+1, err)
		}
		l.Entries = append(l.Entries, e)
	}
	return directory.Decode(l.Encode()) // as if these had come: bounds and order
}

func entryOf(in client.DirectoryEntry) (e directory.Entry, err error) {
	keep := func(next error) {
		if err == nil {
			err = next
		}
	}
	key := func(to *[32]byte, text string) { keep((*chain.Hash)(to).UnmarshalText([]byte(text))) }
	number := func(text string) uint64 {
		v, bad := strconv.ParseUint(text, 10, 64)
		keep(bad)
		return v
	}
	keep(e.Node.UnmarshalText([]byte(in.Node)))
	key(&e.VRF, in.VrfKey)
	keep(e.Operator.UnmarshalText([]byte(in.Operator)))
	e.Endpoints = in.Endpoints
	for _, text := range in.Family {
		var id chain.NodeID
		keep(id.UnmarshalText([]byte(text)))
		e.Family = append(e.Family, id)
	}
	e.Swarm, e.PreviousSwarm = directory.SwarmID(number(in.Swarm)), directory.SwarmID(number(in.PreviousSwarm))
	e.Version, e.Stake = in.Version, chain.Amount(number(in.Stake))
	for to, from := range map[*directory.Key]client.OnionKey{&e.Onion: in.Onion, &e.OnionNext: in.OnionNext} {
		to.First = chain.Epoch(from.FirstEpoch)
		key(&to.Key, from.Key)
	}
	if in.Performance < 0 || in.Performance > 1000 {
		keep(fmt.Errorf("performance %d is not 0 to 1000", in.Performance))
	}
	e.Performance = chain.Permille(in.Performance)
	return e, err
}

// entryFlags choose entries, or nodes, and say in which order they are shown.
type entryFlags struct {
	operator, swarm, search, version, minStake, order string
}

// add adds the flags to c; orders are the names that --order takes.
func (f *entryFlags) add(c *cobra.Command, orders string) {
	c.Flags().StringVar(&f.operator, "operator", "", "only those of this account")
	c.Flags().StringVar(&f.swarm, "swarm", "", "only those of this swarm: its number, or none")
	c.Flags().StringVar(&f.search, "search", "", "only those whose id or operator begins so, or with this in an endpoint")
	c.Flags().StringVar(&f.version, "version", "", "only those with this version; 1.* for all that begin with 1.")
	c.Flags().StringVar(&f.minStake, "min-stake", "", "only those with at least so many TUN")
	c.Flags().StringVar(&f.order, "order", "", "by which to sort: "+orders+"; with a minus in front the other way round")
}

func (f *entryFlags) any() bool { return *f != entryFlags{} }

// read is the filter that the flags give.
func (f *entryFlags) read() (out directory.Filter, err error) {
	if f.operator != "" {
		at, err := chain.ParseAddress(f.operator)
		if err != nil {
			return out, usage("--operator: %v", err)
		}
		out.Operator = &at
	}
	if f.swarm != "" {
		id := directory.NoSwarm
		if f.swarm != "none" {
			n, err := strconv.ParseUint(f.swarm, 10, 64)
			if err != nil {
				return out, usage("--swarm %q is no swarm; give its number, or none", f.swarm)
			}
			id = directory.SwarmID(n)
		}
		out.Swarm = &id
	}
	if f.minStake != "" {
		if out.MinStake, err = chain.ParseTUN(f.minStake); err != nil {
			return out, usage("--min-stake: %v", err)
		}
	}
	out.Search, out.Version = f.search, f.version
	return out, nil
}
