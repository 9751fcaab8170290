package mailbox_test

import (
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion/mail"
	"tunic/relay/mailbox"
)

// BenchmarkStore is a whole durable store: signature checked, group commit,
// receipt signed, by 64 senders at once.
func BenchmarkStore(b *testing.B) {
	l, err := mailbox.OpenLevel(b.TempDir(), 32<<20)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	m := open(b, l, func(c *mailbox.Config) {
		p := *c.Params
		p.MailboxQuota = 1 << 30
		c.Params = &p
	})
	cmds := make([]mail.Command, b.N)
	for i := range cmds {
		cmds[i] = store(byte(i), byte(2*(i%100)), now+chain.Time(genesis.Hour))
		s := cmds[i].Store
		rand.Read(s.Deleter[:])
		s.Sign(network, key(byte(2*(i%100))))
	}
	var next atomic.Int64
	b.SetBytes(int64(small.Item()))
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if r := m.Handle(now, epoch, cmds[next.Add(1)-1]); r[0].Code != mail.CodeStored {
				b.Error(r[0].Code)
			}
		}
	})
}

// BenchmarkBareStore is the database alone: batches of one synced write, with
// the rows that a store makes.
func BenchmarkBareStore(b *testing.B) {
	for _, size := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			db, err := leveldb.OpenFile(b.TempDir(), &opt.Options{Compression: opt.NoCompression, WriteBuffer: 32 << 20, CompactionTableSize: 16 << 20})
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			b.SetBytes(int64(small.Item()))
			value := make([]byte, 82+small.Item())
			rand.Read(value)
			for i := 0; i < b.N; i += size {
				batch := new(leveldb.Batch)
				for range min(size, b.N-i) {
					var k [73]byte
					rand.Read(k[:])
					batch.Put(append([]byte{'i'}, k[:40]...), value)
					batch.Put(append([]byte{'d'}, k[:64]...), k[:40])
					batch.Put(append([]byte{'x'}, k[:49]...), nil)
					batch.Put(append([]byte{'n'}, k[:32]...), k[:20])
				}
				if err := db.Write(batch, &opt.WriteOptions{Sync: true}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPollEmpty(b *testing.B) {
	m := open(b, new(mailbox.Memory), nil)
	c := poll(1, 0, now)
	for b.Loop() {
		m.Handle(now, epoch, c)
	}
}
