package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/rows"
)

// batchFlags is what a caller may ask of gradus batch.
type batchFlags struct {
	out, question, format, detail, onError string
	estimate, fallback, fresh, mix, quiet  bool
	asJSON                                 bool
	maxCost                                float64
}

func newBatch(tty *terminal) *cobra.Command {
	var f batchFlags
	cmd := &cobra.Command{
		Use:   "batch ANSWERS.(jsonl|csv|json) -o RESULTS.(jsonl|csv)",
		Short: "Grade a file of answers",
		Long: "Grades every answer of a file and writes the results as they are made, one row an\n" +
			"answer, in the order in which they are done. Each row has the id of its answer.\n\n" +
			"A CSV file has a header row with id, answer and question_id; a JSONL file has an\n" +
			"object with these a line, or a question of its own in place of question_id.\n" +
			"-q is the question of the rows that name none. A file with a fault is refused as a\n" +
			"whole, with the line of each; --on-error skip grades the others.\n\n" +
			"When RESULTS is there already the command goes on where it ends: what is graded\n" +
			"stays, what failed is tried again, a torn last line is cut. The first Ctrl-C\n" +
			"finishes the answers in progress, the second stops at once; neither loses a row.",
		Example: "gradus batch answers.csv -o results.csv -q lead-platform-engineer/first-90-days\n" +
			"gradus batch answers.jsonl -o results.jsonl --estimate\n" +
			"gradus batch answers.jsonl -o results.jsonl --max-cost 2.50",
		Args: exactArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, tty, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.out, "output", "o", "", "where the results go; - is standard output, which cannot be gone on with")
	flags.StringVarP(&f.question, "question", "q", "", "the question of rows that name none, as SET/QUESTION")
	flags.StringVar(&f.format, "format", "", "of the answers: jsonl, csv or json (default: by the file's name)")
	flags.StringVar(&f.detail, "detail", "full", "how much the feedback gives away: nudge, hint or full")
	flags.StringVar(&f.onError, "on-error", api.OnErrorReject, "what to do with a row that cannot be graded: reject (the file) or skip (the row)")
	flags.BoolVar(&f.estimate, "estimate", false, "say what it would cost, and grade nothing")
	flags.Float64Var(&f.maxCost, "max-cost", 0, "stop before more than this is spent, in US dollars")
	flags.BoolVar(&f.fallback, "fallback", false, "let the lexical judge stand in when the model cannot be asked")
	flags.BoolVar(&f.fresh, "fresh", false, "grade again even where a grade is kept")
	flags.BoolVar(&f.mix, "mix", false, "go on with RESULTS although it was made by another judge, prompt or rubric")
	flags.BoolVar(&f.asJSON, "json", false, "print the summary, or the estimate, as JSON")
	flags.BoolVar(&f.quiet, "quiet", false, "show no progress")
	return cmd
}

func (f *batchFlags) check(cmd *cobra.Command) error {
	switch {
	case f.out == "" && !f.estimate:
		return usage(errors.New("name the file for the results with -o RESULTS.jsonl"))
	case !grading.Detail(f.detail).Valid():
		return usage(errors.New("--detail must be nudge, hint or full"))
	case f.onError != api.OnErrorReject && f.onError != api.OnErrorSkip:
		return usage(errors.New("--on-error must be reject or skip"))
	case cmd.Flags().Changed("max-cost") && f.maxCost <= 0:
		return usage(errors.New("--max-cost must be more than 0"))
	}
	return nil
}

// options are those of the batch.
func (f *batchFlags) options(cmd *cobra.Command) batch.Options {
	o := batch.Options{Judge: grading.Auto, Fallback: f.fallback, Fresh: f.fresh, Detail: f.detail}
	if cmd.Flags().Changed("max-cost") {
		o.MaxCost = &f.maxCost
	}
	return o
}

func (f *batchFlags) run(cmd *cobra.Command, tty *terminal, name string) (err error) {
	if err := f.check(cmd); err != nil {
		return err
	}
	ctx := cmd.Context()
	a, err := open(cmd, tty)
	if err != nil {
		return err
	}
	defer a.Close()
	answers, skipped, err := f.read(ctx, tty, a, name)
	if err != nil {
		return err
	}
	if f.estimate {
		return f.foretell(ctx, tty, a, cmd, answers)
	}
	results, err := openResults(f.out, tty.out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, results.Close()) }()
	todo, err := f.remaining(a, answers, results)
	if err != nil {
		return err
	}
	talk := newTalk(tty, f.quiet, len(todo), results.Kept())
	sum := newSummary(results, skipped)
	b, err := f.grade(cmd, a, todo, results, sum, talk)
	talk.end()
	err = f.explain(tty, err)
	if err != nil && !errors.As(err, new(*exitError)) {
		return err
	}
	if b != nil {
		sum.spent(b)
	}
	if shown := sum.show(tty, f.asJSON, f.out == stdio); shown != nil {
		return shown
	}
	switch {
	case err != nil:
		return err
	case sum.Failed+sum.NeedsReview+sum.Skipped > 0:
		return &exitError{exitIncomplete}
	}
	return nil
}

