package slashing

import (
	"fmt"
	"iter"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/table"
	"tunic/internal/wire"
)

// Commits to disclosures. A commit names nobody: only its opening says of which
// key it is. So the ledger cannot know which of the live commits are of one key,
// and punishes at the first valid opening, but keeps the reporter's part until
// that commit lapses. Commits lapse in the order in which they were made: by then
// every older one was opened or has lapsed, and an older one that was opened has
// taken the part over.

// CommitLife is how many blocks a commit lives, counted from the first block of
// the epoch after its own, in which its opening becomes possible.
const CommitLife = 20

// CommitDisclosure is the account transaction by which somebody commits to
// disclose a node's key.
type CommitDisclosure struct {
	chain.Head
	Commitment chain.Hash // Commitment
	Deposit    chain.Amount
}

// CommitDisclosureType describes CommitDisclosure.
var CommitDisclosureType = chain.Define(chain.KindCommitDisclosure, "CommitDisclosure", func(v *CommitDisclosure) *chain.Head { return &v.Head },
	chain.Bytes32("commitment", func(v *CommitDisclosure) *chain.Hash { return &v.Commitment }),
	chain.Uint64("deposit", func(v *CommitDisclosure) *chain.Amount { return &v.Deposit }))

// Refusal codes of a CommitDisclosure.
const (
	CodeDepositSmall = "deposit_too_small"
	CodeCommitExists = "commit_exists" // the account's, in this epoch
	CodeNoDeposit    = "insufficient_balance"
)

// LeastDeposit is what a commit has to leave as a deposit: a thousandth of the
// staking requirement.
func LeastDeposit(p *genesis.Params) chain.Amount { return max(p.StakingRequirement/1000, 1) }

// CommitKey names a commit. The account is part of it, so that nobody can take
// the place of another's commit by copying it.
type CommitKey struct {
	Epoch   chain.Epoch
	Account chain.Address
	Hash    chain.Hash
}

// Commit is a live commit.
type Commit struct {
	Height  chain.Height // of its block
	Number  uint32       // within its epoch: lower is older
	Deposit chain.Amount // paid back at the end if it was opened, else burned
	Offence chain.Hash   // that its opening showed; zero: not opened
	Held    chain.Amount // the reporter's part that is its account's at the end
}

// Opened reports whether the commit was opened.
func (c Commit) Opened() bool { return !c.Offence.IsZero() }

// Round is the commits of one epoch, which lapse together.
type Round struct {
	Epoch  chain.Epoch
	Made   uint32       // commits
	Opened chain.Height // the first block of a later epoch; 0: not yet
}

// Lapses is the first block in which the round's commits are gone; false where
// no later epoch has begun.
func (r Round) Lapses() (chain.Height, bool) { return r.Opened + CommitLife, r.Opened > 0 }

// Prefixes of the tables in the offences part.
const (
	prefixCommit = 8 // by epoch, account and commitment
	prefixRound  = 9 // by epoch
)

var commitCodec = table.Codec[CommitKey, Commit]{
	Prefix: prefixCommit,
	AppendKey: func(b []byte, k CommitKey) []byte {
		b = append(wire.AppendUint64(b, uint64(k.Epoch)), k.Account[:]...)
		return append(b, k.Hash[:]...)
	},
	ReadKey: func(r *wire.Reader) (k CommitKey) {
		k.Epoch = chain.Epoch(r.Uint64())
		r.Copy(k.Account[:])
		r.Copy(k.Hash[:])
		return k
	},
	AppendValue: func(b []byte, c Commit) []byte {
		b = wire.AppendUint64(b, uint64(c.Height))
		b = wire.AppendUint32(b, c.Number)
		b = wire.AppendUint64(b, uint64(c.Deposit))
		b = append(b, c.Offence[:]...)
		return wire.AppendUint64(b, uint64(c.Held))
	},
	ReadValue: readCommit,
}

func readCommit(r *wire.Reader) (c Commit) {
	c.Height, c.Number, c.Deposit = chain.Height(r.Uint64()), r.Uint32(), chain.Amount(r.Uint64())
	r.Copy(c.Offence[:])
	c.Held = chain.Amount(r.Uint64())
	return c
}

var roundCodec = table.Codec[chain.Epoch, Round]{
	Prefix:    prefixRound,
	AppendKey: func(b []byte, e chain.Epoch) []byte { return wire.AppendUint64(b, uint64(e)) },
	ReadKey:   func(r *wire.Reader) chain.Epoch { return chain.Epoch(r.Uint64()) },
	AppendValue: func(b []byte, x Round) []byte {
		return wire.AppendUint64(wire.AppendUint32(b, x.Made), uint64(x.Opened))
	},
	ReadValue: func(r *wire.Reader) Round { return Round{Made: r.Uint32(), Opened: chain.Height(r.Uint64())} },
}

// Key is the commit's row key in the offences part, for state proofs.
func (k CommitKey) Key() []byte { return commitCodec.AppendKey([]byte{prefixCommit}, k) }

// DecodeCommit reads the value of a commit's row.
func DecodeCommit(b []byte) (Commit, error) {
	r := wire.NewReader(b)
	c := readCommit(r)
	if err := r.Done(); err != nil {
		return c, fmt.Errorf("decode commit to a disclosure: %w", err)
	}
	return c, nil
}

// Accounts is what slashing needs of the accounts.
type Accounts interface {
	// Balance is what a can spend.
	Balance(a chain.Address) chain.Amount
	// Debit takes x, which is at most the balance.
	Debit(a chain.Address, x chain.Amount)
	// Credit adds x.
	Credit(a chain.Address, x chain.Amount)
}

