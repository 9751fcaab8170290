package main

import "github.com/spf13/cobra"

// commands adds every noun to root.
func (a *app) commands(root *cobra.Command) {
	root.AddCommand(
		a.ledgerCommand(), a.relayCommand(), a.statusCommand(),
		a.txCommand(),
		a.nodeCommand(), a.directoryCommand(),
		a.slashCommand(), a.proofCommand(),
		a.dbCommand(),
	)
	a.moreCommands(root)
}
