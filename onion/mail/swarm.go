package mail

import (
	"fmt"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/wire"
)

// SwarmVersion is the version byte of what the members of a swarm tell each
// other.
const SwarmVersion = 1

// Limits of one message between members.
const (
	MaxCopies = 64  // in one message
	MaxAcks   = 64  // in one message
	MaxRanges = 100 // that a member is asked the sums of at once
	MaxShorts = 100 // rows named in one message
	MaxWant   = 32  // rows asked for at once
	MaxBound  = 64  // bytes of a bound: a mailbox and an item's id

	AckSize       = 8 + 1 + 4 + 8 + 64 // of the longest ack
	SwarmOverhead = 1 + 1 + 8 + 1 + 1  // at most what stands around copies and acks
)

// SwarmKind numbers the messages.
type SwarmKind uint8

// The messages.
const (
	SwarmCopies  SwarmKind = 1 // commands that a client gave the sender
	SwarmPush    SwarmKind = 2 // what the sender has and the receiver lacks
	SwarmAcks    SwarmKind = 3
	SwarmAsk     SwarmKind = 4 // what are the sums of these ranges?
	SwarmSums    SwarmKind = 5
	SwarmList    SwarmKind = 6 // which rows do you have in this range?
	SwarmListing SwarmKind = 7
	SwarmWant    SwarmKind = 8 // send me these rows
	SwarmGive    SwarmKind = 9
)

// SwarmMessage is what one member tells another in one frame; which fields mean
// something is up to Kind.
type SwarmMessage struct {
	Kind   SwarmKind
	Copies []Copy // SwarmCopies, SwarmPush, SwarmGive
	Acks   []Ack  // SwarmAcks

	// Of anti-entropy. ID stands in a question and in its answers.
	ID    uint64
	Scope Scope    // SwarmAsk, SwarmList, SwarmWant
	Upper [][]byte // SwarmAsk: the ranges' upper bounds, ascending; the first begins at Scope.Lower

	Sums   []Sum   // SwarmSums: of the ranges asked for
	Shorts []Short // SwarmListing, in the order of the rows; SwarmWant
	Next   []byte  // SwarmListing: the listing ends before this bound; empty at the end of the range
	Left   uint8   // SwarmGive: how many more messages answer the question
}

// Copy is a command that a member passes on, without reply blocks: a store, a
// request, a bundle, a deletion; or what is left of a deleted item.
type Copy struct {
	Serial    uint64 // the receiver's Ack carries it; 0: no ack is wanted
	Command   Command
	Tombstone *Tombstone
}

// Tombstone says that an item was deleted by its token.
type Tombstone struct {
	Mailbox ID
	Item    chain.Hash
	Token   [32]byte
	Until   chain.Time // remembered until then
}

// opTombstone numbers a tombstone among the commands that are copied.
const opTombstone Op = 32

// Ack says what became of a copy. Where it is stored, Fork, Until and Sig are
// what the receiver's receipt has beside what both know; where it was deleted,
// Token is the deletion token.
type Ack struct {
	Serial uint64
	Code   Code
	Fork   uint32
	Until  chain.Time
	Sig    [64]byte
	Token  [32]byte
}

// Receipt is the encoded receipt in an ack of node for the item whose receipt
// has everything but the time.
func (a Ack) Receipt(node chain.NodeID, r statement.Receipt) statement.Statement {
	r.Until = a.Until
	return statement.Statement{Label: statement.LabelReceipt, Fork: a.Fork, Node: node, Body: r.Encode(), Sig: a.Sig}
}

// Scope is what a question is about: rows with keys from Lower to below Upper
// (empty: no bound) that have not expired at At. Salt goes into every hash, so
// that nobody can prepare rows whose hashes cancel out.
type Scope struct {
	Salt         [16]byte
	At           chain.Time
	Lower, Upper []byte
}

// Sum is the number of rows in a range, and all of their Shorts, added bit by
// bit.
type Sum struct {
	Rows uint32
	Bits Short
}

