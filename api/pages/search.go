package pages

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"tunic/api/client"
	"tunic/chain"
)

// hit is something that a text names.
type hit struct {
	Kind string // block, epoch, transaction, account, node or offence
	ID   string // as shown; empty for a number
	Text string
	Path string
}

// Bounds of a search by the beginning of an id.
var (
	searchNodes  = 20
	searchRecent = 200 // of the newest blocks, transactions and offences
	searchAll    = 1000
)

// search sends the reader to what the query names where that is one thing, and
// shows all where there are several.
func (s *Site) search(r *http.Request) (view, error) {
	q := strings.TrimSpace(r.URL.Query().Get("q"))
	v := view{Template: "search", Title: "Search", Query: q}
	data := struct {
		Hits []hit
		Why  string
	}{}
	if q != "" {
		v.Title = "Search for " + q
		hits, why, err := s.find(r.Context(), q)
		if err != nil {
			return view{}, err
		}
		if len(hits) == 1 {
			return view{Location: hits[0].Path}, nil
		}
		data.Hits, data.Why = hits, why
	}
	v.Data = data
	return v, nil
}

// find collects what a text names, and says why there is nothing.
func (s *Site) find(ctx context.Context, q string) (hits []hit, why string, err error) {
	if plain := strings.Join(strings.Fields(q), ""); isDigits(plain) {
		q = plain // as pages group them
	}
	text := strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(q, "0x"), "0X"))
	switch {
	case text == "latest" || text == "head":
		return []hit{{Kind: "block", Path: "/blocks/latest"}}, "", nil
	case isHex(text) && len(text) == 64:
		hits, err = s.named(ctx, text)
		return hits, "No block, transaction, node or offence has this id. A transaction that was refused is remembered for a while only.", err
	case isHex(text) && len(text) == 40:
		at := "0x" + q[len(q)-40:]
		if at[2:] == strings.ToUpper(text) {
			at = "0x" + text // capitals throughout are no checksum
		}
		if _, err := chain.ParseAddress(at); err != nil {
			return nil, "This looks like an address, but its capitals do not fit: there is a typing error in it. All in small letters it is taken as it is.", nil
		}
		return []hit{{Kind: "account", ID: at, Path: href("account", at)}}, "", nil
	case isHex(text) && len(text) > 64:
		return nil, "This is too long for an id: ids have 64 hex digits, addresses 40.", nil
	}
	if isDigits(q) && len(q) <= 13 {
		if hits, err = s.counted(ctx, number(q)); err != nil {
			return nil, "", err
		}
	}
	// A height is not taken for the beginning of an id unless it is long.
	if len(hits) == 0 || len(q) >= 6 {
		more, err := s.begins(ctx, q, text)
		if err != nil {
			return nil, "", err
		}
		hits = append(hits, more...)
	}
	return hits, "Nothing is known by this, or begins so. Ids are found by their beginning among the newest blocks, transactions and offences alone; give all 64 digits for older ones.", nil
}

func isHex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdef") == ""
}

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// named are the things with this id of 64 digits.
func (s *Site) named(ctx context.Context, id string) ([]hit, error) {
	var hits []hit
	try := func(kind, path string, ask func() error) error {
		err := ask()
		if err == nil {
			hits = append(hits, hit{Kind: kind, ID: id, Path: path + id})
		}
		if missing(err) {
			return nil
		}
		return err
	}
	err := try("block", "/blocks/", func() error { _, err := s.headerOf(ctx, id); return err })
	if err == nil {
		err = try("transaction", "/transactions/", func() error {
			res, err := s.api.GetTransactionWithResponse(ctx, id)
			if err == nil {
				_, err = read(res.JSON200, res.HTTPResponse, res.Body)
			}
			return err
		})
	}
	if err == nil {
		err = try("node", "/nodes/", func() error {
			res, err := s.api.GetNodeWithResponse(ctx, id, &client.GetNodeParams{})
			if err == nil {
				_, err = read(res.JSON200, res.HTTPResponse, res.Body)
			}
			return err
		})
	}
	if err == nil {
		err = try("offence", "/slashes/", func() error {
			res, err := s.api.GetSlashWithResponse(ctx, id, &client.GetSlashParams{})
			if err == nil {
				_, err = read(res.JSON200, res.HTTPResponse, res.Body)
			}
			return err
		})
	}
	return hits, err
}

