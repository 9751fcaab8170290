package cli

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"tunic/chain"
	"tunic/chain/genesis"
)

// Council is the council that flags name, ascending, and how many of it have to agree.
func Council(names []string, least uint16) ([]chain.Address, uint16, error) {
	var out []chain.Address
	for _, s := range names {
		who, err := chain.ParseAddress(s)
		if err != nil {
			return nil, 0, Usage("--council: %v", err)
		}
		out = append(out, who)
	}
	slices.SortFunc(out, func(a, b chain.Address) int { return bytes.Compare(a[:], b[:]) })
	n := len(slices.Compact(slices.Clone(out)))
	switch {
	case n < len(out):
		return nil, 0, Usage("--council names an account twice")
	case n == 0 && least > 0:
		return nil, 0, Usage("--council-min without --council: who has to agree?")
	case int(least) > n:
		return nil, 0, Usage("--council-min %d of a council of %d", least, n)
	case n > 0 && least == 0:
		return out, uint16(n/2 + 1), nil
	}
	return out, least, nil
}

// WithParams changes parameters by their names in JSON, as a flag says. A value
// is JSON, or a text without its quotes.
func WithParams(flag string, p genesis.Params, changes []string) (genesis.Params, error) {
	for _, s := range changes {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return p, Usage("--%s %q is not NAME=VALUE", flag, s)
		}
		key, _ := json.Marshal(name) // a string
		for _, v := range []string{value, `"` + value + `"`} {
			d := json.NewDecoder(strings.NewReader("{" + string(key) + ":" + v + "}"))
			d.DisallowUnknownFields()
			changed := p
			if ok = d.Decode(&changed) == nil; ok {
				p = changed
				break
			}
		}
		if !ok {
			return p, Usage("--%s %q: no parameter has that name, or it takes no such value; genesis.json shows all", flag, s)
		}
	}
	return p, nil
}

// Allocations are what flags of the form ADDRESS=TUN say, in their order.
func Allocations(flags []string) ([]genesis.Allocation, error) {
	var out []genesis.Allocation
	for _, s := range flags {
		who, much, ok := strings.Cut(s, "=")
		if !ok {
			return nil, Usage("--alloc %q is not ADDRESS=TUN", s)
		}
		var x genesis.Allocation
		var err error
		if x.Address, err = chain.ParseAddress(who); err != nil {
			return nil, Usage("--alloc: %v", err)
		}
		if x.Balance, err = chain.ParseTUN(much); err != nil {
			return nil, Usage("--alloc: %v", err)
		}
		out = append(out, x)
	}
	return out, nil
}
