package node

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"

	"tunic/chain"
	"tunic/internal/durable"
	"tunic/relay"
	"tunic/relay/mailbox"
)

// DBDir is the folder of the database in a ledger's folder.
func DBDir(dir string) string { return filepath.Join(dir, ledgerDB) }

// RelayKeyFile is the name of the file with a node's keys in a relay's folder.
const RelayKeyFile = relay.KeyFile

// RelayKeys are the public halves of the keys in a relay's folder, and what its
// operator's registration needs of the private ones.
type RelayKeys struct {
	ID   chain.NodeID
	VRF  [32]byte
	keys relay.Keys
}

// CreateRelayKeys reads the keys in dir or makes them there; created says which.
func CreateRelayKeys(dir string) (k RelayKeys, created bool, err error) {
	keys, created, err := relay.LoadOrCreateKeys(dir, rand.Reader)
	if err != nil {
		return k, false, err
	}
	return RelayKeys{keys.ID(), keys.VRFPublic(), keys}, created, nil
}

// LoadRelayKeys reads the keys in dir; fs.ErrNotExist where there are none.
func LoadRelayKeys(dir string) (RelayKeys, error) {
	keys, err := relay.LoadKeys(dir)
	if err != nil {
		return RelayKeys{}, err
	}
	return RelayKeys{keys.ID(), keys.VRFPublic(), keys}, nil
}

// Register signs for operator: the node's signature and its VRF proof.
func (k RelayKeys) Register(genesis chain.Hash, operator chain.Address) (signature, proof []byte) {
	sig, vrf := k.keys.Registration(genesis, operator)
	return sig[:], vrf[:]
}

// Identity is the node's key, for what votes with it.
func (k RelayKeys) Identity() ed25519.PrivateKey { return k.keys.Identity }

// DeriveKeys are a node's keys out of a seed, for networks that are made again: who
// knows the seed has them. They are written into dir, where none may be.
func DeriveKeys(dir string, seed [64]byte) (RelayKeys, error) {
	keys, created, err := relay.LoadOrCreateKeys(dir, bytes.NewReader(seed[:]))
	if err == nil && !created {
		err = fmt.Errorf("%w: there are keys in %s", ErrExists, dir)
	}
	if err != nil {
		return RelayKeys{}, err
	}
	return RelayKeys{keys.ID(), keys.VRFPublic(), keys}, nil
}

// ErrMailDamaged means that a relay's mailboxes are damaged on disk: RepairRelay
// keeps what can be read.
var ErrMailDamaged = mailbox.ErrDamaged

// RepairRelay rebuilds the mailboxes in a relay's folder from what can be read.
// No relay may run there.
func RepairRelay(dir string) error {
	unlock, err := durable.Lock(dir)
	if err != nil {
		return fmt.Errorf("repair relay: %w", err)
	}
	defer unlock()
	mail := filepath.Join(dir, relay.MailFolder)
	if _, err := os.Stat(mail); err != nil {
		return fmt.Errorf("repair relay: no mailboxes in %s; a relay makes them when it is first run", dir)
	}
	return mailbox.Repair(mail)
}