// Commit takes a commit of sender's, made in epoch, and its deposit. A refusal
// changes nothing.
func (s *Slashing) Commit(sender chain.Address, tx CommitDisclosure, epoch chain.Epoch, height chain.Height, acc Accounts) error {
	if err := s.CheckCommit(sender, tx, epoch, acc); err != nil {
		return err
	}
	round, _ := s.rounds.Get(epoch)
	acc.Debit(sender, tx.Deposit)
	s.commits.Set(CommitKey{epoch, sender, tx.Commitment}, Commit{Height: height, Number: round.Made, Deposit: tx.Deposit})
	round.Made++
	s.rounds.Set(epoch, round)
	return nil
}

// CheckCommit says whether Commit would take tx; it changes nothing.
func (s *Slashing) CheckCommit(sender chain.Address, tx CommitDisclosure, epoch chain.Epoch, acc Accounts) error {
	if least := LeastDeposit(&s.core.Params); tx.Deposit < least {
		return chain.Refuse(CodeDepositSmall, "a deposit of %s TUN; at least %s", tx.Deposit, least)
	}
	if has := acc.Balance(sender); has < tx.Deposit {
		return chain.Refuse(CodeNoDeposit, "has %s TUN, the deposit is %s", has, tx.Deposit)
	}
	if _, ok := s.commits.Get(CommitKey{epoch, sender, tx.Commitment}); ok {
		return chain.Refuse(CodeCommitExists, "committed in epoch %d already", epoch)
	}
	return nil
}

// Payment is what an account gets when its commit ends.
type Payment struct {
	To      chain.Address
	Deposit chain.Amount
	Reward  chain.Amount
}

// Lapse ends the commits whose time is over: opened ones are paid back their
// deposit and paid the reporter's part that they hold; the deposits of the others
// burn. Call it at the beginning of each block, with the height of the block and
// whether it is the first of an epoch: then it also begins the time of those that
// waited for one. Where nothing is due it costs nothing.
func (s *Slashing) Lapse(height chain.Height, begins bool) (paid []Payment, burned chain.Amount) {
	var over, waiting []Round
	for r := range s.Rounds() {
		at, begun := r.Lapses()
		switch {
		case begun && height >= at:
			over = append(over, r)
		case !begun && begins:
			waiting = append(waiting, r)
		}
	}
	for _, r := range over {
		for k, c := range s.CommitsOf(r.Epoch) {
			if c.Opened() {
				paid = append(paid, Payment{k.Account, c.Deposit, c.Held})
			} else {
				burned += c.Deposit
			}
			s.commits.Delete(k)
		}
		s.rounds.Delete(r.Epoch)
	}
	for _, r := range waiting {
		r.Opened = height
		s.rounds.Set(r.Epoch, r)
	}
	return paid, burned
}

// Rounds gives the rounds of live commits as of the last block, oldest first.
func (s *Slashing) Rounds() iter.Seq[Round] {
	return func(yield func(Round) bool) {
		for e, r := range s.rounds.From(0) {
			if r.Epoch = e; !yield(r) {
				return
			}
		}
	}
}

// CommitsOf gives the live commits of one epoch as of the last block, by account
// and commitment. The loop may write.
func (s *Slashing) CommitsOf(e chain.Epoch) iter.Seq2[CommitKey, Commit] {
	type row struct {
		k CommitKey
		c Commit
	}
	var all []row
	for k, c := range s.commits.From(CommitKey{Epoch: e}) {
		if k.Epoch != e {
			break
		}
		all = append(all, row{k, c})
	}
	return func(yield func(CommitKey, Commit) bool) {
		for _, r := range all {
			if !yield(r.k, r.c) {
				return
			}
		}
	}
}

// LiveCommit is the live commit of this key.
func (s *Slashing) LiveCommit(k CommitKey) (Commit, bool) { return s.commits.Get(k) }

// Held is what slashing keeps for accounts: deposits of commits and challenges, and
// reporters' parts that wait for older commits.
func (s *Slashing) Held() (sum chain.Amount) {
	sum = s.deposits()
	for _, c := range s.commits.All() {
		sum += c.Deposit + c.Held
	}
	return sum
}

// openable asks of a key-disclosure whether its commit is live and can be opened.
func (s *Slashing) openable(o Offence) error {
	c, live := s.commits.Get(o.Commit)
	_, punished := s.records.Get(o.ID)
	switch {
	case c.Opened() || punished && !live:
		return chain.Refuse(ErrAlreadyPunished.Code, "offence %s was punished, and this commit was opened or has lapsed", o.ID)
	case !live:
		return chain.Refuse(ErrCommitLapsed.Code, "no commit of %s of epoch %d to this node, key and salt is live", o.Commit.Account, o.Commit.Epoch)
	}
	return nil
}

// open notes that a commit was opened and gives its account the reporter's part,
// if it is the oldest commit that showed the offence; r is the offence's record.
func (s *Slashing) open(k CommitKey, r Record, proof Proof) Record {
	c, _ := s.commits.Get(k)
	c.Offence = r.ID
	first, err := Decode(r.Proof)
	if err != nil {
		panic("slashing: internal error: a recorded proof cannot be read: " + err.Error())
	}
	switch held := first.commitKey(); {
	case held == k:
		c.Held = r.Reward
	default:
		if h, live := s.commits.Get(held); live && k.older(c, held, h) {
			c.Held, h.Held = h.Held, 0
			s.commits.Set(held, h)
			r.Proof, r.Reporter = proof.Encode(), k.Account
			s.records.Set(r.ID, r)
		}
	}
	s.commits.Set(k, c)
	return r
}

// older reports whether commit c of key k was made before d of key l.
func (k CommitKey) older(c Commit, l CommitKey, d Commit) bool {
	return k.Epoch < l.Epoch || k.Epoch == l.Epoch && c.Number < d.Number
}
