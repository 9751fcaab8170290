package api

import (
	"context"
	"encoding/binary"
	"net/http"
	"strconv"
	"strings"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/internal/httpx"
	"tunic/ledger/machine"
)

// Caching of what is found by a hash, and of all else.
const (
	cacheForever    = "public, max-age=31536000, immutable"
	cacheRevalidate = "no-cache"
)

// ListBlocks pages back through the headers from the head of the first page.
func (s *server) ListBlocks(_ context.Context, req oas.ListBlocksRequestObject) (oas.ListBlocksResponseObject, error) {
	l, err := list(req.Params.Limit, req.Params.Cursor, "blocks")
	if err != nil {
		return nil, err
	}
	head, err := s.pinBlock(&l)
	if err != nil {
		return nil, err
	}
	from := head
	if !l.first {
		if len(l.after.key) != 8 {
			return nil, errForeignCursor()
		}
		if from = chain.Height(binary.BigEndian.Uint64(l.after.key)); from == 0 || from > head {
			return nil, errForeignCursor()
		}
		from--
	}
	first := min(s.ledger.First(), max(head, 1))
	out := oas.ListBlocks200JSONResponse{Height: int64(head), Total: int64(head + 1 - first), Items: []oas.Header{}}
	for ; from >= first && len(out.Items) < l.limit; from-- {
		sealed, err := s.ledger.Header(from)
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, headerOf(sealed))
	}
	if from >= first {
		out.NextCursor = l.token(binary.BigEndian.AppendUint64(nil, uint64(from+1)))
	}
	return out, nil
}

// find returns the block that a path names, and how long it may be cached.
func (s *server) find(name string) (chain.Block, string, error) {
	var (
		b     chain.Block
		err   error
		cache = cacheRevalidate
	)
	switch {
	case name == "latest":
		b, err = s.ledger.Block(s.ledger.Head().Header.Height)
	case len(name) == 64:
		hash, _ := chain.ParseHash(name) // the specification's pattern holds
		cache = cacheForever
		b, err = s.ledger.BlockByHash(hash)
	default:
		h, bad := strconv.ParseUint(name, 10, 64)
		if bad != nil {
			return b, "", field(codeInvalidRequest, "block", "is not a height")
		}
		b, err = s.ledger.Block(chain.Height(h))
	}
	return b, cache, s.explainMissing(err, codeBlockUnknown, "there is no block "+name)
}

// wanted is the block that a request names, and the form that it asks for.
func (s *server) wanted(ctx context.Context, name string) (form representation, b chain.Block, cache string, err error) {
	if form, err = negotiate(requestOf(ctx)); err == nil {
		b, cache, err = s.find(name)
	}
	return form, b, cache, err
}

// GetBlock serves a block with its results.
func (s *server) GetBlock(ctx context.Context, req oas.GetBlockRequestObject) (oas.GetBlockResponseObject, error) {
	form, b, cache, err := s.wanted(ctx, req.Block)
	if err != nil {
		return nil, err
	}
	body := b.Encode()
	if form == asJSON {
		results, err := s.ledger.Results(b.Header.Height)
		if err != nil {
			return nil, err
		}
		out := oas.Block{Header: headerOf(b.SealedHeader), Transactions: make([]oas.TransactionBrief, 0, len(b.Txs))}
		for i, tx := range b.Txs {
			brief := oas.TransactionBrief{Id: chain.SHA256(tx).String(), Kind: kindOf(tx)}
			if i < len(results) {
				brief.Result = resultOf(results[i].Code)
			}
			out.Transactions = append(out.Transactions, brief)
		}
		if body, err = httpx.EncodeJSON(out); err != nil {
			return nil, err
		}
	}
	return byHash("block", form, b.Header, body).serve(requestOf(ctx), cache), nil
}

// GetHeader serves a sealed header.
func (s *server) GetHeader(ctx context.Context, req oas.GetHeaderRequestObject) (oas.GetHeaderResponseObject, error) {
	form, b, cache, err := s.wanted(ctx, req.Block)
	if a, ok := err.(answer); ok && a.Code == codePruned {
		// A ledger that has just begun from a snapshot has its head's header alone.
		if head := s.ledger.Head(); req.Block == "latest" || req.Block == decimal(uint64(head.Header.Height)) || req.Block == head.Header.Hash().String() {
			b.SealedHeader, err = head, nil
		}
	}
	if err != nil {
		return nil, err
	}
	body := b.SealedHeader.Encode()
	if form == asJSON {
		if body, err = httpx.EncodeJSON(headerOf(b.SealedHeader)); err != nil {
			return nil, err
		}
	}
	return byHash("header", form, b.Header, body).serve(requestOf(ctx), cache), nil
}

// byHash is a body that the header's hash names.
func byHash(what string, form representation, h chain.Header, body []byte) stored {
	tag := strings.Join([]string{what, h.Hash().String()[:32], strconv.Itoa(int(form))}, "-")
	return stored{media: []string{form.mediaType()}, plain: tagged(body, `"`+tag+`"`)}
}

// GetEip712 serves what wallets sign, derived from the kinds' tables.
func (s *server) GetEip712(context.Context, oas.GetEip712RequestObject) (oas.GetEip712ResponseObject, error) {
	type member = struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	domain := s.ledger.Domain()
	out := oas.GetEip712200JSONResponse{
		Kinds: map[string]string{},
		Types: map[string][]member{"EIP712Domain": {{"name", "string"}, {"version", "string"}, {"chainId", "uint256"}, {"salt", "bytes32"}}},
	}
	out.Domain.Name, out.Domain.Version = chain.DomainName, chain.DomainVersion
	out.Domain.ChainId, out.Domain.Salt = int64(domain.ChainID), "0x"+domain.Genesis.String()
	for _, schema := range machine.Schemas() {
		out.Kinds[kindName(schema)] = schema.Name
		for _, f := range schema.Fields {
			out.Types[schema.Name] = append(out.Types[schema.Name], member{f.Name, string(f.Type)})
		}
	}
	return out, nil
}

// kindName is a kind as the API writes it: RequestUnlock is request-unlock.
func kindName(s *chain.Schema) string {
	var b strings.Builder
	for i, c := range s.Name {
		if 'A' <= c && c <= 'Z' {
			if i > 0 {
				b.WriteByte('-')
			}
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// kindOf is the kind of a transaction's encoding.
func kindOf(tx []byte) string {
	if len(tx) == 0 {
		return "unknown"
	}
	k := chain.Kind(tx[0])
	if k == chain.KindPublish {
		return "publish"
	}
	if k == chain.KindDev {
		return "dev"
	}
	if k == chain.KindMisbehaviour {
		return "misbehaviour"
	}
	if schema, ok := machine.SchemaOf(k); ok {
		return kindName(schema)
	}
	return "unknown"
}

// resultOf is a result's code as the API writes it.
func resultOf(code string) string {
	if code == "" {
		return "ok"
	}
	return code
}

// schemaNamed is the table of a kind by its name in the API.
func schemaNamed(name string) (*chain.Schema, error) {
	var names []string
	for _, schema := range machine.Schemas() {
		if kindName(schema) == name {
			return schema, nil
		}
		names = append(names, kindName(schema))
	}
	return nil, problem(http.StatusUnprocessableEntity, machine.CodeUnknownKind, "kinds are "+strings.Join(names, ", "))
}
