package client

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/client/ratchet"
	"tunic/internal/wire"
	"tunic/onion/mail"
)

// pairBox is one mailbox of a pair: one direction in one bucket. Both accounts
// can derive both keys; who the direction names as sender writes.
type pairBox struct {
	id       mail.ID
	read     ed25519.PrivateKey
	write    ed25519.PrivateKey
	readHash [32]byte
}

// newPairBox derives the mailbox from the pair's secret.
func newPairBox(seed, genesis [32]byte, from, to mail.AccountID, bucket uint64) pairBox {
	info := wire.AppendString(nil, "tunic pair mailbox 1")
	info = append(info, from[:]...)
	info = append(info, to[:]...)
	info = wire.AppendUint64(info, bucket)
	b, err := hkdf.Key(sha256.New, seed[:], genesis[:], string(info), 64)
	if err != nil {
		panic("client: internal error: " + err.Error())
	}
	defer clear(b)
	p := pairBox{read: ed25519.NewKeyFromSeed(b[:32]), write: ed25519.NewKeyFromSeed(b[32:])}
	p.readHash = mail.KeyHash(p.readKey())
	p.id = mail.PairMailbox(p.readHash, p.writeKey())
	return p
}

func (p pairBox) readKey() [32]byte  { return [32]byte(p.read.Public().(ed25519.PublicKey)) }
func (p pairBox) writeKey() [32]byte { return [32]byte(p.write.Public().(ed25519.PublicKey)) }

// bucketSpan is how long all pairs use one mailbox, rounded up to an epoch.
const bucketSpan = 24 * genesis.Hour

// bucketOf is the bucket of an epoch: the same for all pairs, so that all
// rotate at once.
func bucketOf(core *genesis.Core, e chain.Epoch) uint64 {
	per := max(1, uint64(bucketSpan)/uint64(core.Params.EpochLength))
	return uint64(e) / per
}

// buckets are those that may still hold mail under a secret of that age, the
// newest first. Two epochs make up for clocks that differ.
func buckets(core *genesis.Core, epoch chain.Epoch, now, created chain.Time) []uint64 {
	from := created
	if ttl := chain.Time(core.Params.MailboxTTL); now > ttl {
		from = max(from, now-ttl)
	}
	first := core.EpochAt(from)
	first -= min(first, 2)
	high := bucketOf(core, epoch)
	var out []uint64
	for b := high; ; b-- {
		out = append(out, b)
		if b <= bucketOf(core, first) || b == 0 || len(out) == maxBuckets {
			return out
		}
	}
}

// maxBuckets bounds what is polled for one secret: 14 days of mailbox life.
const maxBuckets = 16

// preferred is the secret to write under: where both sides began, the one of
// the lower account, so that both come to use one.
func (c *Client) preferred(r *contactRecord) *secretRecord {
	if r.Mine == nil || r.Theirs == nil {
		if r.Mine != nil {
			return r.Mine
		}
		return r.Theirs
	}
	if self := c.cfg.Account.id; bytes.Compare(self[:], r.ID[:]) < 0 {
		return r.Mine
	}
	return r.Theirs
}

func (r *contactRecord) secrets() []*secretRecord {
	var out []*secretRecord
	for _, s := range []*secretRecord{r.Mine, r.Theirs} {
		if s != nil {
			out = append(out, s)
		}
	}
	return out
}

func (r *contactRecord) secret(seed key32) *secretRecord {
	for _, s := range r.secrets() {
		if s.Seed == seed {
			return s
		}
	}
	return nil
}

// newSecret begins a session under seed.
func (c *Client) newSecret(r *contactRecord, seed key32, created chain.Time) (*secretRecord, error) {
	peer := ratchet.Peer{Account: r.ID, Ed: r.Ed, X: r.X}
	s, err := ratchet.New(c.cfg.Account.keys(), c.format.Item(), c.cfg.Genesis, peer, seed)
	if err != nil {
		return nil, err
	}
	return &secretRecord{Seed: seed, Created: created, Session: s.State()}, nil
}
