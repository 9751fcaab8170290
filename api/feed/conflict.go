package feed

import (
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/internal/durable"
	"tunic/ledger/light"
)

const pemCertificate = "TUNIC CERTIFICATE"

// FormatConflict shows two heads to a person, and carries what shows them in a
// form that ParseConflict reads.
func FormatConflict(two *light.TwoHeads) string {
	if two.Certificates != nil {
		return formatCertificates(two)
	}
	var b strings.Builder
	a := two.First.Header
	fmt.Fprintf(&b, `Two sealed headers exist for one height. Whoever sealed them shows different
histories to different people, so neither can be gone by. Keep this text: both
signatures verify, and together they are the proof. Show it to others who use
this network and compare.

network   %s
height    %d, fork %d
`, a.Genesis, a.Height, a.Fork)
	for i, s := range []chain.SealedHeader{two.First, two.Second} {
		formatHeader(&b, seenAs[i], s.Header, "sealed by  "+s.Header.Proposer.String())
		b.Write(pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: s.Encode()}))
	}
	return b.String()
}

var seenAs = [2]string{"seen first", "seen second"}

func formatHeader(b *strings.Builder, title string, h chain.Header, sealed string) {
	fmt.Fprintf(b, `
%s
  header     %s
  %s
  time       %s
  parent     %s
  state      %s
  directory  %s (%d nodes, epoch %d)
`, title, h.Hash(), sealed, moment(h.Time), h.Parent, h.State, h.Directory, h.DirCount, h.DirEpoch)
}

func moment(t chain.Time) string {
	return time.UnixMilli(int64(t)).UTC().Format("2006-01-02 15:04:05.000 UTC")
}

// formatCertificates is FormatConflict where validators decide.
func formatCertificates(two *light.TwoHeads) string {
	var b strings.Builder
	c := two.Certificates
	fmt.Fprintf(&b, `Two histories of this network were decided. More than a third of its validators
signed both, so neither can be gone by. Keep this text: both commits verify, and
together they are the proof. Show it to others who use this network and compare.

network   %s
height    %d
`, c.First.Header.ChainID, two.Height())
	for i, x := range []*cometbft.Certificate{&c.First, &c.Second} {
		signed := fmt.Sprintf("committed  by %d of %d validators, at CometBFT's height %d, round %d", x.Commit.Votes(), len(x.Commit.Signatures), x.Commit.Height, x.Commit.Round)
		if h := []chain.SealedHeader{two.First, two.Second}[i].Header; h.Height > 0 {
			formatHeader(&b, seenAs[i], h, signed)
		} else {
			fmt.Fprintf(&b, "\n%s\n  header     %s of height %d\n  %s\n", seenAs[i], x.Header.AppHash, x.Header.Height-1, signed)
		}
		fmt.Fprintf(&b, "  block      %s, %s\n", x.Commit.BlockID.Hash, moment(x.Header.Time.Millis()))
		b.Write(pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: x.Encode()}))
	}
	if twice := c.Duplicates(c.First.Header.ChainID); len(twice) > 0 {
		b.WriteString("\nthese voted for both in one round\n")
		for _, d := range twice {
			fmt.Fprintf(&b, "  %s\n", d.Validator)
		}
	}
	return b.String()
}

// SaveConflict writes what FormatConflict says to a file, for its owner alone.
func SaveConflict(path string, two *light.TwoHeads) error {
	if err := durable.MkdirAll(filepath.Dir(path)); err != nil {
		return fmt.Errorf("save two heads: %w", err)
	}
	if err := durable.WriteFile(path, []byte(FormatConflict(two)), 0o600); err != nil {
		return fmt.Errorf("save two heads: %w", err)
	}
	return nil
}

// ParseConflict reads what FormatConflict wrote and verifies it against a
// network: two headers of one height and fork, different and both sealed, or two
// certificates that contradict each other, both committed. The rest of the text
// counts for nothing. Of certificates that hold and whose validators the network
// file does not know it returns both: them, and light.ErrValidators.
func ParseConflict(text []byte, n genesis.Network) (*light.TwoHeads, error) {
	v, err := light.New(n)
	if err != nil {
		return nil, fmt.Errorf("read two heads: %w", err)
	}
	kind := pemType
	if n.Engine == genesis.EngineComet {
		kind = pemCertificate
	}
	var both [2][]byte
	for i := range both {
		var p *pem.Block
		if p, text = pem.Decode(text); p == nil || p.Type != kind {
			return nil, fmt.Errorf("%w: it does not hold two headers", ErrEvidence)
		}
		both[i] = p.Bytes
	}
	if n.Engine == genesis.EngineComet {
		return parseCertificates(v, both)
	}
	return parseHeaders(v, both)
}

func parseHeaders(v *light.Verifier, bytes [2][]byte) (*light.TwoHeads, error) {
	var both [2]chain.SealedHeader
	for i := range both {
		var err error
		if both[i], err = chain.DecodeSealedHeader(bytes[i]); err == nil {
			err = v.CheckHeader(both[i])
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrEvidence, err)
		}
	}
	a, b := both[0].Header, both[1].Header
	if a.Height != b.Height || a.Fork != b.Fork || both[0].Same(both[1]) {
		return nil, fmt.Errorf("%w: heights %d and %d, forks %d and %d", ErrEvidence, a.Height, b.Height, a.Fork, b.Fork)
	}
	return &light.TwoHeads{First: both[0], Second: both[1]}, nil
}

func parseCertificates(v *light.Verifier, bytes [2][]byte) (*light.TwoHeads, error) {
	var both [2]cometbft.Certificate
	for i := range both {
		var err error
		if both[i], err = cometbft.DecodeCertificate(bytes[i]); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrEvidence, err)
		}
	}
	two := &light.TwoHeads{Certificates: &cometbft.TwoHeads{First: both[0], Second: both[1]}}
	switch err := v.CheckConflict(two.Certificates); {
	case errors.Is(err, light.ErrValidators):
		return two, fmt.Errorf("%w: %w", ErrEvidence, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	return two, nil
}
