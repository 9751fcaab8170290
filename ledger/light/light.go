// Package light verifies headers and what they commit to, without a ledger. It
// implements docs/spec/light.md.
//
// Who has an answer of a ledger and wants to know whether it is true makes a
// Verifier from the network file with Open and asks Entry, Directory or Delta:
// they take the bytes as they are served. Who follows a network feeds it every
// header that it is given with Accept, and holds lists (List), entries
// (Membership) and rows of the state (Row) against the newest one. A Verifier is
// also the anchor of slashing.Verify offline.
//
// Where validators commit headers together, under CometBFT, Accept may need a
// certificate that leads there: Reach is Accept with those (comet.go).
//
// docs/examples/verify is a whole program; testdata has what it may be served,
// true and false.
//
// What it promises: nothing is trusted but the network file; no input makes it
// panic; an accepted header is sealed by a key that the genesis names, or
// committed by the validators that follow from there, and contradicts no header
// accepted before. It keeps a bounded number of headers.
// It reads no clock: the caller says what time it is. A Verifier is not safe
// for concurrent use; its owner serialises.
package light

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/chain/state"
	"tunic/chain/statement"
)

// Limits of what is believed about time.
const (
	MaxAhead  = 60 * genesis.Second // a header may be ahead of a real clock by this
	MaxBehind = 2                   // epochs that a header may be older than the newest known
	MaxStall  = genesis.Day         // how long keys and lists serve after their header
)

// memory is how many accepted headers are kept, newest first, to recognise a
// second header for one height.
const memory = 256

var (
	// ErrEngine means that something is asked of one engine that only the other has.
	ErrEngine = errors.New("light: not on this engine")
	// ErrNetwork means that a header belongs to another genesis.
	ErrNetwork = errors.New("light: header of another network")
	// ErrSealer means that a header's proposer is no sealer of this network.
	ErrSealer = errors.New("light: proposer is not a sealer of this network")
	// ErrSeal means that the seal is not the proposer's signature, or that a commit
	// is not of those who have to sign it.
	ErrSeal = errors.New("light: invalid seal")
	// ErrCheckpoint means that a header is not the one the network file names for its height.
	ErrCheckpoint = errors.New("light: header contradicts the checkpoint")
	// ErrHeader means that a header contradicts itself or the parameters.
	ErrHeader = errors.New("light: header contradicts itself")
	// ErrFork means that a header belongs to a fork that was given up.
	ErrFork = errors.New("light: header of an abandoned fork")
	// ErrOld means that a header is older than two epochs where a newer one is known.
	ErrOld = errors.New("light: header too old")
	// ErrFuture means that a header is ahead of the clock.
	ErrFuture = errors.New("light: header ahead of the clock")
	// ErrOrder means that a header does not follow from its neighbour: another
	// parent, or time that runs backwards.
	ErrOrder = errors.New("light: header does not follow from its neighbour")
	// ErrTwoHeads means that two sealed headers exist for one height. The caller
	// saves both, shows them and halts. errors.As gives a *TwoHeads.
	ErrTwoHeads = errors.New("light: two headers for one height")
	// ErrNoHeader means that no header was accepted yet.
	ErrNoHeader = errors.New("light: no header accepted yet")
	// ErrProof means that a proof does not hold under the header.
	ErrProof = state.ErrProof
)

// TwoHeads is the evidence that a sealer, or more than a third of the validators,
// signed two histories.
type TwoHeads struct {
	// First and Second are in the order in which they were seen: two of one
	// height or, under CometBFT, those behind which Certificates stand, each zero
	// if its certificate was seen alone.
	First, Second chain.SealedHeader
	// Certificates are what shows it under CometBFT, with their sets; else nil.
	Certificates *cometbft.TwoHeads
}

// Height is where the second history shows.
func (e *TwoHeads) Height() chain.Height {
	if e.Certificates != nil {
		return max(e.Certificates.Second.Header.Height, 1) - 1
	}
	return e.First.Header.Height
}

func (e *TwoHeads) Error() string {
	if c := e.Certificates; c != nil {
		return fmt.Sprintf("%v: validators decided %s at height %d and also %s at height %d", ErrTwoHeads,
			c.First.Commit.BlockID.Hash, c.First.Header.Height, c.Second.Commit.BlockID.Hash, c.Second.Header.Height)
	}
	return fmt.Sprintf("%v: height %d, %s and %s", ErrTwoHeads, e.First.Header.Height, e.First.Header.Hash(), e.Second.Header.Hash())
}

