package client

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"tunic/chain"
	"tunic/onion/mail"
	"tunic/registry/path"
)

// The kinds of rows in the store.
const (
	rowMeta     byte = 'm'
	rowContact  byte = 'c'
	rowOut      byte = 'o'
	rowIn       byte = 'i'
	rowFragment byte = 'f'
	rowCursor   byte = 'p'
	rowDelete   byte = 'd'
	rowPrekey   byte = 'k'
	rowSeen     byte = 's'
	rowRefused  byte = 'r'
)

// key32 is 32 bytes that JSON carries as hex.
type key32 [32]byte

func (k key32) MarshalText() ([]byte, error)  { return hex.AppendEncode(nil, k[:]), nil }
func (k *key32) UnmarshalText(b []byte) error { return unhex(k[:], b) }

// metaRecord is what there is once.
type metaRecord struct {
	Version int
	Guards  path.Guards
	Since   chain.Time // this state began; 0: not settled yet
	Serial  uint64     // of the newest bundle
	// Elsewhere is when a later state of the account began, on another device or in
	// another folder; 0: none is known of.
	Elsewhere chain.Time `json:",omitempty"`
	Halt      [][]byte   // the two sealed headers that halted the client
}

const recordVersion = 2

// sessionRecord is one session with a contact.
type sessionRecord struct {
	Seed    key32      // of the pair's mailboxes; it names the session
	Created chain.Time // here
	Sent    chain.Time // of the contact request that began it
	Since   chain.Time // when the contact's state began that has the other half
	State   []byte     // of the ratchet
	Request []byte     // content of our contact request; nil where the contact began
	Work    uint8      // bits that it must carry
	Once    bool       // it was made with a prekey that was handed out once
	Took    bool       // a member took the request
	Member  chain.NodeID

	asked int // how often a member took it, so that the next takes it then
}

// contactRecord is one contact.
type contactRecord struct {
	ID       key32
	Name     string
	Note     string // of its contact request
	OwnNote  string `json:",omitempty"` // of ours
	State    uint8
	Known    bool // Ed and X are known
	Ed, X    key32
	Sessions []*sessionRecord // that to write under first
	Since    chain.Time       // when its state began, says its newest contact request
	Sent     chain.Time       // of that request
	Anew     chain.Time       // it began anew, seen here; 0: never
	Told     chain.Time       `json:",omitempty"` // the Anew that the user was told of
	Verified chain.Time       `json:",omitempty"` // the safety number was compared; 0: it was not
	Renew    bool             // a new session is to be begun
	Renewed  chain.Time       // when that was decided last
	Timer    uint32           // seconds after which texts disappear, once read
	TimerSet chain.Time       // when that was set, here or there

	look  bool // at what it publishes: it may have begun anew
	tries int  // fruitless ones of beginning it
	due   time.Time
}

// outRecord is one outgoing message or confirmation.
type outRecord struct {
	Kind    kind
	ID      MessageID // a confirmation's is that of the message confirmed
	Contact key32
	Seed    key32   // notice: of the session under which the message came
	Bucket  *uint64 `json:",omitempty"` // notice: that the message came in; nil: the present one
	Text    string
	Sent    chain.Time
	Expiry  chain.Time
	State   uint8
	Reason  string
	Parts   int
	Timer   uint32     `json:",omitempty"`
	Life    uint32     `json:",omitempty"` // seconds from Sent to Expiry where the text says so; 0: it does not
	Read    chain.Time `json:",omitempty"` // says the contact
	Vanish  chain.Time `json:",omitempty"`
	Gone    bool       `json:",omitempty"` // the text has disappeared
	Items   []outItem  // nil until sealed, and when no longer needed

	tries  int // fruitless rounds since the last progress
	rounds int // times that all parts were stored
	stores int // commands that left to store a part
	due    time.Time
}