// Short names a row in one conversation.
type Short [16]byte

// RowState is the state of a row that anti-entropy compares.
type RowState uint8

// The states.
const (
	RowItem    RowState = 1
	RowDeleted RowState = 2
	RowRequest RowState = 3
	RowBundle  RowState = 4
)

// ShortOf names the row of an item, request or bundle: the first half of
// SHA-256(label, salt, mailbox, id, state).
func (s *Scope) ShortOf(mailbox ID, id chain.Hash, state RowState) Short {
	var b [13 + 16 + 64 + 1]byte
	n := copy(b[:], "tunic sync 1\x00")
	n += copy(b[n:], s.Salt[:])
	n += copy(b[n:], mailbox[:])
	n += copy(b[n:], id[:])
	b[n] = byte(state)
	h := chain.SHA256(b[:])
	return Short(h[:16])
}

// Add adds one row.
func (s *Sum) Add(x Short) {
	s.Rows++
	for i := range x {
		s.Bits[i] ^= x[i]
	}
}

func appendBound(b, bound []byte) []byte { return append(append(b, uint8(len(bound))), bound...) }

func readBound(r *wire.Reader) []byte {
	n := int(r.Uint8())
	if n > MaxBound {
		r.Fail(fmt.Errorf("%w: bound of %d bytes", ErrMalformed, n))
	}
	return r.Fixed(n)
}

func (c Copy) append(b []byte) []byte {
	b = wire.AppendUint64(b, c.Serial)
	if t := c.Tombstone; t != nil {
		b = append(b, byte(opTombstone))
		b = append(b, t.Mailbox[:]...)
		b = append(b, t.Item[:]...)
		b = append(b, t.Token[:]...)
		return wire.AppendUint64(b, uint64(t.Until))
	}
	return append(b, c.Command.Encode()...)
}

// Size is how much of a message the copy takes.
func (c Copy) Size() int { return len(c.append(nil)) }

func (f Format) readCopy(r *wire.Reader) (c Copy) {
	c.Serial = r.Uint64()
	op := Op(r.Uint8())
	if op == opTombstone {
		t := &Tombstone{}
		r.Copy(t.Mailbox[:])
		r.Copy(t.Item[:])
		r.Copy(t.Token[:])
		t.Until = chain.Time(r.Uint64())
		c.Tombstone = t
		return c
	}
	c.Command, _ = f.readCommand(r, op)
	if x := c.Command; r.Err() == nil && x.Store == nil && x.Request == nil && x.PutBundle == nil && x.Delete == nil {
		r.Fail(fmt.Errorf("%w: a command that is not copied", ErrMalformed))
	}
	return c
}

func (a Ack) append(b []byte) []byte {
	b = append(wire.AppendUint64(b, a.Serial), byte(a.Code))
	switch a.Code {
	case CodeStored:
		b = wire.AppendUint32(b, a.Fork)
		b = wire.AppendUint64(b, uint64(a.Until))
		b = append(b, a.Sig[:]...)
	case CodeDeleted:
		b = append(b, a.Token[:]...)
	}
	return b
}

func readAck(r *wire.Reader) (a Ack) {
	a.Serial, a.Code = r.Uint64(), Code(r.Uint8())
	switch {
	case r.Err() == nil && codes[a.Code] == "":
		r.Fail(fmt.Errorf("%w: ack with code %d", ErrMalformed, a.Code))
	case a.Code == CodeStored:
		a.Fork = r.Uint32()
		a.Until = chain.Time(r.Uint64())
		r.Copy(a.Sig[:])
	case a.Code == CodeDeleted:
		r.Copy(a.Token[:])
	}
	return a
}

func (s *Scope) append(b []byte) []byte {
	b = append(b, s.Salt[:]...)
	b = wire.AppendUint64(b, uint64(s.At))
	return appendBound(appendBound(b, s.Lower), s.Upper)
}

func readScope(r *wire.Reader) (s Scope) {
	r.Copy(s.Salt[:])
	s.At = chain.Time(r.Uint64())
	s.Lower, s.Upper = readBound(r), readBound(r)
	return s
}

