package client

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/registry/directory"
)

var (
	// ErrConfig means that a Config lacks something or contradicts itself.
	ErrConfig = errors.New("client: invalid configuration")
	// ErrNoContact means that the account is not among the contacts.
	ErrNoContact = errors.New("client: no such contact")
	// ErrMessage means that a text is empty, too long or not UTF-8.
	ErrMessage = errors.New("client: unusable message")
	// ErrFailed means that a message will not be delivered; its Status says why.
	ErrFailed = errors.New("client: message failed")
	// ErrExpired means that a message was not confirmed within its time.
	ErrExpired = errors.New("client: message expired")
	// ErrNoPath means that the directory has too few usable relays.
	ErrNoPath = errors.New("client: too few usable relays")
	// ErrTimeout means that no answer came, over several paths.
	ErrTimeout = errors.New("client: no answer")
	// ErrNotRunning means that Run is not at work.
	ErrNotRunning = errors.New("client: not running")
	// ErrTwoHeads means that two different headers for one height are both
	// validly sealed: the ledger lies to somebody. The client halts.
	ErrTwoHeads = errors.New("client: two sealed headers for one height")
)

// Clock is the network's clock.
type Clock interface{ Now() chain.Time }

// Ledger is what a client needs of the ledger. What it returns is verified.
type Ledger interface {
	// Directory is the frozen list of an epoch and a sealed header of that
	// epoch; epoch 0 asks for the newest.
	Directory(ctx context.Context, epoch chain.Epoch) (*directory.List, chain.SealedHeader, error)
	// Head is the newest sealed header. It is asked a few times per block and
	// should answer from what is known.
	Head(ctx context.Context) (chain.SealedHeader, error)
}

// Config is all that a client needs.
type Config struct {
	// Account is whose messenger this is. Required.
	Account *Account
	// Dir is the folder of the state; "" keeps it in memory.
	Dir string
	// Core and Genesis say which network. Required.
	Core    genesis.Core
	Genesis chain.Hash
	// Ledger and Transport reach it; Transport is one without identity. Required.
	Ledger    Ledger
	Transport link.Transport
	// Sealed says whether a header is sealed by who seals now, and fetches nothing
	// for it; nil goes by the keys in genesis, and compares no headers where
	// validators commit them.
	Sealed func(chain.SealedHeader) error
	// Clock is the network's clock; nil takes the machine's, or where genesis
	// says that the ledger is the clock, the newest header's time carried on.
	Clock Clock
	// Rand is the source of randomness; nil takes the system's. It is read
	// under a lock.
	Rand io.Reader

	// Hops is the number of relays in front of a mailbox member: 3, 2 to 5.
	Hops int
	// Poll is the mean time between polls (300 ms in dev, else 10 s; with cover as
	// often as it allows, four times Pace).
	Poll time.Duration
	// Timeout is how long an answer may take besides the mixing delays (3 s).
	Timeout time.Duration
	// Resend is the first pause before a stored message is sent again; it
	// doubles up to an hour (10 s in dev, else 5 min).
	Resend time.Duration
	// Compare is within how much time of an epoch the client asks two relays
	// of other operators for their newest header, at random moments (half an
	// epoch).
	Compare time.Duration
	// Rate is how many packets a second may leave on average (40); guards drop
	// what exceeds 50.
	Rate float64
	// Cover says whether packets leave on a Poisson clock, loops where nothing
	// else waits (as genesis says), and Pace is its mean (50 ms in dev, else
	// 200 ms). Polls leave at most a fourth as often, and Rate does not count.
	Cover Cover
	Pace  time.Duration
	// Note goes with our contact requests where SetNote says nothing else, at most
	// MaxNote bytes.
	Note string
	// ReadReceipts lets contacts know when their texts were read.
	ReadReceipts bool
	// AcceptAll accepts contact requests without asking.
	AcceptAll bool

	// OnHalt is called once when two heads are seen.
	OnHalt func(error)
	// Observe is told of each step, for who looks into what became of a message;
	// nil: nobody. It is called from many goroutines, also under the client's lock,
	// and must neither wait nor call the client. What it is told names contacts and
	// messages: it belongs in no log.
	Observe func(Step)
	// Logger gets what happens, without secrets; nil discards it.
	Logger *slog.Logger
}

