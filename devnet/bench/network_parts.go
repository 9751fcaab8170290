package bench

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/syndtr/goleveldb/leveldb"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/relay/mailbox"
	"tunic/relay/replay"
)

// Parts are the operations that a message on its way cannot do without, each
// timed alone with all cores at work on it: nanoseconds from one to the next, of
// the whole machine.
type Parts struct {
	PeelNS   int64 `json:"peel_ns"`   // one layer taken off, header and payload
	LinkNS   int64 `json:"link_ns"`   // one packet sent and received on a TLS link, both directions busy
	ReplayNS int64 `json:"replay_ns"` // one tag added to a replay set, with write(2)
	OpenNS   int64 `json:"open_ns"`   // one answer over three hops opened by the client
	SignNS   int64 `json:"sign_ns"`   // Ed25519
	VerifyNS int64 `json:"verify_ns"` // Ed25519
	StoreNS  int64 `json:"store_ns"`  // one item's share of a synced batch of the bare database, as many databases at work as a swarm has members
}

// Which parts to time.
const (
	partPeel = 1 << iota
	partLink
	partReplay
	partOpen
	partStore
)

// perHop and perStore are what a message through three hops, and a confirmed
// store, cannot do without.
const (
	perHop   = partPeel | partLink | partReplay
	perStore = perHop | partOpen | partStore
)

// timeParts times the parts that which names.
func timeParts(which int) (p Parts, err error) {
	for _, x := range []struct {
		part int
		ns   *int64
		time func() (int64, error)
	}{{partPeel, &p.PeelNS, timePeels}, {partLink, &p.LinkNS, timeLinks}, {partReplay, &p.ReplayNS, timeReplay}, {partOpen, &p.OpenNS, timeOpens}} {
		if which&x.part == 0 {
			continue
		}
		if *x.ns, err = x.time(); err != nil {
			return p, fmt.Errorf("time a part: %w", err)
		}
	}
	if which&partStore != 0 {
		if err := timeStores(&p); err != nil {
			return p, fmt.Errorf("time a part: %w", err)
		}
	}
	return p, nil
}

// onAllCores runs op so often on each core at the same time and returns the
// nanoseconds from one to the next. prepare is not timed.
func onAllCores(n int, prepare func() (op func(i int) error, err error)) (int64, error) {
	cores := runtime.NumCPU()
	ops := make([]func(int) error, cores)
	for k := range ops {
		var err error
		if ops[k], err = prepare(); err != nil {
			return 0, err
		}
	}
	errs := make([]error, cores)
	var wg sync.WaitGroup
	begin := time.Now()
	for k, op := range ops {
		wg.Go(func() {
			for i := 0; i < n && errs[k] == nil; i++ {
				errs[k] = op(i)
			}
		})
	}
	wg.Wait()
	return int64(time.Since(begin)) / int64(n*cores), errors.Join(errs...)
}

func timePeels() (int64, error) {
	const n = 2048
	return onAllCores(n, func() (func(int) error, error) {
		s, err := newPeelSubject(onion.Small, 4, 32)
		if err != nil {
			return nil, err
		}
		return func(i int) error {
			k := i % len(s.work)
			if k == 0 {
				s.restore() // what a relay copies from a frame
			}
			o, err := s.keys.OpenHeader(s.work[k])
			if err == nil {
				_, err = o.Finish()
			}
			return err
		}, nil
	})
}

