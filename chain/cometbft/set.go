package cometbft

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/merkle"
)

// Validator is a key and its weight. Only Ed25519 keys are read.
type Validator struct {
	Key   chain.NodeID
	Power Power // above 0
}

// Set is the validators that decide a height, in CometBFT's order: the greatest
// power first, equal ones by address. It never changes. Make it with NewSet.
type Set struct {
	validators []Validator
	addresses  []Address // of validators, by place
	places     map[Address]int
	total      Power
	hash       chain.Hash
}

// NewSet makes the set of these validators, in whatever order they come. ErrSet
// for none or more than MaxValidators, a power below 1, powers that add up to
// more than MaxTotalPower, a validator that is there twice, and a key that is no
// canonical point or of small order: with such a key anyone could vote.
func NewSet(validators []Validator) (*Set, error) {
	if err := checkCount(len(validators)); err != nil {
		return nil, err
	}
	type addressed struct {
		Validator
		address Address
	}
	all := make([]addressed, len(validators))
	for i, v := range validators {
		all[i] = addressed{v, AddressOf(v.Key)}
	}
	slices.SortFunc(all, func(a, b addressed) int { return compareValidators(a.Validator, b.Validator, a.address, b.address) })
	s := &Set{validators: make([]Validator, len(all)), addresses: make([]Address, len(all))}
	for i, a := range all {
		s.validators[i], s.addresses[i] = a.Validator, a.address
	}
	return s.finish()
}

// orderedSet is NewSet of validators that have to be in order already. It keeps
// the slice.
func orderedSet(validators []Validator) (*Set, error) {
	if err := checkCount(len(validators)); err != nil {
		return nil, err
	}
	s := &Set{validators: validators, addresses: make([]Address, len(validators))}
	for i, v := range validators {
		s.addresses[i] = AddressOf(v.Key)
		if i > 0 && compareValidators(validators[i-1], v, s.addresses[i-1], s.addresses[i]) >= 0 {
			return nil, fmt.Errorf("%w: validator %d is out of order", ErrSet, i)
		}
	}
	return s.finish()
}

func checkCount(n int) error {
	if n == 0 || n > MaxValidators {
		return fmt.Errorf("%w: %d of them; 1 to %d", ErrSet, n, MaxValidators)
	}
	return nil
}

func compareValidators(a, b Validator, addressA, addressB Address) int {
	return cmp.Or(cmp.Compare(b.Power, a.Power), addressA.Compare(addressB))
}

// finish checks what was collected and computes total, places and hash.
func (s *Set) finish() (*Set, error) {
	s.places = make(map[Address]int, len(s.validators))
	leaves := make([]merkle.Hash, len(s.validators))
	var scratch [64]byte
	for i, v := range s.validators {
		switch {
		case v.Power < 1:
			return nil, fmt.Errorf("%w: %s has power %d", ErrSet, v.Key, v.Power)
		case v.Power > MaxTotalPower-s.total:
			return nil, fmt.Errorf("%w: powers add up to more than %d", ErrSet, MaxTotalPower)
		case !statement.Canonical(v.Key):
			return nil, fmt.Errorf("%w: %s is a key with which anyone could vote", ErrSet, v.Key)
		}
		if _, twice := s.places[s.addresses[i]]; twice {
			return nil, fmt.Errorf("%w: %s is there twice", ErrSet, v.Key)
		}
		s.places[s.addresses[i]] = i
		s.total += v.Power
		leaves[i] = merkle.Leaf(v.appendProto(scratch[:0]))
	}
	s.hash = chain.Hash(merkle.Root(leaves))
	return s, nil
}

// Len is the number of validators.
func (s *Set) Len() int { return len(s.validators) }

// At is the validator at place i, from 0 on.
func (s *Set) At(i int) Validator { return s.validators[i] }

// Nodes are the keys of the validators, ascending.
func (s *Set) Nodes() []chain.NodeID {
	out := make([]chain.NodeID, len(s.validators))
	for i, v := range s.validators {
		out[i] = v.Key
	}
	slices.SortFunc(out, func(a, b chain.NodeID) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// Find is the place of the validator with this address.
func (s *Set) Find(a Address) (int, bool) {
	i, ok := s.places[a]
	return i, ok
}

// Total is the power of all, at most MaxTotalPower.
func (s *Set) Total() Power { return s.total }

// Hash is what headers name the set by: the root over its validators.
func (s *Set) Hash() chain.Hash { return s.hash }
