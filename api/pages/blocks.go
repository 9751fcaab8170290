package pages

import (
	"fmt"
	"net/http"
	"net/url"

	"tunic/api/client"
)

// pageLimit is how many items a page of a list has.
var pageLimit = 50

// blocks lists headers, newest first.
func (s *Site) blocks(r *http.Request) (view, error) {
	res, err := s.api.ListBlocksWithResponse(r.Context(), &client.ListBlocksParams{Limit: &pageLimit, Cursor: cursor(r)})
	if err != nil {
		return view{}, err
	}
	page, err := read(res.JSON200, res.HTTPResponse, res.Body)
	if err != nil {
		return view{}, err
	}
	return view{Template: "blocks", Title: "Blocks", Nav: "/blocks", Live: "head", Data: struct {
		*client.BlockPage
		Later bool
		Next  string
	}{page, cursor(r) != nil, next("/blocks", url.Values{}, page.NextCursor)}}, nil
}

// block shows one block.
func (s *Site) block(r *http.Request) (view, error) {
	name := r.PathValue("block")
	res, err := s.api.GetBlockWithResponse(r.Context(), name)
	if err != nil {
		return view{}, err
	}
	b, err := read(res.JSON200, res.HTTPResponse, res.Body)
	if name == "latest" && missing(err) {
		return view{Location: "/blocks"}, nil // which says that there is none yet
	}
	if err != nil {
		return view{}, err
	}
	v := view{Template: "block", Title: fmt.Sprint("Block ", b.Header.Height), Nav: "/blocks", Data: struct {
		*client.Block
		Base string
	}{b, s.base(r.Context())}}
	if name == "latest" {
		v.Live = "head"
	}
	return v, nil
}
