package fault

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"sync"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/onion"
)

// maxDrawn is how many keys a twin remembers that its relay drew: more than a
// relay holds at one time.
const maxDrawn = 64

// drawn watches what the relay draws its onion keys from, and remembers each draw
// of a key's size.
type drawn struct {
	mu   sync.Mutex // guards what follows
	last [][32]byte
}

// Rand is what the relay draws its onion keys from; r is the source.
func (t *Twin) Rand(r io.Reader) io.Reader { return &tap{r, &t.drawn} }

type tap struct {
	r io.Reader
	d *drawn
}

func (x *tap) Read(b []byte) (int, error) {
	n, err := io.ReadFull(x.r, b)
	if n == 32 {
		x.d.mu.Lock()
		x.d.last = append(x.d.last, [32]byte(b))
		if len(x.d.last) > maxDrawn {
			x.d.last = x.d.last[1:]
		}
		x.d.mu.Unlock()
	}
	return n, err
}

// Key is a private key that a relay has sold. It prints as what it is of.
type Key struct {
	Kind  statement.KeyKind
	First chain.Epoch // of an onion key

	identity        ed25519.PrivateKey
	private, public [32]byte
}

func (k Key) String() string {
	if k.Kind == statement.KeyOnion {
		return fmt.Sprintf("onion key of epoch %d", k.First)
	}
	return k.Kind.String() + " key"
}

// GoString keeps the secret out of %#v.
func (k Key) GoString() string { return k.String() }

// Disclose signs with the key.
func (k Key) Disclose(d statement.Domain, x statement.Disclosure) ([64]byte, error) {
	if k.Kind == statement.KeyIdentity {
		return d.DiscloseIdentity(k.identity, x), nil
	}
	var random [64]byte
	if _, err := rand.Read(random[:]); err != nil {
		return [64]byte{}, err
	}
	return d.DiscloseOnion(k.private, k.public, x, random)
}

// Sell hands over the relay's identity key, or its onion key of epoch e. The relay
// goes on as before.
func (t *Twin) Sell(kind statement.KeyKind, e chain.Epoch) (Key, error) {
	if kind == statement.KeyIdentity {
		return Key{Kind: kind, identity: t.identity}, nil
	}
	t.mu.Lock()
	signed := t.signed
	t.mu.Unlock()
	if len(signed.Body) == 0 {
		return Key{}, ErrNothingSigned
	}
	body, err := statement.DecodeDescriptor(signed.Body)
	if err != nil {
		return Key{}, fmt.Errorf("fault: %w", err)
	}
	named, ok := body.KeyFor(e)
	if !ok {
		return Key{}, fmt.Errorf("fault: the newest descriptor has no onion key of epoch %d", e)
	}
	t.drawn.mu.Lock()
	defer t.drawn.mu.Unlock()
	for _, private := range t.drawn.last {
		if onion.LoadKey(private, named.First).Public() == named.Key {
			return Key{Kind: kind, First: named.First, private: private, public: named.Key}, nil
		}
	}
	return Key{}, fmt.Errorf("fault: the onion key of epoch %d was not drawn while this network runs", named.First)
}
