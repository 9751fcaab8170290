package jsonrpc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"net/http"
	"strconv"
	"strings"

	"tunic/chain"
	"tunic/ledger"
	"tunic/ledger/machine"
)

// weiPerUnit makes of a unit what wallets take for wei: they show 10^18 of them
// as one coin, and 10^9 units are one TUN.
const weiPerUnit = 1_000_000_000

// hexUint is a quantity as Ethereum writes it: hex without leading zeros.
func hexUint[T ~uint64](v T) string { return "0x" + strconv.FormatUint(uint64(v), 16) }

// Ethereum answers over POST what a wallet asks to connect, and to show a
// balance. It sends nothing: a Tunic transaction is typed data that the wallet
// signs.
func Ethereum(c Config) http.Handler {
	s := &server{c}
	const instead = "sign the typed data of GET /v1/chain/eip712 and send it to POST /v1/transactions"
	constant := func(v any) call {
		return func(_ context.Context, params json.RawMessage) (any, error) { return v, positional(params) }
	}
	id := s.Ledger.Core().ChainID
	return &rpc{
		server: s,
		methods: map[string]call{
			"web3_clientVersion":      constant("tunic/" + s.Version),
			"net_version":             constant(strconv.FormatUint(id, 10)),
			"eth_chainId":             constant(hexUint(id)),
			"eth_blockNumber":         s.ethBlockNumber,
			"eth_getBalance":          s.ethBalance,
			"eth_getTransactionCount": s.ethNonce,
			"eth_getBlockByNumber":    s.ethBlock,
		},
		missing: map[string]string{"eth_sendTransaction": instead, "eth_sendRawTransaction": instead},
	}
}

// positional reads an array of parameters into the pointers: no more than there
// are, and as many as the first of them that are not *string of a block, which
// may be left out.
func positional(params json.RawMessage, into ...any) error {
	var given []json.RawMessage
	if params != nil && json.Unmarshal(params, &given) != nil {
		return failed(codeParams, "params must be an array")
	}
	if len(given) > len(into) {
		return failed(codeParams, "params: at most %d", len(into))
	}
	for i, v := range into {
		if i >= len(given) {
			if _, optional := v.(*blockTag); optional {
				continue
			}
			return failed(codeParams, "params: the one at %d is missing", i)
		}
		if err := json.Unmarshal(given[i], v); err != nil {
			var known *failure
			if errors.As(err, &known) {
				return known
			}
			return failed(codeParams, "params: the one at %d is not what it should be", i)
		}
	}
	return nil
}

// blockTag names a block: a height, or 0 for the newest.
type blockTag struct {
	height  chain.Height
	pending bool // with what waits
}

// UnmarshalJSON reads "latest" and its like, or a height in hex.
func (t *blockTag) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) != nil {
		return failed(codeParams, "a block is latest, or its height in hex")
	}
	switch text {
	case "latest", "safe", "finalized":
		return nil
	case "pending":
		t.pending = true
		return nil
	case "earliest":
		t.height = 1
		return nil
	}
	digits, ok := strings.CutPrefix(text, "0x")
	h, err := strconv.ParseUint(digits, 16, 63)
	if !ok || err != nil || h == 0 {
		return failed(codeParams, "a block is latest, or its height in hex, from 0x1 on")
	}
	t.height = chain.Height(h)
	return nil
}

// atTag reads the state after the block that t names. That of a former block is
// made anew, which takes long: a batch may ask for one.
func (s *server) atTag(ctx context.Context, t blockTag, f func(*machine.Machine)) error {
	if t.height == 0 {
		s.Ledger.View(f)
		return nil
	}
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		if x.state != 0 && x.state != t.height {
			return failed(codeServer, "a batch may ask for the state after one block by its height; this one has asked for that after block %d", x.state)
		}
		x.state = t.height
	}
	err := s.Ledger.ViewAt(ctx, t.height, f)
	switch {
	case errors.Is(err, ledger.ErrNotKept):
		return failed(codeServer, "the state after block %d is not kept", t.height)
	case errors.Is(err, ledger.ErrNotFound):
		return failed(codeServer, "there is no block %d", t.height)
	}
	return err
}

func (s *server) ethBlockNumber(_ context.Context, params json.RawMessage) (any, error) {
	return hexUint(s.Ledger.Head().Header.Height), positional(params)
}

func (s *server) ethBalance(ctx context.Context, params json.RawMessage) (any, error) {
	var who ethAddress
	var tag blockTag
	if err := positional(params, &who, &tag); err != nil {
		return nil, err
	}
	wei := new(big.Int)
	err := s.atTag(ctx, tag, func(m *machine.Machine) {
		wei.Mul(new(big.Int).SetUint64(uint64(m.Account(who.Address).Balance)), big.NewInt(weiPerUnit))
	})
	return "0x" + wei.Text(16), err
}

func (s *server) ethNonce(ctx context.Context, params json.RawMessage) (any, error) {
	var who ethAddress
	var tag blockTag
	if err := positional(params, &who, &tag); err != nil {
		return nil, err
	}
	if tag.pending {
		return hexUint(s.Ledger.NextNonce(who.Address)), nil
	}
	var nonce uint64
	err := s.atTag(ctx, tag, func(m *machine.Machine) { nonce = m.Account(who.Address).Nonce })
	return hexUint(nonce), err
}

// ethAddress is an address as a parameter.
type ethAddress struct{ chain.Address }

// UnmarshalJSON refuses what is no address, or has a wrong checksum.
func (a *ethAddress) UnmarshalJSON(b []byte) error {
	var text string
	err := json.Unmarshal(b, &text)
	if err == nil {
		a.Address, err = chain.ParseAddress(text)
	}
	if err != nil || !strings.HasPrefix(text, "0x") {
		return failed(codeParams, "not an address with its checksum")
	}
	return nil
}

// ethBlock shows a header as a block without transactions, of which Ethereum's
// programs could read none; null where there is no such block.
func (s *server) ethBlock(_ context.Context, params json.RawMessage) (any, error) {
	var tag blockTag
	var full bool
	if err := positional(params, &tag, &full); err != nil {
		return nil, err
	}
	sealed := s.Ledger.Head()
	if tag.height != 0 {
		var err error
		if sealed, err = s.Ledger.Header(tag.height); errors.Is(err, ledger.ErrNotFound) {
			return null, nil
		} else if err != nil {
			return nil, err
		}
	}
	h := sealed.Header
	hash := func(b [32]byte) string { return "0x" + hex.EncodeToString(b[:]) }
	zeros := func(n int) string { return "0x" + strings.Repeat("00", n) }
	return map[string]any{
		"number": hexUint(h.Height), "hash": hash(h.Hash()), "parentHash": hash(h.Parent), "timestamp": hexUint(h.Time / 1000),
		"stateRoot": hash(h.State), "transactionsRoot": hash(h.TxRoot), "receiptsRoot": hash(h.Results), "mixHash": hash(h.Beacon),
		"miner": zeros(20), "nonce": zeros(8), "sha3Uncles": zeros(32), "logsBloom": zeros(256), "extraData": "0x",
		"difficulty": "0x0", "totalDifficulty": "0x0", "size": "0x0", "gasLimit": "0x0", "gasUsed": "0x0",
		"transactions": []string{}, "uncles": []string{},
	}, nil
}
