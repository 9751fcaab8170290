package pages

import (
	"net/http"

	"tunic/internal/httpx"
)

// relayPages are the pages about relays and what they are listed, judged and
// punished by.
func (s *Site) relayPages() []Route {
	unbuilt := func(*http.Request) (view, error) {
		return view{}, httpx.Problem{Status: http.StatusNotImplemented, Code: "not_built"}
	}
	return []Route{
		s.page("/nodes", unbuilt),
		s.page("/nodes/{node}", unbuilt),
		s.page("/directory", unbuilt),
		s.page("/slashes", unbuilt),
		s.page("/slashes/{offence}", unbuilt),
		s.page("/epochs", unbuilt),
		s.page("/epochs/{epoch}", unbuilt),
		s.page("/map", unbuilt),
		s.page("/proof", unbuilt),
		{http.MethodPost, "/proof", s.serve(unbuilt)},
	}
}
