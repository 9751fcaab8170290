package statement_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/testenv"
	"tunic/internal/wire"
)

func array32(first byte) (a [32]byte) {
	for i := range a {
		a[i] = first + byte(i)
	}
	return a
}

func sampleDescriptor() statement.Descriptor {
	return statement.Descriptor{
		Version: "0.1.0", Endpoints: []string{"127.1.2.3:4000", "[2001:db8::1]:4000"},
		Family: []chain.NodeID{array32(1), array32(2)},
		Keys:   []statement.OnionKey{{First: 0, Last: 7, Key: array32(3)}, {First: 8, Last: 31, Key: array32(4)}},
	}
}

func sampleBodies() (statement.Heartbeat, statement.Receipt, statement.Vote, statement.Commitment) {
	h := statement.Heartbeat{Version: "0.1.0", Height: 77}
	for i := range h.VRF {
		h.VRF[i] = byte(i)
	}
	return h, statement.Receipt{Chunks: array32(1), Class: 9, Until: 1735689600000, Deleter: array32(2)},
		statement.Vote{Subject: array32(3), Epoch: 4, Reasons: 5, Score: 876}, sampleCommitment()
}

func sampleCommitment() statement.Commitment {
	reveal := &statement.Reveal{Probes: make([][statement.ProbeLayers][statement.TagSize]byte, 2)}
	for i := range reveal.Draw {
		reveal.Draw[i] = byte(i)
	}
	for i := range reveal.Probes {
		for l := range reveal.Probes[i] {
			reveal.Probes[i][l][0] = byte(16*i + l)
		}
	}
	open := &statement.Opening{Salt: array32(8), Siblings: []chain.Hash{array32(9)},
		Opened: []statement.Opened{{Prober: 1, Probe: 2, Layer: 3, Place: 4}, {Prober: 1, Probe: 3, Layer: 0, Place: 5}}}
	return statement.Commitment{Epoch: 6, Depth: 3, Root: array32(7), Reveal: reveal, Open: open}
}

func TestDescriptorRules(t *testing.T) {
	key := func(first, last chain.Epoch) statement.OnionKey { return statement.OnionKey{First: first, Last: last} }
	keys := func(k ...statement.OnionKey) func(*statement.Descriptor) {
		return func(d *statement.Descriptor) { d.Keys = k }
	}
	ends := func(e ...string) func(*statement.Descriptor) {
		return func(d *statement.Descriptor) { d.Endpoints = e }
	}
	family := func(n ...chain.NodeID) func(*statement.Descriptor) {
		return func(d *statement.Descriptor) { d.Family = n }
	}
	version := func(v string) func(*statement.Descriptor) { return func(d *statement.Descriptor) { d.Version = v } }
	ids := func(n int) []chain.NodeID {
		l := make([]chain.NodeID, n)
		for i := range l {
			l[i][0] = byte(i)
		}
		return l
	}
	for _, c := range []struct {
		name   string
		change func(*statement.Descriptor)
		ok     bool
	}{
		{"as it is", func(*statement.Descriptor) {}, true},
		{"no family", family(), true},
		{"largest family", family(ids(statement.MaxFamily)...), true},
		{"family too large", family(ids(statement.MaxFamily + 1)...), false},
		{"family twice the same", family(array32(1), array32(1)), false},
		{"family descending", family(array32(2), array32(1)), false},
		{"no version", version(""), true},
		{"longest version", version(strings.Repeat("v", statement.MaxVersion)), true},
		{"version too long", version(strings.Repeat("v", statement.MaxVersion+1)), false},
		{"version with a space", version("0.1 0"), false},
		{"version with an escape", version("\x1b[31m"), false},
		{"version not ASCII", version("é"), false},
		{"version not UTF-8", version("\xff"), false},
		{"no endpoint", ends(), false},
		{"most endpoints", ends("1.2.3.4:1", "1.2.3.4:2", "1.2.3.4:3", "1.2.3.4:65535"), true},
		{"too many endpoints", ends("1.2.3.4:1", "1.2.3.4:2", "1.2.3.4:3", "1.2.3.4:4", "1.2.3.4:5"), false},
		{"endpoint too long", ends("[2001:db8::1%" + strings.Repeat("z", 60) + "]:1"), false},
		{"endpoint without port", ends("1.2.3.4"), false},
		{"port 0", ends("1.2.3.4:0"), false},
		{"port with a zero in front", ends("1.2.3.4:080"), false},
		{"port too large", ends("1.2.3.4:65536"), false},
		{"host name", ends("example.org:80"), false},
		{"empty endpoint", ends(""), false},
		{"IPv6 in a long form", ends("[2001:db8:0::1]:80"), false},
		{"IPv6 in capitals", ends("[2001:DB8::1]:80"), false},
		{"IPv6 without brackets", ends("2001:db8::1:80"), false},
		{"IPv6 with a zone", ends("[fe80::1%eth0]:80"), false},
		{"IPv4 in IPv6 form", ends("[::ffff:1.2.3.4]:80"), false},
		{"unspecified IPv4", ends("0.0.0.0:80"), false},
		{"unspecified IPv6", ends("[::]:80"), false},
		{"multicast", ends("224.0.0.1:80"), false},
		{"second endpoint bad", ends("1.2.3.4:1", "x"), false},
		{"no key", keys(), false},
		{"key of one epoch", keys(key(5, 5)), true},
		{"key that ends before it begins", keys(key(5, 4)), false},
		{"three keys", keys(key(0, 1), key(2, 3), key(4, 5)), true},
		{"four keys", keys(key(0, 1), key(2, 3), key(4, 5), key(6, 7)), false},
		{"keys with a gap", keys(key(0, 1), key(3, 4)), false},
		{"keys that overlap", keys(key(0, 2), key(2, 4)), false},
		{"keys descending", keys(key(2, 3), key(0, 1)), false},
		{"keys up to the last epoch", keys(key(0, 9), key(10, math.MaxUint64)), true},
		{"keys around the last epoch", keys(key(9, math.MaxUint64), key(0, 3)), false},
	} {
		d := sampleDescriptor()
		c.change(&d)
		got, err := statement.DecodeDescriptor(d.Encode())
		if c.ok && (err != nil || !bytes.Equal(got.Encode(), d.Encode())) {
			t.Errorf("%s: %v", c.name, err)
		}
		if !c.ok && !errors.Is(err, statement.ErrMalformed) {
			t.Errorf("%s: accepted: %v", c.name, err)
		}
	}
}

