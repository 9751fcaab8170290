package onion_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"tunic/chain"
	"tunic/internal/testenv"
	. "tunic/onion"
)

const vectorCommand = "go test ./onion -run TestVectors -rewrite"

// hexBytes is a byte string that JSON shows in hex.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }
func (h *hexBytes) UnmarshalText(b []byte) error {
	v, err := hex.DecodeString(string(b))
	*h = v
	return err
}

// vector is one file: everything that went in, what each node computes, and
// changed packets with the refusal that they meet.
type vector struct {
	Command  string          `json:"command,omitempty"`
	Geometry string          `json:"geometry"`
	Genesis  chain.Hash      `json:"genesis"`
	Expiry   chain.Epoch     `json:"expiry"`
	Nodes    []vectorNode    `json:"nodes"`
	Random   hexBytes        `json:"random"` // all that the sender read, in order
	Message  hexBytes        `json:"message"`
	Token    hexBytes        `json:"token,omitempty"` // with the next three: reply blocks only
	SURBID   hexBytes        `json:"surb_id,omitempty"`
	SURB     hexBytes        `json:"surb,omitempty"`
	Answer   hexBytes        `json:"answer_payload_sha256,omitempty"` // as the client gets it
	Layers   []vectorLayer   `json:"layers"`
	Refused  []vectorRefusal `json:"refused,omitempty"`

	brief bool // hashes of headers, and no refusals
}

type vectorNode struct {
	Private    hexBytes    `json:"private"`
	Public     hexBytes    `json:"public"`
	FirstEpoch chain.Epoch `json:"first_epoch"`
	Index      uint32      `json:"index"`
	Delay      uint32      `json:"delay_ms"`
}

// vectorLayer is the packet as a node receives it, and what the node derives.
type vectorLayer struct {
	Header        hexBytes `json:"header,omitempty"`
	HeaderSHA256  hexBytes `json:"header_sha256,omitempty"` // instead, where the file would be too long
	Payload       hexBytes `json:"payload,omitempty"`       // small geometry only
	PayloadSHA256 hexBytes `json:"payload_sha256"`
	Shared        hexBytes `json:"shared_secret"`
	MAC           hexBytes `json:"mac_key"`
	Stream        hexBytes `json:"stream_key"`
	Wide          hexBytes `json:"wide_key"`
	Tag           hexBytes `json:"replay_tag"`
	Kind          string   `json:"kind"`
	NextIndex     uint32   `json:"next_index"`
}

// vectorRefusal: the packet of a layer with one byte changed is refused by the
// node At, which is the end of the path where the byte is in the payload.
type vectorRefusal struct {
	Layer  int    `json:"layer"`
	Offset int    `json:"offset"`
	Xor    byte   `json:"xor"`
	At     int    `json:"refused_at"`
	Error  string `json:"error"`
}

// vectorCases are the files in testdata that show everything of one packet.
var vectorCases = []struct {
	name   string
	geo    Geometry
	layers int
	reply  bool
}{
	{"forward-small", Small, 6, false},
	{"forward-small-short", Small, 2, false},
	{"forward-large", Large, 4, false},
	{"forward-hybrid", Hybrid, 6, false},
	{"reply-small", Small, 4, true},
	{"reply-large", Large, 3, true},
	{"reply-hybrid", Hybrid, 4, true},
}

func TestVectors(t *testing.T) {
	for _, c := range vectorCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("testdata", c.name+".json")
			made := makeVector(t, c.name, c.geo, c.layers, c.reply)
			made.refusals(c.geo)
			made.Command = vectorCommand
			var v vector
			readVector(t, testenv.Golden(t, file, made), &v)
			v.check(t)
			v.checkTwin(t)
		})
	}
}

// pathVectors is a file with a packet for each length of path, of each kind.
type pathVectors struct {
	Command string    `json:"command"`
	Forward []*vector `json:"forward"`
	Reply   []*vector `json:"reply"`
}

