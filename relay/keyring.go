package relay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/durable"
	"tunic/internal/wire"
	"tunic/onion"
)

const onionFile = "onion.keys"

// maxOnionKeys bounds the keys that a node holds at one time.
const maxOnionKeys = 16

// onionKey is a key pair and the epochs that the descriptor gives it.
type onionKey struct {
	*onion.Key
	last chain.Epoch
}

func (k onionKey) covers(e chain.Epoch) bool { return k.FirstEpoch() <= e && e <= k.last }

// keyring is the node's onion keys. One goroutine changes it; workers open
// headers with it.
type keyring struct {
	dir      string
	geometry onion.Geometry
	genesis  chain.Hash
	core     *genesis.Core
	offset   uint64 // of this node's periods, below the keys' life
	rand     io.Reader

	mu    sync.RWMutex // held for reading while a header is opened
	keys  []onionKey   // ascending by first epoch
	table *onion.Keys
}

// newKeyring loads the keys in dir, if there are any.
func newKeyring(dir string, core *genesis.Core, gen chain.Hash, id chain.NodeID, rand io.Reader) (*keyring, error) {
	k := &keyring{
		dir: dir, geometry: Geometry(*core), genesis: gen, core: core, rand: rand,
		offset: binary.BigEndian.Uint64(id[:8]) % uint64(core.Params.OnionKeyEpochs),
	}
	if dir != "" {
		b, err := durable.ReadFile(filepath.Join(dir, onionFile), 1<<16)
		switch {
		case err == nil:
			if err := k.decode(b); err != nil {
				return nil, err
			}
			clear(b)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("load onion keys: %w", err)
		}
	}
	return k, k.rebuild()
}

func (k *keyring) decode(b []byte) error {
	r := wire.NewReader(b)
	var of chain.Hash
	version := r.Uint8()
	r.Copy(of[:])
	for range r.Count(maxOnionKeys, 48) {
		first, last := chain.Epoch(r.Uint64()), chain.Epoch(r.Uint64())
		var private [32]byte
		r.Copy(private[:])
		k.keys = append(k.keys, onionKey{onion.LoadKey(private, first), last})
		clear(private[:])
	}
	if err := r.Done(); err != nil || version != 1 || of != k.genesis {
		return fmt.Errorf("%w: %s: version %d, genesis %s: %v", ErrKeyFile, onionFile, version, of, err)
	}
	return nil
}

func (k *keyring) save() error {
	if k.dir == "" {
		return nil
	}
	b := append([]byte{1}, k.genesis[:]...)
	b = wire.AppendUint32(b, uint32(len(k.keys)))
	for _, key := range k.keys {
		b = wire.AppendUint64(b, uint64(key.FirstEpoch()))
		b = wire.AppendUint64(b, uint64(key.last))
		private := key.Private()
		b = append(b, private[:]...)
		clear(private[:])
	}
	defer clear(b)
	if err := durable.WriteFile(filepath.Join(k.dir, onionFile), b, 0o600); err != nil {
		return fmt.Errorf("save onion keys: %w", err)
	}
	return nil
}

// rebuild makes the workers' table. Called by the owner, without mu.
func (k *keyring) rebuild() error {
	raw := make([]*onion.Key, len(k.keys))
	for i := range k.keys {
		raw[i] = k.keys[i].Key
	}
	t, err := onion.NewKeys(k.geometry, k.genesis, raw...)
	if err != nil {
		return fmt.Errorf("make key table: %w", err)
	}
	k.mu.Lock()
	k.table = t
	k.mu.Unlock()
	return nil
}

// open is onion.Keys.OpenHeader with the present keys.
func (k *keyring) open(packet []byte) (onion.Opened, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.table.OpenHeader(packet)
}

// periodEnd is the last epoch of the period that e lies in. Nodes' periods are
// staggered by node id, so that few keys change in one epoch.
func (k *keyring) periodEnd(e chain.Epoch) chain.Epoch {
	life := uint64(k.core.Params.OnionKeyEpochs)
	return e + chain.Epoch(life-1-(uint64(e)+life-k.offset)%life)
}

// cover makes sure that there are keys for epoch e and the next, saves them if
// they are new, and returns them as a descriptor names them.
func (k *keyring) cover(e chain.Epoch) ([]statement.OnionKey, error) {
	changed := false
	var out []statement.OnionKey
	for _, at := range []chain.Epoch{e, e + 1} {
		i := slices.IndexFunc(k.keys, func(key onionKey) bool { return key.covers(at) })
		if i < 0 {
			key, err := onion.NewKey(k.rand, at)
			if err != nil {
				return nil, fmt.Errorf("draw onion key: %w", err)
			}
			last := k.periodEnd(at)
			i = slices.IndexFunc(k.keys, func(key onionKey) bool { return key.FirstEpoch() > at })
			if i < 0 {
				i = len(k.keys)
			} else {
				last = min(last, k.keys[i].FirstEpoch()-1)
			}
			k.keys = slices.Insert(k.keys, i, onionKey{key, last})
			changed = true
		}
		key := statement.OnionKey{First: k.keys[i].FirstEpoch(), Last: k.keys[i].last, Key: k.keys[i].Public()}
		if len(out) == 0 || out[0] != key {
			out = append(out, key)
		}
	}
	if !changed {
		return out, nil
	}
	if err := k.save(); err != nil {
		return nil, err
	}
	return out, k.rebuild()
}

// grace is how long a key outlives its last epoch: twice the longest delay of a
// path, at least a minute, so that answers asked for in that epoch arrive, and
// at most an epoch, after which every packet has expired.
func grace(p *genesis.Params) chain.Duration {
	longest := chain.Duration(onion.MaxLayers) * maxDelay(p)
	return min(p.EpochLength, max(2*longest, genesis.Minute))
}

// maxDelay is the longest delay that a node grants a packet: ten times the
// mean, which an exponential delay exceeds once in 22,000 times.
func maxDelay(p *genesis.Params) chain.Duration { return max(10*p.MixingMean, genesis.Second) }

// retire destroys the keys whose grace is over and those that drop names, and
// returns their first epochs.
func (k *keyring) retire(now chain.Time, drop func(onionKey) bool) ([]chain.Epoch, error) {
	var gone []onionKey
	k.keys = slices.DeleteFunc(k.keys, func(key onionKey) bool {
		over := now >= k.core.EpochStart(key.last+1)+chain.Time(grace(&k.core.Params))
		if over || drop(key) {
			gone = append(gone, key)
			return true
		}
		return false
	})
	if len(gone) == 0 {
		return nil, nil
	}
	err := errors.Join(k.rebuild(), k.save())
	epochs := make([]chain.Epoch, len(gone))
	k.mu.Lock() // no worker is inside the former table
	for i, key := range gone {
		epochs[i] = key.FirstEpoch()
		key.Destroy()
	}
	k.mu.Unlock()
	return epochs, err
}

// epochs are the first epochs of the keys held.
func (k *keyring) epochs() []chain.Epoch {
	out := make([]chain.Epoch, len(k.keys))
	for i := range k.keys {
		out[i] = k.keys[i].FirstEpoch()
	}
	return out
}

// forget wipes the keys from memory when the relay stops.
func (k *keyring) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.table, _ = onion.NewKeys(k.geometry, k.genesis)
	for _, key := range k.keys {
		key.Destroy()
	}
	k.keys = nil
}
