package statement_test

import (
	"bytes"
	"errors"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/merkle"
	"tunic/internal/wire"
)

func itemOf(chunks int) ([]byte, statement.Receipt) {
	content := make([]byte, chunks*statement.ChunkSize)
	var leaves []merkle.Hash
	for i := range chunks {
		for j := range statement.ChunkSize {
			content[i*statement.ChunkSize+j] = byte(7*i + j)
		}
		leaves = append(leaves, merkle.Leaf(content[i*statement.ChunkSize:(i+1)*statement.ChunkSize]))
	}
	return content, statement.Receipt{Chunks: chain.Hash(merkle.Root(leaves)), Class: uint8(chunks), Deleter: statement.DeleterOf([32]byte{9})}
}

// Of an item of any size each chunk has an answer, which shows that chunk and no
// other.
func TestAnswers(t *testing.T) {
	for _, chunks := range []int{1, 2, 3, 5, 125, 255} {
		content, x := itemOf(chunks)
		for i := range chunks {
			a := statement.AnswerOf(content, uint8(i))
			a.Challenge, a.Height = chain.Hash{1}, 8
			back, err := statement.DecodeAnswer(a.Encode())
			if err != nil || !bytes.Equal(back.Encode(), a.Encode()) {
				t.Fatalf("chunk %d of %d: %v", i, chunks, err)
			}
			for j := range chunks {
				if back.Shows(x, uint8(j)) != (i == j) {
					t.Fatalf("the answer with chunk %d of %d shows chunk %d: %v", i, chunks, j, i != j)
				}
			}
			back.Chunk[3] ^= 1
			if back.Shows(x, uint8(i)) {
				t.Fatal("a changed chunk is shown")
			}
		}
	}
	_, x := itemOf(5)
	if !(statement.Answer{Token: &[32]byte{9}}).Shows(x, 200) || (statement.Answer{Token: &[32]byte{8}}).Shows(x, 0) {
		t.Error("the token does not decide")
	}
}

func TestAnswerBytes(t *testing.T) {
	content, _ := itemOf(5)
	for _, a := range []statement.Answer{statement.AnswerOf(content, 2), {Token: &[32]byte{1}}} {
		b := a.Encode()
		for i := range b {
			if _, err := statement.DecodeAnswer(b[:i]); !errors.Is(err, statement.ErrMalformed) {
				t.Fatalf("cut to %d bytes: %v", i, err)
			}
		}
		if _, err := statement.DecodeAnswer(append(b, 0)); !errors.Is(err, wire.ErrTrailing) {
			t.Fatal(err)
		}
	}
	long := statement.Answer{Path: make([]chain.Hash, statement.MaxPath+1)}
	if _, err := statement.DecodeAnswer(long.Encode()); !errors.Is(err, statement.ErrMalformed) {
		t.Fatal(err)
	}
}
