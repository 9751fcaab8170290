package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/internal/httpx"
	"tunic/ledger"
	"tunic/registry"
	"tunic/slashing"
)

// eventTypes is a choice of events.
type eventTypes uint8

// The types, in the order in which a block's events come.
const (
	typeHead eventTypes = 1 << iota
	typeEpoch
	typeParams
	typeNode
	typeSlash
	typeTransaction
	typeBlock
)

var typeNames = map[string]eventTypes{
	"head": typeHead, "epoch": typeEpoch, "params": typeParams, "node": typeNode, "slash": typeSlash,
	"transaction": typeTransaction, "block": typeBlock,
}

// parseTypes reads a choice of types.
func parseTypes(list string) (t eventTypes, err error) {
	for name := range strings.SplitSeq(list, ",") {
		if typeNames[name] == 0 {
			return 0, field(codeInvalidRequest, "types", "there is no "+httpx.Clip(name, 16)+"; choose of head, epoch, params, node, slash, transaction, block")
		}
		t |= typeNames[name]
	}
	return t, nil
}

// derived reports whether something of the choice is kept for a while only.
func (t eventTypes) derived() bool { return t&^(typeHead|typeBlock) != 0 }

// blockFrames are a block's events but "block", numbered from 1, as all streams
// carry them.
type blockFrames struct {
	bytes []byte
	ends  []frameEnd // of each event
}

type frameEnd struct {
	at   int // in bytes
	kind eventTypes
}

// after gives the chosen events behind the first n, those that follow each other
// up to limit bytes but at least one, and the number of the last; nil where
// there are none.
func (f *blockFrames) after(n int, types eventTypes, limit int) ([]byte, int) {
	for n < len(f.ends) && f.ends[n].kind&types == 0 {
		n++
	}
	if n >= len(f.ends) {
		return nil, n
	}
	begin := 0
	if n > 0 {
		begin = f.ends[n-1].at
	}
	last := n
	for last+1 < len(f.ends) && f.ends[last+1].kind&types != 0 && f.ends[last+1].at-begin <= limit {
		last++
	}
	return f.bytes[begin:f.ends[last].at], last + 1
}

// add appends an event; all have an id and one line of data.
func (f *blockFrames) add(h chain.Header, name string, kind eventTypes, body any) {
	data, err := httpx.EncodeJSON(body)
	if err != nil {
		panic("api: internal error: " + err.Error()) // numbers and words alone
	}
	f.bytes = fmt.Appendf(f.bytes, "id: %s\nevent: %s\ndata: %s\n", place{h.Height, len(f.ends) + 1, h.Fork}, name, data)
	f.ends = append(f.ends, frameEnd{len(f.bytes), kind})
}

// addHead appends the event "head", which is the first.
func (f *blockFrames) addHead(h chain.Header) {
	f.add(h, "head", typeHead, struct {
		Height       int64  `json:"height"`
		Hash         string `json:"hash"`
		TimeMs       int64  `json:"time_ms"`
		Epoch        int64  `json:"epoch"`
		Fork         int64  `json:"fork"`
		Transactions int    `json:"transactions"`
		Listed       int    `json:"listed"`
	}{int64(h.Height), h.Hash().String(), int64(h.Time), int64(h.DirEpoch), int64(h.Fork), int(h.TxCount), int(h.DirCount) - len(h.Removals)})
}

// addOutcome appends all others.
func (f *blockFrames) addOutcome(o *ledger.Outcome) {
	h := o.Header
	height, at := int64(h.Height), int64(h.Time)
	if e := o.Epoch; e != nil {
		f.add(h, "epoch", typeEpoch, struct {
			Epoch  int64        `json:"epoch"`
			Height int64        `json:"height"`
			TimeMs int64        `json:"time_ms"`
			Listed int          `json:"listed"`
			Joined []oas.NodeID `json:"joined"`
			Left   []oas.NodeID `json:"left"`
		}{int64(h.DirEpoch), height, at, e.Listed, nodeIDs(e.Joined), nodeIDs(e.Left)})
	}
	if o.Params > 0 {
		f.add(h, "params", typeParams, struct {
			Number uint32 `json:"number"`
			Height int64  `json:"height"`
			Epoch  int64  `json:"epoch"`
		}{o.Params, height, int64(h.DirEpoch)})
	}
	for _, e := range o.Nodes {
		f.addNode(h, e)
	}
	for _, r := range o.Slashes {
		f.addSlash(h, r)
	}
	for _, t := range o.Txs {
		if t.Kind == chain.KindPublish {
			continue
		}
		f.add(h, "transaction", typeTransaction, struct {
			ID     string  `json:"id"`
			Kind   string  `json:"kind"`
			Height int64   `json:"height"`
			Result string  `json:"result"`
			Sender *string `json:"sender,omitempty"`
		}{t.ID.String(), kindOf([]byte{byte(t.Kind)}), height, resultOf(t.Code), named(t.Sender)})
	}
}

