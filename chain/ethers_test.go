package chain_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/internal/testenv"
)

const ethersVectors = "testdata/ethers/vectors.json"

type ethersVector struct {
	PrimaryType string                         `json:"primaryType"`
	Types       map[string][]chain.SchemaField `json:"types"`
	Domain      struct {
		Name    string     `json:"name"`
		Version string     `json:"version"`
		ChainID string     `json:"chainId"`
		Salt    chain.Hash `json:"salt"`
	} `json:"domain"`
	Message   json.RawMessage `json:"message"`
	Address   chain.Address   `json:"address"`
	Digest    chain.Hash      `json:"digest"`
	Signature string          `json:"signature"`
}

// Signatures made by ethers are the accounts' own here, and nobody's if a byte
// is changed.
func TestEthersSignatures(t *testing.T) {
	b, err := os.ReadFile(ethersVectors)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []ethersVector `json:"vectors"`
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) < 5 {
		t.Fatalf("%d vectors", len(file.Vectors))
	}
	for i, v := range file.Vectors {
		t.Run(strconv.Itoa(i)+" "+v.PrimaryType, func(t *testing.T) { checkEthers(t, v) })
	}
}

func checkEthers(t *testing.T, v ethersVector) {
	s := map[string]*chain.Schema{"Transfer": transferType.Schema(), "Register": registerType.Schema()}[v.PrimaryType]
	if !reflect.DeepEqual(v.Types[v.PrimaryType], s.Fields) {
		t.Fatalf("the vector's type is %v, ours %v", v.Types, s.Fields)
	}
	if v.Domain.Name != chain.DomainName || v.Domain.Version != chain.DomainVersion {
		t.Fatalf("the vector's domain is %s %s", v.Domain.Name, v.Domain.Version)
	}
	id, err := strconv.ParseUint(v.Domain.ChainID, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	d := chain.NewDomain(id, v.Domain.Salt)
	payload, err := s.UnmarshalMessage(v.Message)
	if err != nil {
		t.Fatal(err)
	}
	if digest, err := d.Digest(s, payload); err != nil || digest != v.Digest {
		t.Fatalf("digest %s %v, ethers says %s", digest, err, v.Digest)
	}
	raw, err := hex.DecodeString(strings.TrimPrefix(v.Signature, "0x"))
	if err != nil || len(raw) != chain.SignatureSize {
		t.Fatalf("signature %s: %v", v.Signature, err)
	}
	tx := chain.Tx{Kind: s.Kind, Payload: payload, Sig: [65]byte(raw)}
	if _, err := d.Sender(s, tx); err == nil {
		t.Error("a recovery byte of 27 or 28 is accepted on the wire")
	}
	tx.Sig[64] -= 27
	if a, err := d.Sender(s, tx); err != nil || a != v.Address {
		t.Fatalf("sender %s %v, ethers signed for %s", a, err, v.Address)
	}
	enc := tx.Encode()
	if back, err := chain.DecodeTx(enc); err != nil || back.ID() != tx.ID() {
		t.Fatalf("the transaction does not survive its encoding: %v", err)
	}
	// Every byte of the transaction counts, whatever the change.
	for i := range enc {
		for _, x := range []byte{1, 0x80, 0xff} {
			bad := bytes.Clone(enc)
			bad[i] ^= x
			got, err := chain.DecodeTx(bad)
			if err != nil || got.Kind != s.Kind {
				continue // another kind has another type, see TestSender
			}
			if a, err := d.Sender(s, got); err == nil && a == v.Address {
				t.Errorf("byte %d changed: still a transaction of %s", i, a)
			}
		}
	}
}

// The committed vectors are what the script prints.
func TestEthersVectorsAreCurrent(t *testing.T) {
	testenv.Need(t, "node")
	testenv.NeedFile(t, "../node_modules/ethers", "run npm ci")
	out, err := exec.Command("node", "testdata/ethers/make.mjs").Output()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(ethersVectors)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out, want) {
		t.Errorf("%s is not what testdata/ethers/make.mjs prints", ethersVectors)
	}
}
