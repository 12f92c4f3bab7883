package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/gradus-ai/gradus/internal/agreement"
	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/calibration"
	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/eval"
	"github.com/gradus-ai/gradus/internal/grading"
)

// evalFlags is what a caller may ask of gradus eval.
type evalFlags struct {
	set, by                string
	predictions, calibrate string
	asJSON, robust         bool
	worst, limit, rounds   int
	seed                   uint64
	minAgreement           float64
}

func newEval(tty *terminal) *cobra.Command {
	var f evalFlags
	cmd := &cobra.Command{
		Use:   "eval GOLD.jsonl",
		Short: "Measure how well grades agree with people",
		Long: "Grades answers that people have scored and says how well the two agree, with\n" +
			"95 % intervals. GOLD has one JSON object a line: question (or question_id of a\n" +
			"loaded set), answer, human_score, max_score, and where there are any criteria,\n" +
			"reference_answers, criterion_labels, criterion_votes and human_scores. Without\n" +
			"criteria the reference answers are taken as one criterion: the first is its\n" +
			"statement, the others say the same in other words; where there is one criterion,\n" +
			"they are other words for it.\n\n" +
			"Scores are compared as they are; QWK, exact and right/wrong after rounding to the\n" +
			"scores people used. An answer is right from 75 % of the full score on.\n\n" +
			"With --calibration the scores are measured as that file corrects them; --calibrate\n" +
			"fits on the judge's own.\n\n" +
			"An answer that cannot be judged has no score; it is counted, never taken as 0.\n" +
			"With --predictions a run that was interrupted goes on where it ended.",
		Example: "gradus eval gold.jsonl\n" +
			"gradus eval gold.jsonl --judge model --predictions out.jsonl --worst 5\n" +
			"gradus eval gold.jsonl --json --min-agreement 0.6\n" +
			"gradus eval gold.jsonl --robust",
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return runEval(cmd, tty, args[0], f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.set, "set", "", "grade by this loaded set: question_no counts its questions from 1")
	flags.StringVar(&f.predictions, "predictions", "", "write predictions to this file, and go on where it ends")
	flags.BoolVar(&f.asJSON, "json", false, "print the report as JSON (scores and errors on 0 to 1)")
	flags.IntVar(&f.worst, "worst", 0, "show this many answers furthest from the human score")
	flags.IntVar(&f.limit, "limit", 0, "grade only this many answers, spread over the questions")
	flags.Float64Var(&f.minAgreement, "min-agreement", 0, "end with code 4 when Pearson (macro-F1 where people only said right or wrong) is less")
	flags.StringVar(&f.calibrate, "calibrate", "", "fit a correction for each question and write it to this file, if it helps on held-out answers (else code 4)")
	flags.BoolVar(&f.robust, "robust", false, "change the answers in ways whose effect is known, and say whether grades follow")
	flags.StringVar(&f.by, "by", "", "what intervals draw: question or rows (default: question from 5 questions on)")
	flags.IntVar(&f.rounds, "rounds", 2000, "draws behind the intervals; 0 for none")
	flags.Uint64Var(&f.seed, "seed", 1, "seed of the draws, and of --robust's changes")
	return cmd
}

func (f *evalFlags) check() error {
	switch {
	case f.by != "" && f.by != string(agreement.ByQuestion) && f.by != string(agreement.ByRow):
		return usage(errors.New("--by must be question or rows"))
	case f.robust && (f.predictions != "" || f.calibrate != "" || f.minAgreement != 0 || f.worst != 0):
		return usage(errors.New("--robust compares grades with each other: --predictions, --calibrate, --min-agreement and --worst do not apply"))
	case f.rounds < 0 || f.worst < 0 || f.limit < 0:
		return usage(errors.New("--rounds, --worst and --limit count: none is below 0"))
	}
	return nil
}

func runEval(cmd *cobra.Command, tty *terminal, name string, f evalFlags) (err error) {
	if err = f.check(); err != nil {
		return err
	}
	gold, err := readGold(name)
	if err != nil {
		return err
	}
	gold = gold.Spread(f.limit)
	cfg, err := settings(cmd)
	if err != nil {
		return err
	}
	if f.calibrate != "" {
		cfg.Calibration = "" // a correction is fitted on what the judge says by itself
	}
	a, err := openWith(cmd, tty, cfg)
	if err != nil {
		return err
	}
	defer a.Close()
	progress := &evalProgress{tty: tty, now: time.Now}
	options := eval.Options{
		Grader: a.Service(), Tenant: app.LocalTenant, Now: time.Now, Progress: progress.show,
		Questions: eval.Questions{Library: a.Library()}, Concurrency: workers(cfg),
	}
	if f.set != "" {
		if options.Questions.Set, err = a.Library().Set(f.set); err != nil {
			return err
		}
	}
	if f.robust {
		return f.runRobust(cmd, tty, filepath.Base(name), gold, options, progress)
	}
	if f.predictions != "" {
		if options.File, err = eval.OpenFile(f.predictions); err != nil {
			return usage(err)
		}
		defer func() { err = errors.Join(err, options.File.Close()) }()
	}
	out, err := eval.Run(cmd.Context(), gold, options)
	progress.end(out)
	switch {
	case errors.Is(err, context.Canceled) && f.predictions != "" && out != nil:
		fmt.Fprintf(tty.err, "interrupted: the same command goes on from %s\n", f.predictions)
		return &exitError{exitInterrupted}
	case errors.Is(err, eval.ErrGold), errors.Is(err, eval.ErrOtherRun):
		return usage(fmt.Errorf("%s: %w", f.blame(name, err), err))
	case err != nil:
		return err
	}
	draws := eval.Bootstrap{By: agreement.By(f.by), Rounds: f.rounds, Seed: f.seed}
	report := eval.NewReport(filepath.Base(name), gold, out, draws, f.worst)
	var noGain error
	if f.calibrate != "" {
		report.Calibrated, noGain = eval.Calibrate(gold, out, &options.Questions, draws, f.seed)
		if noGain != nil && !errors.Is(noGain, eval.ErrNoGain) {
			return noGain
		}
	}
	if f.asJSON {
		err = printJSON(tty.out, report)
	} else {
		err = report.Print(tty.out)
	}
	if err != nil {
		return err
	}
	if f.calibrate != "" {
		if noGain != nil {
			fmt.Fprintf(tty.err, "%v: %s is not written\n", noGain, f.calibrate)
			return &exitError{exitGate}
		}
		if err := writeCalibration(f.calibrate, report.Calibrated.File); err != nil {
			return err
		}
	}
	return f.verdict(cmd, tty, report, out)
}

func writeCalibration(name string, file *calibration.File) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return usage(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return file.Write(f)
}

func (f *evalFlags) runRobust(cmd *cobra.Command, tty *terminal, name string, gold *eval.Gold, options eval.Options, progress *evalProgress) error {
	report, err := eval.Robust(cmd.Context(), name, gold, options, f.seed)
	progress.clear()
	switch {
	case errors.Is(err, eval.ErrGold):
		return usage(fmt.Errorf("%s: %w", name, err))
	case err != nil:
		return err
	}
	if f.asJSON {
		err = printJSON(tty.out, report)
	} else {
		err = report.Print(tty.out)
	}
	if err == nil && !report.Complete() {
		return &exitError{exitIncomplete}
	}
	return err
}

// blame names the file that an error is about.
func (f *evalFlags) blame(gold string, err error) string {
	if errors.Is(err, eval.ErrOtherRun) {
		return f.predictions
	}
	return gold
}

func (f *evalFlags) verdict(cmd *cobra.Command, tty *terminal, report *eval.Report, out *eval.Outcome) error {
	if len(out.Failures) > 0 {
		first := out.Failures[0]
		fmt.Fprintf(tty.err, "%s failed; the first: %s: %v\n", count(len(out.Failures), "answer"), first.AnswerID, first.Err)
	}
	switch {
	case cmd.Flags().Changed("min-agreement") && !report.Gate.Met(f.minAgreement):
		fmt.Fprintf(tty.err, "%s is %s, less than %g\n", report.Gate.Name, report.Gate.Value, f.minAgreement)
		return &exitError{exitGate}
	case !report.Complete():
		return &exitError{exitIncomplete}
	}
	return nil
}

func readGold(name string) (*eval.Gold, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, usage(err)
	}
	defer func() { _ = file.Close() }() // it was only read
	gold, err := eval.ReadGold(file)
	if err != nil {
		return nil, usage(fmt.Errorf("%s: %w", name, err))
	}
	return gold, nil
}