func TestKeyFor(t *testing.T) {
	d := sampleDescriptor()
	for e, first := range map[chain.Epoch]chain.Epoch{0: 0, 7: 0, 8: 8, 31: 8} {
		if k, ok := d.KeyFor(e); !ok || k.First != first {
			t.Errorf("epoch %d: key of %d, %v", e, k.First, ok)
		}
	}
	if k, ok := d.KeyFor(32); ok || k != (statement.OnionKey{}) {
		t.Error("an epoch without key has one")
	}
}

// each decodes and encodes every kind of body; the map is by name.
var bodies = map[string]func([]byte) ([]byte, error){
	"descriptor": func(b []byte) ([]byte, error) { x, err := statement.DecodeDescriptor(b); return x.Encode(), err },
	"heartbeat":  func(b []byte) ([]byte, error) { x, err := statement.DecodeHeartbeat(b); return x.Encode(), err },
	"receipt":    func(b []byte) ([]byte, error) { x, err := statement.DecodeReceipt(b); return x.Encode(), err },
	"vote":       func(b []byte) ([]byte, error) { x, err := statement.DecodeVote(b); return x.Encode(), err },
	"commitment": func(b []byte) ([]byte, error) { x, err := statement.DecodeCommitment(b); return x.Encode(), err },
	"answer":     func(b []byte) ([]byte, error) { x, err := statement.DecodeAnswer(b); return x.Encode(), err },
}

func samples() map[string][]byte {
	h, r, v, c := sampleBodies()
	return map[string][]byte{"descriptor": sampleDescriptor().Encode(), "heartbeat": h.Encode(), "receipt": r.Encode(), "vote": v.Encode(), "commitment": c.Encode()}
}

