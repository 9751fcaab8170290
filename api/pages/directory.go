package pages

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"tunic/api/client"
	"tunic/registry/directory"
)

const (
	// differencesMost is how many changed nodes the comparison shows.
	differencesMost = 200
	// comparedMost is the longest list whose old values are fetched too.
	comparedMost = 5000
)

type directoryView struct {
	Epoch   int64
	Root    *client.DirectoryRoot
	Entries []client.DirectoryItem
	Total   int64
	// Latest is the running epoch; Before and After are other epochs to go to,
	// 0 where there is none.
	Latest, Before, After int64
	With                  int64 // 0: nothing is compared
	Difference            *difference
	// NoDifference says why there is none though one was asked for.
	NoDifference string
	First, Next  string
	Later        bool
}

// difference is what changed from one epoch's list to another's.
type difference struct {
	From, To     int64
	Joined, Left []string
	Changed      []changed
	// More is how many changed nodes are not shown.
	More int
}

// changed are the members of one entry that differ.
type changed struct {
	Node   string
	Fields []fieldChange
}

type fieldChange struct{ Name, Was, Is string }

// directory is the list of an epoch and, with another epoch, what differs.
func (s *Site) directory(r *http.Request) (view, error) {
	q := r.URL.Query()
	status, err := s.chainStatus(r.Context())
	if err != nil {
		return view{}, err
	}
	epoch, with := number(q.Get("epoch")), number(q.Get("with"))
	if epoch == 0 {
		epoch = status.Epoch
	}
	d := directoryView{Epoch: epoch, With: with, Latest: status.Epoch, Before: epoch - 1, Later: q.Get("cursor") != ""}
	if epoch < status.Epoch {
		d.After = epoch + 1
	}
	if d.Root, err = s.directoryRoot(r.Context(), epoch); err != nil {
		return view{}, err
	}
	res, err := s.api.ListDirectoryEntriesWithResponse(r.Context(), &client.ListDirectoryEntriesParams{Epoch: &epoch, Limit: &pageLimit, Cursor: cursor(r)})
	if err != nil {
		return view{}, err
	}
	page, err := read(res.JSON200, res.HTTPResponse, res.Body)
	if err != nil {
		return view{}, err
	}
	d.Entries, d.Total = page.Items, page.Total
	pinned := url.Values{"epoch": {fmt.Sprint(epoch)}} // the next page is of this list, whatever runs by then
	d.First, d.Next = link("/directory", pinned, "", ""), next("/directory", pinned, page.NextCursor)
	if with != 0 {
		d.Difference, err = s.difference(r.Context(), min(with, epoch), max(with, epoch))
		if missing(err) {
			d.NoDifference, err = problemOf(err).Detail, nil
		}
		if err != nil {
			return view{}, err
		}
	}
	return view{Template: "directory", Title: fmt.Sprintf("Directory of epoch %d", epoch), Nav: "/directory", Live: "epoch", status: status, Data: d}, nil
}

func (s *Site) directoryRoot(ctx context.Context, epoch int64) (*client.DirectoryRoot, error) {
	res, err := s.api.GetDirectoryRootWithResponse(ctx, &client.GetDirectoryRootParams{Epoch: &epoch})
	if err != nil {
		return nil, err
	}
	return read(res.JSON200, res.HTTPResponse, res.Body)
}

// entryChange is one changed entry of a delta as it came: a member that is
// missing has not changed.
type entryChange struct {
	Node          string           `json:"node"`
	VrfKey        *string          `json:"vrf_key"`
	Endpoints     *[]string        `json:"endpoints"`
	Family        *[]string        `json:"family"`
	Swarm         *string          `json:"swarm"`
	PreviousSwarm *string          `json:"previous_swarm"`
	Version       *string          `json:"version"`
	Stake         *string          `json:"stake"`
	Onion         *client.OnionKey `json:"onion"`
	OnionNext     *client.OnionKey `json:"onion_next"`
	Performance   *int             `json:"performance"`
}

