package scenario

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/devnet"
	"tunic/node"
)

// networkWords are what the first line takes beside `param`.
var networkWords = []string{"relays", "clients", "seed", "profile", "operators", "contributors", "disk", "skew", "draws", "param"}

// parseNetwork reads the first line. Whatever profile it names, packets are not
// mixed unless it says so: a delay is real time, and the clock is not.
func (s *Script) parseNetwork(l *line) error {
	w, _ := l.take("network")
	if w.text != "network" {
		return l.errorAt(w.col, "a scenario begins with `network relays=5 clients=2 seed=7`")
	}
	quick := l.pace
	l.pace = pace{} // all at once, below
	s.Spec = devnet.Spec{Relays: 5, Clients: 2, Seed: 1, Profile: genesis.Dev}
	var params, others []string
	var set []func(*genesis.Params) error
	for l.more() {
		at := l.words[l.next]
		var err error
		if v, ok := l.option("relays"); ok {
			s.Spec.Relays, err = l.number(v, 1, devnet.MaxRelays)
		} else if v, ok := l.option("clients"); ok {
			s.Spec.Clients, err = l.number(v, 0, devnet.MaxClients)
		} else if v, ok := l.option("seed"); ok {
			s.Spec.Seed, err = l.seed(v)
		} else if v, ok := l.option("profile"); ok {
			s.Spec.Profile = genesis.Profile(v.text)
			if _, unknown := genesis.For(s.Spec.Profile); unknown != nil {
				err = l.errorAt(v.col, "profile %q is unknown%s", v.text, suggest(v.text, []string{"dev", "private", "mainnet"}))
			}
			others = append(others, at.text)
		} else if v, ok := l.option("operators"); ok {
			s.Spec.Operators, err = l.number(v, 1, devnet.MaxRelays)
			others = append(others, at.text)
		} else if v, ok := l.option("contributors"); ok {
			s.Spec.Contributors, err = l.number(v, 1, devnet.AccountCount+1)
			others = append(others, at.text)
		} else if v, ok := l.option("disk"); ok {
			if s.disk = v.text == "yes"; !s.disk && v.text != "no" {
				err = l.errorAt(v.col, "disk is yes or no")
			}
			others = append(others, at.text)
		} else if v, ok := l.option("skew"); ok {
			var d time.Duration
			if d, err = l.duration(v); err == nil && d > devnet.MaxSkew {
				err = l.errorAt(v.col, "clocks may be %v apart at most", devnet.MaxSkew)
			}
			s.Spec.Skew = d
			others = append(others, at.text)
		} else if v, ok := l.option("draws"); ok {
			if v.text != "seed" {
				err = l.errorAt(v.col, "draws are those of the seed, or not spoken of")
			}
			s.leave(l, needsDraws)
			others = append(others, at.text)
		} else if at.text == "param" {
			l.next++
			var f func(*genesis.Params) error
			if f, err = l.param(); err == nil {
				set = append(set, f)
				params = append(params, "param "+l.words[l.next-1].text)
			}
		} else {
			key, _, _ := strings.Cut(at.text, "=")
			return l.errorAt(at.col, "network knows no %q%s", at.text, suggest(key, networkWords))
		}
		if err != nil {
			return err
		}
	}
	if s.Spec.Operators > s.Spec.Relays {
		return l.errorAt(1, "%d operators for %d relays; at most one each", s.Spec.Operators, s.Spec.Relays)
	}
	quick.skew(&s.Spec)
	if err := s.setParams(set, quick); err != nil {
		return l.errorAt(1, "%v", err)
	}
	s.words = append([]string{fmt.Sprintf("network relays=%d clients=%d seed=%d", s.Spec.Relays, s.Spec.Clients, s.Spec.Seed)}, append(others, params...)...)
	return nil
}

// setParams makes the parameters and checks that they go together.
func (s *Script) setParams(set []func(*genesis.Params) error, quick pace) error {
	p, err := genesis.For(s.Spec.Profile)
	if err != nil {
		return err
	}
	p.MixingMean, p.Cover = 0, false
	for _, f := range set {
		if err := f(&p); err != nil {
			return err
		}
	}
	quick.params(&p)
	s.Spec.Params = &p
	return p.Validate()
}

// param takes NAME=VALUE, a parameter of genesis by its key there.
func (l *line) param() (func(*genesis.Params) error, error) {
	w, err := l.take("a parameter, such as credit_start_ms=20s,")
	if err != nil {
		return nil, err
	}
	name, text, ok := strings.Cut(w.text, "=")
	if !ok {
		return nil, l.errorAt(w.col, "%q is not NAME=VALUE, such as credit_start_ms=20s", w.text)
	}
	t := reflect.TypeFor[genesis.Params]()
	var names []string
	for i := range t.NumField() {
		key := t.Field(i).Tag.Get("json")
		if names = append(names, key); key != name {
			continue
		}
		if rates[key] {
			defer func(p pace) { l.pace = p }(l.pace)
			l.pace = pace{}
		}
		v, err := l.value(t.Field(i).Type, word{text: text, col: w.col + len(name) + 1})
		if err != nil {
			return nil, err
		}
		return func(p *genesis.Params) error {
			reflect.ValueOf(p).Elem().Field(i).Set(v)
			return nil
		}, nil
	}
	return nil, l.errorAt(w.col, "%q is no parameter of genesis%s", name, suggest(name, names))
}

// value reads a parameter of a type: an amount in TUN, a duration, a share, a
// number, yes or no, or texts with commas between.
func (l *line) value(t reflect.Type, w word) (reflect.Value, error) {
	v := reflect.New(t).Elem()
	switch t {
	case reflect.TypeFor[chain.Amount]():
		a, err := l.amount(w)
		v.SetUint(uint64(a))
		return v, err
	case reflect.TypeFor[chain.Duration]():
		d, err := l.duration(w)
		v.SetUint(uint64(d.Milliseconds()))
		return v, err
	case reflect.TypeFor[chain.BasisPoints]():
		share, err := percent(w.text)
		if err != nil {
			return v, l.errorAt(w.col, "%q is not a share such as 5%% or 0.5%%", w.text)
		}
		v.SetUint(uint64(share))
		return v, nil
	}
	switch t.Kind() {
	case reflect.Bool:
		if w.text != "yes" && w.text != "no" {
			return v, l.errorAt(w.col, "%q is neither yes nor no", w.text)
		}
		v.SetBool(w.text == "yes")
	case reflect.Slice:
		if w.text != "" {
			all := strings.Split(w.text, ",")
			for i := range all {
				if all[i] == "this" { // program's version, whatever it is
					all[i] = node.Version
				}
			}
			v.Set(reflect.ValueOf(all))
		}
	default:
		n, err := l.number(w, 0, 1<<min(t.Bits(), 31)-1)
		if err != nil {
			return v, err
		}
		v.SetUint(uint64(n))
	}
	return v, nil
}