// TestPathVectors: paths of one to six layers, which is five hops and the node
// that ends the path, in every geometry, with headers by their hashes.
func TestPathVectors(t *testing.T) {
	for _, g := range []Geometry{Small, Large, Hybrid} {
		t.Run(g.String(), func(t *testing.T) {
			t.Parallel()
			made := pathVectors{Command: vectorCommand}
			for n := 1; n <= MaxLayers; n++ {
				for _, reply := range []bool{false, true} {
					v := makeVector(t, fmt.Sprintf("paths-%s %d %t", g, n, reply), g, n, reply)
					v.shorten()
					if reply {
						made.Reply = append(made.Reply, v)
					} else {
						made.Forward = append(made.Forward, v)
					}
				}
			}
			var all pathVectors
			readVector(t, testenv.Golden(t, filepath.Join("testdata", "paths-"+g.String()+".json"), made), &all)
			for _, v := range append(all.Forward, all.Reply...) {
				v.brief = true
				v.check(t)
				v.checkTwin(t)
			}
		})
	}
}

func readVector(t *testing.T, b []byte, v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatal(err)
	}
}

// makeVector draws the inputs of one packet from its name.
func makeVector(t *testing.T, name string, g Geometry, layers int, reply bool) *vector {
	r := newRoute(t, g, seeded(name+" nodes"), layers)
	v := &vector{Geometry: g.String(), Genesis: genesis, Expiry: expiry, Message: []byte("what the onion carries: " + name)}
	for i, k := range r.keys {
		private, public := k.Private(), k.Public()
		n := vectorNode{private[:], public[:], k.FirstEpoch(), r.hops[i].Index, r.hops[i].Delay}
		if h := k.Hybrid(); h != nil {
			n.Public = h[:]
		}
		v.Nodes = append(v.Nodes, n)
	}
	drawn := 32
	if g == Hybrid {
		drawn = 64
	}
	v.Random = make([]byte, drawn*layers+g.SlotSize()*(MaxLayers-layers))
	if reply {
		v.Random = append(v.Random, make([]byte, 32)...)
		v.Token, v.SURBID = token[:], surbID[:]
	}
	io.ReadFull(seeded(name+" random"), v.Random)
	var packet []byte
	packet, v.SURB, _ = v.send(t)
	v.walk(t, packet, func(i int, l vectorLayer, _ []byte) {
		v.Layers = append(v.Layers, l)
	}, func(payload []byte) {
		if reply {
			sum := sha256.Sum256(payload)
			v.Answer = sum[:]
		}
	})
	return v
}

// shorten leaves the hashes of headers and payloads.
func (v *vector) shorten() {
	for i := range v.Layers {
		v.Layers[i].shorten()
	}
	v.brief = true
}

func (l *vectorLayer) shorten() {
	sum := sha256.Sum256(l.Header)
	l.Header, l.HeaderSHA256, l.Payload = nil, sum[:], nil
}

// refusals adds a changed byte in each part of the packet, at each layer.
func (v *vector) refusals(g Geometry) {
	header, routing := g.HeaderSize(), g.HeaderSize()-g.RoutingSize()
	last := len(v.Nodes) - 1
	for i := range v.Nodes {
		for _, x := range []struct {
			offset int
			xor    byte
			at     int
			err    error
		}{
			{0, 1 << 5, i, ErrVersion}, {1, 0x40, i, ErrUnknownKey}, {2, 1, i, ErrMAC}, {routing - 17, 0x80, i, ErrMAC},
			{routing - 16, 1, i, ErrMAC}, {routing - 1, 0x80, i, ErrMAC}, {routing, 1, i, ErrMAC}, {header - 1, 0x80, i, ErrMAC},
			{header, 1, last, ErrPayload}, {g.PacketSize() - 1, 0x80, last, ErrPayload},
		} {
			v.Refused = append(v.Refused, vectorRefusal{i, x.offset, x.xor, x.at, x.err.Error()})
		}
	}
}

func (v *vector) tables(t *testing.T) (g Geometry, path []Hop, keys []*Key, tables []*Keys) {
	g, err := ParseGeometry(v.Geometry)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range v.Nodes {
		load := LoadKey
		if g == Hybrid {
			load = LoadHybridKey
		}
		k := load([32]byte(n.Private), n.FirstEpoch)
		public := k.Public()
		if h := k.Hybrid(); h != nil {
			if sum := sha256.Sum256(h[:]); sum != public {
				t.Fatalf("a hybrid key goes by %x, its hash is %x", public, sum)
			}
			if !bytes.Equal(h[:], n.Public) {
				t.Fatal("another hybrid key than the vector's")
			}
		} else if !bytes.Equal(public[:], n.Public) {
			t.Fatalf("public key %x, vector says %x", public, n.Public)
		}
		table, err := NewKeys(g, v.Genesis, k)
		if err != nil {
			t.Fatal(err)
		}
		path = append(path, Hop{Index: n.Index, Key: public, KeyEpoch: n.FirstEpoch, Delay: n.Delay, Hybrid: k.Hybrid()})
		keys, tables = append(keys, k), append(tables, table)
	}
	return g, path, keys, tables
}

