package onion_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/sha512"
	"encoding/binary"
	"encoding/json"
	"os"
	"testing"

	"golang.org/x/crypto/poly1305" //nolint:staticcheck // the bare primitive is what the specification names
	"lukechampine.com/adiantum"
)

// TestSpec peels the vectors by a second hand: the steps of docs/spec/onion.md
// as they are written there, with the standard library's X25519, with numbers
// instead of names and with nothing of the package.
func TestSpec(t *testing.T) {
	for _, file := range []string{"forward-small", "forward-large", "reply-small"} {
		b, err := os.ReadFile("testdata/" + file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var v vector
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		var packet []byte
		packet, _, _ = v.send(t)
		for i, n := range v.Nodes {
			if !bytes.Equal(packet[:434], v.Layers[i].Header) {
				t.Fatalf("%s, layer %d: another header", file, i)
			}
			private, err := ecdh.X25519().NewPrivateKey(n.Private)
			if err != nil {
				t.Fatal(err)
			}
			ephemeral, err := ecdh.X25519().NewPublicKey(packet[2:34])
			if err != nil {
				t.Fatal(err)
			}
			shared, err := private.ECDH(ephemeral)
			if err != nil {
				t.Fatal(err)
			}
			var keys []byte
			for counter := range 2 {
				in := append([]byte("tunic/onion/1"), byte(counter+1))
				in = append(append(in, shared...), v.Genesis[:]...)
				in = binary.BigEndian.AppendUint64(in, uint64(n.FirstEpoch))
				in = append(append(in, n.Public...), packet[2:34]...)
				sum := sha512.Sum512(in)
				keys = append(keys, sum[:]...)
			}
			if !bytes.Equal(keys[96:112], v.Layers[i].Tag) {
				t.Fatalf("%s, layer %d: another tag", file, i)
			}
			var mac [16]byte
			poly1305.Sum(&mac, append(bytes.Clone(packet[:34]), packet[50:434]...), (*[32]byte)(keys))
			if !bytes.Equal(mac[:], packet[34:50]) {
				t.Fatalf("%s, layer %d: another MAC", file, i)
			}
			block, _ := aes.NewCipher(keys[32:64])
			routing := append(bytes.Clone(packet[50:434]), make([]byte, 64)...)
			cipher.NewCTR(block, make([]byte, 16)).XORKeyStream(routing, routing)
			next := append([]byte{packet[0], routing[1]}, routing[16:64]...)
			next = append(next, routing[64:]...)
			packet = append(next, adiantum.New(keys[64:96]).Decrypt(packet[434:], nil)...)
		}
		if v.SURB == nil && !bytes.Equal(packet[434+36:][:len(v.Message)], v.Message) {
			t.Fatalf("%s: another message", file)
		}
	}
}
