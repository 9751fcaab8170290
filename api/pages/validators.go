package pages

import (
	"fmt"
	"net/http"
	"strconv"

	"tunic/api/client"
)

type validatorsView struct {
	client.Validators
	Newest int64               // the height that is shown where none is asked for; 0: that is this one
	Commit *client.Certificate // who of them decided the height; nil where that is not known or not asked for
	Before int64               // height for the changes before those that are shown; 0: none
}

// validators are who decides a height, and how that came to be.
func (s *Site) validators(r *http.Request) (view, error) {
	p := client.ListValidatorsParams{}
	if text := r.URL.Query().Get("height"); text != "" {
		h, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return view{}, err
		}
		p.Height = &h
	}
	res, err := s.api.ListValidatorsWithResponse(r.Context(), &p)
	if err != nil {
		return view{}, err
	}
	v, err := read(res.JSON200, res.HTTPResponse, res.Body)
	if err != nil {
		return view{}, err
	}
	d := validatorsView{Validators: *v}
	if n := len(v.Changes); n > 0 && v.Changes[n-1].From > 1 && n == maxChanges {
		d.Before = v.Changes[n-1].From - 1
	}
	if p.Height != nil {
		d.Newest = 1
		c, err := s.api.GetCertificateWithResponse(r.Context(), *p.Height)
		if err != nil {
			return view{}, err
		}
		if d.Commit, err = known(read(c.JSON200, c.HTTPResponse, c.Body)); err != nil {
			return view{}, err
		}
	}
	return view{Template: "validators", Title: fmt.Sprintf("Validators of height %d", v.Height), Nav: "/nodes", Data: d}, nil
}

// maxChanges is how many changes one answer of the API has.
const maxChanges = 32
