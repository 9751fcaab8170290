package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/internal/httpx"
	"tunic/internal/wire"
	"tunic/ledger"
	"tunic/registry/directory"
)

// epochOf reads an epoch parameter; 0, as none, is the head's epoch.
func epochOf(p *int64) chain.Epoch {
	if p == nil {
		return 0
	}
	return chain.Epoch(*p)
}

// explainList turns the ledger's answer to List into this server's.
func explainList(e chain.Epoch, err error) error {
	if errors.Is(err, ledger.ErrPruned) {
		return notFound(codePruned, fmt.Sprintf("this copy of the ledger has no block that commits to the list of epoch %d; ask one that has all", e))
	}
	if errors.Is(err, ledger.ErrNotFound) {
		return notFound(codeEpochUnknown, fmt.Sprintf("there is no list of epoch %d: it has not come, or is older than the last %d, which are kept", e, ledger.KeptLists))
	}
	return err
}

// direct answers what networks ask for most, the whole list of the head's epoch,
// before any router: as GetDirectory would. Whatever is not that simple goes on
// to next, which also finds the words for what is wrong.
func (s *server) direct(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/v1/directory" || r.URL.RawQuery != "" || r.ContentLength != 0 {
			next.ServeHTTP(w, r)
			return
		}
		form, err := negotiate(r)
		var b stored
		if err == nil {
			b, err = s.dirs.list(0, form)
		}
		if err != nil {
			next.ServeHTTP(w, r)
			return
		}
		if s.cfg.Observer != nil {
			began(r.Context(), s.cfg.Observer, "getDirectory")
		}
		w.Header()["X-Content-Type-Options"] = noSniff
		_ = b.write(w, r, cacheRevalidate) // all that can fail is the client's connection
	})
}

// GetDirectory serves the whole list of an epoch.
func (s *server) GetDirectory(ctx context.Context, req oas.GetDirectoryRequestObject) (oas.GetDirectoryResponseObject, error) {
	form, err := negotiate(requestOf(ctx))
	if err != nil {
		return nil, err
	}
	b, err := s.dirs.list(epochOf(req.Params.Epoch), form)
	if err != nil {
		return nil, err
	}
	return b.serve(requestOf(ctx), cacheRevalidate), nil
}

// GetDirectoryDelta serves what changed between two lists.
func (s *server) GetDirectoryDelta(ctx context.Context, req oas.GetDirectoryDeltaRequestObject) (oas.GetDirectoryDeltaResponseObject, error) {
	form, err := negotiate(requestOf(ctx))
	if err != nil {
		return nil, err
	}
	b, err := s.dirs.delta(chain.Epoch(req.Params.Since), epochOf(req.Params.Epoch), form)
	if err != nil {
		return nil, err
	}
	return b.serve(requestOf(ctx), cacheRevalidate), nil
}

// deltaAsJSON is what changed from one list to another, for programs that read
// no canonical bytes: new entries whole, of others the members that changed.
func deltaAsJSON(from, to *directory.List, header chain.SealedHeader) ([]byte, error) {
	d := directory.Diff(from, to)
	out := struct {
		Since     int64             `json:"since"`
		SinceRoot string            `json:"since_root"`
		Epoch     int64             `json:"epoch"`
		Root      string            `json:"root"`
		Count     int               `json:"count"`
		Header    []byte            `json:"header"`
		Gone      []oas.NodeID      `json:"gone"`
		Changed   []json.RawMessage `json:"changed"`
	}{int64(d.From), d.Base.String(), int64(d.To), to.Root().String(), len(to.Entries), header.Encode(), []oas.NodeID{}, []json.RawMessage{}}
	for _, i := range d.Removed {
		out.Gone = append(out.Gone, from.Entries[i].Node.String())
	}
	add := func(e directory.Entry, m members) error {
		item, err := m.of(entryOf(e))
		out.Changed = append(out.Changed, item)
		return err
	}
	whole, added := only[oas.DirectoryEntry](directory.AllFields.Names()), d.Added
	for _, c := range d.Changed { // both ascend by node id: so does what they are merged into
		for len(added) > 0 && bytes.Compare(added[0].Node[:], c.New.Node[:]) < 0 {
			if err := add(added[0], whole); err != nil {
				return nil, err
			}
			added = added[1:]
		}
		if err := add(c.New, only[oas.DirectoryEntry](c.Fields.Names())); err != nil {
			return nil, err
		}
	}
	for _, e := range added {
		if err := add(e, whole); err != nil {
			return nil, err
		}
	}
	return httpx.EncodeJSON(out)
}

// GetDirectoryRoot serves what commits to a list, without the list.
func (s *server) GetDirectoryRoot(ctx context.Context, req oas.GetDirectoryRootRequestObject) (oas.GetDirectoryRootResponseObject, error) {
	form, err := negotiate(requestOf(ctx))
	if err != nil {
		return nil, err
	}
	at, err := s.dirs.at(epochOf(req.Params.Epoch))
	if err != nil {
		return nil, err
	}
	h, body := at.header.Header, at.header.Encode()
	if form == asJSON {
		body, err = httpx.EncodeJSON(oas.DirectoryRoot{Epoch: int64(h.DirEpoch), Root: h.Directory.String(), Count: int(h.DirCount),
			Removals: nodeIDs(h.Removals), Height: int64(h.Height), TimeMs: int64(h.Time), Header: body})
		if err != nil {
			return nil, err
		}
	}
	return unstored(form, body).serve(requestOf(ctx), cacheRevalidate), nil
}

