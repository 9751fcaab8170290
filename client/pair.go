package client

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"

	"tunic/chain"
	"tunic/chain/genesis"
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

// pairName is what a mailbox that this account reads is derived from.
type pairName struct {
	seed   key32
	from   mail.AccountID
	bucket uint64
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

// bucketExpiry is when the items of a bucket expire: all at once, so that nothing of
// when an item was made, by whose clock, or how long it was to live shows. It is
// a mailbox TTL after the bucket's end, as long as readers ask for it.
func bucketExpiry(core *genesis.Core, bucket uint64, made chain.Time) chain.Time {
	p := &core.Params
	per := max(1, uint64(bucketSpan)/uint64(p.EpochLength))
	end := core.EpochStart(chain.Epoch((bucket+1)*per)) + chain.Time(p.MailboxTTL)
	return min(end, made+chain.Time(p.MailboxMost)) // what members take
}

// buckets are those that may still hold mail of a session of that age, the
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

// maxBuckets bounds what is polled for one session: 14 days of mailbox life.
const maxBuckets = 16
