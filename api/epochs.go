package api

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/registry/directory"
)

// ListEpochs pages through the epochs whose blocks are remembered, newest first.
// The newest is there in any case, without what only its blocks say if they are
// still being read.
func (s *server) ListEpochs(_ context.Context, req oas.ListEpochsRequestObject) (oas.ListEpochsResponseObject, error) {
	l, err := list(req.Params.Limit, req.Params.Cursor, "epochs")
	if err != nil {
		return nil, err
	}
	height, err := s.pinBlock(&l)
	if err != nil {
		return nil, err
	}
	core := s.ledger.Core()
	var out oas.ListEpochs200JSONResponse
	var missing bool // of the newest, the first blocks
	err = s.chronicle.view(func() {
		known := func(yield func(*epochNotes) bool) {
			last := len(s.chronicle.epochs) - 1
			for i := last; i >= 0; i-- {
				if e := s.chronicle.epochs[i]; (e.whole || i == last) && e.first.Height <= height && !yield(e) {
					return
				}
			}
		}
		out.Height = int64(height)
		out.Items, out.NextCursor, out.Total = page(&l, iter.Seq[*epochNotes](known),
			func(e *epochNotes) []byte { return binary.BigEndian.AppendUint64(nil, ^uint64(e.first.DirEpoch)) },
			func(e *epochNotes) oas.EpochSummary {
				missing = missing || !e.whole
				return s.chronicle.summary(e, core.EpochStart)
			})
	})
	if err == nil && missing {
		i := slices.IndexFunc(out.Items, func(e oas.EpochSummary) bool { return e.Transactions == nil })
		out.Items[i], err = s.byHeaders(chain.Epoch(out.Items[i].Epoch))
	}
	return out, err
}

// byHeaders says of an epoch what its headers do.
func (s *server) byHeaders(e chain.Epoch) (oas.EpochSummary, error) {
	first, last, running, err := s.bounds(e)
	if err != nil {
		return oas.EpochSummary{}, err
	}
	out := summaryOf(first, last, s.ledger.Core().EpochStart)
	out.Running = running
	return out, nil
}

// summary says of an epoch what is remembered; without counts where that is not
// all.
func (c *chronicle) summary(e *epochNotes, start func(chain.Epoch) chain.Time) oas.EpochSummary {
	out := summaryOf(e.first, e.last, start)
	out.Running = e == c.epochs[len(c.epochs)-1]
	if !e.whole {
		return out
	}
	out.Transactions, out.Heartbeats, out.Commitments, out.Votes = &e.accounts, &e.heartbeats, &e.commitments, &e.votes
	return out
}

// summaryOf says of an epoch what its first and last header do.
func summaryOf(first, last chain.Header, start func(chain.Epoch) chain.Time) oas.EpochSummary {
	return oas.EpochSummary{
		Epoch: int64(first.DirEpoch), FirstHeight: int64(first.Height), LastHeight: int64(last.Height), TimeMs: int64(first.Time),
		EndsMs: int64(start(first.DirEpoch + 1)), Beacon: first.Beacon.String(), DirectoryRoot: first.Directory.String(),
		Listed: int(first.DirCount), Removals: nodeIDs(last.Removals),
	}
}

// epochNamed is the epoch that a path names.
func (s *server) epochNamed(text string) (chain.Epoch, error) {
	head := s.ledger.Head().Header
	if head.Height == 0 {
		return 0, errNoHead()
	}
	if text == "latest" {
		return head.DirEpoch, nil
	}
	e, err := strconv.ParseUint(text, 10, 44)
	if err != nil {
		return 0, notFound(codeEpochUnknown, "there is no epoch "+text)
	}
	if chain.Epoch(e) > head.DirEpoch {
		return 0, notFound(codeEpochUnknown, fmt.Sprintf("epoch %d has not come; the newest is %d", e, head.DirEpoch))
	}
	return chain.Epoch(e), nil
}

