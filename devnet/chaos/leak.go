package chaos

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"tunic/client"
	"tunic/devnet"
	"tunic/relay"
)

// recorder keeps all that the parts of a network log, down to the last detail.
type recorder struct {
	most int // bytes that are kept

	mu   sync.Mutex // guards what follows
	buf  bytes.Buffer
	lost int // bytes that there was no room for
}

// mostLog bounds what is kept of the log, a hundred times what a network says.
const mostLog = 64 << 20

// errLogFull means that a log was too long to be looked through.
var errLogFull = errors.New("the log is longer than what is kept of it, so leaks in it may go unseen")

func newLog() *recorder { return &recorder{most: mostLog} }

// Write implements io.Writer.
func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost > 0 || r.buf.Len()+len(b) > r.most {
		r.lost += len(b)
	} else {
		r.buf.Write(b)
	}
	return len(b), nil
}

func (r *recorder) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// bytes is the whole log. Error: errLogFull.
func (r *recorder) bytes() ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost > 0 {
		return nil, fmt.Errorf("%w: %d bytes kept, %d not", errLogFull, r.buf.Len(), r.lost)
	}
	return bytes.Clone(r.buf.Bytes()), nil
}

// leaks looks through the log, the metrics and what the relays say of themselves
// for the real values that none of them may hold: peers' addresses, mailboxes,
// tags of packets, keys and accounts.
func (r *run) leaks(ctx context.Context) ([]string, error) {
	s, err := r.secrets()
	if err != nil {
		return nil, err
	}
	if r.opts.Tell {
		for _, name := range s.kinds() {
			r.log.logger().Info("told", "what", name, "value", s.example(name))
		}
	}
	metrics, err := get(ctx, r.net.Admin+"/metrics")
	if err != nil {
		return nil, err
	}
	var said bytes.Buffer
	for _, relay := range r.net.Relays {
		status := relay.Daemon.Status()
		status.Node = [32]byte{} // its own
		b, err := json.Marshal(status)
		if err != nil {
			return nil, err
		}
		said.Write(append(b, '\n'))
	}
	log, err := r.log.bytes()
	if err != nil {
		return nil, err
	}
	found := []string{}
	for where, text := range map[string][]byte{"log": log, "metrics": metrics, "status": said.Bytes()} {
		for _, what := range s.in(text) {
			found = append(found, fmt.Sprintf("the %s holds %s", where, what))
		}
	}
	return found, nil
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, 16<<20))
}

// secrets are values that may stand nowhere, by what they are. A value is known
// by its first bytes, so that a shortened one is found as well.
type secrets struct {
	texts  map[string]string // addresses, whole
	raw    map[[rawLen]byte]string
	hex    map[[hexLen]byte]string
	base64 map[[base64Len]byte]string
	first  map[string]string // one of each kind, in hexadecimal
}

const (
	rawLen    = 8
	hexLen    = 16
	base64Len = 10
)

func (s *secrets) add(kind string, value []byte) {
	if len(value) < rawLen {
		return
	}
	s.raw[[rawLen]byte(value)] = kind
	s.hex[[hexLen]byte([]byte(hex.EncodeToString(value)))] = kind
	s.base64[[base64Len]byte([]byte(base64.StdEncoding.EncodeToString(value)))] = kind
	s.base64[[base64Len]byte([]byte(base64.URLEncoding.EncodeToString(value)))] = kind
	if s.first[kind] == "" {
		s.first[kind] = hex.EncodeToString(value)
	}
}

func (s *secrets) kinds() (out []string) {
	for kind := range s.first {
		out = append(out, kind)
	}
	return out
}

func (s *secrets) example(kind string) string { return s.first[kind] }

// in gives the kinds of what stands in text, with how often.
func (s *secrets) in(text []byte) (found []string) {
	times := map[string]int{}
	for i := range text {
		if k, ok := window[[rawLen]byte](text, i, s.raw); ok {
			times[k]++
		}
		if k, ok := window[[base64Len]byte](text, i, s.base64); ok {
			times[k]++
		}
	}
	lower := bytes.ToLower(text)
	for i := range lower {
		if k, ok := window[[hexLen]byte](lower, i, s.hex); ok {
			times[k]++
		}
	}
	for value, kind := range s.texts {
		times[kind] += strings.Count(string(text), value)
	}
	for kind, n := range times {
		if n > 0 {
			found = append(found, fmt.Sprintf("%s, %d times", kind, n))
		}
	}
	return found
}

func window[A [rawLen]byte | [hexLen]byte | [base64Len]byte](text []byte, i int, of map[A]string) (string, bool) {
	var a A
	if i+len(a) > len(text) {
		return "", false
	}
	for k := range len(a) {
		a[k] = text[i+k]
	}
	kind, ok := of[a]
	return kind, ok
}

// tagsOfEach is how many tags of each of a relay's files are looked for.
const tagsOfEach = 4096

// secrets collects the real values of the network.
func (r *run) secrets() (*secrets, error) {
	s := &secrets{texts: map[string]string{}, raw: map[[rawLen]byte]string{}, hex: map[[hexLen]byte]string{},
		base64: map[[base64Len]byte]string{}, first: map[string]string{}}
	for _, c := range r.net.Clients {
		id := c.Account.ID()
		s.add("an account", id[:])
		s.texts[client.FormatID(id)] = "an account"
	}
	for _, relay := range r.net.Relays {
		s.texts[relay.Endpoint] = "a peer's address"
		if err := s.addFolder(r.net, relay); err != nil {
			return nil, err
		}
		if !r.dead(relay.Index) {
			err := relay.Disk.Scan([]byte{'n'}, nil, func(k, _ []byte) bool { s.add("a mailbox", k[1:]); return true })
			if err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

func (r *run) dead(i int) bool { h := r.hurt[i]; return h != nil && h.down }

// addFolder adds what a relay keeps in files: its keys and the tags of packets.
func (s *secrets) addFolder(n *devnet.Network, r *devnet.Relay) error {
	dir := filepath.Join(n.Spec.Dir, r.Name())
	b, err := os.ReadFile(filepath.Join(dir, relay.KeyFile))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if seed, err := hex.DecodeString(value); err == nil && (name == "identity" || name == "vrf") {
			s.add("a node's key", seed)
		}
	}
	if b, err = os.ReadFile(filepath.Join(dir, "onion.keys")); err != nil {
		return err
	}
	for at := 1 + 32 + 4; at+48 <= len(b); at += 48 {
		s.add("an onion key", b[at+16:at+48])
	}
	files, err := filepath.Glob(filepath.Join(dir, "tags", "*.tags"))
	if err != nil {
		return err
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		for at := 0; at+16 <= len(b) && at < 16*tagsOfEach; at += 16 {
			s.add("a packet's tag", b[at:at+16])
		}
	}
	return nil
}
