package node

import (
	"context"

	"tunic/api/feed"
	"tunic/chain"
	"tunic/client"
	"tunic/relay"
)

// relayLedger is a feed as a relay sees it.
type relayLedger struct{ *feed.Feed }

// RelayLedger makes a relay's view of a feed.
func RelayLedger(f *feed.Feed) relay.Ledger { return relayLedger{f} }

func (l relayLedger) Events(ctx context.Context, since chain.Height) (<-chan relay.Event, error) {
	in, err := l.Feed.Events(ctx, since)
	if err != nil {
		return nil, err
	}
	out := make(chan relay.Event)
	go func() {
		defer close(out)
		for e := range in {
			select {
			case out <- relay.Event(e):
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// clientLedger is a feed as a client sees it: Head answers from what a
// background stream has verified.
type clientLedger struct{ *feed.Feed }

// Head is the newest verified header; only the first call asks the ledger.
func (l clientLedger) Head(ctx context.Context) (chain.SealedHeader, error) {
	if c := l.Conflict(); c != nil {
		return chain.SealedHeader{}, c
	}
	if s, ok := l.Newest(); ok {
		return s, nil
	}
	return l.Feed.Head(ctx)
}

// FollowLedger makes a client's view of a feed, which is kept new until ctx ends.
func FollowLedger(ctx context.Context, f *feed.Feed) client.Ledger {
	go follow(ctx, f)
	return clientLedger{f}
}

// follow keeps the feed's newest header new until ctx ends.
func follow(ctx context.Context, f *feed.Feed) {
	head, err := f.Head(ctx)
	if err != nil {
		head, _ = f.Newest()
	}
	events, err := f.Events(ctx, head.Header.Height)
	if err != nil {
		return
	}
	for range events {
	}
}