func (e *TwoHeads) Unwrap() error { return ErrTwoHeads }

// Heads gives both, so that slashing can tell this error (slashing.TwoHeads).
func (e *TwoHeads) Heads() (first, second chain.SealedHeader) { return e.First, e.Second }

// seen is an accepted header, newest last in Verifier.kept.
type seen struct {
	hash   chain.Hash
	block  chain.Hash // of CometBFT's header behind it; zero where keys in genesis seal
	header chain.SealedHeader
}

// Verifier knows a network and the newest header of it. Make it with New.
type Verifier struct {
	net      genesis.Network
	seals    *statement.Verified // seals that need no verification; nil where each does
	kept     []seen              // strictly ascending by height, all of one fork
	twoHeads *TwoHeads

	committee *committee // where validators commit headers; nil where keys in genesis seal
}

// New makes a verifier whose trust root is the network file n.
func New(n genesis.Network) (*Verifier, error) { return open(n, TrustingPeriod(n)) }

func open(n genesis.Network, period chain.Duration) (*Verifier, error) {
	if got := n.HashWith(n.Allocations); got != n.Genesis {
		return nil, fmt.Errorf("read network: %w: it says genesis %s and hashes to %s", genesis.ErrGenesis, n.Genesis, got)
	}
	if err := n.Validate(); err != nil {
		return nil, fmt.Errorf("read network: %w", err)
	}
	v := &Verifier{net: n}
	if n.Engine == genesis.EngineComet {
		var err error
		if v.committee, err = newCommittee(n, period); err != nil {
			return nil, fmt.Errorf("read network: %w", err)
		}
	}
	return v, nil
}

// Share lets the verifier go by seals that others in this process have verified,
// and them by its own.
func (v *Verifier) Share(seals *statement.Verified) { v.seals = seals }

// Network is the trust root.
func (v *Verifier) Network() genesis.Network { return v.net }

// Genesis is the network's genesis hash (slashing.Anchor).
func (v *Verifier) Genesis() chain.Hash { return v.net.Genesis }

// CheckHeader says whether s is a header of this network, whenever it was
// sealed (slashing.Anchor): genesis, proposer, epoch of its time, checkpoint,
// seal, and that it is not the second for a height whose header is known. Of a
// committed one any set of validators that is known, that of genesis among them,
// has to have signed it, or one that came along and of which more than a third
// of a known one has: ErrValidators for another.
func (v *Verifier) CheckHeader(s chain.SealedHeader) error {
	hash := s.Header.Hash()
	if err := v.checkAll(s, hash); err != nil {
		return err
	}
	if i, ok := v.find(s.Header.Height); ok && v.kept[i].header.Header.Fork == s.Header.Fork && v.kept[i].hash != hash {
		return v.contradicts(i, s)
	}
	return nil
}

// Sealed says whether s is sealed by who seals now, at the caller's time: a header
// that may be unknown yet, or the second for its height. Where keys in genesis
// seal it asks what CheckHeader does but for the last question. A committed one
// must be of the validators that decided the known header of its height or, above
// all that are known, of those that decide now or next: others may have left.
// Nothing is fetched for it: ErrValidators says that it is not of those.
func (v *Verifier) Sealed(s chain.SealedHeader, now chain.Time) error {
	hash := s.Header.Hash()
	if v.committee == nil {
		return v.checkAll(s, hash)
	}
	if err := v.checkForm(s.Header, hash); err != nil {
		return err
	}
	return v.commitNow(s, now)
}

// contradicts is what a verified header is that is another one than the kept one
// at place i: the evidence of two heads. Under CometBFT the set of the kept one
// has to have signed it: any other could have left since.
func (v *Verifier) contradicts(i int, s chain.SealedHeader) error {
	if two := v.Contradiction(v.kept[i].header, s, 0); two != nil {
		return two
	}
	return fmt.Errorf("%w: height %d is another, of other validators", ErrSeal, s.Header.Height)
}

// checkAll asks everything of a header but what others say of its height.
func (v *Verifier) checkAll(s chain.SealedHeader, hash chain.Hash) error {
	if err := v.checkForm(s.Header, hash); err != nil {
		return err
	}
	if v.committee != nil {
		return v.checkCommit(s, hash)
	}
	return verifySeal(v.seals, s, hash)
}

