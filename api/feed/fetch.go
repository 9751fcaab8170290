package feed

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/statement"
	"tunic/internal/httpx"
	"tunic/registry/directory"
)

// Bounds of what is read of an answer, decompressed.
const (
	maxHeader = chain.MaxSealedHeader
	maxCert   = chain.MaxCommit // a certificate with two sets of 128 validators takes 22 KiB
	maxSmall  = 64 << 10        // problems and acknowledgements
	maxList   = 64 << 20        // 100,000 nodes take about 40 MB

	// maxEntry is the largest encoding of a list's entry; listHead is what
	// stands before the entries.
	maxEntry = 256 + statement.MaxEndpoints*(4+statement.MaxEndpoint) + 32*statement.MaxFamily + statement.MaxVersion
	listHead = 13
)

const octets = "application/octet-stream"

// latest names the newest header in the API.
const latest = "latest"

// errAnswer means that an answer is not what the API gives.
var errAnswer = errors.New("unusable answer")

// accepting asks for one media type.
func accepting(media string) client.RequestEditorFn {
	return func(_ context.Context, r *http.Request) error {
		r.Header.Set("Accept", media)
		return nil
	}
}

// answer holds a response against what was asked: the status, the media type,
// and no encoding but the transport's own. The caller closes the body of what
// it returns; on an error it is closed.
func answer(res *http.Response, err error, status int, media string) (*http.Response, error) {
	if err != nil {
		return nil, plain(err)
	}
	ok := false
	defer func() {
		if !ok {
			res.Body.Close()
		}
	}()
	if res.StatusCode != status {
		return nil, problem(res)
	}
	if got, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); media != "" && got != media {
		return nil, fmt.Errorf("%w: not of type %s", errAnswer, media)
	}
	if e := res.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return nil, fmt.Errorf("%w: in an encoding that was not asked for", errAnswer)
	}
	ok = true
	return res, nil
}

// problem turns an answer that is not the one hoped for into an error: a
// *chain.Refusal where the server says no to what was asked.
func problem(res *http.Response) error {
	code := res.StatusCode
	switch {
	case code >= 300 && code < 400:
		return fmt.Errorf("%w: it redirects (%d), which is not followed; put the final address into the network file", errAnswer, code)
	case code == http.StatusBadRequest, code == http.StatusNotFound, code == http.StatusConflict,
		code == http.StatusGone, code == http.StatusRequestEntityTooLarge, code == http.StatusUnprocessableEntity:
		var p httpx.Problem
		b, err := readAll(res.Body, maxSmall)
		if err == nil && json.Unmarshal(b, &p) == nil && isCode(p.Code) {
			return &chain.Refusal{Code: p.Code, Detail: printable(p.Detail)}
		}
	}
	return fmt.Errorf("%w: status %d %s", errAnswer, code, http.StatusText(code))
}

// isCode reports whether s looks like a refusal's code.
func isCode(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// readAll reads a body of at most limit bytes.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", plain(err))
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%w: over %d bytes", errAnswer, limit)
	}
	return b, nil
}

// header asks for a sealed header by height or as latest. It is not verified
// yet, but of the height that was asked for.
func (s *server) header(ctx context.Context, block string) (chain.SealedHeader, error) {
	res, err := s.api.GetHeader(ctx, block, accepting(octets))
	res, err = answer(res, err, http.StatusOK, octets)
	if err != nil {
		return chain.SealedHeader{}, err
	}
	defer res.Body.Close()
	b, err := readAll(res.Body, maxHeader)
	if err != nil {
		return chain.SealedHeader{}, err
	}
	h, err := chain.DecodeSealedHeader(b)
	if err != nil {
		return chain.SealedHeader{}, fmt.Errorf("%w: %w", errAnswer, err)
	}
	if block != latest && block != at(h.Header.Height) {
		return chain.SealedHeader{}, fmt.Errorf("%w: height %d, asked for %s", errAnswer, h.Header.Height, block)
	}
	return h, nil
}