// outItem is one part: the same bytes each time that it is stored, in the same
// mailbox.
type outItem struct {
	Seed    key32
	Token   key32
	Content []byte
	Bucket  *uint64  `json:",omitempty"` // of its mailbox; nil until it was to be stored
	Signed  []signed `json:",omitempty"` // by members that are listed; replaced, never changed
	Done    bool     // a member shows that the recipient has deleted it
}

// signed is a member's receipt.
type signed struct {
	Member  chain.NodeID
	Receipt []byte // the encoded statement
}

// by reports whether a member has signed for the item.
func (it *outItem) by(member chain.NodeID) bool {
	return slices.ContainsFunc(it.Signed, func(s signed) bool { return s.Member == member })
}

type inRecord struct {
	ID       MessageID
	Contact  key32
	Text     string
	Sent     chain.Time
	Received chain.Time
	Order    uint64
	Timer    uint32     `json:",omitempty"`
	Read     chain.Time `json:",omitempty"`
	Vanish   chain.Time `json:",omitempty"`
	Gone     bool       `json:",omitempty"` // the text has disappeared
	Seed     key32      `json:",omitzero"`  // of the session under which it came, and the bucket that it came in
	Bucket   uint64     `json:",omitzero"`

	confirmed int       // how often, so that each goes to another member
	lately    time.Time // when it was confirmed last
}

// fragmentRecord collects the parts of a message.
type fragmentRecord struct {
	ID      MessageID
	Contact key32
	Seed    key32
	Sent    chain.Time
	Since   chain.Time
	Parts   uint16
	Timer   uint32
	Life    uint32 `json:",omitempty"`
	Have    map[uint16]string
}

type deleteRecord struct {
	Token   key32
	Member  chain.NodeID // that showed the item
	Mailbox key32        // that it was in
	Until   chain.Time

	tries int
	due   time.Time
}

// seenRecord is an item that was opened: the ratchet opens none twice.
type seenRecord struct {
	Contact key32
	Seed    key32
	Kind    kind
	ID      MessageID
	Token   key32
	Until   chain.Time
}

type outKey struct {
	kind kind
	id   MessageID
	to   mail.AccountID
}

type inKey struct {
	from mail.AccountID
	id   MessageID
}

type cursorKey struct {
	mailbox mail.ID
	member  chain.NodeID
}

func (o *outRecord) key() outKey { return outKey{o.Kind, o.ID, mail.AccountID(o.Contact)} }

func encodeRow(kind byte, name string, v any) row {
	b, err := json.Marshal(v)
	if err != nil {
		panic("client: internal error: " + err.Error())
	}
	return row{kind, name, b}
}

func (m *metaRecord) row() row     { return encodeRow(rowMeta, "", m) }
func (r *contactRecord) row() row  { return encodeRow(rowContact, string(r.ID[:]), r) }
func (o *outRecord) row() row      { return encodeRow(rowOut, o.name(), o) }
func (o *outRecord) gone() row     { return row{rowOut, o.name(), nil} }
func (r *inRecord) row() row       { return encodeRow(rowIn, inName(r.Contact, r.ID), r) }
func (r *inRecord) gone() row      { return row{rowIn, inName(r.Contact, r.ID), nil} }
func (r *fragmentRecord) row() row { return encodeRow(rowFragment, inName(r.Contact, r.ID), r) }
func (r *fragmentRecord) gone() row {
	return row{rowFragment, inName(r.Contact, r.ID), nil}
}
func (r *deleteRecord) row() row  { return encodeRow(rowDelete, string(r.Token[:]), r) }
func (r *deleteRecord) gone() row { return row{rowDelete, string(r.Token[:]), nil} }

func (k seenKey) row(r *seenRecord) row { return encodeRow(rowSeen, string(k[:]), r) }
func (k seenKey) gone() row             { return row{rowSeen, string(k[:]), nil} }

func (o *outRecord) name() string {
	return string(append(append([]byte{byte(o.Kind)}, o.ID[:]...), o.Contact[:]...))
}

func inName(from key32, id MessageID) string { return string(from[:]) + string(id[:]) }