// timeLinks keeps a link a core busy in both directions.
func timeLinks() (int64, error) {
	const n = 20_000
	body := onion.Small.PacketSize()
	server, err := link.NewTLS(link.Config{Identity: nodeSeed("link", 0), BodySize: body})
	if err != nil {
		return 0, err
	}
	client, err := link.NewTLS(link.Config{BodySize: body})
	if err != nil {
		return 0, err
	}
	l, err := server.Listen("127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	var ends []link.Conn
	defer func() {
		for _, c := range ends {
			c.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	id := chain.NodeID(nodeSeed("link", 0).Public().(ed25519.PublicKey))
	for range runtime.NumCPU() {
		a, err := client.Dial(ctx, l.Addr(), id)
		if err != nil {
			return 0, err
		}
		ends = append(ends, a)
		b, err := l.Accept()
		if err != nil {
			return 0, err
		}
		ends = append(ends, b)
	}
	f := link.Frame{Type: link.Packet, Data: make([]byte, body)}
	errs := make([]error, len(ends))
	var wg sync.WaitGroup
	begin := time.Now()
	for k, c := range ends {
		wg.Go(func() {
			for i := 0; i < n; {
				switch err := c.Send(f); {
				case err == nil:
					i++
				case errors.Is(err, link.ErrQueueFull):
					time.Sleep(20 * time.Microsecond)
				default:
					return // the receiver says why
				}
			}
		})
		wg.Go(func() {
			for range n {
				if _, err := c.Recv(ctx); err != nil {
					errs[k] = err
					return
				}
			}
		})
	}
	wg.Wait()
	return int64(time.Since(begin)) / int64(n*len(ends)), errors.Join(errs...)
}

func timeReplay() (int64, error) {
	const n = 20_000
	dir, err := os.MkdirTemp("", "tunic-bench-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	s, err := replay.Open(dir, 1<<22, []chain.Epoch{1})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	return onAllCores(n, func() (func(int) error, error) {
		tags := make([]onion.Tag, n)
		for i := range tags {
			_, _ = rand.Read(tags[i][:]) // never fails
		}
		return func(i int) error { return s.Add(1, tags[i]) }, nil
	})
}

func timeOpens() (int64, error) {
	const n = 512
	return onAllCores(n, func() (func(int) error, error) {
		s, err := newPeelSubject(onion.Small, 3, 1)
		if err != nil {
			return nil, err
		}
		surb, keys, err := onion.Small.NewSURB(rand.Reader, s.genesis, onion.ExpiryOf(100), s.path, onion.Token{1}, onion.SURBID{1})
		if err != nil {
			return nil, err
		}
		_, packet, err := surb.Reply(make([]byte, 100))
		if err != nil {
			return nil, err
		}
		payload, work := packet[onion.HeaderSize:], make([]byte, len(packet)-onion.HeaderSize)
		return func(int) error {
			copy(work, payload)
			// Nobody has peeled it, so that the end is no answer: the work is the same.
			if _, err := keys.Open(work); !errors.Is(err, onion.ErrPayload) {
				return fmt.Errorf("an answer that nobody peeled: %v", err)
			}
			return nil
		}, nil
	})
}

// timeStores times signatures, and the bare database by itself.
func timeStores(p *Parts) (err error) {
	const n, items = 256, 16 * StoreBatch
	seed := benchSeed("part", 0)
	key, domain, body := ed25519.NewKeyFromSeed(seed[:]), statement.Domain{}, make([]byte, 100)
	id := chain.NodeID(key.Public().(ed25519.PublicKey))
	sig := domain.SignRaw(key, statement.LabelReceipt, body)
	if p.SignNS, err = onAllCores(n, func() (func(int) error, error) {
		return func(int) error { domain.SignRaw(key, statement.LabelReceipt, body); return nil }, nil
	}); err != nil {
		return err
	}
	if p.VerifyNS, err = onAllCores(n, func() (func(int) error, error) {
		return func(int) error { return domain.VerifyRaw(id, statement.LabelReceipt, body, sig) }, nil
	}); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tunic-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var wg sync.WaitGroup
	errs := make([]error, netSwarm)
	dbs, cmds := make([]*leveldb.DB, netSwarm), make([][]mail.Command, netSwarm)
	for k := range dbs {
		if dbs[k], err = leveldb.OpenFile(filepath.Join(dir, fmt.Sprint(k)), mailbox.LevelOptions(4<<20)); err != nil {
			return err
		}
		defer dbs[k].Close()
		for range items {
			s := &mail.Store{Content: make([]byte, mail.FormatOf(onion.Small).Item())}
			_, _ = rand.Read(s.Content)
			_, _ = rand.Read(s.Deleter[:])
			_, _ = rand.Read(s.Write[:1])
			cmds[k] = append(cmds[k], mail.Command{Store: s})
		}
	}
	begin := time.Now()
	for k, db := range dbs {
		wg.Go(func() { _, errs[k] = writeBare(db, cmds[k]) })
	}
	wg.Wait()
	p.StoreNS = int64(time.Since(begin)) / (netSwarm * items)
	return errors.Join(errs...)
}
