package api

import (
	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/wire"
	"tunic/ledger"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/slashing"
)

// headOfMessage reads what every account transaction begins with.
func headOfMessage(tx chain.Tx) (h chain.Head, err error) {
	r := wire.NewReader(tx.Payload)
	h.Nonce, h.Fee, h.ValidUntil = r.Uint64(), chain.Amount(r.Uint64()), chain.Height(r.Uint64())
	return h, r.Err()
}

// receipt adds what follows from a transaction's place: when that was, how deep
// it is, and what it brought about.
func (s *server) receipt(out *oas.Transaction, st ledger.TxStatus) error {
	head := int64(s.ledger.Head().Header.Height)
	out.HeadHeight = &head
	if st.State != ledger.TxIncluded {
		return nil
	}
	sealed, err := s.ledger.Header(st.Height)
	if err != nil {
		return err
	}
	time, deep := int64(sealed.Header.Time), max(head-int64(st.Height), 0)+1
	out.TimeMs, out.Confirmations = &time, &deep
	if st.Code != "" {
		if out.Detail == nil {
			out.Detail = nonEmpty(refusalWords[st.Code])
		}
		return nil
	}
	n := noteOf(st.Bytes)
	proof := proofIn(st.Bytes)
	s.ledger.View(func(m *machine.Machine) {
		if id, ok := punishedAt(m, proof, st.Height); ok {
			out.Offence = named(id)
		}
		subject := n.node
		if n.label == statement.LabelProof {
			subject = n.about
		}
		for _, e := range m.Registry().History(subject) {
			if e.Height == st.Height && brought(n, e) {
				event := nodeEventOf(e)
				out.Event = &event
			}
		}
	})
	return nil
}

// brought reports whether e, of the block that holds n and of its node, is what n
// brought about.
func brought(n note, e registry.Event) bool {
	switch {
	case n.kind == chain.KindRegister:
		return e.To == registry.Registered
	case n.kind == chain.KindRequestUnlock:
		return e.To == registry.Unlocking
	case n.kind == chain.KindSubmitProof || n.label == statement.LabelProof:
		return !e.Proof.IsZero() && !e.Judged()
	}
	return false
}

// proofIn is the proof that a transaction carries; nil if it carries none.
func proofIn(raw []byte) []byte {
	tx, err := chain.DecodeTx(raw)
	if err != nil {
		return nil
	}
	switch tx.Kind {
	case chain.KindSubmitProof:
		v, _ := slashing.SubmitProofType.Decode(tx.Payload)
		return v.Proof
	case chain.KindPublish:
		if st, err := statement.Decode(tx.Payload); err == nil && st.Label == statement.LabelProof {
			return st.Body
		}
	}
	return nil
}

// punishedAt is the offence that the block at h punished for this proof.
func punishedAt(m *machine.Machine, proof []byte, h chain.Height) (chain.Hash, bool) {
	p, err := slashing.Decode(proof)
	if err != nil {
		return chain.Hash{}, false
	}
	r, ok := m.Slashing().Record(p.ID())
	return r.ID, ok && r.At == h
}