// counted are the block and the epoch of this number.
func (s *Site) counted(ctx context.Context, n int64) ([]hit, error) {
	status, err := s.chainStatus(ctx)
	if err != nil {
		return nil, err
	}
	var hits []hit
	if n >= 1 && n <= status.Height {
		hits = append(hits, hit{Kind: "block", Text: "Block " + group(n), Path: fmt.Sprint("/blocks/", n)})
	}
	if n >= 1 && n <= status.Epoch {
		hits = append(hits, hit{Kind: "epoch", Text: "Epoch " + group(n), Path: fmt.Sprint("/epochs/", n)})
	}
	return hits, nil
}

// begins are nodes, accounts, blocks, transactions and offences whose ids begin with hex,
// and nodes by operator or endpoint; q is the text as it was given.
func (s *Site) begins(ctx context.Context, q, hex string) ([]hit, error) {
	var hits []hit
	for _, search := range []string{strings.ToLower(q), hex} {
		if search == "" || search == hex && len(hits) > 0 {
			continue
		}
		res, err := s.api.ListNodesWithResponse(ctx, &client.ListNodesParams{Search: &search, Limit: &searchNodes})
		if err != nil {
			return nil, err
		}
		nodes, err := read(res.JSON200, res.HTTPResponse, res.Body)
		if err != nil {
			return nil, err
		}
		for _, n := range nodes.Items {
			hits = append(hits, hit{Kind: "node", ID: n.Node, Path: href("node", n.Node)})
		}
		if hex == search {
			break
		}
	}
	if !isHex(hex) || len(hex) < 3 {
		return hits, nil
	}
	accounts, err := s.api.ListAccountsWithResponse(ctx, &client.ListAccountsParams{Limit: &searchAll})
	if err != nil {
		return nil, err
	}
	if page := accounts.JSON200; page != nil {
		for _, a := range page.Items {
			if strings.HasPrefix(strings.ToLower(a.Address), "0x"+hex) {
				hits = append(hits, hit{Kind: "account", ID: a.Address, Path: href("account", a.Address)})
			}
		}
	}
	blocks, err := s.newestBlocks(ctx, searchRecent)
	if err != nil {
		return nil, err
	}
	for _, b := range blocks {
		if strings.HasPrefix(b.Hash, hex) {
			hits = append(hits, hit{Kind: "block", ID: b.Hash, Path: href("block", b.Hash)})
		}
	}
	offences, err := s.newestOffences(ctx, searchRecent, "", nil)
	if err != nil {
		return nil, err
	}
	for _, o := range offences.Items {
		if strings.HasPrefix(o.Offence, hex) {
			hits = append(hits, hit{Kind: "offence", ID: o.Offence, Path: href("offence", o.Offence)})
		}
	}
	txs, err := s.listTransactions(ctx, &client.ListTransactionsParams{Limit: &searchRecent})
	if err != nil {
		return nil, err
	}
	for _, t := range txs.Items {
		if strings.HasPrefix(t.Id, hex) {
			hits = append(hits, hit{Kind: "transaction", ID: t.Id, Path: href("tx", t.Id)})
		}
	}
	return hits, nil
}

func (s *Site) chainStatus(ctx context.Context) (*client.Status, error) {
	res, err := s.api.GetStatusWithResponse(ctx)
	if err != nil {
		return nil, err
	}
	return read(res.JSON200, res.HTTPResponse, res.Body)
}

// headerOf is the header that a path names: a height, a hash or latest.
func (s *Site) headerOf(ctx context.Context, name string) (*client.Header, error) {
	res, err := s.api.GetHeaderWithResponse(ctx, name)
	if err != nil {
		return nil, err
	}
	return read(res.JSON200, res.HTTPResponse, res.Body)
}