// bounds finds an epoch's first and last header, and whether it still runs.
func (s *server) bounds(e chain.Epoch) (first, last chain.Header, running bool, err error) {
	head := s.ledger.Head().Header
	if head.DirEpoch < e {
		return first, last, false, notFound(codeEpochUnknown, fmt.Sprintf("epoch %d has not come; the newest is %d", e, head.DirEpoch))
	}
	first, err = s.dirs.firstKnown(head.Height, func(h chain.Header) bool { return h.DirEpoch >= e })
	if err != nil {
		return first, last, false, err
	}
	if first.DirEpoch != e {
		return first, last, false, notFound(codeEpochUnknown, fmt.Sprintf("epoch %d was skipped: no block is of it", e))
	}
	if head.DirEpoch == e {
		return first, head, true, nil
	}
	next, err := s.dirs.firstKnown(head.Height, func(h chain.Header) bool { return h.DirEpoch > e })
	if err == nil {
		last, err = s.ledger.KnownHeader(next.Height - 1)
	}
	return first, last, false, err
}

// GetEpoch serves one epoch. One whose blocks are not remembered any more is
// told by its headers alone.
func (s *server) GetEpoch(_ context.Context, req oas.GetEpochRequestObject) (oas.GetEpochResponseObject, error) {
	e, err := s.epochNamed(req.Epoch)
	if err != nil {
		return nil, err
	}
	var (
		out   oas.EpochDetail
		known bool
		voice []chain.NodeID // whose heartbeats were for the epoch before
		heard bool
		was   chain.Header // first of the epoch before
		first chain.Header
		core  = s.ledger.Core()
	)
	err = s.chronicle.view(func() {
		i := s.chronicle.at(e)
		if known = i >= 0 && s.chronicle.epochs[i].whole; !known {
			return
		}
		x := s.chronicle.epochs[i]
		first = x.first
		out = detailOfEpoch(s.chronicle.summary(x, core.EpochStart))
		out.Judged = s.chronicle.judged(x)
		if now, ok := s.chronicle.list(x); ok {
			if before, ok := s.chronicle.listBefore(i); ok {
				joined, left := apart(before, now)
				out.Joined, out.Left = &joined, &left
			}
		}
		if voice, heard = s.chronicle.voices(i); heard && i > 0 {
			was = s.chronicle.epochs[i-1].first
		}
	})
	if err != nil {
		return nil, err
	}
	if !known {
		summary, err := s.byHeaders(e)
		return oas.GetEpoch200JSONResponse(detailOfEpoch(summary)), err
	}
	if heard {
		counted := []chain.NodeID{}
		s.ledger.View(func(m *machine.Machine) {
			for _, id := range voice {
				if counts(m.Registry(), id, was.DirEpoch, first.Height) {
					counted = append(counted, id)
				}
			}
		})
		ids := nodeIDs(counted)
		out.Contributed = &ids
	}
	return oas.GetEpoch200JSONResponse(out), nil
}

func detailOfEpoch(x oas.EpochSummary) oas.EpochDetail {
	return oas.EpochDetail{Epoch: x.Epoch, FirstHeight: x.FirstHeight, LastHeight: x.LastHeight, TimeMs: x.TimeMs, EndsMs: x.EndsMs,
		Running: x.Running, Beacon: x.Beacon, DirectoryRoot: x.DirectoryRoot, Listed: x.Listed, Removals: x.Removals,
		Transactions: x.Transactions, Heartbeats: x.Heartbeats, Commitments: x.Commitments, Votes: x.Votes, Judged: []oas.Judgement{}}
}

// counts reports whether a heartbeat of epoch e of this node closed the beacon
// at the block of height end: docs/spec/beacon.md.
func counts(r *registry.Registry, id chain.NodeID, e chain.Epoch, end chain.Height) bool {
	n, known := r.Node(id)
	if !known || n.RegisteredEpoch >= e {
		return false
	}
	var s registry.State
	for _, ev := range r.History(id) {
		if ev.Height < end {
			s = ev.To
		}
	}
	return s == registry.Active || s == registry.Decommissioned
}

// judged are the votes of an epoch by their subjects, ascending.
func (c *chronicle) judged(e *epochNotes) []oas.Judgement {
	var subjects []chain.NodeID
	for i, n := range e.nodes {
		if len(n.ballots) > 0 {
			subjects = append(subjects, c.ids[i])
		}
	}
	slices.SortFunc(subjects, compareNodes)
	out := make([]oas.Judgement, len(subjects))
	for i, id := range subjects {
		votes := c.ballots(e.nodes[c.nodes[id]])
		out[i] = oas.Judgement{Subject: id.String(), Votes: ballotsOf(votes), Score: median(votes)}
	}
	return out
}

