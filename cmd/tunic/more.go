package main

import "github.com/spf13/cobra"

// moreCommands adds what runs networks and what people write with.
func (a *app) moreCommands(root *cobra.Command) {
	root.AddCommand(
		a.walletCommand(),
		a.devnetCommand(),
		a.demoCommand(),
		a.scenarioCommand(),
		a.benchCommand(),
		a.versionCommand(),
		a.exitCodesCommand(),
		a.accountCommand(),
		a.contactCommand(),
		a.sendCommand(),
		a.inboxCommand(),
		a.outboxCommand(),
		a.clientCommand(),
	)
}
