package mailbox

import (
	"bytes"
	"fmt"

	"tunic/chain"
	"tunic/onion/mail"
)

// Rows that members compare, by ascending mailbox and id: docs/spec/mail.md,
// section Anti-entropy. All of these read and change nothing; they may take as
// long as it takes to read every state row, without contents.

// Entry is one row of a listing.
type Entry struct {
	Short  mail.Short
	Key    [mail.MaxBound]byte // mailbox, id
	Cursor uint64              // of an item or a request; else 0
}

// each calls fn with the rows of a scope, ascending, until fn returns false.
func (m *Mailbox) each(s *mail.Scope, fn func(key []byte, st state) bool) error {
	bad := false
	err := m.cfg.Store.Scan([]byte{rowState}, append([]byte{rowState}, s.Lower...), func(k, v []byte) bool {
		key := k[1:]
		if len(s.Upper) > 0 && bytes.Compare(key, s.Upper) >= 0 {
			return false
		}
		st, ok := decodeState(v)
		if !ok || len(key) != mail.MaxBound {
			bad = true
			return false
		}
		return st.expiry <= s.At || fn(key, st)
	})
	if err == nil && bad {
		err = fmt.Errorf("%w: state", ErrStore)
	}
	if err != nil {
		m.failures.Add(1)
		return fmt.Errorf("compare mailboxes: %w", err)
	}
	return nil
}

func shortOf(s *mail.Scope, key []byte, st state) mail.Short {
	return s.ShortOf(mail.ID(key[:32]), chain.Hash(key[32:]), st.state)
}

// Sums adds up the rows of a scope by ranges: the first begins where the scope
// does, each ends below its upper bound, the next one there. Bounds ascend; an
// empty one is no bound.
func (m *Mailbox) Sums(s *mail.Scope, upper [][]byte) ([]mail.Sum, error) {
	sums := make([]mail.Sum, len(upper))
	at := 0
	err := m.each(s, func(key []byte, st state) bool {
		for at < len(upper) && len(upper[at]) > 0 && bytes.Compare(key, upper[at]) >= 0 {
			at++
		}
		if at == len(upper) {
			return false
		}
		sums[at].Add(shortOf(s, key, st))
		return true
	})
	return sums, err
}

// Split divides a scope that holds about rows rows into at most parts ranges of
// as many each, and adds them up. The last ends where the scope does.
func (m *Mailbox) Split(s *mail.Scope, rows, parts int) (upper [][]byte, sums []mail.Sum, err error) {
	size := uint32(max(1, (rows+parts-1)/parts))
	var last []byte
	var sum mail.Sum
	err = m.each(s, func(key []byte, st state) bool {
		if sum.Rows >= size && len(upper) < parts-1 {
			upper, sums = append(upper, between(last, key)), append(sums, sum)
			sum = mail.Sum{}
		}
		sum.Add(shortOf(s, key, st))
		last = append(last[:0], key...)
		return true
	})
	return append(upper, s.Upper), append(sums, sum), err
}

// between is the shortest bound that is above a and not above b.
func between(a, b []byte) []byte {
	for n := range b {
		if a[n] != b[n] {
			return bytes.Clone(b[:n+1])
		}
	}
	return bytes.Clone(b)
}

// List lists the first rows of a scope, at most limit; next is where it ended,
// nil at the end of the scope.
func (m *Mailbox) List(s *mail.Scope, limit int) (rows []Entry, next []byte, err error) {
	err = m.each(s, func(key []byte, st state) bool {
		if len(rows) == limit {
			next = bytes.Clone(key)
			return false
		}
		rows = append(rows, Entry{shortOf(s, key, st), [mail.MaxBound]byte(key), st.cursor})
		return true
	})
	return rows, next, err
}

// Rows are the contents of the rows of a scope that are named, without serials;
// what has gone is left out. seek bounds how many rows are looked at.
func (m *Mailbox) Rows(s *mail.Scope, shorts []mail.Short, seek int) ([]mail.Copy, error) {
	wanted := make(map[mail.Short]bool, len(shorts))
	for _, x := range shorts {
		wanted[x] = true
	}
	type found struct {
		key [mail.MaxBound]byte
		st  state
	}
	var rows []found
	err := m.each(s, func(key []byte, st state) bool {
		if x := shortOf(s, key, st); wanted[x] {
			delete(wanted, x)
			rows = append(rows, found{[mail.MaxBound]byte(key), st})
		}
		seek--
		return len(wanted) > 0 && seek > 0
	})
	if err != nil {
		return nil, err
	}
	var out []mail.Copy
	for _, row := range rows {
		c, ok, err := m.content(mail.ID(row.key[:32]), chain.Hash(row.key[32:]), row.st)
		if err != nil {
			m.failures.Add(1)
			return nil, fmt.Errorf("read for a member: %w", err)
		}
		if ok {
			out = append(out, c)
		}
	}
	return out, nil
}

// content is what stands behind a state row.
func (m *Mailbox) content(id mail.ID, item chain.Hash, st state) (c mail.Copy, ok bool, err error) {
	switch st.state {
	case mail.RowItem, mail.RowRequest:
		key := itemKey(id, st.cursor)
		v, err := m.cfg.Store.Get(key)
		if err != nil || v == nil {
			return c, false, err
		}
		i, ok := decodeItem(v)
		if !ok || i.id != item {
			return c, false, nil
		}
		if i.content, ok, err = m.whole(key, i.content); !ok {
			return c, false, err
		}
		return mail.Copy{Command: i.command()}, true, nil
	case mail.RowBundle:
		v, err := m.cfg.Store.Get(bundleKey(st.account))
		if err != nil || len(v) <= 8 {
			return c, false, err
		}
		return mail.Copy{Command: mail.Command{PutBundle: &mail.PutBundle{Bundle: v[8:]}}}, chain.SHA256(v[8:]) == item, nil
	case mail.RowDeleted:
		v, err := m.cfg.Store.Get(tokenKey(st.deleter))
		if err != nil || len(v) != 40 {
			return c, false, err
		}
		return mail.Copy{Tombstone: &mail.Tombstone{Mailbox: id, Item: item, Token: [32]byte(v[:32]), Until: st.expiry}}, true, nil
	}
	return c, false, nil
}

// Beyond finds the first row at or above a bound that has not expired at the
// time; false where there is none.
func (m *Mailbox) Beyond(at chain.Time, lower []byte) (id mail.ID, ok bool, err error) {
	err = m.each(&mail.Scope{At: at, Lower: lower}, func(key []byte, _ state) bool {
		id, ok = mail.ID(key[:32]), true
		return false
	})
	return id, ok, err
}
