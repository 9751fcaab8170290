package api

import (
	"bytes"
	"context"
	"encoding/binary"
	"slices"
	"strings"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/ledger/machine"
)

// kindSigned is a filter for all kinds that accounts sign.
const kindSigned = "signed"

// txFilter is what a list of transactions was asked for.
type txFilter struct {
	status, kind  string
	account, node *string
	of            chain.Address
	about         chain.NodeID
}

func newTxFilter(p oas.ListTransactionsParams) (f txFilter, err error) {
	f = txFilter{status: string(oas.Included), account: p.Account, node: p.Node}
	if p.Status != nil {
		f.status = *p.Status
	}
	if p.Kind != nil {
		f.kind = *p.Kind
		if known := kindNames(); !slices.Contains(known, f.kind) {
			return f, field(codeInvalidRequest, "kind", "one of "+strings.Join(known, ", "))
		}
	}
	if p.Account != nil {
		if f.of, err = address("account", *p.Account); err != nil {
			return f, err
		}
	}
	if p.Node != nil {
		f.about, err = nodeID("node", *p.Node)
	}
	return f, err
}

// kindNames are the kinds that a list can be asked for.
func kindNames() []string {
	names := []string{kindSigned, kindOf([]byte{byte(chain.KindPublish)}), kindOf([]byte{byte(chain.KindDev)}), kindOf([]byte{byte(chain.KindMisbehaviour)})}
	for _, schema := range machine.Schemas() {
		names = append(names, kindName(schema))
	}
	return names
}

// list reads the paging parameters of the list under f.
func (f txFilter) list(p oas.ListTransactionsParams) (listing, error) {
	return list(p.Limit, p.Cursor, "transactions", f.status, f.kind, f.of.String(), f.about.String())
}

func (f txFilter) wants(n *note) bool {
	switch {
	case f.kind == kindSigned && !n.kind.Signed():
		return false
	case f.kind != "" && f.kind != kindSigned && f.kind != kindOf([]byte{byte(n.kind)}):
		return false
	case f.account != nil && (f.of.IsZero() || n.sender != f.of && n.to != f.of):
		return false // nobody signs with or pays the zero address
	case f.node != nil && (f.about == chain.NodeID{} || n.node != f.about && n.about != f.about):
		return false
	}
	return true
}

// rings are where the notes that f may want are.
func (f txFilter) rings(c *chronicle) []*ring {
	switch {
	case f.kind == "" && f.account == nil:
		return []*ring{&c.accounts, &c.statements}
	case f.kind == kindOf([]byte{byte(chain.KindPublish)}):
		return []*ring{&c.statements}
	}
	return []*ring{&c.accounts}
}

// ListTransactions pages through what waits, or the latest of blocks.
func (s *server) ListTransactions(_ context.Context, req oas.ListTransactionsRequestObject) (oas.ListTransactionsResponseObject, error) {
	f, err := newTxFilter(req.Params)
	if err != nil {
		return nil, err
	}
	l, err := f.list(req.Params)
	if err != nil {
		return nil, err
	}
	height, err := s.pinBlock(&l)
	if err != nil {
		return nil, err
	}
	if f.status == string(oas.Pending) {
		return s.waiting(f, l, height), nil
	}
	return s.included(f, l, height)
}

// included pages through what blocks hold, pinned to the head of the first page.
func (s *server) included(f txFilter, l listing, head chain.Height) (oas.ListTransactionsResponseObject, error) {
	out := oas.ListTransactions200JSONResponse{Items: []oas.TransactionItem{}}
	if !l.first && len(l.after.key) != 12 {
		return nil, errForeignCursor()
	}
	err := s.chronicle.view(func() {
		rings := f.rings(s.chronicle)
		since := s.chronicle.oldest.Height
		for _, r := range rings {
			if r.lost > 0 {
				since = max(since, r.lost+1)
			}
		}
		out.Height, out.SinceHeight = int64(head), int64(since)
		var last []byte
		for n := range newest(rings...) {
			if n.height > head || !f.wants(n) {
				continue
			}
			out.Total++
			switch at := n.place(); {
			case !l.first && bytes.Compare(at, l.after.key) >= 0:
			case len(out.Items) < l.limit:
				out.Items = append(out.Items, n.item())
				last = at
			case out.NextCursor == nil:
				out.NextCursor = l.token(last)
			}
		}
	})
	return out, err
}

// place orders notes: height, then index.
func (n *note) place() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 12), uint64(n.height))
	return binary.BigEndian.AppendUint32(b, n.index)
}

// waiting pages through the pool: those of accounts by account and nonce, then
// statements. What waits comes and goes: pages go on after the last key.
func (s *server) waiting(f txFilter, l listing, height chain.Height) oas.ListTransactions200JSONResponse {
	var all []note
	order := map[chain.Hash][]byte{}
	for _, p := range s.ledger.Pending() {
		n := noteOf(p.Bytes)
		n.id, n.sender = p.ID, p.Sender
		if !f.wants(&n) {
			continue
		}
		all = append(all, n)
		key := make([]byte, 0, 61)
		if p.IsPublish() {
			key = append(key, 1)
		} else {
			key = binary.BigEndian.AppendUint64(append(append(key, 0), p.Sender[:]...), p.Head.Nonce)
		}
		order[p.ID] = append(key, p.ID[:]...)
	}
	slices.SortFunc(all, func(a, b note) int { return bytes.Compare(order[a.id], order[b.id]) })
	out := oas.ListTransactions200JSONResponse{Height: int64(height), SinceHeight: int64(height)}
	out.Items, out.NextCursor, out.Total = page(&l, slices.Values(all),
		func(n note) []byte { return order[n.id] }, func(n note) oas.TransactionItem { return n.item() })
	return out
}

// item is a note as the API shows it.
func (n *note) item() oas.TransactionItem {
	out := oas.TransactionItem{Id: n.id.String(), Kind: kindOf([]byte{byte(n.kind)}), Status: string(oas.Pending)}
	if n.height > 0 {
		height, index, time, result := int64(n.height), int(n.index), int64(n.time), resultOf(n.result)
		out.Status, out.Height, out.Index, out.TimeMs, out.Result = string(oas.Included), &height, &index, &time, &result
	}
	out.Sender, out.To, out.Node, out.About, out.Label = named(n.sender), named(n.to), named(n.node), named(n.about), named(n.label)
	if n.amount > 0 {
		text := amount(n.amount)
		out.Amount = &text
	}
	return out
}