// Encode is the canonical encoding.
func (m SwarmMessage) Encode() []byte {
	b := []byte{SwarmVersion, byte(m.Kind)}
	switch m.Kind {
	case SwarmCopies, SwarmPush:
		b = append(b, uint8(len(m.Copies)))
	case SwarmAcks:
		b = append(b, uint8(len(m.Acks)))
		for _, a := range m.Acks {
			b = a.append(b)
		}
	default:
		b = wire.AppendUint64(b, m.ID)
	}
	switch m.Kind {
	case SwarmAsk:
		b = append(m.Scope.append(b), uint8(len(m.Upper)))
		for _, u := range m.Upper {
			b = appendBound(b, u)
		}
	case SwarmSums:
		b = append(b, uint8(len(m.Sums)))
		for _, s := range m.Sums {
			b = append(wire.AppendUint32(b, s.Rows), s.Bits[:]...)
		}
	case SwarmList:
		b = m.Scope.append(b)
	case SwarmListing:
		b = appendShorts(appendBound(b, m.Next), m.Shorts)
	case SwarmWant:
		b = appendShorts(m.Scope.append(b), m.Shorts)
	case SwarmGive:
		b = append(b, m.Left, uint8(len(m.Copies)))
	}
	for _, c := range m.Copies {
		b = c.append(b)
	}
	return b
}

func appendShorts(b []byte, shorts []Short) []byte {
	b = append(b, uint8(len(shorts)))
	for _, s := range shorts {
		b = append(b, s[:]...)
	}
	return b
}

// count reads a count of at most limit things.
func count(r *wire.Reader, limit int) int {
	n := int(r.Uint8())
	if n > limit {
		r.Fail(fmt.Errorf("%w: %d of at most %d", ErrMalformed, n, limit))
		return 0
	}
	return n
}

func readShorts(r *wire.Reader, limit int) (out []Short) {
	for range count(r, limit) {
		var s Short
		r.Copy(s[:])
		out = append(out, s)
	}
	return out
}

// DecodeSwarm reads one message between members, which aliases b.
func (f Format) DecodeSwarm(b []byte) (SwarmMessage, error) {
	r := wire.NewReader(b)
	version := r.Uint8()
	m := SwarmMessage{Kind: SwarmKind(r.Uint8())}
	if r.Err() == nil && version != SwarmVersion {
		r.Fail(fmt.Errorf("%w: version %d", ErrMalformed, version))
	}
	copies := func() {
		for range count(r, MaxCopies) {
			if m.Copies = append(m.Copies, f.readCopy(r)); r.Err() != nil {
				break
			}
		}
	}
	switch m.Kind {
	case SwarmCopies, SwarmPush:
		copies()
	case SwarmAcks:
		for range count(r, MaxAcks) {
			m.Acks = append(m.Acks, readAck(r))
		}
	case SwarmAsk, SwarmSums, SwarmList, SwarmListing, SwarmWant, SwarmGive:
		m.ID = r.Uint64()
	default:
		r.Fail(fmt.Errorf("%w: message %d between members", ErrMalformed, m.Kind))
	}
	switch m.Kind {
	case SwarmAsk:
		m.Scope = readScope(r)
		for range count(r, MaxRanges) {
			m.Upper = append(m.Upper, readBound(r))
		}
	case SwarmSums:
		for range count(r, MaxRanges) {
			s := Sum{Rows: r.Uint32()}
			r.Copy(s.Bits[:])
			m.Sums = append(m.Sums, s)
		}
	case SwarmList:
		m.Scope = readScope(r)
	case SwarmListing:
		m.Next = readBound(r)
		m.Shorts = readShorts(r, MaxShorts)
	case SwarmWant:
		m.Scope = readScope(r)
		m.Shorts = readShorts(r, MaxWant)
	case SwarmGive:
		m.Left = r.Uint8()
		copies()
	}
	if err := r.Done(); err != nil {
		return SwarmMessage{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return m, nil
}
