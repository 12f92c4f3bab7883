package main

import (
	"github.com/spf13/cobra"

	"github.com/gradus-ai/gradus/internal/app"
)

func newWorker(tty *terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "worker",
		Short: "Grade batches that services have accepted",
		Long: "Grades what gradus serve accepts into the Redis at REDIS_URL, beside the services\n" +
			"themselves and any number of other workers, on this machine or another. Told to\n" +
			"stop, it finishes the answers in progress and hands the rest back.",
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
			return a.Work(cmd.Context())
		},
	}
}