// workers is how many answers are graded at a time: as many as a model may be
// asked at once, or as there are processors where none is asked.
func workers(cfg *config.Config) int {
	if !cfg.ModelConfigured() || cfg.Judge == grading.Lexical {
		return runtime.GOMAXPROCS(0)
	}
	return cfg.Concurrency
}

// evalProgress shows how far a run has come: one line that changes on a
// terminal, and nothing but the end elsewhere.
type evalProgress struct {
	tty   *terminal
	now   func() time.Time
	last  time.Time
	shown bool
}

// redraw is how often the line changes at most.
const redraw = 100 * time.Millisecond

func (p *evalProgress) show(state eval.Progress) {
	if !interactive(p.tty.err) || (p.now().Sub(p.last) < redraw && state.Done < state.Total) {
		return
	}
	p.last, p.shown = p.now(), true
	fmt.Fprintf(p.tty.err, "\r\x1b[K%s", progressLine(state))
}

// clear takes the line away.
func (p *evalProgress) clear() {
	if p.shown {
		fmt.Fprint(p.tty.err, "\r\x1b[K")
	}
}

func (p *evalProgress) end(out *eval.Outcome) {
	p.clear()
	if out != nil && out.Progress.Total > 0 {
		fmt.Fprintln(p.tty.err, progressLine(out.Progress))
	}
}

func progressLine(s eval.Progress) string {
	line := fmt.Sprintf("%d of %s graded", s.Done-s.Failed, count(s.Total, "answer"))
	if s.Failed > 0 {
		line += fmt.Sprintf(", %d failed", s.Failed)
	}
	if s.Usage.Calls > 0 {
		line += fmt.Sprintf(", %s, %d tokens", count(s.Usage.Calls, "call"), s.Usage.PromptTokens+s.Usage.CompletionTokens)
	}
	if s.Usage.CostUSD != nil {
		line += fmt.Sprintf(", $%.4f", *s.Usage.CostUSD)
	}
	return line
}
