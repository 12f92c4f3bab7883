package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"charm.land/fang/v2"

	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// terminal is what a command talks to. Data goes to out, talk to err.
type terminal struct {
	in  io.Reader
	out io.Writer // drops colours when it is not a terminal, or when they are switched off
	err io.Writer
	// width is where prose on out wraps, in columns.
	width int
}

// interactive reports whether a person sits at the file.
func interactive(f any) bool {
	file, ok := f.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(file.Fd())
}

// run is the whole program; it returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first Ctrl-C ends things in order, the second at once. A supervisor may
	// repeat its SIGTERM and loses nothing by it.
	defer context.AfterFunc(ctx, func() { signal.Reset(os.Interrupt) })()

	tty := &terminal{in: stdin, out: colorprofile.NewWriter(stdout, os.Environ()), err: stderr, width: widthFor(stdout)}
	root := newRoot(tty)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := fang.Execute(ctx, root, fang.WithVersion(release()), fang.WithErrorHandler(func(w io.Writer, _ fang.Styles, err error) {
		var quiet *exitError
		var missing *rubric.NotFoundError
		switch {
		case errors.As(err, &quiet):
		case errors.Is(err, context.Canceled):
			fmt.Fprintln(w, "gradus: interrupted")
		case errors.Is(err, grading.ErrNoModel):
			fmt.Fprintln(w, "gradus:", err.Error()+": set OPENAI_API_KEY or OPENAI_BASE_URL")
		case errors.As(err, &missing) && len(missing.Near) == 0:
			fmt.Fprintln(w, "gradus:", plain(err.Error())+"; gradus questions lists them")
		default:
			fmt.Fprintln(w, "gradus:", plain(err.Error())) // it may show a line of somebody's file
		}
	}))
	return exitCode(err)
}

func newRoot(tty *terminal) *cobra.Command {
	root := &cobra.Command{
		Use:   "gradus",
		Short: "Grade written interview answers against a rubric",
		Long: "Gradus compares a written answer with its question's criteria and gives a score\n" +
			"with feedback to act on: which criteria are met, the words of the answer that\n" +
			"prove it, and what would win the most points next.\n\n" + exitHelp(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(flagFault(err)) })
	root.AddCommand(newServe(tty), newGrade(tty), newQuestions(tty), newLint(tty), newImport(tty), newEval(tty), newBatch(tty), newWorker(tty), newMCP(tty))
	for _, verb := range root.Commands() {
		config.Flags(verb.Flags())
	}
	root.AddCommand(newKeys(tty))
	return root
}

// settings reads the configuration a command runs with.
func settings(cmd *cobra.Command) (*config.Config, error) {
	return config.Load(cmd.Flags(), app.Check)
}

// logger writes JSON in production and text where a person reads.
func logger(cfg *config.Config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.LogLevel}
	if cfg.LogFormat == "text" || (cfg.LogFormat == "auto" && interactive(w)) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// open builds what a one-shot command needs: everything but the server.
func open(cmd *cobra.Command, tty *terminal) (*app.App, error) {
	cfg, err := settings(cmd)
	if err != nil {
		return nil, err
	}
	return openWith(cmd, tty, cfg)
}

func openWith(cmd *cobra.Command, tty *terminal, cfg *config.Config, more ...func(*app.Options)) (*app.App, error) {
	if !cmd.Flags().Changed("log-level") {
		cfg.LogLevel = max(cfg.LogLevel, slog.LevelWarn) // a command's talk is its own
	}
	options := app.Options{Logger: logger(cfg, tty.err), Version: release(), OneShot: true}
	for _, set := range more {
		set(&options)
	}
	return app.New(cmd.Context(), cfg, options)
}

// takes is for a command with so many arguments.
func takes(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case least <= len(args) && len(args) <= most:
			return nil
		case most == 0:
			return usage(fmt.Errorf("%q is too much: write %s", args[0], cmd.UseLine()))
		case len(args) < least:
			return usage(fmt.Errorf("something is missing: write %s", cmd.UseLine()))
		}
		return usage(fmt.Errorf("%q is too much: write %s", args[most], cmd.UseLine()))
	}
}

// flagFault says in our words what is wrong with the value of a flag.
func flagFault(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	want := map[string]string{"float64": "a number", "int": "a whole number", "int64": "a whole number", "bool": "true or false"}[invalid.GetFlag().Value.Type()]
	if want == "" {
		return err
	}
	return fmt.Errorf("--%s: %q is not %s", invalid.GetFlag().Name, invalid.GetValue(), want)
}