// grade grades what is left to do.
func (f *batchFlags) grade(cmd *cobra.Command, a *app.App, todo []answered, results *results, sum *summary, talk *talk) (*batch.Batch, error) {
	if len(todo) == 0 {
		return nil, nil
	}
	return a.GradeLocally(cmd.Context(), app.Local{
		Options: f.options(cmd),
		Fill:    fill(todo),
		Each: func(r batch.Result) error {
			row, err := wireRow(&r, todo[r.Index].index, grading.Detail(f.detail))
			if err != nil {
				return err
			}
			sum.count(row)
			return results.Write(row)
		},
		Progress: talk.progress,
	})
}

func fill(todo []answered) func(app.Add) error {
	return func(add app.Add) error {
		for i := range todo {
			if err := add(todo[i].id, i, todo[i].question, todo[i].text); err != nil {
				return err
			}
		}
		return nil
	}
}

// explain says why a batch ended early, and how to go on.
func (f *batchFlags) explain(tty *terminal, err error) error {
	var (
		paused *app.PausedError
		outage *app.OutageError
	)
	again := ""
	if f.out != stdio {
		again = "; the same command goes on from " + f.out
	}
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintf(tty.err, "interrupted%s\n", again)
		return &exitError{exitInterrupted}
	case errors.As(err, &paused), errors.As(err, &outage):
		fmt.Fprintf(tty.err, "stopped: %v%s\n", err, again)
		return &exitError{exitFailure}
	case errors.Is(err, batch.ErrNoPrice):
		return usage(errors.New("--max-cost needs a price for the model: set GRADUS_PRICE"))
	case errors.Is(err, batch.ErrEmpty):
		return nil
	}
	return err
}

// foretell prints what a batch would do.
func (f *batchFlags) foretell(ctx context.Context, tty *terminal, a *app.App, cmd *cobra.Command, answers []answered) error {
	e, err := a.EstimateLocally(ctx, f.options(cmd), fill(answers))
	if err != nil {
		return f.explain(tty, err)
	}
	if f.asJSON {
		return printJSON(tty.out, api.BatchEstimate{Items: e.Items, Distinct: e.Distinct, Cached: e.Cached, Usage: api.Usage(e.Usage)})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d distinct, %d graded already\n", count(e.Items, "answer"), e.Distinct, e.Cached)
	if e.Usage.Calls == 0 {
		b.WriteString("nobody would be asked, so it costs nothing\n")
	} else {
		fmt.Fprintf(&b, "%s, about %s\n", count(e.Usage.Calls, "call"), tokens(e.Usage))
	}
	if e.Usage.CostUSD != nil && e.Usage.Calls > 0 {
		fmt.Fprintf(&b, "about $%.2f\n", *e.Usage.CostUSD)
	} else if e.Usage.Calls > 0 {
		b.WriteString("set GRADUS_PRICE to see what that costs\n")
	}
	_, err = fmt.Fprint(tty.out, b.String())
	return err
}

// stdio is the name of standard input and output.
const stdio = "-"

// formatOf is the format of a file, by name unless it is said.
func formatOf(name, said string) (rows.Format, error) {
	if said == "" {
		said = name[strings.LastIndexByte(name, '.')+1:]
	}
	switch strings.ToLower(said) {
	case "jsonl", "ndjson":
		return rows.NDJSON, nil
	case "csv", "tsv":
		return rows.CSV, nil
	case "json":
		return rows.JSON, nil
	}
	return "", usage(fmt.Errorf("%s: say whether it is jsonl, csv or json with --format", sourceName(name)))
}

func sourceName(name string) string {
	if name == stdio {
		return "standard input"
	}
	return name
}

func openInput(tty *terminal, name string) (interface {
	Read([]byte) (int, error)
	Close() error
}, error) {
	if name == stdio {
		return readCloser{tty.in}, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, usage(err)
	}
	return file, nil
}