func (f *blockFrames) addNode(h chain.Header, e registry.Event) {
	f.add(h, "node", typeNode, struct {
		Node   string  `json:"node"`
		Height int64   `json:"height"`
		TimeMs int64   `json:"time_ms"`
		From   string  `json:"from"`
		To     string  `json:"to"`
		Reason string  `json:"reason"`
		Proof  *string `json:"proof,omitempty"`
	}{e.Node.String(), int64(e.Height), int64(e.Time), e.From.String(), e.To.String(), e.Reason, named(e.Proof)})
}

func (f *blockFrames) addSlash(h chain.Header, r slashing.Record) {
	f.add(h, "slash", typeSlash, struct {
		Offence  string     `json:"offence"`
		Kind     string     `json:"kind"`
		Basis    string     `json:"basis"`
		Node     string     `json:"node"`
		Operator string     `json:"operator"`
		Height   int64      `json:"height"`
		TimeMs   int64      `json:"time_ms"`
		Slashed  oas.Amount `json:"slashed"`
		Burned   oas.Amount `json:"burned"`
		Reward   oas.Amount `json:"reward"`
	}{r.ID.String(), r.Kind.String(), string(r.Basis), r.Node.String(), r.Operator.String(), int64(r.At), int64(r.Time),
		amount(r.Total), amount(r.Burned), amount(r.Reward)})
}

// recent is how many blocks below the head count as live.
const recent = maxKeptBlocks / 2

// framesOf are the events of a block; with "head" alone unless full. The
// ledger's ErrNotFound and ErrNotKept.
func (s *server) framesOf(sealed chain.SealedHeader, full bool) (*blockFrames, error) {
	cache := &s.past // those who read the past do not push out what all others read
	if s.ledger.Head().Header.Height <= sealed.Header.Height+recent {
		cache = &s.recent
	}
	return cache.of(frameName{sealed.Header.Hash(), full}, func() (*blockFrames, error) {
		f := &blockFrames{}
		f.addHead(sealed.Header)
		if !full {
			return f, nil
		}
		o, err := s.ledger.Outcome(sealed)
		if err != nil {
			return nil, err
		}
		f.addOutcome(&o)
		return f, nil
	})
}

// frames keeps the newest blocks as all streams get them, so that each is encoded
// once. Safe for concurrent use.
type frames struct {
	mu   sync.Mutex
	kept [keptFrameBlocks]frame // by height
}

// keptFrameBlocks is how many: of many streams some are a few blocks behind.
const keptFrameBlocks = 8

// frame is one block in its encoding.
type frame struct {
	height   chain.Height
	fork     uint32
	header   chain.Hash
	params   uint32 // in force when it was read
	unlisted int    // how many were named then
	open     int    // challenges that were named then; within an epoch they only become fewer
	bytes    []byte
}

// of is the bytes that a stream carries for e.
func (f *frames) of(e ledger.Event) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, hash := &f.kept[e.Header.Height%keptFrameBlocks], e.Header.Hash()
	if at.bytes != nil && at.header == hash && at.params == e.Params && at.unlisted == len(e.Unlisted) && at.open == len(e.Challenges) {
		return at.bytes
	}
	b, err := blockEvent(e).Encode()
	if err != nil {
		panic("api: internal error: " + err.Error()) // a number and a word
	}
	if e.Header.Height >= at.height || e.Header.Fork > at.fork { // who reads the past pushes out nothing newer
		*at = frame{e.Header.Height, e.Header.Fork, hash, e.Params, len(e.Unlisted), len(e.Challenges), b}
	}
	return b
}

// unlisted is a registry.Unlisted as the stream shows it.
type unlisted struct {
	Node           chain.NodeID   `json:"node"`
	Decommissioned bool           `json:"decommissioned"`
	Since          chain.Epoch    `json:"since_epoch"`
	Performance    chain.Permille `json:"performance"`
}

// openChallenge is a challenge as the stream shows it.
type openChallenge struct {
	ID      chain.Hash   `json:"id"`
	Height  chain.Height `json:"height"`
	Receipt []byte       `json:"receipt"`
	Chunk   uint8        `json:"chunk"`
}

// blockEvent is a block as the stream shows it.
func blockEvent(e ledger.Event) httpx.Event {
	body := struct {
		Header     []byte           `json:"header"`
		Published  [][]byte         `json:"published"`
		Unlisted   []unlisted       `json:"unlisted,omitempty"`
		Challenges *[]openChallenge `json:"challenges,omitempty"`
		Params     uint32           `json:"params"`
	}{Header: e.Encode(), Published: e.Published, Params: e.Params}
	for _, u := range e.Unlisted {
		body.Unlisted = append(body.Unlisted, unlisted(u))
	}
	if e.Challenges != nil {
		all := make([]openChallenge, len(e.Challenges))
		for i, c := range e.Challenges {
			all[i] = openChallenge{c.ID, c.Height, c.Receipt, c.Chunk}
		}
		body.Challenges = &all
	}
	if body.Published == nil {
		body.Published = [][]byte{}
	}
	data, err := json.Marshal(body)
	if err != nil {
		panic("api: internal error: " + err.Error()) // bytes and numbers alone
	}
	return httpx.Event{ID: place{height: e.Header.Height}.String(), Name: "block", Data: data}
}
