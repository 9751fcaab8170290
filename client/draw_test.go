package client

import (
	"math"
	"math/rand/v2"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion/mail"
)

// The account's own mailbox is drawn one time in four, whatever the number of the
// others, and which one is drawn says nothing of the next. Of k in which mail is
// expected each is drawn 3 in 8 k times, which tells who counts how many there are.
func TestDrawBox(t *testing.T) {
	seed := [32]byte{1}
	c := &Client{rand: rand.NewChaCha8(seed)}
	const draws = 20_000
	for _, others := range []int{1, 3, 40} {
		boxes := []box{{fresh: true}}
		for i := range others {
			boxes = append(boxes, box{id: mail.ID{byte(i + 1)}, fresh: i%3 == 0})
		}
		own, twice, last := 0, 0, false
		drawn := map[mail.ID]int{}
		for range draws {
			id := c.drawBox(boxes).id
			drawn[id]++
			is := id == mail.ID{}
			if is {
				own++
				if last {
					twice++
				}
			}
			last = is
		}
		// Five standard deviations.
		if d := math.Abs(float64(own) - draws/4); d > 5*math.Sqrt(draws*3./16) {
			t.Errorf("%d others: drawn %d times of %d", others, own, draws)
		}
		for _, b := range boxes[1:] {
			same := 0 // boxes of its kind
			for _, x := range boxes[1:] {
				if x.fresh == b.fresh {
					same++
				}
			}
			share := 3. / 8 / float64(same)
			if others == 1 {
				share = 3. / 4 // there is no other kind
			}
			if d := math.Abs(float64(drawn[b.id]) - draws*share); d > 5*math.Sqrt(draws*share*(1-share)) {
				t.Errorf("%d others: one of %d of a kind is drawn %d times of %d", others, same, drawn[b.id], draws)
			}
		}
		if d := math.Abs(float64(twice) - draws/16); d > 5*math.Sqrt(draws/16.) {
			t.Errorf("%d others: drawn %d times after itself", others, twice)
		}
	}
	if b := c.drawBox([]box{{fresh: true}}); b.id != (mail.ID{}) {
		t.Error("another one was drawn where there is none")
	}
}

// All items of a bucket expire together, not before any of their lives is over, and
// while their reader still asks for them.
func TestItemsOfABucketExpireTogether(t *testing.T) {
	for _, profile := range []genesis.Profile{genesis.Mainnet, genesis.Private, genesis.Dev} {
		p, err := genesis.For(profile)
		if err != nil {
			t.Fatal(err)
		}
		core := &genesis.Core{Time: 1_700_000_000_000, Params: p}
		per := uint64(bucketSpan) / uint64(p.EpochLength)
		for _, b := range []uint64{0, 1, 100} {
			from, to := core.EpochStart(chain.Epoch(b*per)), core.EpochStart(chain.Epoch((b+1)*per))-1
			first, last := bucketExpiry(core, b, from), bucketExpiry(core, b, to)
			if first != last || last < to+chain.Time(p.MailboxTTL) || first > from+chain.Time(p.MailboxMost) {
				t.Errorf("%s: bucket %d expires at %d and %d", profile, b, first, last)
			}
			end := last - 1
			found := false
			for _, n := range buckets(core, core.EpochAt(end), end, 0) {
				found = found || n == b
			}
			if !found {
				t.Errorf("%s: bucket %d is not read to its end", profile, b)
			}
		}
	}
}
