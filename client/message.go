package client

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"tunic/chain"
	"tunic/client/ratchet"
	"tunic/internal/wire"
	"tunic/onion/mail"
)

// Bounds of a message.
const (
	// MaxText is the longest text of one message in bytes.
	MaxText = 64 << 10

	innerHeader = 1 + 16 + 8 + 2 + 2 + 32 + 4 + 4
	// innerVersion is that of the layout, in the upper half of the first byte.
	innerVersion = 2
	// maxLife is the longest life that a text may name, in seconds: a year.
	maxLife = 366 * 24 * 3600
)

// parts is how texts are cut in a network: into so many bytes each.
type parts int

// partsOf are those of a network's mail.
func partsOf(f mail.Format) parts { return parts(ratchet.MaxPlaintext(f.Item()) - innerHeader) }

// most is the number of parts of the longest text.
func (p parts) most() int { return (MaxText + int(p) - 1) / int(p) }

// errInner means that an authentic item holds no message: its sender's program
// is broken.
var errInner = errors.New("client: malformed message")

// kind is what an item carries.
type kind uint8

const (
	kindText    kind = 1
	kindConfirm kind = 2
	kindRead    kind = 3
)

// notice reports whether an item only says something of a message.
func (k kind) notice() bool { return k != kindText }

func (k kind) String() string {
	switch k {
	case kindText:
		return "text"
	case kindConfirm:
		return "confirmation"
	case kindRead:
		return "read"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// inner is what stands in an item's plaintext:
//
//	16 x version + kind 1 | message id 16 | sent 8 | part 2 | parts 2 | deletion token 32 | timer 4 | life 4 | text
//
// Every part of a text but the last is full. What confirms a message, or says that
// it was read, has no text and carries the id of that message.
type inner struct {
	Kind  kind
	ID    MessageID
	Sent  chain.Time
	Part  uint16
	Parts uint16
	Token [32]byte
	Timer uint32 // seconds after which the text disappears, once read; 0: never
	Life  uint32 // seconds after Sent until when it may be taken; 0: as long as members keep it
	Text  string
}

func (m inner) encode() []byte {
	b := append([]byte{innerVersion<<4 | byte(m.Kind)}, m.ID[:]...)
	b = wire.AppendUint64(b, uint64(m.Sent))
	b = wire.AppendUint16(b, m.Part)
	b = wire.AppendUint16(b, m.Parts)
	b = append(b, m.Token[:]...)
	b = wire.AppendUint32(b, m.Timer)
	b = wire.AppendUint32(b, m.Life)
	return append(b, m.Text...)
}

func (p parts) decodeInner(b []byte) (inner, error) {
	r := wire.NewReader(b)
	first := r.Uint8()
	m := inner{Kind: kind(first & 15)}
	r.Copy(m.ID[:])
	m.Sent = chain.Time(r.Uint64())
	m.Part, m.Parts = r.Uint16(), r.Uint16()
	r.Copy(m.Token[:])
	m.Timer, m.Life = r.Uint32(), r.Uint32()
	m.Text = string(r.Fixed(r.Len()))
	if err := r.Done(); err != nil {
		return m, fmt.Errorf("%w: %w", errInner, err)
	}
	last := m.Part+1 == m.Parts
	switch {
	case first>>4 != innerVersion:
	case m.Parts < 1 || int(m.Parts) > p.most() || m.Part >= m.Parts:
	case (m.Kind == kindConfirm || m.Kind == kindRead) && m.Parts == 1 && m.Text == "" && m.Timer == 0 && m.Life == 0:
		return m, nil
	case m.Kind == kindText && m.Timer <= maxTimer && m.Life <= maxLife && (len(m.Text) == int(p) || last && len(m.Text) > 0 && len(m.Text) < int(p)):
		return m, nil
	}
	return m, errInner
}

// ended reports whether a text's life is over: who finds it then does not take it.
func (m inner) ended(now chain.Time) bool { return endOf(m.Sent, m.Life) <= now }

// endOf is when a life of so many seconds ends; never where it is 0.
func endOf(sent chain.Time, life uint32) chain.Time {
	end := sent + 1000*chain.Time(life)
	if life == 0 || end < sent {
		return math.MaxUint64
	}
	return end
}

// split cuts a text into parts; only the last may be shorter.
func (p parts) split(text string) []string {
	var all []string
	for len(text) > int(p) {
		all = append(all, text[:p])
		text = text[p:]
	}
	return append(all, text)
}

func checkText(text string) error {
	switch {
	case text == "":
		return fmt.Errorf("%w: it is empty", ErrMessage)
	case len(text) > MaxText:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrMessage, len(text), MaxText)
	case !utf8.ValidString(text):
		return fmt.Errorf("%w: it is not UTF-8", ErrMessage)
	}
	return nil
}

func (m MessageID) String() string { return hex.EncodeToString(m[:]) }

// MarshalText gives 32 hex digits.
func (m MessageID) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads 32 hex digits.
func (m *MessageID) UnmarshalText(b []byte) error { return unhex(m[:], b) }

// ParseMessageID reads a message id's text.
func ParseMessageID(s string) (m MessageID, err error) { return m, m.UnmarshalText([]byte(s)) }

func unhex(dst, b []byte) error {
	if len(b) != 2*len(dst) {
		return fmt.Errorf("client: %d hex digits, want %d", len(b), 2*len(dst))
	}
	_, err := hex.Decode(dst, b)
	return err
}

var stateWords = map[State]string{Queued: "queued", Sent: "sent", Stored: "stored", Delivered: "delivered", Expired: "expired", Failed: "failed"}

func (s State) String() string { return word(stateWords, s) }

// MarshalText gives the word.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Final reports whether nothing more is done for a message. One that has expired or
// failed becomes delivered all the same if its recipient says later that it has it.
func (s State) Final() bool { return s >= Delivered }

var contactWords = map[ContactState]string{Added: "added", Requested: "requested", Incoming: "incoming", Connected: "connected", Refused: "refused"}

func (s ContactState) String() string { return word(contactWords, s) }

// MarshalText gives the word.
func (s ContactState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func word[K ~uint8](words map[K]string, k K) string {
	if s, ok := words[k]; ok {
		return s
	}
	return fmt.Sprintf("state %d", uint8(k))
}
