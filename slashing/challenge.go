package slashing

import (
	"bytes"
	"fmt"
	"iter"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/wire"
)

// A challenge asks a node for what one of its storage receipts promises. The
// beacon of the epoch after it says which chunk; what is not answered by its due
// time lapses, and that is what a proof of a lost message shows.
// docs/spec/slashing.md, section Lost message.

// Bounds of challenges.
const (
	MaxOpen     = statement.MaxChallenges // open challenges of one node
	leastFees   = 10                      // the least deposit, in least fees: far above what an answer costs
	drawPurpose = "storage receipt chunk" // of the beacon
)

// The refusals of challenges and answers.
var (
	ErrBadReceipt     = &chain.Refusal{Code: "malformed_receipt"}   // not the encoding of a storage receipt, or one of no chunks
	ErrPromiseOver    = &chain.Refusal{Code: "promise_over"}        // what the receipt promises has ended
	ErrDepositTooLow  = &chain.Refusal{Code: "deposit_too_low"}     // below the least
	ErrChallenged     = &chain.Refusal{Code: "already_challenged"}  // a challenge of this receipt is open, or has lapsed
	ErrManyChallenges = &chain.Refusal{Code: "too_many_challenges"} // the node has as many open as may be
	ErrNoChallenge    = &chain.Refusal{Code: "no_such_challenge"}   // none of this id, height and node is open
	ErrNotDrawn       = &chain.Refusal{Code: "not_drawn"}           // which chunk is asked for is not known before the next epoch
	ErrWrongAnswer    = &chain.Refusal{Code: "wrong_answer"}        // neither the chunk that was drawn nor the token

	errFunds = &chain.Refusal{Code: "insufficient_funds"}
)

// OpenChallenge is the account transaction that challenges a storage receipt.
type OpenChallenge struct {
	chain.Head
	Receipt []byte       // an encoded statement
	Deposit chain.Amount // to the node's operator with the answer, back to the sender without one
}

// ChallengeType describes OpenChallenge.
var ChallengeType = chain.Define(chain.KindChallenge, "Challenge", func(v *OpenChallenge) *chain.Head { return &v.Head },
	chain.Bytes("receipt", statement.MaxReceipt, func(v *OpenChallenge) *[]byte { return &v.Receipt }),
	chain.Uint64("deposit", func(v *OpenChallenge) *chain.Amount { return &v.Deposit }))

// LeastChallenge is what a challenge must put down.
func LeastChallenge(p *genesis.Params) chain.Amount { return p.MinFee * leastFees }

// Challenge is a row of the state: one that is open or has lapsed. Treat its
// receipt as read-only.
type Challenge struct {
	ID         chain.Hash // of the offence that it is when it lapses
	Receipt    []byte     // encoded statement
	Challenger chain.Address
	Operator   chain.Address // of the node
	Deposit    chain.Amount
	Height     chain.Height // of the block that opened it
	Time       chain.Time
	Drawn      chain.Epoch // in whose first block the chunk was drawn; 0: not yet
	Chunk      uint8       // that is asked for
	Due        chain.Time  // the first block from then on lets it lapse; 0: not drawn yet
	Lapsed     *Lapse      // nil: open
}

// Lapse is when a challenge lapsed.
type Lapse struct {
	Height chain.Height
	Time   chain.Time
	Epoch  chain.Epoch
	Until  chain.Time // the last instant at which the loss can be punished; then the row goes
}

// Promise reads the receipt. What stands in the state can be read.
func (c Challenge) Promise() (statement.Statement, statement.Receipt) {
	s, x, err := readReceipt(c.Receipt)
	if err != nil {
		panic("slashing: internal error: a challenged receipt cannot be read: " + err.Error())
	}
	return s, x
}

// Node is whose receipt it is.
func (c Challenge) Node() chain.NodeID { s, _ := c.Promise(); return s.Node }

