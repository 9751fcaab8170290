package comet_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"path"
	"strconv"
	"testing"

	"tunic/chain"
	"tunic/ledger/comet"
)

func TestCertificatesOf(t *testing.T) {
	g, keys := network(t, 1)
	v := start(t, t.TempDir(), g, keys[0], nil)
	v.await(t, 4)
	defer v.stop(t)
	asked := 0
	good := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		h, _ := strconv.Atoi(path.Base(r.URL.Path))
		c, err := v.Certificate(chain.Height(h))
		if err != nil || path.Dir(r.URL.Path) != "/base/v1/chain/certificates" || r.Header.Get("Accept") != "application/octet-stream" {
			http.Error(w, "no", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write(c.Encode())
	}))
	defer good.Close()
	bad := map[string]http.HandlerFunc{
		"not there": http.NotFound,
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, good.URL+"/base"+r.URL.Path, http.StatusFound)
		},
		"another type": func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("<html>")) },
		"no certificate": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Write([]byte{1, 2, 3})
		},
		"without end": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/octet-stream")
			for range 1 << 10 {
				if _, err := w.Write(make([]byte, 1<<10)); err != nil {
					return
				}
			}
		},
	}
	urls := []string{}
	for name, h := range bad {
		s := httptest.NewServer(h)
		defer s.Close()
		urls = append(urls, s.URL)
		get, err := comet.CertificatesOf(http.DefaultClient, s.URL)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := get(t.Context(), 2); !errors.Is(err, comet.ErrNoSource) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if asked > 0 {
		t.Error("a redirect was followed")
	}
	get, err := comet.CertificatesOf(http.DefaultClient, append(urls, good.URL+"/base/")...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := get(t.Context(), 3)
	want, err2 := v.Certificate(3)
	if err != nil || err2 != nil || c.Header.Hash() != want.Header.Hash() || c.Set == nil {
		t.Fatalf("%+v, %v, %v", c, err, err2)
	}
	for _, u := range [][]string{nil, {"ledger.example.org"}, {"ftp://ledger.example.org"}, {"https://"}} {
		if _, err := comet.CertificatesOf(http.DefaultClient, u...); err == nil {
			t.Errorf("%q is taken", u)
		}
	}
}
