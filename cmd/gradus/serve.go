package main

import (
	"github.com/spf13/cobra"

	"github.com/gradus-ai/gradus/internal/app"
)

func newServe(tty *terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the HTTP service",
		Long: "Serves the HTTP API until it is told to stop, then finishes what is in flight.\n" +
			"Without any settings it listens on http://localhost:8080 with the lexical judge\n" +
			"and keeps grades in this process.",
		Args: exactArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := settings(cmd)
			if err != nil {
				return err
			}
			a, err := app.New(cmd.Context(), cfg, app.Options{Logger: logger(cfg, tty.err), Version: version})
			if err != nil {
				return err
			}
			return a.Run(cmd.Context())
		},
	}
}