// readReceipt reads an encoded storage receipt that promises something.
func readReceipt(b []byte) (statement.Statement, statement.Receipt, error) {
	s, err := statement.Decode(b)
	if err != nil {
		return s, statement.Receipt{}, chain.Refuse(ErrBadReceipt.Code, "%v", err)
	}
	if s.Label != statement.LabelReceipt || s.Sequence != 0 {
		return s, statement.Receipt{}, chain.Refuse(ErrBadReceipt.Code, "a %s with sequence %d, not a storage receipt", s.Label, s.Sequence)
	}
	x, err := statement.DecodeReceipt(s.Body)
	if err == nil && x.Class == 0 {
		err = fmt.Errorf("it promises no chunks")
	}
	if err != nil {
		return s, x, chain.Refuse(ErrBadReceipt.Code, "%v", err)
	}
	return s, x, nil
}

// ChallengeID names the challenges of a receipt: it is the id of the offence that
// losing the message is. A receipt signed twice is one receipt.
func ChallengeID(genesis chain.Hash, receipt statement.Statement) chain.Hash {
	return offenceID(LostMessage, claim{node: receipt.Node, about: receipt.Body}, genesis, receipt.Fork)
}

// drawn is the chunk that an epoch's beacon asks a challenge for.
func drawn(seed, id chain.Hash, opened chain.Height, class uint8) uint8 {
	of := chain.SHA256(seed[:], id[:], wire.AppendUint64(nil, uint64(opened)))
	return uint8(beacon.NewDraw(of, drawPurpose).N(uint64(class)))
}

// Signers is what challenges need of the nodes that signed receipts.
type Signers interface {
	// Operator is the node's; false where the registry has never known it.
	Operator(node chain.NodeID) (chain.Address, bool)
	// Bonded is what is bonded to node now.
	Bonded(node chain.NodeID) chain.Amount
	// Hold keeps what is bonded to node from being withdrawn before a time.
	Hold(node chain.NodeID, until chain.Time)
}

// Open opens a challenge by sender, whose deposit it takes. It asks, cheap
// questions first: is it a receipt, of the ledger's fork, of a node with stake,
// is its promise not over, is the deposit enough and there, is the receipt
// neither under challenge nor punished, has the node room, is it signed.
func (s *Slashing) Open(sender chain.Address, tx OpenChallenge, ctx Context, acc Accounts, of Signers) (Challenge, error) {
	c, err := s.checkOpen(sender, tx, ctx, of)
	if err != nil {
		return c, err
	}
	if have := acc.Balance(sender); have < tx.Deposit {
		return c, chain.Refuse(errFunds.Code, "balance %s after the fee, deposit of %s", have, tx.Deposit)
	}
	acc.Debit(sender, tx.Deposit)
	c.Receipt = bytes.Clone(c.Receipt) // the transaction's
	s.challenges.Set(c.ID, c)
	s.lapses.Set(c.moment(), struct{}{})
	s.openPer.Set(c.Node(), s.openOf(c.Node())+1)
	return c, nil
}

// CheckOpen says what Open would but for the sender's balance, and changes nothing.
func (s *Slashing) CheckOpen(sender chain.Address, tx OpenChallenge, ctx Context, of Signers) error {
	_, err := s.checkOpen(sender, tx, ctx, of)
	return err
}

