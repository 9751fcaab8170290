package api

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"tunic/chain"
)

// forms serves the two forms of the pages behind what every route has before it,
// and echoes what reached them.
func forms(t *testing.T) http.Handler {
	routes, err := specRoutes()
	if err != nil {
		t.Fatal(err)
	}
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	group := e.Group("", routes.validate)
	group.POST("/faucet", func(c *gin.Context) {
		c.String(http.StatusOK, "%s %s", c.Request.PostFormValue("address"), c.Request.PostFormValue("amount"))
	})
	group.POST("/proof", func(c *gin.Context) {
		f, _, err := c.Request.FormFile("proof")
		if err != nil {
			c.String(http.StatusInternalServerError, "%v", err)
			return
		}
		b, _ := io.ReadAll(f)
		c.String(http.StatusOK, "%d", len(b))
	})
	return e
}

// parts is a form with files: names and contents.
func parts(t *testing.T, of ...string) (contentType string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(of); i += 2 {
		p, err := w.CreateFormFile(of[i], "some.proof")
		if err == nil {
			_, err = io.WriteString(p, of[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.Bytes()
}

func TestForms(t *testing.T) {
	h := forms(t)
	post := func(path, contentType string, body []byte, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for _, c := range []struct {
		body   string
		status int
		holds  string
	}{
		{"address=0x12&amount=5", 200, "0x12 5"},
		{"address=a%20b&amount=", 200, "a b "},
		{"address=0x12", 400, codeInvalidRequest},
		{"address=0x12&amount=5&amount=6", 400, codeInvalidRequest},
		{"address=0x12&amount=5&to=x", 400, codeInvalidRequest},
		{"address=" + strings.Repeat("a", 65) + "&amount=5", 400, codeInvalidRequest},
		{"address=%zz&amount=5", 400, codeMalformedBody},
		{"address=1;amount=5", 400, codeMalformedBody},
		{"", 400, codeMalformedBody},
		{"address=1&amount=" + strings.Repeat("a", 5000), 413, codeTooLarge},
	} {
		if w := post("/faucet", typeForm+"; charset=utf-8", []byte(c.body)); w.Code != c.status || !strings.Contains(w.Body.String(), c.holds) {
			t.Errorf("%.50s: %d %s", c.body, w.Code, w.Body)
		}
	}
	for name, c := range map[string]struct {
		of     []string
		status int
		holds  string
	}{
		"a file":        {[]string{"proof", "xyz"}, 200, "3"},
		"an empty file": {[]string{"proof", ""}, 200, "0"},
		"the largest":   {[]string{"proof", strings.Repeat("x", chain.MaxTx)}, 200, "32768"},
		"too large":     {[]string{"proof", strings.Repeat("x", chain.MaxTx+1)}, 413, codeTooLarge},
		"far too large": {[]string{"proof", strings.Repeat("x", 3*chain.MaxTx)}, 413, codeTooLarge},
		"none":          {nil, 400, codeInvalidRequest},
		"another":       {[]string{"other", "x"}, 400, codeInvalidRequest},
		"twice":         {[]string{"proof", "x", "proof", "y"}, 400, codeInvalidRequest},
	} {
		contentType, body := parts(t, c.of...)
		if w := post("/proof", contentType, body); w.Code != c.status || !strings.Contains(w.Body.String(), c.holds) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	contentType, body := parts(t, "proof", "xyz")
	for name, c := range map[string]struct {
		contentType string
		body        []byte
		status      int
		code        string
	}{
		"no boundary":      {typeParts, body, 400, codeMalformedBody},
		"another boundary": {typeParts + "; boundary=other", body, 400, codeMalformedBody},
		"cut off":          {contentType, body[:len(body)-10], 400, codeMalformedBody},
		"octets":           {typeOctets, body, 415, codeMediaType},
		"junk":             {contentType, []byte{0xff, 0}, 400, codeMalformedBody},
	} {
		if w := post("/proof", c.contentType, c.body); w.Code != c.status || !strings.Contains(w.Body.String(), `"code":"`+c.code+`"`) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	// A page of another origin, as new browsers and old ones say it; our own.
	for _, c := range []struct {
		header []string
		status int
	}{
		{[]string{"Sec-Fetch-Site", "cross-site", "Origin", "https://a.test"}, 403},
		{[]string{"Sec-Fetch-Site", "same-site", "Origin", "http://b.example.com"}, 403},
		{[]string{"Origin", "https://a.test"}, 403}, {[]string{"Origin", "null"}, 403},
		{[]string{"Sec-Fetch-Site", "same-origin", "Origin", "http://example.com"}, 200},
		{[]string{"Origin", "http://example.com"}, 200}, {nil, 200},
	} {
		a := post("/faucet", typeForm, []byte("address=1&amount=2"), c.header...)
		b := post("/proof", contentType, body, c.header...)
		if a.Code != c.status || b.Code != c.status {
			t.Errorf("%v: faucet %d, proof %d", c.header, a.Code, b.Code)
		}
	}
}

// The faucet's form is for this machine: whoever comes from elsewhere finds
// nothing.
func TestFaucetIsForThisMachine(t *testing.T) {
	s := bare(t)
	e := gin.New()
	e.Group("", s.guard).POST("/faucet", func(c *gin.Context) { c.Status(http.StatusOK) })
	for name, c := range map[string]struct {
		remote, host, header, value string
		status                      int
	}{
		"this machine":   {"127.0.0.1:999", "127.0.0.1:8400", "", "", 200},
		"by name":        {"127.0.0.1:999", "localhost:8400", "", "", 200},
		"our own page":   {"127.0.0.1:999", "127.0.0.1:8400", "Origin", "http://127.0.0.1:8400", 200},
		"another host":   {"10.0.0.7:999", "127.0.0.1:8400", "", "", 404},
		"through proxy":  {"127.0.0.1:999", "127.0.0.1:8400", "X-Forwarded-For", "10.0.0.7", 404},
		"a rebound name": {"127.0.0.1:999", "a.test:8400", "", "", 404},
	} {
		r := httptest.NewRequest(http.MethodPost, "/faucet", nil)
		r.RemoteAddr, r.Host = c.remote, c.host
		if c.header != "" {
			r.Header.Set(c.header, c.value)
		}
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}
