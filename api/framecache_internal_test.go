package api

import (
	"errors"
	"sync"
	"testing"

	"tunic/chain"
)

// framesNamed names the events of one of 256 blocks.
func framesNamed(i byte) frameName { return frameName{header: chain.Hash{i}} }

// TestFrameCacheAfterPanic: whoever waits for events whose making panics gets an
// error, and the next one has them made again.
func TestFrameCacheAfterPanic(t *testing.T) {
	var c frameCache
	begun, making, panicked := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(panicked)
		defer func() { _ = recover() }()
		_, _ = c.of(framesNamed(1), func() (*blockFrames, error) {
			close(begun)
			<-making
			panic("a fault")
		})
	}()
	<-begun
	waited := make(chan error)
	go func() {
		f, err := c.of(framesNamed(1), func() (*blockFrames, error) { return &blockFrames{}, nil })
		if f == nil && err == nil {
			waited <- errors.New("neither events nor an error")
			return
		}
		waited <- nil
	}()
	close(making)
	<-panicked
	if err := <-waited; err != nil {
		t.Error(err)
	}
	if f, err := c.of(framesNamed(1), func() (*blockFrames, error) { return &blockFrames{bytes: []byte("x")}, nil }); err != nil || f == nil {
		t.Errorf("after a panic: %v, %v", f, err)
	}
}

// TestFrameCacheSize: what is counted is what is kept, in whatever order blocks
// are made while others push them out.
func TestFrameCacheSize(t *testing.T) {
	var c frameCache
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 4 * maxKeptBlocks {
				_, _ = c.of(framesNamed(byte(i+g)), func() (*blockFrames, error) {
					if i%7 == 0 {
						return nil, errors.New("not there")
					}
					return &blockFrames{bytes: make([]byte, 1+i)}, nil
				})
			}
		})
	}
	all.Wait()
	size := 0
	for _, k := range c.kept {
		size += len(k.f.bytes)
	}
	if c.size != size || len(c.kept) > maxKeptBlocks || len(c.order) != len(c.kept) {
		t.Errorf("%d bytes counted, %d kept, of %d blocks, %d in order", c.size, size, len(c.kept), len(c.order))
	}
}
