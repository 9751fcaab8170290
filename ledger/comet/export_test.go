package comet

import (
	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/types"
)

// Wrap has f wrap what signs.
func (c *Config) Wrap(f func(types.PrivValidator) types.PrivValidator) { c.wrap = f }

// Engine is the CometBFT node.
func (n *Node) Engine() *node.Node { return n.node }

// Through sets what stands between CometBFT and the application.
func (c *Config) Through(f func(abci.Application) abci.Application) { c.through = f }