func TestBodies(t *testing.T) {
	sizes := map[string]int{"descriptor": 4 + 5 + 4 + 4 + 14 + 4 + 18 + 4 + 64 + 4 + 96, "heartbeat": 4 + 5 + 88, "receipt": 73, "vote": 46, "commitment": 8 + 1 + 32 + 1 + 80 + 4 + 2*64 + 1 + 32 + 4 + 2*13 + 4 + 32}
	for name, enc := range samples() {
		if len(enc) != sizes[name] {
			t.Errorf("%s: %d bytes, want %d", name, len(enc), sizes[name])
		}
		if out, err := bodies[name](enc); err != nil || !bytes.Equal(out, enc) {
			t.Errorf("%s: %x, %v", name, out, err)
		}
		for i := range enc {
			if _, err := bodies[name](enc[:i]); !errors.Is(err, statement.ErrMalformed) {
				t.Errorf("%s cut to %d bytes: %v", name, i, err)
			}
		}
		if _, err := bodies[name](append(enc, 0)); !errors.Is(err, wire.ErrTrailing) {
			t.Errorf("%s: trailing byte: %v", name, err)
		}
	}
	h, r, v, c := sampleBodies()
	if got, err := statement.DecodeHeartbeat(h.Encode()); err != nil || got != h {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := statement.DecodeReceipt(r.Encode()); err != nil || got != r {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := statement.DecodeVote(v.Encode()); err != nil || got != v {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := statement.DecodeCommitment(c.Encode()); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := statement.DecodeDescriptor(sampleDescriptor().Encode()); err != nil || !reflect.DeepEqual(got, sampleDescriptor()) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, version := range []string{strings.Repeat("v", statement.MaxVersion+1), "a b", "\x7f"} {
		h.Version = version
		if _, err := statement.DecodeHeartbeat(h.Encode()); !errors.Is(err, statement.ErrMalformed) {
			t.Errorf("heartbeat of version %q: %v", version, err)
		}
	}
	if b := statement.RegistrationBody(chain.Address{1}, array32(2)); len(b) != 52 || b[0] != 1 || b[20] != 2 {
		t.Errorf("registration body %x", b)
	}
}

func FuzzBodies(f *testing.F) {
	for _, enc := range samples() {
		f.Add(enc)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for name, both := range bodies {
			if out, err := both(in); err == nil && !bytes.Equal(out, in) {
				t.Fatalf("%s %x has the second encoding %x", name, in, out)
			}
		}
	})
}

func TestVectors(t *testing.T) {
	const path = "testdata/vectors.json"
	type vector struct {
		Name string `json:"name"`
		Hex  string `json:"hex"`
	}
	type file struct {
		MadeBy  string             `json:"made_by"`
		Seed    string             `json:"seed"`
		Domain  statement.Domain   `json:"domain"`
		Seq     statement.Sequence `json:"sequence"`
		Vectors []vector           `json:"vectors"`
	}
	seq := statement.NewSequence(5, 6)
	want := file{MadeBy: "go test ./chain/statement -run TestVectors -rewrite", Seed: hex.EncodeToString(testKey(1).Seed()), Domain: domain, Seq: seq}
	all := samples()
	for _, x := range []struct {
		name  string
		label statement.Label
	}{{"descriptor", statement.LabelDescriptor}, {"heartbeat", statement.LabelHeartbeat}, {"vote", statement.LabelVote},
		{"commitment", statement.LabelCommitment}, {"receipt", statement.LabelReceipt}} {
		want.Vectors = append(want.Vectors, vector{x.name + " body", hex.EncodeToString(all[x.name])},
			vector{x.name + " statement", hex.EncodeToString(statement.Sign(domain, testKey(1), x.label, seq, all[x.name]).Encode())})
	}
	raw := func(name string, d statement.Domain, l statement.Label, body []byte) {
		sig := d.SignRaw(testKey(1), l, body)
		want.Vectors = append(want.Vectors, vector{name + " body", hex.EncodeToString(body)}, vector{name + " signature", hex.EncodeToString(sig[:])})
	}
	seal := array32(8)
	raw("header seal", domain, statement.LabelSeal, seal[:])
	raw("registration (fork 0)", statement.Domain{Genesis: domain.Genesis}, statement.LabelRegistration, statement.RegistrationBody(chain.Address{1}, array32(2)))
	testenv.Golden(t, path, want)
}

func TestJudgingRules(t *testing.T) {
	vote := func(r statement.Reasons, s chain.Permille) []byte {
		return statement.Vote{Reasons: r, Score: s}.Encode()
	}
	for _, c := range []struct {
		name string
		body []byte
		ok   bool
	}{
		{"fit", vote(0, 1000), true},
		{"all reasons", vote(15, 0), true},
		{"unknown reason", vote(16, 0), false},
		{"score above 1000", vote(0, 1001), false},
	} {
		if _, err := statement.DecodeVote(c.body); (err == nil) != c.ok {
			t.Errorf("vote, %s: %v", c.name, err)
		}
	}
	for _, c := range []struct {
		name   string
		change func(*statement.Commitment)
		ok     bool
	}{
		{"as it is", func(*statement.Commitment) {}, true},
		{"nothing", func(c *statement.Commitment) { *c = statement.Commitment{Epoch: 3} }, true},
		{"depth without root", func(c *statement.Commitment) { c.Root = chain.Hash{} }, false},
		{"root without depth", func(c *statement.Commitment) { c.Depth = 0 }, false},
		{"too deep", func(c *statement.Commitment) { c.Depth = statement.MaxTreeDepth + 1 }, false},
		{"layer of no probe", func(c *statement.Commitment) { c.Open.Opened[0].Layer = statement.ProbeLayers }, false},
		{"number of no probe", func(c *statement.Commitment) { c.Open.Opened[0].Probe = statement.MaxProbes }, false},
		{"places not ascending", func(c *statement.Commitment) { c.Open.Opened[1].Place = 4 }, false},
		{"too many probes", func(c *statement.Commitment) {
			c.Reveal.Probes = make([][statement.ProbeLayers][statement.TagSize]byte, statement.MaxProbes+1)
		}, false},
	} {
		x := sampleCommitment()
		c.change(&x)
		if _, err := statement.DecodeCommitment(x.Encode()); (err == nil) != c.ok {
			t.Errorf("commitment, %s: %v", c.name, err)
		}
	}
	if got := (statement.ReasonAbsent | statement.ReasonVersion).String(); got != "absent+version" {
		t.Error(got)
	}
}
