package feed_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tunic/api/feed"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/httpx"
	"tunic/ledger/light"
	"tunic/registry/directory"
)

// Two servers: the first leaves a node out of the list, which its sealed header
// gives away, so that the list comes from the second.
func Example() {
	w := newWorld(&testing.T{}, genesis.ClockReal, 25)
	liar := &ledger{world: w, asked: map[string]int{}, dir: func(h chain.SealedHeader, l *directory.List) []byte {
		fewer, _ := directory.NewList(l.Epoch, l.Entries[1:])
		return honest(h, fewer)
	}}
	good := &ledger{world: w, asked: map[string]int{}}

	network := w.net // the network file: genesis.ParseNetwork
	network.URLs = []string{"http://liar", "http://good"}
	f, err := feed.New(feed.Config{
		Network:    network,
		HTTP:       &http.Client{Transport: byHost{"liar": httpx.InMemory(liar), "good": httpx.InMemory(good)}},
		Now:        w.now, // left out: the machine's clock
		OnConflict: func(*light.TwoHeads) { fmt.Println("halted") },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	list, header, err := f.Directory(context.Background(), 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("epoch %d, %d nodes, height %d\n", list.Epoch, len(list.Entries), header.Header.Height)

	// A relay greets with a header: it fits, or the feed halts for good.
	fmt.Println("greeting:", f.Witness(w.at(24)))
	err = f.Witness(w.branch(&testing.T{}, 20, 5).head())
	fmt.Println("two heads:", errors.Is(err, light.ErrTwoHeads))
	_, err = f.Head(context.Background())
	fmt.Println("afterwards:", errors.Is(err, light.ErrTwoHeads))
	fmt.Println(strings.SplitN(feed.FormatConflict(f.Conflict()), ".", 2)[0])
	// Output:
	// epoch 2, 3 nodes, height 25
	// greeting: <nil>
	// halted
	// two heads: true
	// afterwards: true
	// Two sealed headers exist for one height
}
