package link

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"sync"
	"time"

	"tunic/chain"
)

// alpn names the protocol in the handshake.
const alpn = "tunic/1"

// maxCertificate bounds the DER of a peer's certificate; ours has about 200
// bytes.
const maxCertificate = 1024

// selfSigned makes the certificate of an identity. Its dates are fixed, so
// that it says nothing about when the node started; what counts is the key.
func selfSigned(key ed25519.PrivateKey) (tls.Certificate, error) {
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// certIdentity is the identity that a peer's certificates show: exactly one,
// small, of an Ed25519 key, signed by that key. The handshake itself proves
// possession.
func certIdentity(certs []*x509.Certificate) (id chain.NodeID, err error) {
	if len(certs) != 1 {
		return id, fmt.Errorf("%w: %d certificates", ErrIdentity, len(certs))
	}
	c := certs[0]
	key, ok := c.PublicKey.(ed25519.PublicKey)
	if !ok || len(key) != len(id) || c.SignatureAlgorithm != x509.PureEd25519 {
		return id, fmt.Errorf("%w: not an Ed25519 certificate", ErrIdentity)
	}
	if len(c.Raw) > maxCertificate {
		return id, fmt.Errorf("%w: certificate of %d bytes", ErrIdentity, len(c.Raw))
	}
	err = selfSignatures.once(sha256.Sum256(c.Raw), func() error {
		return c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
	})
	if err != nil {
		return id, fmt.Errorf("%w: certificate is not signed by its own key", ErrIdentity)
	}
	return chain.NodeID(key), nil
}

// selfSignatures are those of this process's peers: a node's certificate is the
// same at each link, and says nothing but what its bytes say.
var selfSignatures checked

// checked remembers by their hashes which certificates passed.
type checked struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]struct{}
}

// checkedMost bounds each of its two generations.
const checkedMost = 4096

// once is what check says, which is not asked again soon after it said nil.
func (c *checked) once(id [sha256.Size]byte, check func() error) error {
	if c.knows(id) {
		return nil
	}
	if err := check(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young == nil || len(c.young) >= checkedMost {
		c.young, c.old = make(map[[sha256.Size]byte]struct{}), c.young
	}
	c.young[id] = struct{}{}
	return nil
}

func (c *checked) knows(id [sha256.Size]byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.young[id]
	if !ok {
		_, ok = c.old[id]
	}
	return ok
}

// serverConfig accepts clients without a certificate and nodes with theirs.
func serverConfig(cert tls.Certificate) *tls.Config {
	return &tls.Config{
		MinVersion:                  tls.VersionTLS13,
		Certificates:                []tls.Certificate{cert},
		ClientAuth:                  tls.RequestClientCert,
		NextProtos:                  []string{alpn},
		SessionTicketsDisabled:      true,
		DynamicRecordSizingDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if s.NegotiatedProtocol != alpn {
				return ErrHandshake
			}
			if len(s.PeerCertificates) == 0 {
				return nil
			}
			_, err := certIdentity(s.PeerCertificates)
			return err
		},
	}
}

// clientConfig pins peer. cert is nil for a client without identity.
func clientConfig(cert *tls.Certificate, peer chain.NodeID) *tls.Config {
	return &tls.Config{
		MinVersion:                  tls.VersionTLS13,
		NextProtos:                  []string{alpn},
		SessionTicketsDisabled:      true,
		DynamicRecordSizingDisabled: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if cert == nil {
				return new(tls.Certificate), nil
			}
			return cert, nil
		},
		// There is no authority and no name to check: the directory says which
		// key answers at this endpoint, and VerifyConnection compares it.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if s.NegotiatedProtocol != alpn {
				return ErrHandshake
			}
			id, err := certIdentity(s.PeerCertificates)
			if err != nil {
				return err
			}
			if id != peer {
				return ErrIdentity
			}
			return nil
		},
	}
}
