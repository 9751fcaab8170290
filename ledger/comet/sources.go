package comet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"tunic/chain"
	"tunic/chain/cometbft"
)

// maxCertificate bounds a certificate with its two sets in bytes.
const maxCertificate = 1 << 18

const octets = "application/octet-stream"

// ErrNoSource means that none of the ledgers that were asked gave a certificate.
var ErrNoSource = errors.New("comet: no ledger gave the certificate")

// CertificatesOf asks ledgers over their API (GET /v1/chain/certificates/{height}),
// the first that answers. urls are their bases, such as https://ledger.example.org.
// It follows no redirects. For Sync.
func CertificatesOf(client *http.Client, urls ...string) (func(context.Context, chain.Height) (cometbft.Certificate, error), error) {
	if len(urls) == 0 {
		return nil, errors.New("name the URL of at least one ledger that runs")
	}
	bases := make([]*url.URL, len(urls))
	for i, u := range urls {
		b, err := url.Parse(u)
		if err != nil || b.Scheme != "https" && b.Scheme != "http" || b.Host == "" {
			return nil, fmt.Errorf("%q is not the URL of a ledger, such as https://ledger.example.org", u)
		}
		bases[i] = b
	}
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return func(ctx context.Context, h chain.Height) (cometbft.Certificate, error) {
		failed := ErrNoSource
		for _, b := range bases {
			x, err := certificateFrom(ctx, &c, b.JoinPath("v1", "chain", "certificates", strconv.FormatUint(uint64(h), 10)))
			if err == nil {
				return x, nil
			}
			failed = fmt.Errorf("%w; %s: %w", failed, b.Host, err)
		}
		return cometbft.Certificate{}, failed
	}, nil
}

func certificateFrom(ctx context.Context, c *http.Client, at *url.URL) (cometbft.Certificate, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return cometbft.Certificate{}, err
	}
	q.Header.Set("Accept", octets)
	r, err := c.Do(q)
	if err != nil {
		return cometbft.Certificate{}, err
	}
	defer r.Body.Close()
	if got, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); r.StatusCode != http.StatusOK || got != octets {
		return cometbft.Certificate{}, fmt.Errorf("status %d, type %q", r.StatusCode, got)
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, maxCertificate+1))
	if err != nil {
		return cometbft.Certificate{}, err
	}
	if len(b) > maxCertificate {
		return cometbft.Certificate{}, fmt.Errorf("over %d bytes", maxCertificate)
	}
	return cometbft.DecodeCertificate(b)
}
