package statement

import (
	"bytes"
	"fmt"
	"net/netip"

	"tunic/chain"
	"tunic/internal/wire"
)

// Bounds of a descriptor's fields.
const (
	MaxVersion   = 32 // bytes of a software version
	MaxEndpoints = 4
	MaxEndpoint  = 64 // bytes of one endpoint, "address:port"
	MaxFamily    = 16 // nodes named as one owner's
	MaxOnionKeys = 3
)

// OnionKey is an X25519 key and the epochs in which packets may use it, both
// inclusive. A packet's selector is the low byte of First.
type OnionKey struct {
	First, Last chain.Epoch
	Key         [32]byte
}

// Descriptor is what a node says of itself. It counts from the epoch of its
// sequence until a newer one, and must hold keys for that epoch and the next.
type Descriptor struct {
	Version   string         // software version
	Endpoints []string       // IP address and port; the first is preferred
	Family    []chain.NodeID // ascending; counts only where it is mutual
	Keys      []OnionKey     // ascending by First, without gaps or overlap
}

// Encode is the canonical body.
func (d Descriptor) Encode() []byte {
	b := wire.AppendString(nil, d.Version)
	b = wire.AppendUint32(b, uint32(len(d.Endpoints)))
	for _, e := range d.Endpoints {
		b = wire.AppendString(b, e)
	}
	b = wire.AppendUint32(b, uint32(len(d.Family)))
	for i := range d.Family {
		b = append(b, d.Family[i][:]...)
	}
	b = wire.AppendUint32(b, uint32(len(d.Keys)))
	for _, k := range d.Keys {
		b = wire.AppendUint64(b, uint64(k.First))
		b = wire.AppendUint64(b, uint64(k.Last))
		b = append(b, k.Key[:]...)
	}
	return b
}

// DecodeDescriptor reads a canonical body and validates it (stateless): bounds,
// order, endpoints that parse, keys that join.
func DecodeDescriptor(body []byte) (Descriptor, error) {
	r := wire.NewReader(body)
	d := Descriptor{Version: r.String(MaxVersion)}
	for range r.Count(MaxEndpoints, 4) {
		d.Endpoints = append(d.Endpoints, r.String(MaxEndpoint))
	}
	for range r.Count(MaxFamily, 32) {
		var id chain.NodeID
		r.Copy(id[:])
		d.Family = append(d.Family, id)
	}
	for range r.Count(MaxOnionKeys, 48) {
		k := OnionKey{First: chain.Epoch(r.Uint64()), Last: chain.Epoch(r.Uint64())}
		r.Copy(k.Key[:])
		d.Keys = append(d.Keys, k)
	}
	if err := r.Done(); err != nil {
		return d, fmt.Errorf("%w: descriptor: %w", ErrMalformed, err)
	}
	if err := d.validate(); err != nil {
		return d, fmt.Errorf("%w: descriptor: %w", ErrMalformed, err)
	}
	return d, nil
}

func (d Descriptor) validate() error {
	if len(d.Endpoints) == 0 || len(d.Keys) == 0 {
		return fmt.Errorf("no endpoint or no key")
	}
	for _, e := range d.Endpoints {
		if !validEndpoint(e) {
			return fmt.Errorf("endpoint %q is not an address and port", e)
		}
	}
	for i := 1; i < len(d.Family); i++ {
		if bytes.Compare(d.Family[i-1][:], d.Family[i][:]) >= 0 {
			return fmt.Errorf("family not ascending")
		}
	}
	for i, k := range d.Keys {
		if k.Last < k.First || (i > 0 && (k.First <= d.Keys[i-1].Last || k.First-1 != d.Keys[i-1].Last)) {
			return fmt.Errorf("keys do not join")
		}
	}
	return validVersion(d.Version)
}

// validEndpoint accepts an address and port in the one form of net/netip. A
// zone means something on one machine only, and an IPv4 address in IPv6 form
// would escape the rule of one /16 a path.
func validEndpoint(s string) bool {
	e, err := netip.ParseAddrPort(s)
	a := e.Addr()
	return err == nil && e.String() == s && e.Port() != 0 && a.Zone() == "" && !a.Is4In6() && !a.IsUnspecified() && !a.IsMulticast()
}

// validVersion accepts printable ASCII without spaces, since versions are shown
// on terminals and compared with the versions that parameters allow.
func validVersion(s string) error {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return fmt.Errorf("version %q is not printable ASCII without spaces", s)
		}
	}
	return nil
}

// KeyFor is the onion key of epoch e.
func (d Descriptor) KeyFor(e chain.Epoch) (OnionKey, bool) {
	for _, k := range d.Keys {
		if k.First <= e && e <= k.Last {
			return k, true
		}
	}
	return OnionKey{}, false
}

// VRFProofSize is the size of an RFC 9381 ECVRF-EDWARDS25519-SHA512-ELL2 proof.
const VRFProofSize = 80

// Heartbeat says that a node is there and carries its VRF proof over
// {genesis hash, epoch}, which feeds the beacon.
type Heartbeat struct {
	Version string // software version that runs
	Height  chain.Height
	VRF     [VRFProofSize]byte
}

// Encode is the canonical body.
func (h Heartbeat) Encode() []byte {
	b := wire.AppendString(nil, h.Version)
	b = wire.AppendUint64(b, uint64(h.Height))
	return append(b, h.VRF[:]...)
}

// DecodeHeartbeat reads a canonical body.
func DecodeHeartbeat(body []byte) (Heartbeat, error) {
	r := wire.NewReader(body)
	h := Heartbeat{Version: r.String(MaxVersion), Height: chain.Height(r.Uint64())}
	r.Copy(h.VRF[:])
	if err := r.Done(); err != nil {
		return h, fmt.Errorf("%w: heartbeat: %w", ErrMalformed, err)
	}
	if err := validVersion(h.Version); err != nil {
		return h, fmt.Errorf("%w: heartbeat: %w", ErrMalformed, err)
	}
	return h, nil
}

// ChunkSize is the size of the chunks under a receipt's root.
const ChunkSize = 256

// MaxReceipt is the size of an encoded receipt in bytes.
const MaxReceipt = 114 + 73

// Receipt is a mailbox member's promise to keep a message: no mailbox, no
// owner. It is signed as a Statement of LabelReceipt with sequence zero.
type Receipt struct {
	Chunks  chain.Hash // RFC 6962 root over the 256-byte chunks of the stored item
	Class   uint8      // size class: number of chunks
	Until   chain.Time // kept until then
	Deleter chain.Hash // SHA-256 of the deletion token
}

// Encode is the canonical body.
func (x Receipt) Encode() []byte {
	b := append([]byte(nil), x.Chunks[:]...)
	b = append(b, x.Class)
	b = wire.AppendUint64(b, uint64(x.Until))
	return append(b, x.Deleter[:]...)
}

// DecodeReceipt reads a canonical body.
func DecodeReceipt(body []byte) (Receipt, error) {
	r := wire.NewReader(body)
	var x Receipt
	r.Copy(x.Chunks[:])
	x.Class = r.Uint8()
	x.Until = chain.Time(r.Uint64())
	r.Copy(x.Deleter[:])
	if err := r.Done(); err != nil {
		return x, fmt.Errorf("%w: receipt: %w", ErrMalformed, err)
	}
	return x, nil
}

// RegistrationBody is what a node's identity key signs, raw under
// LabelRegistration and fork 0, to be registered by operator: a registration
// outlives forks, as account transactions do.
func RegistrationBody(operator chain.Address, vrf [32]byte) []byte {
	return append(append([]byte(nil), operator[:]...), vrf[:]...)
}