// difference asks for the delta between two epochs' lists and, where the older
// list is not too long, for what stood there before.
func (s *Site) difference(ctx context.Context, from, to int64) (*difference, error) {
	if from == to {
		return &difference{From: from, To: to}, nil
	}
	res, err := s.api.GetDirectoryDeltaWithResponse(ctx, &client.GetDirectoryDeltaParams{Since: from, Epoch: &to})
	if err != nil {
		return nil, err
	}
	delta, err := read(res.JSON200, res.HTTPResponse, res.Body)
	if err != nil {
		return nil, err
	}
	var members struct {
		Changed []entryChange `json:"changed"`
	}
	if err := json.Unmarshal(res.Body, &members); err != nil {
		return nil, fmt.Errorf("read delta: %w", err)
	}
	out := &difference{From: from, To: to, Left: delta.Gone}
	var changes []entryChange
	for _, x := range members.Changed {
		// A VRF key never changes: who has one here is new.
		if x.VrfKey != nil {
			out.Joined = append(out.Joined, x.Node)
		} else {
			changes = append(changes, x)
		}
	}
	if len(changes) > differencesMost {
		out.More = len(changes) - differencesMost
		changes = changes[:differencesMost]
	}
	was, err := s.entriesOf(ctx, from, changes, delta.Count)
	if err != nil {
		return nil, err
	}
	for _, x := range changes {
		out.Changed = append(out.Changed, changed{Node: x.Node, Fields: fieldChanges(was[x.Node], x)})
	}
	return out, nil
}

// entriesOf are the entries of an epoch's list that changed since, by node.
func (s *Site) entriesOf(ctx context.Context, epoch int64, changes []entryChange, count int) (map[string]client.DirectoryEntry, error) {
	out := map[string]client.DirectoryEntry{}
	if len(changes) == 0 || count > comparedMost {
		return out, nil
	}
	res, err := s.api.GetDirectoryWithResponse(ctx, &client.GetDirectoryParams{Epoch: &epoch})
	if err != nil {
		return nil, err
	}
	list, err := read(res.JSON200, res.HTTPResponse, res.Body)
	if err != nil {
		return nil, err
	}
	for _, e := range list.Entries {
		out[e.Node] = e
	}
	return out, nil
}

// fieldChanges are the members of an entry that differ, with what they were where
// that is known.
func fieldChanges(was client.DirectoryEntry, is entryChange) (out []fieldChange) {
	add := func(name, was, is string) {
		if was != is {
			out = append(out, fieldChange{name, was, is})
		}
	}
	known := was.Node != ""
	old := func(text string) string {
		if !known {
			return ""
		}
		return text
	}
	if is.Endpoints != nil {
		add("endpoints", old(strings.Join(was.Endpoints, ", ")), strings.Join(*is.Endpoints, ", "))
	}
	if is.Family != nil {
		add("family", old(nodes(was.Family)), nodes(*is.Family))
	}
	if is.Swarm != nil {
		add("swarm", old(swarm(was.Swarm)), swarm(*is.Swarm))
	}
	if is.PreviousSwarm != nil {
		add("previous swarm", old(swarm(was.PreviousSwarm)), swarm(*is.PreviousSwarm))
	}
	if is.Version != nil {
		add("version", old(was.Version), *is.Version)
	}
	if is.Stake != nil {
		add("stake", old(tun(was.Stake)), tun(*is.Stake))
	}
	if is.Onion != nil {
		add("onion key", old(onionKey(was.Onion)), onionKey(*is.Onion))
	}
	if is.OnionNext != nil {
		add("next onion key", old(onionKey(was.OnionNext)), onionKey(*is.OnionNext))
	}
	if is.Performance != nil {
		add("performance", old(permille(was.Performance)), permille(*is.Performance))
	}
	return out
}

func onionKey(k client.OnionKey) string {
	return fmt.Sprintf("%s from epoch %d", short(k.Key), k.FirstEpoch)
}

// noSwarm is the number that stands for none.
var noSwarm = strconv.FormatUint(uint64(directory.NoSwarm), 10)

// swarm is a swarm's number for people.
func swarm(number string) string {
	if number == noSwarm {
		return "none"
	}
	return number
}

func nodes(ids []string) string {
	if len(ids) == 0 {
		return "none"
	}
	out := slices.Clone(ids)
	for i := range out {
		out[i] = short(out[i])
	}
	return strings.Join(out, ", ")
}