// ListDirectoryEntries pages through the entries of a list. All pages are of
// the header of the first one, which the cursor names.
func (s *server) ListDirectoryEntries(ctx context.Context, req oas.ListDirectoryEntriesRequestObject) (oas.ListDirectoryEntriesResponseObject, error) {
	p := req.Params
	f, err := filter[oas.DirectoryEntry](question{p.Operator, p.Swarm, p.Search, p.Version, p.MinStake, p.Fields, p.Order})
	if err != nil {
		return nil, err
	}
	epoch := epochOf(p.Epoch)
	l, err := list(p.Limit, p.Cursor, append([]string{"entries", strconv.FormatUint(uint64(epoch), 10)}, f.given...)...)
	if err != nil {
		return nil, err
	}
	at, err := s.pinnedList(&l, epoch)
	if err != nil {
		return nil, err
	}
	h := at.header.Header
	entries, next, total := page(&l, slices.Values(wantedEntries(f, at.list)), keyOf[*directory.Entry],
		func(r ranked[*directory.Entry]) oas.DirectoryEntry { return entryOf(*r.item) })
	items, err := show(f, entries)
	if err != nil {
		return nil, err
	}
	body, err := httpx.EncodeJSON(struct {
		Height     int64        `json:"height"`
		Epoch      int64        `json:"epoch"`
		Total      int64        `json:"total"`
		Removals   []oas.NodeID `json:"removals"`
		NextCursor *string      `json:"next_cursor,omitempty"`
		Items      any          `json:"items"`
	}{int64(h.Height), int64(h.DirEpoch), total, nodeIDs(h.Removals), next, items})
	if err != nil {
		return nil, err
	}
	return listed{unstored(asJSON, body).serve(requestOf(ctx), cacheRevalidate), next}, nil
}

// pinnedList is the list that a page of entries is of, and pins l to its header:
// an epoch's, with the header that is served beside it, or that of the page
// before.
func (s *server) pinnedList(l *listing, epoch chain.Epoch) (settled, error) {
	if l.first {
		at, err := s.dirs.at(epoch)
		if err != nil {
			return at, err
		}
		return at, l.pin(at.header.Header.Height, at.header.Header.Hash())
	}
	header, err := s.ledger.Header(l.after.height)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return settled{}, errLostCursor()
	case err != nil:
		return settled{}, err
	}
	if err := l.pin(header.Header.Height, header.Header.Hash()); err != nil {
		return settled{}, err
	}
	at, err := s.dirs.at(header.Header.DirEpoch)
	if err != nil {
		return settled{}, err
	}
	if at.list.Check(header.Header) != nil { // of a fork that was given up
		return settled{}, errLostCursor()
	}
	at.header = header
	return at, nil
}

// wantedEntries are the entries of l that f takes, in its order.
func wantedEntries(f filtering, l *directory.List) []ranked[*directory.Entry] {
	var all []ranked[*directory.Entry]
	for i := range l.Entries {
		e := &l.Entries[i]
		if !f.Match(e) {
			continue
		}
		var v uint64
		switch f.order {
		case "stake":
			v = uint64(e.Stake)
		case "performance":
			v = uint64(e.Performance)
		}
		all = append(all, ranked[*directory.Entry]{f.rank(e.Node, v), e})
	}
	return inOrder(all)
}

// GetDirectoryProof proves a node's presence in a list, or its absence, under
// the header that the list itself is served with.
func (s *server) GetDirectoryProof(ctx context.Context, req oas.GetDirectoryProofRequestObject) (oas.GetDirectoryProofResponseObject, error) {
	form, err := negotiate(requestOf(ctx))
	if err != nil {
		return nil, err
	}
	id, err := nodeID("node", req.Node)
	if err != nil {
		return nil, err
	}
	at, err := s.dirs.at(epochOf(req.Params.Epoch))
	if err != nil {
		return nil, err
	}
	membership := directory.AppendMembership(nil, at.list.Prove(id))
	body := append(wire.AppendBytes(nil, at.header.Encode()), membership...)
	if form == asJSON {
		out := oas.DirectoryProof{Node: id.String(), Epoch: int64(at.list.Epoch), Header: at.header.Encode(),
			Membership: membership, Removed: slices.Contains(at.header.Header.Removals, id)}
		if entry, ok := at.list.Find(id); ok {
			shown := entryOf(entry)
			out.Listed, out.Entry = true, &shown
		}
		if body, err = httpx.EncodeJSON(out); err != nil {
			return nil, err
		}
	}
	return unstored(form, body).serve(requestOf(ctx), cacheRevalidate), nil
}

// at is an epoch's list, 0 for the head's, with the header that is served beside
// it.
func (d *directories) at(e chain.Epoch) (settled, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.settle(e)
}

// unstored is a body that is made for each request, with its entity tag.
func unstored(form representation, body []byte) stored {
	return stored{media: []string{form.mediaType()}, plain: tagged(body, httpx.ETag(body))}
}

func (f reply) VisitGetDirectoryRootResponse(w http.ResponseWriter) error  { return f(w) }
func (f reply) VisitGetDirectoryProofResponse(w http.ResponseWriter) error { return f(w) }
