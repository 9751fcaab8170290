// Package mail is the formats that a client and a mailbox member exchange
// inside onion packets: store, contact request, bundle, poll, delete, head, and
// their replies. It implements docs/spec/mail.md.
//
// Most callers build one of the command types, Sign it where it has a key, and
// Encode it together with its reply blocks; a member decodes with Decode. All
// commands of one kind have one size. Mailbox ids and commands stand only in a
// packet's payload, never in a header.
package mail

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/merkle"
	"tunic/internal/wire"
	"tunic/onion"
)

// ID names a mailbox. Its first 8 bytes choose the swarm.
type ID [32]byte

// AccountID names a messenger account: a hash of its two identity keys.
type AccountID [32]byte

// Kind tells the two kinds of mailboxes apart.
type Kind uint8

// The kinds: a pair's mailbox has a write key, an account's takes contact
// requests from anyone who pays with work.
const (
	KindPair    Kind = 1
	KindAccount Kind = 2
)

// Sizes that all geometries have in common, in bytes.
const (
	Chunk       = statement.ChunkSize
	RequestSize = 1472 // content of a contact request
	PollReplies = 3    // reply blocks of one poll, all always used
	MaxBundle   = 1500
	MaxTx       = 1500 // a transaction to submit
)

var (
	// ErrMalformed means that bytes are no canonical command, reply or bundle.
	ErrMalformed = errors.New("mail: malformed")
	// ErrSignature means that a command or bundle is not signed by its key.
	ErrSignature = errors.New("mail: invalid signature")
	// ErrWork means that a contact request carries too little work.
	ErrWork = errors.New("mail: not enough work")
)

// NewAccountID is the account of an Ed25519 and an X25519 identity key.
func NewAccountID(ed, x [32]byte) AccountID {
	return AccountID(chain.SHA256([]byte("tunic account"), ed[:], x[:]))
}

// PairMailbox is SHA-256(label, kind, H(read key), H(write key)).
func PairMailbox(readHash [32]byte, write [32]byte) ID {
	w := sha256.Sum256(write[:])
	return ID(chain.SHA256([]byte("tunic mailbox"), []byte{byte(KindPair)}, readHash[:], w[:]))
}

// AccountMailbox is the mailbox of an account. The account id stands where a
// pair's mailbox has H(read key): it is a hash of the key that may read, and it
// is all that a stranger knows. There is no write key.
func AccountMailbox(a AccountID) ID {
	var none [32]byte
	return ID(chain.SHA256([]byte("tunic mailbox"), []byte{byte(KindAccount)}, a[:], none[:]))
}

// KeyHash is H(key) in a mailbox id.
func KeyHash(key [32]byte) [32]byte { return sha256.Sum256(key[:]) }

// Deleter is what a receipt carries for a deletion token.
func Deleter(token [32]byte) chain.Hash { return statement.DeleterOf(token) }

// ChunkRoot is the RFC 6962 root over the 256-byte chunks of content, whose
// size is a multiple of Chunk.
func ChunkRoot(content []byte) chain.Hash {
	return merkle.RootOf(len(content)/Chunk, func(i int) merkle.Hash { return merkle.Leaf(content[i*Chunk:][:Chunk]) })
}

// Op numbers the commands.
type Op uint8

// The commands.
const (
	OpStore     Op = 1
	OpRequest   Op = 2
	OpPutBundle Op = 3
	OpGetBundle Op = 4
	OpPoll      Op = 5
	OpDelete    Op = 6
	OpHead      Op = 7
	OpSubmit    Op = 8
)

// Store puts an item into a pair's mailbox. Only who has the write key can.
type Store struct {
	ReadHash [32]byte // H(read key)
	Write    [32]byte // Ed25519
	Expiry   chain.Time
	Deleter  chain.Hash // Deleter(token); the token is inside the content, encrypted
	Content  []byte     // Format.Item bytes
	Sig      [64]byte
}

// Request puts a contact request into an account's mailbox.
type Request struct {
	Account AccountID
	Epoch   chain.Epoch
	Nonce   uint64 // found by Work
	Content []byte // RequestSize bytes
}

// PutBundle publishes an account's bundle.
type PutBundle struct{ Bundle []byte }

// GetBundle asks for a bundle of an account: for one that is handed out once, if
// the member has any, or for the last resort.
type GetBundle struct {
	Account AccountID
	Once    bool
}

