package api

import (
	"net/http"
	"strings"

	"tunic/internal/httpx"
)

// representation is one of the two forms of an answer.
type representation uint8

const (
	asJSON representation = iota
	asOctets
)

func (r representation) mediaType() string {
	if r == asOctets {
		return typeOctets
	}
	return typeJSON
}

// negotiate picks the form that Accept prefers: JSON where both are as good, as
// without the header.
func negotiate(r *http.Request) (representation, error) {
	accept := r.Header["Accept"]
	switch strings.TrimSpace(strings.Join(accept, ",")) {
	case "", "*/*", typeJSON: // what most send
		return asJSON, nil
	case typeOctets:
		return asOctets, nil
	}
	j, o := httpx.Quality(accept, typeJSON), httpx.Quality(accept, typeOctets)
	switch {
	case j == 0 && o == 0:
		return asJSON, problem(http.StatusNotAcceptable, codeNotAcceptable, "there is "+typeJSON+" and "+typeOctets)
	case o > j:
		return asOctets, nil
	}
	return asJSON, nil
}