// send makes the packet from the vector's inputs, and for a reply its block.
func (v *vector) send(t *testing.T) (packet []byte, surb []byte, keys SURBKeys) {
	g, path, _, _ := v.tables(t)
	rand := bytes.NewReader(v.Random)
	var err error
	if v.Token == nil {
		packet, err = g.Wrap(rand, v.Genesis, v.Expiry, path, v.Message)
	} else {
		var s SURB
		if s, keys, err = g.NewSURB(rand, v.Genesis, v.Expiry, path, Token(v.Token), SURBID(v.SURBID)); err == nil {
			surb = s
			_, packet, err = s.Reply(v.Message)
		}
	}
	if err != nil || rand.Len() != 0 {
		t.Fatalf("sender: %v, %d bytes of randomness left", err, rand.Len())
	}
	return packet, surb, keys
}

// walk sends packet through all nodes and shows every layer, and at the end
// the payload or message.
func (v *vector) walk(t *testing.T, packet []byte, layer func(int, vectorLayer, []byte), end func([]byte)) {
	g, _, keys, tables := v.tables(t)
	for i := range tables {
		before := bytes.Clone(packet)
		o, err := tables[i].OpenHeader(packet)
		if err != nil {
			t.Fatalf("layer %d: %v", i, err)
		}
		d := Derive(keys[i], v.Genesis, before[2:g.HeaderSize()-g.RoutingSize()-16])
		if d.Tag != o.Tag || o.Expiry != v.Expiry || o.Delay != v.Nodes[i].Delay || o.KeyEpoch != v.Nodes[i].FirstEpoch {
			t.Fatalf("layer %d: opened as %+v", i, o.Routing)
		}
		sum := sha256.Sum256(before[g.HeaderSize():])
		l := vectorLayer{Header: before[:g.HeaderSize()], PayloadSHA256: sum[:], Shared: d.Shared[:], MAC: d.MAC[:],
			Stream: d.Stream[:], Wide: d.Wide[:], Tag: d.Tag[:], Kind: o.Kind.String(), NextIndex: o.NextIndex}
		if g == Small {
			l.Payload = before[g.HeaderSize():]
		}
		layer(i, l, before)
		if packet, err = o.Finish(); err != nil {
			t.Fatalf("layer %d: %v", i, err)
		}
	}
	end(packet)
}

// check makes the packet anew, follows it, and tries every refusal.
func (v *vector) check(t *testing.T) {
	packet, surb, surbKeys := v.send(t)
	if !bytes.Equal(surb, v.SURB) {
		t.Fatalf("reply block differs:\n%x\n%x", surb, v.SURB)
	}
	var seen [][]byte
	v.walk(t, packet, func(i int, l vectorLayer, packet []byte) {
		if v.brief {
			l.shorten()
		}
		got, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(v.Layers[i])
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("layer %d:\ngot  %.2000s\nwant %.2000s", i, got, want)
		}
		seen = append(seen, packet)
	}, func(end []byte) {
		if v.SURB != nil {
			if sum := sha256.Sum256(end); !bytes.Equal(sum[:], v.Answer) {
				t.Fatalf("the client gets a payload with hash %x, want %x", sum, []byte(v.Answer))
			}
			var err error
			if end, err = surbKeys.Open(end); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(end, v.Message) {
			t.Fatalf("message %q, want %q", end, v.Message)
		}
	})
	_, _, _, tables := v.tables(t)
	for _, x := range v.Refused {
		p := bytes.Clone(seen[x.Layer])
		p[x.Offset] ^= x.Xor
		p = peel(t, tables, p, x.Layer, x.At)
		o, err := tables[x.At].OpenHeader(p)
		if err == nil {
			if p, err = o.Finish(); err == nil && v.SURB != nil {
				_, err = surbKeys.Open(p)
			}
		}
		if err == nil || err.Error() != x.Error {
			t.Errorf("layer %d, byte %d: %v, want %s", x.Layer, x.Offset, err, x.Error)
		}
	}
}
