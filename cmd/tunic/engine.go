package main

import (
	"github.com/spf13/cobra"

	"tunic/chain/genesis"
	"tunic/devnet"
)

// engineFlags say who decides the blocks of a network.
type engineFlags struct {
	engine     string
	validators int
}

func (f *engineFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.engine, "engine", "sealer", "who decides the blocks: sealer, or comet for validators that run "+devnet.ValidatorProgram)
	c.Flags().IntVar(&f.validators, "validators", devnet.DefaultValidators, "number of validators, with --engine comet")
}

// read is the engine as genesis names it.
func (f *engineFlags) read(c *cobra.Command) (genesis.Engine, error) {
	switch f.engine {
	case "sealer":
		if c.Flags().Changed("validators") {
			return "", usage("--validators goes with --engine comet; one sealer decides without it")
		}
		return genesis.EngineSealer, nil
	case "comet", string(genesis.EngineComet):
		if f.validators < 1 || f.validators > devnet.MaxValidators {
			return "", usage("--validators must be 1 to %d", devnet.MaxValidators)
		}
		return genesis.EngineComet, nil
	}
	return "", usage("--engine %q is unknown; use sealer or comet", f.engine)
}