func (s *Slashing) checkOpen(sender chain.Address, tx OpenChallenge, ctx Context, of Signers) (Challenge, error) {
	st, promise, err := readReceipt(tx.Receipt)
	if err != nil {
		return Challenge{}, err
	}
	c := Challenge{ID: ChallengeID(s.genesis, st), Receipt: tx.Receipt, Challenger: sender, Deposit: tx.Deposit, Height: ctx.Height, Time: ctx.Time}
	operator, known := of.Operator(st.Node)
	switch least := LeastChallenge(&s.core.Params); {
	case st.Fork != ctx.Fork:
		return c, chain.Refuse(ErrWrongFork.Code, "the receipt is of fork %d, the ledger on fork %d", st.Fork, ctx.Fork)
	case !known:
		return c, chain.Refuse(ErrUnknownNode.Code, "node %s is not registered", st.Node)
	case of.Bonded(st.Node) == 0:
		return c, chain.Refuse(ErrUnknownNode.Code, "nothing is bonded to node %s any more", st.Node)
	case promise.Until < ctx.Time:
		return c, chain.Refuse(ErrPromiseOver.Code, "it promised until %d ms, it is %d ms", promise.Until, ctx.Time)
	case tx.Deposit < least:
		return c, chain.Refuse(ErrDepositTooLow.Code, "a deposit of %d units, at least %d", uint64(tx.Deposit), uint64(least))
	}
	if old, ok := s.challenges.Get(c.ID); ok {
		return c, chain.Refuse(ErrChallenged.Code, "at height %d", old.Height)
	}
	if r, ok := s.records.Get(c.ID); ok {
		return c, chain.Refuse(ErrAlreadyPunished.Code, "the loss of this message was punished at height %d", r.At)
	}
	if n := s.openOf(st.Node); n >= MaxOpen {
		return c, chain.Refuse(ErrManyChallenges.Code, "node %s has %d open", st.Node.Short(), n)
	}
	if err := ctx.Verified.Statement(statement.Domain{Genesis: s.genesis, Fork: ctx.Fork}, st); err != nil {
		return c, chain.Refuse(ErrBadSignature.Code, "of the receipt: %v", err)
	}
	c.Operator = operator
	return c, nil
}

func (s *Slashing) openOf(node chain.NodeID) uint8 {
	n, _ := s.openPer.Get(node)
	return n
}

// Answer closes a challenge with a node's answer and pays the deposit to its
// operator. It asks: can the answer be read, is the challenge open, has the chunk
// been drawn, does it show the chunk or the token, is it of this fork and signed.
// What state the node is in does not matter.
func (s *Slashing) Answer(st statement.Statement, ctx Context, acc Accounts) error {
	c, err := s.checkAnswer(st, ctx)
	if err != nil {
		return err
	}
	acc.Credit(c.Operator, c.Deposit)
	s.close(c)
	return nil
}

// CheckAnswer says what Answer would, and changes nothing.
func (s *Slashing) CheckAnswer(st statement.Statement, ctx Context) error {
	_, err := s.checkAnswer(st, ctx)
	return err
}

func (s *Slashing) checkAnswer(st statement.Statement, ctx Context) (Challenge, error) {
	a, err := statement.DecodeAnswer(st.Body)
	if err != nil {
		return Challenge{}, err
	}
	c, ok := s.challenges.Get(a.Challenge)
	if !ok || c.Lapsed != nil || c.Height != a.Height || c.Node() != st.Node {
		return c, chain.Refuse(ErrNoChallenge.Code, "no challenge %s of height %d is open against node %s", a.Challenge, a.Height, st.Node.Short())
	}
	_, promise := c.Promise()
	switch {
	case st.Sequence != 0:
		return c, chain.Refuse("malformed_statement", "sequence %d; an answer's is zero", st.Sequence)
	case c.Drawn == 0:
		return c, chain.Refuse(ErrNotDrawn.Code, "the next epoch's first block says which chunk is asked for")
	case !a.Shows(promise, c.Chunk):
		return c, chain.Refuse(ErrWrongAnswer.Code, "it shows neither chunk %d of %d nor the deletion token", c.Chunk, promise.Class)
	}
	return c, ctx.Verified.Statement(statement.Domain{Genesis: s.genesis, Fork: ctx.Fork}, st)
}

// close takes an open challenge out of the state.
func (s *Slashing) close(c Challenge) {
	s.challenges.Delete(c.ID)
	s.lapses.Delete(c.moment())
	if n := s.openOf(c.Node()); n > 1 {
		s.openPer.Set(c.Node(), n-1)
	} else {
		s.openPer.Delete(c.Node())
	}
}

// Forked gives back the deposits of all open challenges: receipts of a fork that
// was given up bind nobody. Call it where the fork rises, before anything else.
func (s *Slashing) Forked(acc Accounts) {
	for _, c := range s.challenged(func(c Challenge) bool { return c.Lapsed == nil }) {
		acc.Credit(c.Challenger, c.Deposit)
		s.close(c)
	}
}

