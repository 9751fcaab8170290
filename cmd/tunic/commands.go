package main

import "github.com/spf13/cobra"

// commands adds every noun to root, in groups, each in the order in which help
// shows it.
func (a *app) commands(root *cobra.Command) {
	for _, g := range []struct {
		id, title string
		nouns     []*cobra.Command
	}{
		{"network", "A network", []*cobra.Command{
			a.demoCommand(), a.devCommand(), a.devnetCommand(), a.relayCommand(), a.scenarioCommand()}},
		{"ledger", "The ledger", []*cobra.Command{
			a.epochCommand(), a.ledgerCommand(), a.paramsCommand(), a.statusCommand(), a.txCommand(), a.walletCommand()}},
		{"directory", "The directory", []*cobra.Command{
			a.directoryCommand(), a.explainCommand(), a.nodeCommand()}},
		{"slashing", "Slashing", []*cobra.Command{
			a.proofCommand(), a.slashCommand()}},
		{"messages", "Messages", []*cobra.Command{
			a.accountCommand(), a.chatCommand(), a.clientCommand(), a.contactCommand(), a.exportCommand(), a.inboxCommand(), a.outboxCommand(),
			a.searchCommand(), a.sendCommand()}},
		{"tools", "Tools", []*cobra.Command{
			a.benchCommand(), a.dbCommand(), a.exitCodesCommand(), a.versionCommand()}},
	} {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title + ":"})
		for _, c := range g.nouns {
			c.GroupID = g.id
			root.AddCommand(c)
		}
	}
	root.SetHelpCommandGroupID("tools") // of what cobra adds itself
	root.SetCompletionCommandGroupID("tools")
}
