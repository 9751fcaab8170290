package main

import (
	"strings"

	"tunic/chain"
	"tunic/registry/explain"
)

// head is a table's first row.
func (a *app) head(names ...string) []string {
	for i, n := range names {
		names[i] = strings.ToUpper(n)
	}
	return names
}

// tun shows the API's decimal string of units for people.
func tun(units string) string {
	var x chain.Amount
	if x.UnmarshalText([]byte(units)) != nil {
		return units
	}
	return x.String() + " TUN"
}

// amountOf reads the API's decimal string of units; 0 where it is none.
func amountOf(s string) (x chain.Amount) {
	if x.UnmarshalText([]byte(s)) != nil {
		return 0
	}
	return x
}

// instant shows a network's time.
func instant(ms int64) string { return explain.Instant(chain.Time(max(0, ms))) }

// span shows a length of time in the two largest units that it needs.
func span(ms int64) string { return explain.Span(chain.Duration(max(0, ms))) }

// short cuts an id to its first eight digits.
func short(id string) string { return id[:min(len(id), 8)] }

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
