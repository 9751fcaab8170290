package api

import (
	"errors"
	"slices"
	"sync"

	"tunic/chain"
)

// Bounds of the events kept in their encoding.
const (
	maxKeptBlocks = 64
	maxKeptFrames = 16 << 20 // bytes
)

// frameCache keeps the events of some blocks, so that each is read and encoded
// once for all streams. Safe for concurrent use.
type frameCache struct {
	mu    sync.Mutex
	kept  map[frameName]*keptFrames
	order []frameName // oldest first
	size  int
}

type frameName struct {
	header chain.Hash
	full   bool // otherwise "head" alone
}

// keptFrames are events once they are made; f and err are written under the
// cache's mu, and never again after once.
type keptFrames struct {
	once sync.Once
	f    *blockFrames
	err  error
}

// of gives the events of this name, made by make where they are not kept; what
// fails is not kept.
func (c *frameCache) of(name frameName, make func() (*blockFrames, error)) (*blockFrames, error) {
	c.mu.Lock()
	k := c.kept[name]
	if k == nil {
		k = &keptFrames{}
		if c.kept == nil {
			c.kept = map[frameName]*keptFrames{}
		}
		c.kept[name] = k
		c.order = append(c.order, name)
	}
	c.mu.Unlock()
	k.once.Do(func() {
		f, err := (*blockFrames)(nil), errNotMade
		defer func() { // also where make panics
			c.mu.Lock()
			defer c.mu.Unlock()
			k.f, k.err = f, err
			c.settle(name, k)
		}()
		f, err = make()
	})
	return k.f, k.err
}

// errNotMade is what those get who waited for events whose making panicked.
var errNotMade = errors.New("api: the events of a block could not be made")

// settle counts what was made and drops the oldest; mu is held.
func (c *frameCache) settle(name frameName, k *keptFrames) {
	if c.kept[name] != k {
		return // dropped meanwhile
	}
	if k.err != nil {
		delete(c.kept, name)
		c.order = slices.DeleteFunc(c.order, func(n frameName) bool { return n == name })
		return
	}
	c.size += len(k.f.bytes)
	for len(c.order) > 1 && (len(c.order) > maxKeptBlocks || c.size > maxKeptFrames) {
		if old := c.kept[c.order[0]]; old != nil {
			if old.f != nil {
				c.size -= len(old.f.bytes)
			}
			delete(c.kept, c.order[0])
		}
		c.order = c.order[1:]
	}
}
