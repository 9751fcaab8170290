package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"tunic/chain"
	"tunic/ledger"
	"tunic/ledger/machine"
)

// at reads the state after block height, one of the last that are kept, with
// the sealed header of the same block; nil is the head. f must not keep the
// machine or call the ledger. Its error is returned as it is; a height above
// the head is a 404 height_not_found, one below those that are kept a 410
// height_not_kept. At height 0, before the first block, the header is without a
// seal and proves nothing: see provable.
func (s *server) at(ctx context.Context, height *int64, f func(*machine.Machine, chain.SealedHeader) error) error {
	for {
		sealed, err := s.ledger.Head(), error(nil)
		if height != nil && *height != int64(sealed.Header.Height) {
			if sealed, err = s.sealedAt(chain.Height(*height)); err != nil {
				return s.explainHeight(*height, err)
			}
		}
		var same bool
		read := func(m *machine.Machine) {
			// A block or a revert may have come between the two reads.
			own := m.Head()
			if same = own.Height == sealed.Header.Height && (own.Height == 0 || m.HeadHash() == sealed.Header.Hash()); same {
				err = f(m, sealed)
			}
		}
		if height == nil {
			s.ledger.View(read)
		} else if not := s.ledger.ViewAt(ctx, chain.Height(*height), read); not != nil {
			return s.explainHeight(*height, not)
		}
		if same {
			return err
		}
	}
}

// sealedAt is the sealed header at h, which is not the head; an empty one for 0.
func (s *server) sealedAt(h chain.Height) (chain.SealedHeader, error) {
	if h == 0 {
		return chain.SealedHeader{}, nil
	}
	return s.ledger.Header(h)
}

// explainHeight turns an error of a read of the state after block height into
// its answer.
func (s *server) explainHeight(height int64, err error) error {
	switch {
	case errors.Is(err, ledger.ErrNotFound) && !errors.Is(err, ledger.ErrPruned):
		return notFound(codeHeightUnknown, fmt.Sprintf("there is no block %d; the head is %d", height, s.ledger.Head().Header.Height))
	case errors.Is(err, ledger.ErrNotKept), errors.Is(err, ledger.ErrPruned):
		return problem(http.StatusGone, codeHeightNotKept, fmt.Sprintf("the state after block %d is not kept: those from height %d on are; "+
			"ask for one of them, and begin a list again", height, s.ledger.KeptFrom()))
	}
	return err
}

// provable refuses to prove anything before the first block.
func provable(of chain.SealedHeader) error {
	if of.Header.Height == 0 {
		return errNoHead()
	}
	return nil
}

// errNoHead is why little can be said, and nothing proven, before the first block.
func errNoHead() error {
	return problem(http.StatusServiceUnavailable, codeNoHead, "there is no block yet").after(retryAfterNoHead)
}