// checkForm asks what needs no signature.
func (v *Verifier) checkForm(h chain.Header, hash chain.Hash) error {
	if h.Genesis != v.net.Genesis {
		return fmt.Errorf("%w: genesis %s, this network's is %s", ErrNetwork, h.Genesis, v.net.Genesis)
	}
	if h.Committed != (v.committee != nil) {
		return fmt.Errorf("%w: height %d is not sealed as headers of engine %s are", ErrSeal, h.Height, v.net.Engine)
	}
	if v.committee != nil {
		// Any validator may propose.
	} else if _, ok := slices.BinarySearchFunc(v.net.Sealers, h.Proposer, func(a, b chain.NodeID) int { return bytes.Compare(a[:], b[:]) }); !ok {
		return fmt.Errorf("%w: %s", ErrSealer, h.Proposer)
	}
	if h.Fork != 0 && !v.net.Dev {
		return fmt.Errorf("%w: fork %d, and only dev networks have any", ErrFork, h.Fork)
	}
	if h.Height == 0 || h.Time < v.net.Time || h.DirEpoch != v.net.EpochAt(h.Time) {
		return fmt.Errorf("%w: height %d at %d ms with the list of epoch %d", ErrHeader, h.Height, h.Time, h.DirEpoch)
	}
	if c := v.net.Checkpoint; c != nil && h.Height == c.Height && hash != c.Hash {
		return fmt.Errorf("%w: height %d is %s, checkpoint %s", ErrCheckpoint, h.Height, hash, c.Hash)
	}
	return nil
}

// Header asks what CheckHeader asks and that the header is not of a fork below
// the newest known. It keeps nothing. Once Accept has seen two heads no header
// is good for anything but as evidence (CheckHeader).
func (v *Verifier) Header(s chain.SealedHeader) error {
	if v.twoHeads != nil {
		return v.twoHeads
	}
	if err := v.CheckHeader(s); err != nil {
		return err
	}
	if newest, ok := v.Newest(); ok && s.Header.Fork < newest.Header.Fork {
		return fmt.Errorf("%w: fork %d, known is %d", ErrFork, s.Header.Fork, newest.Header.Fork)
	}
	return nil
}

// Accept verifies s and keeps it; the newest accepted header is what lists and
// proofs are held against. now is the caller's clock and counts only where
// realClock is set: a network on the ledger's clock has no other. A header
// below the newest one is kept as history if it is at most two epochs older.
// Nothing is accepted any more once two heads were seen.
//
// A committed header is held against the validators that are trusted: the error
// is a *Needs where a certificate has to be learnt first, and ErrExpired where
// what is trusted is too old.
func (v *Verifier) Accept(s chain.SealedHeader, now chain.Time, realClock bool) error {
	block, err := v.news(s, now)
	if two := (*TwoHeads)(nil); errors.As(err, &two) {
		v.twoHeads = two
	}
	if err != nil {
		return err
	}
	h := s.Header
	if realClock && h.Time > now && uint64(h.Time-now) > uint64(MaxAhead) {
		return fmt.Errorf("%w: by %d ms", ErrFuture, h.Time-now)
	}
	newest, ok := v.Newest()
	switch {
	case !ok:
		if c := v.net.Checkpoint; c != nil && h.Height < c.Height {
			return fmt.Errorf("%w: height %d is below the checkpoint's %d", ErrOld, h.Height, c.Height)
		}
	case h.Fork > newest.Header.Fork:
		if err := v.joins(h); err != nil {
			return err
		}
		v.kept = nil // they may have been given up
	case behind(newest.Header.DirEpoch, h.DirEpoch) > MaxBehind:
		return fmt.Errorf("%w: of epoch %d, known is %d", ErrOld, h.DirEpoch, newest.Header.DirEpoch)
	default:
		if err := v.follows(h); err != nil {
			return err
		}
	}
	v.keep(seen{h.Hash(), block, s})
	return nil
}

// news asks what Header asks, of a committed header by what is trusted now.
func (v *Verifier) news(s chain.SealedHeader, now chain.Time) (block chain.Hash, err error) {
	switch {
	case v.committee == nil:
		return block, v.Header(s)
	case v.twoHeads != nil:
		return block, v.twoHeads
	}
	hash := s.Header.Hash()
	if err := v.checkForm(s.Header, hash); err != nil {
		return block, err
	}
	if block, err = v.acceptCommit(s, now); err != nil {
		return block, err
	}
	if i, ok := v.find(s.Header.Height); ok && v.kept[i].hash != hash {
		return block, v.contradicts(i, s)
	}
	return block, nil
}

// behind is how many epochs e is behind of, zero if it is not.
func behind(of, e chain.Epoch) chain.Epoch { return of - min(of, e) }