// Poll asks for items after a cursor. For a pair's mailbox A is the read key
// and B the hash of the write key; for an account's, A and B are its identity
// keys (Ed25519, X25519). A signs.
type Poll struct {
	Kind   Kind
	A, B   [32]byte
	After  uint64       // the last cursor seen; 0 at first
	At     chain.Time   // when it was made
	Member chain.NodeID // whom it is for
	Sig    [64]byte
}

// Delete removes the item whose receipt carries Deleter(Token).
type Delete struct{ Token [32]byte }

// Head asks any relay for the newest sealed header that it knows, so that a
// client can compare it with what its own ledger says.
type Head struct{}

// Submit asks any relay to pass on a transaction to the ledger, so that the ledger
// does not see where it comes from.
type Submit struct{ Tx []byte } // at most MaxTx bytes

// Mailbox is the mailbox that the store is for.
func (s Store) Mailbox() ID { return PairMailbox(s.ReadHash, s.Write) }

// Root is the chunk root of the content, which stands for it in the signature,
// the item's id and the receipt: whoever needs several of them reads the content
// once.
func (s Store) Root() chain.Hash { return ChunkRoot(s.Content) }

// Item identifies the stored item: storing it again changes nothing.
func (s Store) Item() chain.Hash { return s.ItemOf(s.Root()) }

// ItemOf is Item for who has the content's root.
func (s Store) ItemOf(root chain.Hash) chain.Hash {
	return ItemID(s.Mailbox(), s.Deleter, root)
}

// ItemID names an item by its mailbox, deleter and the root of its content's chunks.
func ItemID(mailbox ID, deleter, root chain.Hash) chain.Hash {
	return chain.SHA256([]byte("tunic item"), mailbox[:], deleter[:], root[:])
}

// Mailbox is the mailbox that the poll is for.
func (p Poll) Mailbox() ID {
	if p.Kind == KindAccount {
		return AccountMailbox(NewAccountID(p.A, p.B))
	}
	w := p.B
	return ID(chain.SHA256([]byte("tunic mailbox"), []byte{byte(KindPair)}, hash(p.A), w[:]))
}

func hash(k [32]byte) []byte { h := sha256.Sum256(k[:]); return h[:] }

// appendFields is what stands before a store's content.
func (s Store) appendFields(b []byte) []byte {
	b = append(append(b, byte(OpStore)), s.ReadHash[:]...)
	b = append(b, s.Write[:]...)
	b = wire.AppendUint64(b, uint64(s.Expiry))
	return append(b, s.Deleter[:]...)
}

func (s Store) signed(root chain.Hash) []byte {
	return append(s.appendFields(make([]byte, 0, 1+4*32+8)), root[:]...)
}

func (p Poll) body() []byte {
	b := []byte{byte(OpPoll), byte(p.Kind)}
	b = append(b, p.A[:]...)
	b = append(b, p.B[:]...)
	b = wire.AppendUint64(b, p.After)
	b = wire.AppendUint64(b, uint64(p.At))
	return append(b, p.Member[:]...)
}

// signed is what a mailbox key signs: label, genesis, body.
func signed(label string, genesis chain.Hash, body []byte) []byte {
	b := wire.AppendString(make([]byte, 0, 4+len(label)+len(genesis)+len(body)), label)
	b = append(b, genesis[:]...)
	return append(b, body...)
}

const (
	labelStore  = "tunic mail store"
	labelPoll   = "tunic mail poll"
	labelBundle = "tunic mail bundle"
)

// Sign signs the store with the mailbox's write key.
func (s *Store) Sign(genesis chain.Hash, write ed25519.PrivateKey) {
	s.Sig = [64]byte(ed25519.Sign(write, signed(labelStore, genesis, s.signed(s.Root()))))
}

// Verify checks the write key's signature.
func (s Store) Verify(genesis chain.Hash) error { return s.VerifyRoot(genesis, s.Root()) }

// VerifyRoot is Verify for who has the content's root.
func (s Store) VerifyRoot(genesis, root chain.Hash) error {
	return verify(labelStore, genesis, s.Write, s.signed(root), s.Sig)
}

// Sign signs the poll with the key that may read.
func (p *Poll) Sign(genesis chain.Hash, read ed25519.PrivateKey) {
	p.Sig = [64]byte(ed25519.Sign(read, signed(labelPoll, genesis, p.body())))
}

