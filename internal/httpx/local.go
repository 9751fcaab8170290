package httpx

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// IsLocal reports whether r was sent by a program of this machine, to this
// machine by a loopback name: no other host, no proxy that says so, no name of
// somebody else's that leads here (as a page of theirs would use). Requests of
// InMemory are local. A page of this server is too: what pages may not ask has to
// look at FromPage besides.
func IsLocal(r *http.Request) bool {
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if len(r.Header.Values(h)) > 0 {
			return false
		}
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return false
	}
	if peer.Port() == 0 {
		return true // InMemory
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	at, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && at.IsLoopback()
}

// FromPage reports whether a page in a browser made r, where it is not one of
// this server that only reads: such requests have no Origin, as those of images
// and links of other sites have none, and Sec-Fetch-Site tells them apart.
func FromPage(r *http.Request) bool {
	if len(r.Header.Values("Origin")) > 0 {
		return true
	}
	site := r.Header.Get("Sec-Fetch-Site")
	return site != "" && site != "none" && site != "same-origin"
}