func (k cursorKey) row(at uint64) row {
	return row{rowCursor, string(k.mailbox[:]) + string(k.member[:]), binary.BigEndian.AppendUint64(nil, at)}
}

func (k cursorKey) gone() row { r := k.row(0); r.value = nil; return r }

// state is all that a client knows and keeps. Its owner's mutex guards it.
type state struct {
	meta      metaRecord
	contacts  map[mail.AccountID]*contactRecord
	out       map[outKey]*outRecord
	in        map[inKey]*inRecord
	fragments map[inKey]*fragmentRecord
	cursors   map[cursorKey]uint64
	deletes   map[[32]byte]*deleteRecord
	prekeys   map[uint64]*prekeyRecord // by serial
	seen      map[seenKey]*seenRecord
	refused   map[mail.AccountID]*refusedRecord
	order     uint64 // of the newest message received
	kept      map[mail.AccountID]kept
}

func newState() state {
	return state{
		meta:      metaRecord{Version: recordVersion},
		contacts:  map[mail.AccountID]*contactRecord{},
		out:       map[outKey]*outRecord{},
		in:        map[inKey]*inRecord{},
		fragments: map[inKey]*fragmentRecord{},
		cursors:   map[cursorKey]uint64{},
		deletes:   map[[32]byte]*deleteRecord{},
		prekeys:   map[uint64]*prekeyRecord{},
		seen:      map[seenKey]*seenRecord{},
		refused:   map[mail.AccountID]*refusedRecord{},
		kept:      map[mail.AccountID]kept{},
	}
}

// load fills an empty state from rows.
func (s *state) load(rows []row) error {
	for _, r := range rows {
		if err := s.loadRow(r); err != nil {
			return fmt.Errorf("%w: row of kind %q: %v", ErrStore, r.kind, err)
		}
	}
	if s.meta.Version != recordVersion {
		return fmt.Errorf("%w: version %d, this program writes %d; move the folder away: the account comes back from its mnemonic", ErrStore, s.meta.Version, recordVersion)
	}
	return nil
}

func (s *state) loadRow(r row) error {
	switch r.kind {
	case rowMeta:
		return json.Unmarshal(r.value, &s.meta)
	case rowContact:
		v := &contactRecord{}
		s.contacts[mail.AccountID([]byte(r.name))] = v
		return json.Unmarshal(r.value, v)
	case rowOut:
		v := &outRecord{}
		err := json.Unmarshal(r.value, v)
		s.out[v.key()] = v
		return err
	case rowIn:
		v := &inRecord{}
		err := json.Unmarshal(r.value, v)
		s.keepLocked(v)
		s.order = max(s.order, v.Order)
		return err
	case rowFragment:
		v := &fragmentRecord{}
		err := json.Unmarshal(r.value, v)
		s.fragments[inKey{mail.AccountID(v.Contact), v.ID}] = v
		return err
	case rowCursor:
		if len(r.name) != 64 || len(r.value) != 8 {
			return ErrStore
		}
		s.cursors[cursorKey{mail.ID([]byte(r.name[:32])), chain.NodeID([]byte(r.name[32:]))}] = binary.BigEndian.Uint64(r.value)
		return nil
	case rowDelete:
		v := &deleteRecord{}
		err := json.Unmarshal(r.value, v)
		s.deletes[v.Token] = v
		return err
	case rowPrekey:
		v := &prekeyRecord{}
		err := json.Unmarshal(r.value, v)
		s.prekeys[v.Serial] = v
		return err
	case rowSeen:
		v := &seenRecord{}
		if len(r.name) != len(seenKey{}) {
			return ErrStore
		}
		s.seen[seenKey([]byte(r.name))] = v
		return json.Unmarshal(r.value, v)
	case rowRefused:
		v := &refusedRecord{}
		err := json.Unmarshal(r.value, v)
		s.refused[mail.AccountID(v.ID)] = v
		return err
	}
	return ErrStore
}