// listBefore is the list of the epoch before the one at i.
func (c *chronicle) listBefore(i int) ([]chain.NodeID, bool) {
	if i > 0 {
		return c.list(c.epochs[i-1])
	}
	return nil, c.epochs[0].first.Height == 1 // nobody was listed at genesis
}

// voices are the nodes whose heartbeats were for the epoch before the one at i;
// false where a block that may hold one is not remembered.
func (c *chronicle) voices(i int) ([]chain.NodeID, bool) {
	if i == 0 {
		return nil, c.epochs[0].first.Height == 1
	}
	was := c.epochs[i-1]
	if !was.whole {
		return nil, false
	}
	spoke := map[uint32]bool{}
	for k, n := range was.nodes {
		spoke[k] = n.now
	}
	switch {
	case i > 1 && c.epochs[i-2].first.DirEpoch+1 == was.first.DirEpoch:
		if !c.epochs[i-2].whole {
			return nil, false
		}
		for k, n := range c.epochs[i-2].nodes {
			spoke[k] = spoke[k] || n.next
		}
	case i == 1 && was.first.Height > 1:
		return nil, false
	}
	var out []chain.NodeID
	for k, yes := range spoke {
		if yes {
			out = append(out, c.ids[k])
		}
	}
	slices.SortFunc(out, compareNodes)
	return out, true
}

// apart gives who is in now alone, and who in before; both ascend.
func apart(before, now []chain.NodeID) (joined, left []oas.NodeID) {
	in := func(l []chain.NodeID, id chain.NodeID) bool {
		_, ok := slices.BinarySearchFunc(l, id, compareNodes)
		return ok
	}
	joined, left = []oas.NodeID{}, []oas.NodeID{}
	for _, id := range now {
		if !in(before, id) {
			joined = append(joined, id.String())
		}
	}
	for _, id := range before {
		if !in(now, id) {
			left = append(left, id.String())
		}
	}
	return joined, left
}

// ListQuorums pages through the quorums of an epoch, ascending by subject, as
// they are drawn under the parameters that are in force now.
func (s *server) ListQuorums(_ context.Context, req oas.ListQuorumsRequestObject) (oas.ListQuorumsResponseObject, error) {
	e, err := s.epochNamed(req.Epoch)
	if err != nil {
		return nil, err
	}
	l, err := list(req.Params.Limit, req.Params.Cursor, "quorums", strconv.FormatUint(uint64(e), 10))
	if err != nil {
		return nil, err
	}
	height, err := s.pinBlock(&l)
	if err != nil {
		return nil, err
	}
	if e == 0 {
		return oas.ListQuorums200JSONResponse{Height: int64(height), Items: []oas.Quorum{}}, nil
	}
	frozen, header, err := s.ledger.List(e)
	if err != nil {
		return nil, explainList(e, err)
	}
	var subjects []chain.NodeID
	for i := range frozen.Entries {
		subjects = append(subjects, frozen.Entries[i].Node)
	}
	core := s.ledger.Core()
	s.ledger.View(func(m *machine.Machine) {
		core = m.Core()
		if m.Head().DirEpoch != e || m.Head().Beacon != header.Header.Beacon {
			return // state knows of the present epoch alone who else is judged
		}
		for _, u := range m.Registry().Unlisted() {
			if _, listed := frozen.Find(u.Node); !listed {
				subjects = append(subjects, u.Node)
			}
		}
	})
	slices.SortFunc(subjects, compareNodes)
	out := oas.ListQuorums200JSONResponse{Height: int64(height), Epoch: int64(e)}
	size, least := int(core.Params.QuorumSize), int(core.Params.QuorumVotes)
	out.Items, out.NextCursor, out.Total = page(&l, slices.Values(subjects),
		func(id chain.NodeID) []byte { return id[:] },
		func(id chain.NodeID) oas.Quorum {
			_, listed := frozen.Find(id)
			voters := len(frozen.Voters(header.Header.Beacon, id, size))
			return oas.Quorum{Subject: id.String(), Listed: &listed, Members: nodeIDs(frozen.Quorum(header.Header.Beacon, id, size)),
				Voters: voters, Needed: directory.VotesNeeded(voters, size, least)}
		})
	return out, nil
}
