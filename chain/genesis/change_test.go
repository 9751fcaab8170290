package genesis_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/testenv"
	"tunic/internal/wire"
)

// A change of any one field is named by its JSON key, and by no other.
func TestDiffNamesEachField(t *testing.T) {
	typ := reflect.TypeFor[genesis.Params]()
	keys := genesis.Keys()
	if len(keys) != typ.NumField() {
		t.Fatalf("%d keys of %d fields", len(keys), typ.NumField())
	}
	base := params(t, genesis.Mainnet)
	base.Versions = []string{"a"}
	for i, key := range keys {
		p := base
		change(t, reflect.ValueOf(&p).Elem().Field(i))
		if got := base.Diff(p); len(got) != 1 || got[0] != key {
			t.Errorf("%s changed: %v", key, got)
		}
	}
	empty := params(t, genesis.Mainnet)
	empty.Versions = []string{}
	if d := empty.Diff(params(t, genesis.Mainnet)); d != nil {
		t.Errorf("no versions differ from no versions: %v", d)
	}
}

// The table of docs/spec/parameters.md says of each parameter whether the
// council may change it.
func TestSpecSaysWhatIsChangeable(t *testing.T) {
	spec, err := os.ReadFile("../../docs/spec/parameters.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(spec), "## Changes\n")
	if !ok {
		t.Fatal("no section Changes")
	}
	section, _, _ := strings.Cut(after, "\n## ")
	said := map[string]string{}
	for _, line := range strings.Split(section, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		for _, name := range strings.Split(cells[1], ",") {
			said[strings.Trim(name, " `")] = strings.TrimSpace(cells[2])
		}
	}
	for _, key := range genesis.Keys() {
		want := "no"
		if genesis.Changeable(key) {
			want = "yes"
		}
		if said[key] != want {
			t.Errorf("%s: the spec says %q, the code %q", key, said[key], want)
		}
		delete(said, key)
	}
	for key := range said {
		t.Errorf("the spec speaks of %s, which is no parameter", key)
	}
}

func TestAfter(t *testing.T) {
	f := genesis.InForce{Number: 3, Since: 9, VersionsSince: 4, Params: params(t, genesis.Dev)}
	p := f.Params
	p.MinFee++
	if got := f.After(genesis.Change{Number: 4, Epoch: 20, Params: p}, 22); got.Number != 4 || got.Since != 22 || got.VersionsSince != 4 || got.Params.MinFee != p.MinFee {
		t.Errorf("another fee: %+v", got)
	}
	p.Versions = []string{"v2"}
	if got := f.After(genesis.Change{Number: 4, Epoch: 20, Params: p}, 20); got.VersionsSince != 20 {
		t.Errorf("other versions: %+v", got)
	}
}

func sampleChange(t testing.TB, p genesis.Profile) genesis.Change {
	c := genesis.Change{Number: 7, Epoch: 300, Params: params(t, p)}
	c.Params.Versions = []string{"tunic/1", "tunic/2"}
	return c
}

func TestChangeVectors(t *testing.T) {
	type vector struct {
		Profile genesis.Profile `json:"profile"`
		Number  uint32          `json:"number"`
		Epoch   chain.Epoch     `json:"epoch"`
		Change  string          `json:"change_hex"`
		Hash    chain.Hash      `json:"hash"`
		InForce string          `json:"in_force_hex"` // from epoch 301 on, versions included
	}
	type file struct {
		MadeBy  string   `json:"made_by"`
		Vectors []vector `json:"vectors"`
	}
	want := file{MadeBy: "go test ./chain/genesis -run TestChangeVectors -rewrite"}
	for _, p := range profiles {
		c := sampleChange(t, p)
		r := wire.NewReader(c.Encode())
		if got := genesis.ReadChange(r); r.Done() != nil || !cmp.Equal(got, c) {
			t.Errorf("%s: reads as %+v, %v", p, got, r.Err())
		}
		f := genesis.InForce{Params: params(t, p)}.After(c, 301)
		if got, err := genesis.DecodeInForce(f.Encode()); err != nil || !cmp.Equal(got, f) {
			t.Errorf("%s: in force reads as %+v, %v", p, got, err)
		}
		want.Vectors = append(want.Vectors, vector{p, c.Number, c.Epoch, hex.EncodeToString(c.Encode()), c.Hash(), hex.EncodeToString(f.Encode())})
	}
	testenv.Golden(t, "testdata/change.json", want)
}

func TestDecodeParams(t *testing.T) {
	p := params(t, genesis.Private)
	if got, err := genesis.DecodeParams(p.Encode()); err != nil || !cmp.Equal(got, p) {
		t.Errorf("%+v, %v", got, err)
	}
	full := p
	for range 64 {
		full.Versions = append(full.Versions, strings.Repeat("v", genesis.MaxVersion))
	}
	if _, err := genesis.DecodeParams(full.Encode()); err != nil || full.Validate() != nil {
		t.Errorf("the longest parameters: %v, %v", err, full.Validate())
	}
	for name, b := range map[string][]byte{"nothing": nil, "cut": p.Encode()[1:], "longer": append(p.Encode(), 0), "too long": make([]byte, genesis.MaxParams+1)} {
		if _, err := genesis.DecodeParams(b); err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
}

func FuzzReadChange(f *testing.F) {
	for _, p := range profiles {
		f.Add(sampleChange(f, p).Encode())
		f.Add(genesis.InForce{Number: 2, Since: 9, VersionsSince: 3, Params: params(f, p)}.Encode())
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := wire.NewReader(in)
		if c := genesis.ReadChange(r); r.Done() == nil && !bytes.Equal(c.Encode(), in) {
			t.Fatalf("%x has a second encoding", in)
		}
		if v, err := genesis.DecodeInForce(in); err == nil && !bytes.Equal(v.Encode(), in) {
			t.Fatalf("%x has a second encoding", in)
		}
	})
}
