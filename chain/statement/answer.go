package statement

import (
	"fmt"

	"tunic/chain"
	"tunic/internal/merkle"
	"tunic/internal/wire"
)

// MaxChallenges is how many challenges of one node's receipts may be open.
const MaxChallenges = 16

// MaxPath bounds the Merkle path of one chunk: an item has at most 255.
const MaxPath = 8

// DeleterOf is what a receipt carries for a deletion token.
func DeleterOf(token [32]byte) chain.Hash { return chain.SHA256([]byte("tunic deletion"), token[:]) }

// Answer is what a node says when one of its storage receipts is challenged: the
// chunk that was drawn, with its path to the receipt's root, or the token that
// shows that the item was deleted. It is signed as a Statement of LabelAnswer
// with sequence zero: two answers cannot contradict each other, and the
// challenge, which one answer closes, is what makes it count once.
// docs/spec/slashing.md, section Lost message.
//
//	challenge 32 | height 8 | deleted 1: token 32, or chunk 256, path 4+32 each
type Answer struct {
	Challenge chain.Hash   // its id
	Height    chain.Height // of the block that opened it
	Token     *[32]byte    // of the deletion; nil: Chunk and Path
	Chunk     [ChunkSize]byte
	Path      []chain.Hash // at most MaxPath, bottom up
}

// Encode is the canonical body.
func (a Answer) Encode() []byte {
	b := append(make([]byte, 0, 301+32*len(a.Path)), a.Challenge[:]...)
	b = wire.AppendUint64(b, uint64(a.Height))
	b = wire.AppendBool(b, a.Token != nil)
	if a.Token != nil {
		return append(b, a.Token[:]...)
	}
	b = append(b, a.Chunk[:]...)
	b = wire.AppendUint32(b, uint32(len(a.Path)))
	for i := range a.Path {
		b = append(b, a.Path[i][:]...)
	}
	return b
}

// DecodeAnswer reads a canonical body.
func DecodeAnswer(body []byte) (Answer, error) {
	r := wire.NewReader(body)
	var a Answer
	r.Copy(a.Challenge[:])
	a.Height = chain.Height(r.Uint64())
	if r.Bool() {
		a.Token = new([32]byte)
		r.Copy(a.Token[:])
	} else {
		r.Copy(a.Chunk[:])
		for range r.Count(MaxPath, 32) {
			var h chain.Hash
			r.Copy(h[:])
			a.Path = append(a.Path, h)
		}
	}
	if err := r.Done(); err != nil {
		return a, fmt.Errorf("%w: answer: %w", ErrMalformed, err)
	}
	return a, nil
}

// Shows reports whether a answers for what x promises: its chunk stands at index
// under x's root, or its token is the one that x names.
func (a Answer) Shows(x Receipt, index uint8) bool {
	if a.Token != nil {
		return DeleterOf(*a.Token) == x.Deleter
	}
	path := make([]merkle.Hash, len(a.Path))
	for i := range a.Path {
		path[i] = merkle.Hash(a.Path[i])
	}
	return merkle.Verify(merkle.Hash(x.Chunks), merkle.Leaf(a.Chunk[:]), uint64(index), uint64(x.Class), path) == nil
}

// AnswerOf is the answer for one chunk of an item, whose size is a multiple of
// ChunkSize and above index chunks.
func AnswerOf(content []byte, index uint8) Answer {
	var leaves []merkle.Hash
	for i := 0; i+ChunkSize <= len(content); i += ChunkSize {
		leaves = append(leaves, merkle.Leaf(content[i:i+ChunkSize]))
	}
	var t merkle.Tree
	t.Reset(leaves)
	a := Answer{Chunk: [ChunkSize]byte(content[int(index)*ChunkSize:])}
	for _, h := range t.Path(int(index)) {
		a.Path = append(a.Path, chain.Hash(h))
	}
	return a
}
