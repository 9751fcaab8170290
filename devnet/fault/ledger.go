package fault

import (
	"context"

	"tunic/chain"
	"tunic/registry/directory"
	"tunic/relay"
)

// Cut takes the relay off the ledger; its links stay.
func (t *Twin) Cut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sever()
}

// IsCut reports whether the relay hears nothing of the ledger.
func (t *Twin) IsCut() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.severed != nil
}

// sever and reconnect are called with mu held.
func (t *Twin) sever() {
	if t.severed == nil {
		t.severed = make(chan struct{})
	}
}

func (t *Twin) reconnect() {
	if t.severed != nil {
		close(t.severed)
		t.severed = nil
	}
}

// await waits while the relay is cut off: its questions get no answer.
func (t *Twin) await(ctx context.Context) error {
	t.mu.Lock()
	severed := t.severed
	t.mu.Unlock()
	if severed == nil {
		return nil
	}
	select {
	case <-severed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// follower is what the relay hears of the ledger.
type follower struct {
	t     *Twin
	inner relay.Ledger
}

func (f *follower) Directory(ctx context.Context, e chain.Epoch) (*directory.List, chain.SealedHeader, error) {
	if err := f.t.await(ctx); err != nil {
		return nil, chain.SealedHeader{}, err
	}
	return f.inner.Directory(ctx, e)
}

func (f *follower) Submit(ctx context.Context, statement []byte) error {
	if err := f.t.await(ctx); err != nil {
		return err
	}
	return f.inner.Submit(ctx, statement)
}

// Events ends its stream with a cut. What the twin has to do at a head comes
// before the relay hears of it.
func (f *follower) Events(ctx context.Context, since chain.Height) (<-chan relay.Event, error) {
	if err := f.t.await(ctx); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	in, err := f.inner.Events(ctx, since)
	if err != nil {
		stop()
		return nil, err
	}
	out := make(chan relay.Event)
	go func() {
		defer close(out)
		defer stop()
		for e := range in {
			if f.t.IsCut() {
				return
			}
			f.t.head(ctx, e.Header.Header)
			select {
			case out <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}
