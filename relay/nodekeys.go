package relay

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/statement"
	"tunic/internal/durable"
)

// KeyFile is the name of the file with a node's two long-lived keys.
const KeyFile = "node.key"

// Keys are a node's long-lived keys.
type Keys struct {
	Identity ed25519.PrivateKey
	VRF      [32]byte // seed
}

// ID is the node id.
func (k Keys) ID() chain.NodeID { return chain.NodeID(k.Identity.Public().(ed25519.PublicKey)) }

// VRFPublic is the VRF key that a registration names.
func (k Keys) VRFPublic() [32]byte { return beacon.NewKey(k.VRF).Public() }

// Registration is what an operator's register transaction needs of the node:
// its signature and its VRF proof, both over the operator.
func (k Keys) Registration(genesis chain.Hash, operator chain.Address) (sig [64]byte, proof [beacon.ProofSize]byte) {
	d := statement.Domain{Genesis: genesis}
	sig = d.SignRaw(k.Identity, statement.LabelRegistration, statement.RegistrationBody(operator, k.VRFPublic()))
	return sig, beacon.NewKey(k.VRF).Prove(beacon.RegistrationAlpha(genesis, operator))
}

// NewKeys draws keys; it reads 64 bytes.
func NewKeys(rand io.Reader) (Keys, error) {
	var seeds [64]byte
	if _, err := io.ReadFull(rand, seeds[:]); err != nil {
		return Keys{}, fmt.Errorf("draw node keys: %w", err)
	}
	defer clear(seeds[:])
	return Keys{Identity: ed25519.NewKeyFromSeed(seeds[:32]), VRF: [32]byte(seeds[32:])}, nil
}

const keyFileHead = "tunic node key 1\n"

// Encode is the key file's text: the two seeds, and the public keys that they
// give, so that a damaged file is not another node's.
func (k Keys) Encode() []byte {
	vrf := k.VRFPublic()
	return fmt.Appendf(nil, "%sidentity %x\nvrf %x\nnode %s\nvrf-key %x\n", keyFileHead, k.Identity.Seed(), k.VRF[:], k.ID(), vrf[:])
}

// DecodeKeys reads a key file's text; ErrKeyFile for anything that Encode does
// not write.
func DecodeKeys(b []byte) (Keys, error) {
	var k Keys
	fields := bytes.Fields(b)
	if len(fields) == 12 && len(fields[5]) == 64 && len(fields[7]) == 64 {
		seed := make([]byte, 32)
		_, err := hex.Decode(seed, fields[5])
		if _, err2 := hex.Decode(k.VRF[:], fields[7]); err == nil && err2 == nil {
			k.Identity = ed25519.NewKeyFromSeed(seed)
			if bytes.Equal(k.Encode(), b) {
				return k, nil
			}
		}
	}
	return Keys{}, fmt.Errorf("%w: %s is not a node key file", ErrKeyFile, KeyFile)
}

// LoadKeys reads the keys in dir.
func LoadKeys(dir string) (Keys, error) {
	b, err := durable.ReadFile(filepath.Join(dir, KeyFile), 4096)
	if err != nil {
		return Keys{}, fmt.Errorf("load node keys: %w", err)
	}
	return DecodeKeys(b)
}

// LoadOrCreateKeys reads the keys in dir, or draws them and writes them there,
// readable by the owner alone; created says which. An existing file is never
// replaced.
func LoadOrCreateKeys(dir string, rand io.Reader) (k Keys, created bool, err error) {
	k, err = LoadKeys(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, false, err
	}
	if err := durable.MkdirAll(dir); err != nil {
		return Keys{}, false, err
	}
	if k, err = NewKeys(rand); err != nil {
		return Keys{}, false, err
	}
	err = durable.CreateFile(filepath.Join(dir, KeyFile), k.Encode(), 0o600)
	return k, err == nil, err
}