// Draw says of each challenge that waits for it which chunk is asked for. Call it
// in the first block of ctx.Epoch, whose beacon is seed, before its transactions.
// stalled is the time between this block and the one before where epochs were
// skipped, else zero: nobody could answer while nothing was sealed, so that what
// is due moves by as much.
func (s *Slashing) Draw(ctx Context, seed chain.Hash, stalled chain.Time) {
	for _, c := range s.challenged(func(c Challenge) bool { return c.Lapsed == nil && (c.Drawn == 0 || stalled > 0) }) {
		s.lapses.Delete(c.moment())
		if c.Drawn == 0 {
			_, promise := c.Promise()
			c.Drawn, c.Chunk = ctx.Epoch, drawn(seed, c.ID, c.Height, promise.Class)
			c.Due = ctx.Time + chain.Time(s.core.Params.ChallengeWindow)
		} else {
			c.Due += stalled
		}
		s.challenges.Set(c.ID, c)
		s.lapses.Set(c.moment(), struct{}{})
	}
}

// LapseChallenges lets what is due lapse: the deposit goes back, the stake is held for as
// long as the loss is punishable, and the row says so until then. Rows of which
// that is over go. Call it in each block after its transactions, so that an
// answer in the block still counts; where nothing is due it costs nothing.
func (s *Slashing) LapseChallenges(ctx Context, acc Accounts, of Signers) {
	var due []Challenge
	for m := range s.lapses.From(moment{at: 1}) {
		if m.at > ctx.Time {
			break
		}
		c, _ := s.challenges.Get(m.id)
		due = append(due, c)
	}
	for _, c := range due {
		if c.Lapsed != nil {
			s.challenges.Delete(c.ID)
			s.lapses.Delete(c.moment())
			continue
		}
		s.close(c)
		acc.Credit(c.Challenger, c.Deposit)
		c.Lapsed = &Lapse{Height: ctx.Height, Time: ctx.Time, Epoch: ctx.Epoch, Until: PunishableUntil(Offence{Epoch: ctx.Epoch}, *s.core)}
		of.Hold(c.Node(), c.Lapsed.Until)
		s.challenges.Set(c.ID, c)
		s.lapses.Set(c.moment(), struct{}{})
	}
}

// moment is where the challenge stands among those that are due: by when it
// lapses or, lapsed, when its row goes; those that wait for the draw stand first.
func (c Challenge) moment() moment {
	if c.Lapsed != nil {
		return moment{c.Lapsed.Until + 1, c.ID}
	}
	return moment{c.Due, c.ID}
}

// Challenge is the challenge of this id that is open or has lapsed.
func (s *Slashing) Challenge(id chain.Hash) (Challenge, bool) { return s.challenges.Get(id) }

// Challenges gives all challenges, open and lapsed, ascending by id.
func (s *Slashing) Challenges() iter.Seq[Challenge] {
	return func(yield func(Challenge) bool) {
		for _, c := range s.challenges.All() {
			if !yield(c) {
				return
			}
		}
	}
}

// ChallengeCount is how many challenges stand in the state.
func (s *Slashing) ChallengeCount() int { return s.challenges.Len() }

func (s *Slashing) challenged(which func(Challenge) bool) (out []Challenge) {
	for _, c := range s.challenges.All() {
		if which(c) {
			out = append(out, c)
		}
	}
	return out
}

// deposits is what is put down on open challenges.
func (s *Slashing) deposits() (sum chain.Amount) {
	for _, c := range s.challenges.All() {
		if c.Lapsed == nil {
			sum += c.Deposit // of the supply
		}
	}
	return sum
}

// NextLapse is when the next challenge lapses, or the row of one goes; false
// where none waits.
func (s *Slashing) NextLapse() (chain.Time, bool) {
	for m := range s.lapses.From(moment{at: 1}) {
		return m.at, true
	}
	return 0, false
}