// MessageID names a message; 32 hex digits as text.
type MessageID [16]byte

// State is how far an outgoing message came.
type State uint8

// The states. The last three are final: nothing leaves any more.
const (
	Queued    State = 1 // on this disk
	Sent      State = 2 // left, without a receipt for every part
	Stored    State = 3 // a member signed for every part
	Delivered State = 4 // the contact confirmed it
	Expired   State = 5 // its time is over; a late confirmation makes it Delivered
	Failed    State = 6 // refused for good; likewise
)

// DefaultPace is the mean time between packets where there is cover, outside dev
// networks.
const DefaultPace = 200 * time.Millisecond

// Message is one that was received.
type Message struct {
	ID       MessageID
	Contact  mail.AccountID
	Text     string
	Sent     chain.Time // says the sender
	Received chain.Time
	Read     chain.Time // MarkRead; 0: not yet
	Vanishes chain.Time // it disappears then; 0: it does not, or was not read yet
}

// Status is one that was sent.
type Status struct {
	ID       MessageID
	Contact  mail.AccountID
	Text     string
	Sent     chain.Time
	Expiry   chain.Time // its life ends: it is given up, and where SendOptions.TTL was said, taken by nobody any more
	State    State
	Reason   string // why it failed, or what it waits for: a stable code
	Parts    int
	Tries    int        // stores of its parts that left, each over a path of its own, since this program began
	Receipts [][]byte   // encoded receipts of the members that hold it, for a challenge
	Promised chain.Time // each of them promises to hold it until then or longer; 0: there are none
	Read     chain.Time // the contact says that it read it; 0: it does not say so
	Vanishes chain.Time // it disappears here then; 0: it does not, or was not delivered yet
}

// ContactState is how far a contact came.
type ContactState uint8

// The states of a contact.
const (
	Added     ContactState = 1 // known by its account id alone
	Requested ContactState = 2 // a contact request was sent
	Incoming  ContactState = 3 // asks to be accepted
	Connected ContactState = 4 // the contact is known to share a secret with us
	Refused   ContactState = 5 // it is none: its contact requests are passed over
)

// Contact is one account that this one talks to.
type Contact struct {
	ID     mail.AccountID
	Name   string
	State  ContactState
	Safety string // safety number; "" until its keys are known

	// Note is from its contact request, and OwnNote goes with ours (SetNote).
	Note, OwnNote string

	// Timer is after how long texts disappear, once read; 0 is never. It is what
	// either side has set last.
	Timer time.Duration
	// Unread is how many texts of the contact are not marked as read.
	Unread int
	// Once says that the session in use began with a prekey that was handed out
	// once; without that, who later learns the contact's last resort could read
	// its first messages.
	Once bool
	// Began is when the session in use began; 0 where there is none.
	Began chain.Time
	// Anew is when the contact was last seen to have begun anew, as one does that
	// comes back from its mnemonic: its keys are the same, its device may not be.
	// 0 is never. Told says that SetTold was called since.
	Anew chain.Time
	Told bool
	// Verified is when the user said that the safety number was compared; 0: it
	// was not. It holds for the account, whatever device it is on.
	Verified chain.Time
	// Refused is when Refuse was called, of one whose state says so.
	Refused chain.Time
}

// EventKind says what an Event is about.
type EventKind uint8

// The kinds of events.
const (
	EventMessage EventKind = 1 // Message was received
	EventStatus  EventKind = 2 // Status changed
	EventContact EventKind = 3 // Contact is new or changed
	EventWork    EventKind = 4 // proof of work for a contact request: Work of 100 (expected)
	// EventElsewhere: another device, or folder, of the account is at work, that began
	// later (Client.Elsewhere). Whoever did not do that himself has lost the account's
	// words to somebody.
	EventElsewhere EventKind = 5
)

// Event is something that a user may want to see.
type Event struct {
	Kind    EventKind
	Message Message
	Status  Status
	Contact Contact
	Work    int
	// Elsewhere is when that later state began.
	Elsewhere chain.Time
}