// Verify checks the reader's signature.
func (p Poll) Verify(genesis chain.Hash) error {
	return verify(labelPoll, genesis, p.A, p.body(), p.Sig)
}

// Command is one decoded command with its reply blocks, whose encoding is the
// onion package's; exactly one of the pointers is set.
type Command struct {
	Store     *Store
	Request   *Request
	PutBundle *PutBundle
	GetBundle *GetBundle
	Poll      *Poll
	Delete    *Delete
	Head      *Head
	Submit    *Submit
	Replies   [][]byte // one, or PollReplies for a poll
}

// Encode is the canonical encoding: command, then the reply blocks.
func (c Command) Encode() []byte {
	var b []byte
	switch {
	case c.Store != nil:
		s := c.Store
		b = s.appendFields(make([]byte, 0, 169+len(s.Content)+len(c.Replies)*onion.SURBSize))
		b = append(append(b, s.Content...), s.Sig[:]...)
	case c.Request != nil:
		b = append([]byte{byte(OpRequest)}, c.Request.Account[:]...)
		b = wire.AppendUint64(b, uint64(c.Request.Epoch))
		b = wire.AppendUint64(b, c.Request.Nonce)
		b = append(b, c.Request.Content...)
	case c.PutBundle != nil:
		b = wire.AppendBytes([]byte{byte(OpPutBundle)}, c.PutBundle.Bundle)
	case c.GetBundle != nil:
		b = wire.AppendBool(append([]byte{byte(OpGetBundle)}, c.GetBundle.Account[:]...), c.GetBundle.Once)
	case c.Poll != nil:
		b = append(c.Poll.body(), c.Poll.Sig[:]...)
	case c.Delete != nil:
		b = append([]byte{byte(OpDelete)}, c.Delete.Token[:]...)
	case c.Head != nil:
		b = []byte{byte(OpHead)}
	case c.Submit != nil:
		b = wire.AppendBytes([]byte{byte(OpSubmit)}, c.Submit.Tx)
	}
	for _, r := range c.Replies {
		b = append(b, r...)
	}
	return b
}

// Decode reads one command. What it returns aliases b.
func (f Format) Decode(b []byte) (Command, error) {
	r := wire.NewReader(b)
	c, replies := f.readCommand(r, Op(r.Uint8()))
	for range replies {
		c.Replies = append(c.Replies, r.Fixed(f.SURB))
	}
	if err := r.Done(); err != nil {
		return Command{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return c, nil
}

// readCommand reads what stands between a command's number and its reply
// blocks, and says how many there are of these.
func (f Format) readCommand(r *wire.Reader, op Op) (c Command, replies int) {
	replies = 1
	switch op {
	case OpStore:
		s := &Store{}
		r.Copy(s.ReadHash[:])
		r.Copy(s.Write[:])
		s.Expiry = chain.Time(r.Uint64())
		r.Copy(s.Deleter[:])
		s.Content = r.Fixed(f.Item())
		r.Copy(s.Sig[:])
		c.Store = s
	case OpRequest:
		q := &Request{}
		r.Copy(q.Account[:])
		q.Epoch = chain.Epoch(r.Uint64())
		q.Nonce = r.Uint64()
		q.Content = r.Fixed(RequestSize)
		c.Request = q
	case OpPutBundle:
		c.PutBundle = &PutBundle{Bundle: r.Bytes(MaxBundle)}
	case OpGetBundle:
		c.GetBundle = &GetBundle{}
		r.Copy(c.GetBundle.Account[:])
		c.GetBundle.Once = r.Bool()
	case OpPoll:
		p := &Poll{Kind: Kind(r.Uint8())}
		if p.Kind != KindPair && p.Kind != KindAccount {
			r.Fail(ErrMalformed)
		}
		r.Copy(p.A[:])
		r.Copy(p.B[:])
		p.After = r.Uint64()
		p.At = chain.Time(r.Uint64())
		r.Copy(p.Member[:])
		r.Copy(p.Sig[:])
		c.Poll = p
		replies = PollReplies
	case OpDelete:
		c.Delete = &Delete{}
		r.Copy(c.Delete.Token[:])
	case OpHead:
		c.Head = &Head{}
	case OpSubmit:
		c.Submit = &Submit{Tx: r.Bytes(MaxTx)}
	default:
		r.Fail(fmt.Errorf("%w: command %d", ErrMalformed, op))
	}
	return c, replies
}
