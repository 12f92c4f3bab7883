package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/config"
)

func newServe(tty *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the HTTP service",
		Long: "Serves the HTTP API until it is told to stop, then finishes what is in flight.\n" +
			"Without any settings it listens on http://localhost:8080 with the lexical judge\n" +
			"and keeps grades in this process.\n\n" + secretsHelp(),
		Args: takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := settings(cmd)
			if err != nil {
				return err
			}
			a, err := app.New(cmd.Context(), cfg, app.Options{Logger: logger(cfg, tty.err), Version: release()})
			if err != nil {
				return err
			}
			return a.Run(cmd.Context())
		},
	}
	config.ServeFlags(cmd.Flags())
	return cmd
}

// secretsHelp lists the settings that have no flag.
func secretsHelp() string {
	var b strings.Builder
	b.WriteString("Secrets come from the environment, or from a file named by the variable with\n_FILE behind it; a command line can be read by every user of the machine:")
	for _, s := range config.Settings() {
		if s.Secret {
			fmt.Fprintf(&b, "\n  %-16s %s", s.Env, s.Usage)
		}
	}
	return b.String()
}
