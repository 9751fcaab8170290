package node

import (
	"context"
	"errors"
	"time"

	"tunic/api/feed"
	"tunic/chain"
	"tunic/client"
	"tunic/ledger/light"
	"tunic/registry/directory"
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
			ev := relay.Event{Header: e.Header, Published: e.Published, Params: e.Params}
			for _, u := range e.Unlisted {
				ev.Unlisted = append(ev.Unlisted, relay.Unlisted(u))
			}
			if e.Challenges != nil {
				ev.Challenges = []relay.Challenge{}
			}
			for _, c := range e.Challenges {
				ev.Challenges = append(ev.Challenges, relay.Challenge(c))
			}
			select {
			case out <- ev:
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

// Directory is the feed's; two heads become the client's own error, at which it
// halts.
func (l clientLedger) Directory(ctx context.Context, e chain.Epoch) (*directory.List, chain.SealedHeader, error) {
	list, s, err := l.Feed.Directory(ctx, e)
	return list, s, twoHeads(err)
}

func twoHeads(err error) error {
	var two *light.TwoHeads
	if errors.As(err, &two) {
		e := &client.TwoHeadsError{First: two.First, Second: two.Second}
		if two.Certificates != nil { // a header may be unknown of either
			e.Detail = two.Error()
		}
		return e
	}
	return err
}

// Head is the newest verified header; only the first call asks the ledger.
func (l clientLedger) Head(ctx context.Context) (chain.SealedHeader, error) {
	if c := l.Conflict(); c != nil {
		return chain.SealedHeader{}, twoHeads(c)
	}
	if s, ok := l.Newest(); ok {
		return s, nil
	}
	s, err := l.Feed.Head(ctx)
	return s, twoHeads(err)
}

// FollowLedger makes a client's view of a feed, which is kept new until ctx ends.
func FollowLedger(ctx context.Context, f *feed.Feed) client.Ledger {
	go follow(ctx, f)
	return clientLedger{f}
}

// follow keeps the feed's newest header new until ctx ends.
func follow(ctx context.Context, f *feed.Feed) {
	pause := time.NewTicker(time.Second)
	defer pause.Stop()
	for {
		head, known := f.Newest()
		if !known {
			var err error
			head, err = f.Head(ctx)
			known = err == nil
		}
		if known {
			events, err := f.Events(ctx, head.Header.Height)
			if err != nil {
				return // two heads: the client has been told
			}
			for range events {
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
	}
}
