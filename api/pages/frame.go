package pages

import (
	"net/http"

	"tunic/api/client"
	"tunic/internal/httpx"
)

// navItem is a link of the navigation.
type navItem struct{ Path, Text string }

var navigation = []navItem{
	{"/", "Overview"}, {"/blocks", "Blocks"}, {"/transactions", "Transactions"}, {"/accounts", "Accounts"}, {"/nodes", "Nodes"},
	{"/directory", "Directory"}, {"/epochs", "Epochs"}, {"/slashes", "Slashes"}, {"/map", "Map"}, {"/params", "Parameters"}, {"/proof", "Proof"},
}

// frame is a template's dot: a view with what stands around it.
type frame struct {
	view
	Items []navItem
	// Chain is the network's status; nil where the API does not give it.
	Chain *client.Status
	// Now is the head's time in ms: what relative times are relative to, since
	// the clock of a dev network is not the reader's.
	Now int64
	// Path is the page's own, to come back to.
	Path string
}

func (s *Site) frame(r *http.Request, v view) *frame {
	f := &frame{view: v, Items: navigation, Path: r.URL.Path}
	if s.cfg.Faucet && httpx.IsLocal(r) { // nobody else may use it
		f.Items = append(navigation[:len(navigation):len(navigation)], navItem{"/faucet", "Faucet"})
	}
	f.Chain = v.status
	if f.Chain == nil && !v.bare {
		f.Chain, _ = s.chainStatus(r.Context()) // a page says what it knows
	}
	if f.Chain != nil {
		f.Now = f.Chain.TimeMs
	}
	return f
}

// Types are the events that the page's script asks for.
func (f *frame) Types() string {
	switch f.Live {
	case "", "head":
		return "head"
	}
	return "head," + f.Live
}
