package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"tunic/node"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Version of this program", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := map[string]string{"version": node.Version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
			return a.show(v, func(w io.Writer) {
				fmt.Fprintf(w, "tunic %s (%s, %s)\n", v["version"], v["go"], v["platform"])
			})
		},
	}
}
