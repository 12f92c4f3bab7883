package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/gradus-ai/gradus/internal/app"
)

func newMCP(tty *terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "mcp",
		Short: "Serve an agent by the Model Context Protocol",
		Long: "Speaks the Model Context Protocol on standard input and output until the input\n" +
			"ends: tools to list questions, read one, grade an answer, start a batch and read\n" +
			"it. A running service offers the same at POST /mcp.",
		Example: `{"mcpServers": {"gradus": {"command": "gradus", "args": ["mcp"]}}}`,
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := settings(cmd)
			if err != nil {
				return err
			}
			a, err := app.New(cmd.Context(), cfg, app.Options{Logger: logger(cfg, tty.err), Version: release()})
			if err != nil {
				return err
			}
			return a.ServeMCP(cmd.Context(), io.NopCloser(tty.in), unclosed{cmd.OutOrStdout()})
		},
	}
}

// unclosed is standard output, which is not ours to close.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }
