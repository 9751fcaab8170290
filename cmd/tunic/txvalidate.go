package main

import (
	"github.com/spf13/cobra"

	"tunic/chain"
	"tunic/registry"
)

func (a *app) txValidate() *cobra.Command {
	return nodeTx(a, "validate NODE", "Make a node one of the validators, as its operator",
		`Make a node one of the validators, as its operator, on a network whose blocks validators
decide together. The node has its whole stake at work. It votes from two blocks later on,
and should be running with tunic-validator start by then: validators that are away count
against the third of them that may be.`,
		registry.ValidateType, func(h chain.Head, id chain.NodeID) registry.Validate { return registry.Validate{Head: h, Node: id} })
}

func (a *app) txResign() *cobra.Command {
	return nodeTx(a, "resign NODE", "End that a node is a validator, as its operator",
		`End that a node is a validator, as its operator. It votes for two more blocks; keep it
running until then. Its stake stays where it is: tunic tx unlock NODE asks for it.`,
		registry.ResignType, func(h chain.Head, id chain.NodeID) registry.Resign { return registry.Resign{Head: h, Node: id} })
}

// nodeTx is a command for a transaction that names a node and nothing else.
func nodeTx[T any](a *app, use, short, long string, d *chain.TypeDef[T], message func(chain.Head, chain.NodeID) T) *cobra.Command {
	var f txFlags
	c := &cobra.Command{
		Use: use, Short: short, Long: long, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := chain.ParseNodeID(args[0])
			if err != nil {
				return err
			}
			return send(a, cmd, f, d, func(_ *remote, _ chain.Address, h chain.Head) (T, error) { return message(h, id), nil })
		},
	}
	f.add(c)
	return c
}
