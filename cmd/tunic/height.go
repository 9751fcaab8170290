package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/spf13/cobra"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/state"
	"tunic/internal/wire"
)

// heightFlag adds --height to c: without it height is 0, the newest block.
func heightFlag(c *cobra.Command, height *uint64) {
	c.Flags().Var((*heightValue)(height), "height", "as it was after this block, one of the last whose state the ledger keeps (default the newest)")
}

// heightValue is a height as a flag: no block has the height 0, so that nobody
// who asks for it is given the newest.
type heightValue uint64

func (h *heightValue) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 64)
	if err == nil && n == 0 {
		err = errors.New("heights count from 1; leave it out for the newest block")
	}
	*h = heightValue(n)
	return err
}

func (h *heightValue) String() string {
	if *h == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(*h), 10)
}

func (h *heightValue) Type() string { return "uint" }

// past is --height as a parameter of the API: nil for the newest block.
func past(height uint64) (*int64, error) {
	if height == 0 {
		return nil, nil
	}
	if height > math.MaxInt64 {
		return nil, usage("--height %d is no height", height)
	}
	h := int64(height)
	return &h, nil
}

// maxInForce bounds the bytes that show the parameters in force at a height.
const maxInForce = 1 << 18

// then is a moment of the past: the parameters in force after a block, shown
// against its sealed header.
func (r *remote) then(ctx context.Context, height int64) (genesis.InForce, chain.SealedHeader, error) {
	b, err := r.fetch(ctx, fmt.Sprintf("/v1/params?height=%d", height), maxInForce)
	if err != nil {
		return genesis.InForce{}, chain.SealedHeader{}, err
	}
	read := wire.NewReader(b)
	header := read.Bytes(maxInForce)
	proof := state.ReadProof(read)
	s, err := chain.DecodeSealedHeader(header)
	if err == nil {
		err = read.Done()
	}
	if err != nil {
		return genesis.InForce{}, s, answer(0, nil, err)
	}
	v, err := r.verifier(ctx, s)
	if err != nil {
		return genesis.InForce{}, s, err
	}
	in, err := v.InForce(proof, s)
	if err == nil && int64(s.Header.Height) != height {
		err = fmt.Errorf("the answer is of height %d, asked for was %d", s.Header.Height, height)
	}
	if err != nil {
		return in, s, fail(exitFalse, "not_verified", "the ledger's answer does not hold", "%v", err)
	}
	return in, s, nil
}

// moment is the parameters in force at a height and the status now with the time,
// epoch and size of the list of then; for a nil height, both of now.
func (r *remote) moment(ctx context.Context, now *client.Status, height *int64) (genesis.InForce, *client.Status, error) {
	if height == nil {
		in, _, err := r.inForce(ctx)
		return in, now, err
	}
	in, s, err := r.then(ctx, *height)
	then, h := *now, s.Header
	then.Height, then.TimeMs, then.Epoch = int64(h.Height), int64(h.Time), int64(h.DirEpoch)
	then.Listed = int(h.DirCount) - len(h.Removals)
	return in, &then, err
}
