package ledger

import (
	"errors"
	"fmt"

	"tunic/chain"
	"tunic/ledger/machine"
	"tunic/slashing"
)

// What an engine concludes of a validator stands in the state without the votes
// that show it. Who has them keeps the proof file beside the state: it is of this
// copy alone, and no block depends on it.

// Unproven are the offences that an engine concluded and of which no proof file
// is kept, among those that the head's state knows.
func (l *Ledger) Unproven() (out []slashing.Record, err error) {
	l.View(func(m *machine.Machine) {
		for _, r := range m.Slashing().All() {
			if r.Concluded != nil && r.Concluded.Fault == slashing.DuplicateVote {
				out = append(out, r)
			}
		}
	})
	n := 0
	for _, r := range out {
		switch _, e := l.Proof(r.ID); {
		case errors.Is(e, ErrNotFound):
			out[n] = r
			n++
		case e != nil:
			return nil, e
		}
	}
	return out[:n], nil
}

// KeepProof keeps the proof file of an offence that an engine concluded. It has to
// be valid by itself, and of an offence that was punished.
func (l *Ledger) KeepProof(p slashing.Proof) error {
	if err := p.Validate(); err != nil {
		return fmt.Errorf("keep proof: %w", err)
	}
	id := p.ID()
	known := false
	l.View(func(m *machine.Machine) { _, known = m.Slashing().Record(id) })
	if !known {
		return fmt.Errorf("keep proof: %w: offence %s", ErrNotFound, id)
	}
	if err := l.db.db.Put(key(keyProof, id[:]), p.Encode(), synced); err != nil {
		return dbError("keep proof", err)
	}
	return nil
}

// Proof is the proof file of an offence that an engine concluded; ErrNotFound
// where this copy of the ledger has none.
func (l *Ledger) Proof(id chain.Hash) (slashing.Proof, error) {
	b, err := l.db.get("proof of offence "+id.String(), key(keyProof, id[:]))
	if err != nil {
		return slashing.Proof{}, err
	}
	p, err := slashing.Decode(b)
	if err != nil || p.ID() != id {
		return p, corrupt("the proof of offence %s: %v", id, err)
	}
	return p, nil
}
