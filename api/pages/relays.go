package pages

import "net/http"

// relayPages are the pages about relays and what they are listed, judged and
// punished by.
func (s *Site) relayPages() []Route {
	return []Route{
		s.page("/nodes", s.nodes),
		s.page("/nodes/{node}", s.node),
		s.page("/directory", s.directory),
		s.page("/slashes", s.slashes),
		s.page("/slashes/{offence}", s.slash),
		s.page("/epochs", s.epochs),
		s.page("/epochs/{epoch}", s.epoch),
		s.page("/map", s.networkMap),
		s.page("/proof", s.proof),
		{http.MethodPost, "/proof", s.serve(s.judge)},
	}
}
