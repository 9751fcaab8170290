package client

import (
	"math"
	"math/rand/v2"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion/mail"
)

// The account's own mailbox is drawn as often whatever the number of the others, and
// which one is drawn says nothing of the next.
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
		for range draws {
			is := c.drawBox(boxes).id == mail.ID{}
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