// follows holds h against its kept neighbours in the same fork.
func (v *Verifier) follows(h chain.Header) error {
	i, known := v.find(h.Height)
	if known {
		return nil // the same header: CheckHeader refused any other
	}
	if i > 0 {
		below := v.kept[i-1]
		if h.Time < below.header.Header.Time {
			return fmt.Errorf("%w: height %d is earlier than height %d", ErrOrder, h.Height, below.header.Header.Height)
		}
		if below.header.Header.Height+1 == h.Height && h.Parent != below.hash {
			return fmt.Errorf("%w: height %d names another parent", ErrOrder, h.Height)
		}
	}
	if i < len(v.kept) {
		above := v.kept[i].header.Header
		if above.Time < h.Time {
			return fmt.Errorf("%w: height %d is later than height %d", ErrOrder, h.Height, above.Height)
		}
		if h.Height+1 == above.Height && above.Parent != h.Hash() {
			return fmt.Errorf("%w: height %d is not the parent of height %d", ErrOrder, h.Height, above.Height)
		}
	}
	return nil
}

// joins holds the first header of a new fork against the old one: a revert goes
// back to a header of the old fork, so that its parent must be the known one
// where it is known.
func (v *Verifier) joins(h chain.Header) error {
	if i, ok := v.find(h.Height - 1); ok && v.kept[i].hash != h.Parent {
		return fmt.Errorf("%w: fork %d at height %d names another parent", ErrOrder, h.Fork, h.Height)
	}
	return nil
}

func (v *Verifier) find(h chain.Height) (int, bool) {
	return slices.BinarySearchFunc(v.kept, h, func(s seen, h chain.Height) int {
		switch at := s.header.Header.Height; {
		case at < h:
			return -1
		case at > h:
			return 1
		}
		return 0
	})
}

func (v *Verifier) keep(s seen) {
	i, known := v.find(s.header.Header.Height)
	if known {
		return
	}
	v.kept = slices.Insert(v.kept, i, s)
	if len(v.kept) > memory {
		v.kept = slices.Delete(v.kept, 0, 1)
	}
}

// Newest is the accepted header of the greatest height in the newest fork.
func (v *Verifier) Newest() (chain.SealedHeader, bool) {
	if len(v.kept) == 0 {
		return chain.SealedHeader{}, false
	}
	return v.kept[len(v.kept)-1].header, true
}

// Conflict is the evidence for which the verifier halted, nil if there is none.
func (v *Verifier) Conflict() *TwoHeads { return v.twoHeads }

// Freshness says what may be done with the newest header.
type Freshness uint8

// Fresh: the newest header is at most two epochs old. Stalled: older; its keys
// and list are used with a warning. Expired: older than MaxStall, or there is
// no header: nothing is sent.
const (
	Fresh Freshness = iota
	Stalled
	Expired
)

func (f Freshness) String() string {
	return [...]string{"fresh", "stalled", "expired"}[min(f, Expired)]
}

// Freshness judges the newest header at the caller's time.
func (v *Verifier) Freshness(now chain.Time) Freshness {
	newest, ok := v.Newest()
	h := newest.Header
	switch {
	case !ok:
		return Expired
	case behind(v.net.EpochAt(now), h.DirEpoch) <= MaxBehind:
		return Fresh
	case now-h.Time <= chain.Time(MaxStall): // now is the later one, by epochs
		return Stalled
	}
	return Expired
}

// Seal signs h with the sealer's key, which must be h.Proposer's.
func Seal(key ed25519.PrivateKey, h chain.Header) chain.SealedHeader {
	hash := h.Hash()
	d := statement.Domain{Genesis: h.Genesis, Fork: h.Fork}
	return chain.SealedHeader{Header: h, Seal: d.SignRaw(key, statement.LabelSeal, hash[:])}
}

// VerifySeal checks that the seal is the proposer's; whether the proposer may
// seal is CheckHeader's question.
func VerifySeal(s chain.SealedHeader) error { return verifySeal(nil, s, s.Header.Hash()) }

func verifySeal(seals *statement.Verified, s chain.SealedHeader, hash chain.Hash) error {
	d := statement.Domain{Genesis: s.Header.Genesis, Fork: s.Header.Fork}
	if seals.Raw(d, s.Header.Proposer, statement.LabelSeal, hash[:], s.Seal) != nil {
		return fmt.Errorf("%w: height %d by %s", ErrSeal, s.Header.Height, s.Header.Proposer)
	}
	return nil
}