// certificate asks for the certificate of a height of CometBFT. It is not verified
// yet.
func (s *server) certificate(ctx context.Context, h chain.Height) (cometbft.Certificate, error) {
	n, err := number(h)
	if err != nil {
		return cometbft.Certificate{}, err
	}
	res, err := s.api.GetCertificate(ctx, n, accepting(octets))
	res, err = answer(res, err, http.StatusOK, octets)
	if err != nil {
		return cometbft.Certificate{}, err
	}
	defer res.Body.Close()
	b, err := readAll(res.Body, maxCert)
	if err != nil {
		return cometbft.Certificate{}, err
	}
	c, err := cometbft.DecodeCertificate(b)
	if err != nil {
		return c, fmt.Errorf("%w: %w", errAnswer, err)
	}
	return c, nil
}

// at names a height in the API.
func at(h chain.Height) string { return strconv.FormatUint(uint64(h), 10) }

// submit posts an encoded statement.
func (s *server) submit(ctx context.Context, b []byte) error {
	send := s.api.SubmitTransactionWithBody
	if _, err := statement.Decode(b); err == nil { // no transaction can be read as one: its second byte is that of a length
		send = s.api.PublishStatementWithBody
	}
	res, err := send(ctx, octets, bytes.NewReader(b))
	res, err = answer(res, err, http.StatusAccepted, "")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	// What it says counts for nothing; read to its end, it leaves the
	// connection for the next request.
	_, _ = readAll(res.Body, maxSmall)
	return nil
}

// fetchList asks one server for a list, verifies and keeps it. The header stands
// first and is verified first: who has no sealed header gets no more of us than
// 97 KiB, and what is read after it is bounded by the count that it commits to.
func (f *Feed) fetchList(ctx context.Context, s *server, epoch chain.Epoch) (*directory.List, chain.SealedHeader, error) {
	n, err := number(epoch)
	if err != nil {
		return nil, chain.SealedHeader{}, err
	}
	res, err := s.api.GetDirectory(ctx, &client.GetDirectoryParams{Epoch: &n}, accepting(octets))
	res, err = answer(res, err, http.StatusOK, octets)
	if err != nil {
		return nil, chain.SealedHeader{}, err
	}
	defer res.Body.Close()
	return f.readList(ctx, s, epoch, res.Body)
}

// readList reads a sealed header behind its 4-byte length and then a list, and
// holds one against the network and the other against it. Of no server (nil)
// more is asked.
func (f *Feed) readList(ctx context.Context, s *server, epoch chain.Epoch, body io.Reader) (*directory.List, chain.SealedHeader, error) {
	h, err := readHeader(body)
	if err != nil {
		return nil, h, err
	}
	if h.Header.DirEpoch != epoch {
		return nil, h, fmt.Errorf("%w: header of epoch %d, asked for %d", directory.ErrEpoch, h.Header.DirEpoch, epoch)
	}
	if err := f.acceptPast(ctx, s, h); err != nil {
		return nil, h, err
	}
	b, err := readAll(body, min(listHead+int64(h.Header.DirCount)*maxEntry, maxList))
	if err != nil {
		return nil, h, err
	}
	l, err := directory.Decode(b)
	if err != nil {
		return nil, h, err
	}
	if err := l.Check(h.Header); err != nil {
		return nil, h, err
	}
	return l, f.keep(l, h), nil
}

func readHeader(body io.Reader) (chain.SealedHeader, error) {
	var size [4]byte
	if _, err := io.ReadFull(body, size[:]); err != nil {
		return chain.SealedHeader{}, fmt.Errorf("%w: %w", errAnswer, plain(err))
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxHeader {
		return chain.SealedHeader{}, fmt.Errorf("%w: header of %d bytes", errAnswer, n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(body, b); err != nil {
		return chain.SealedHeader{}, fmt.Errorf("%w: %w", errAnswer, plain(err))
	}
	h, err := chain.DecodeSealedHeader(b)
	if err != nil {
		return chain.SealedHeader{}, fmt.Errorf("%w: %w", errAnswer, err)
	}
	return h, nil
}
