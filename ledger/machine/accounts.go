package machine

import (
	"iter"

	"tunic/chain"
	"tunic/internal/table"
	"tunic/internal/wire"
)

// Account is a row of the accounts part.
type Account struct {
	Balance chain.Amount
	Nonce   uint64 // the next unused one
}

func newAccounts(p *table.Part) *table.Table[chain.Address, Account] {
	return table.New(p, table.Codec[chain.Address, Account]{
		Prefix:    1,
		AppendKey: func(b []byte, a chain.Address) []byte { return append(b, a[:]...) },
		ReadKey:   func(r *wire.Reader) (a chain.Address) { r.Copy(a[:]); return a },
		AppendValue: func(b []byte, v Account) []byte {
			return wire.AppendUint64(wire.AppendUint64(b, uint64(v.Balance)), v.Nonce)
		},
		ReadValue: func(r *wire.Reader) Account {
			return Account{Balance: chain.Amount(r.Uint64()), Nonce: r.Uint64()}
		},
	})
}

// Account returns the account of a; an unused one is zero.
func (m *Machine) Account(a chain.Address) Account {
	v, _ := m.accounts.Get(a)
	return v
}

// AccountKey is the row key of a in the accounts part, for Prove.
func (m *Machine) AccountKey(a chain.Address) []byte { return m.accounts.Key(a) }

// Accounts gives all accounts that were ever used, ascending by address.
func (m *Machine) Accounts() iter.Seq2[chain.Address, Account] { return m.accounts.All() }

// AccountsFrom gives the accounts of the head from a on, ascending by address,
// at a cost that does not depend on how many there are.
func (m *Machine) AccountsFrom(a chain.Address) iter.Seq2[chain.Address, Account] {
	return m.accounts.From(a)
}

// AccountCount is the number of accounts that were ever used.
func (m *Machine) AccountCount() int { return m.accounts.Len() }

// purse is what one transaction sees of the accounts: writes stay in it until
// keep, so that a refusal after the fee was taken changes nothing. A
// transaction touches a few accounts; they are kept in order of first touch.
type purse struct {
	m       *Machine
	touched []touched
}

type touched struct {
	at  chain.Address
	now Account
}

func (p *purse) get(a chain.Address) *Account {
	for i := range p.touched {
		if p.touched[i].at == a {
			return &p.touched[i].now
		}
	}
	p.touched = append(p.touched, touched{a, p.m.Account(a)})
	return &p.touched[len(p.touched)-1].now
}

// Balance is a's balance as the transaction sees it.
func (p *purse) Balance(a chain.Address) chain.Amount { return p.get(a).Balance }

// Debit takes x, which the caller has seen in Balance.
func (p *purse) Debit(a chain.Address, x chain.Amount) {
	acc := p.get(a)
	left, ok := acc.Balance.Sub(x)
	if !ok {
		panic("machine: internal error: debit above the balance")
	}
	acc.Balance = left
}

// Credit adds x; the supply fits, so that no sum of its parts overflows.
func (p *purse) Credit(a chain.Address, x chain.Amount) {
	if x == 0 {
		return
	}
	acc := p.get(a)
	sum, ok := acc.Balance.Add(x)
	if !ok {
		panic("machine: internal error: balance above the supply")
	}
	acc.Balance = sum
}

func (p *purse) keep() {
	for i := range p.touched {
		t := &p.touched[i]
		if t.now == (Account{}) {
			p.m.accounts.Delete(t.at)
			continue
		}
		if was, known := p.m.accounts.Get(t.at); !known || was != t.now {
			p.m.accounts.Set(t.at, t.now)
		}
	}
	p.touched = p.touched[:0]
}
