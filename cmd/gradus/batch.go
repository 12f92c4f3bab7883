package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rows"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// batchFlags is what a caller may ask of gradus batch.
type batchFlags struct {
	out, question, format, detail, onError string
	server                                 string
	estimate, fallback, fresh, mix, quiet  bool
	asJSON, providerBatch                  bool
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
			"finishes the answers in progress, the second stops at once; neither loses a row.\n" +
			"With --server the batch goes on at the service, and the same command collects it:\n" +
			"which it is stands in RESULTS.server.json until then. With --provider-batch the\n" +
			"model's provider answers within a day, for half; RESULTS.provider.json says what\n" +
			"was sent, and the same command collects it.",
		Example: "gradus batch answers.csv -o results.csv -q lead-platform-engineer/first-90-days\n" +
			"gradus batch answers.jsonl -o results.jsonl --estimate\n" +
			"gradus batch answers.jsonl -o results.jsonl --max-cost 2.50",
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, tty, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.out, "output", "o", "", "where the results go; - is standard output, which cannot be gone on with")
	flags.StringVarP(&f.question, "question", "q", "", "the question of rows that name none, as SET/QUESTION")
	flags.StringVar(&f.format, "format", "", "of the answers: jsonl, csv or json (default: by the file's name)")
	flags.StringVar(&f.detail, "detail", "full", "how much the feedback gives away: nudge, hint or full")
	flags.StringVar(&f.onError, "on-error", api.OnErrorReject, "what to do with a row that cannot be graded: reject (the file) or skip (the row)")
	flags.BoolVar(&f.estimate, "estimate", false, "say what it would cost, and grade nothing")
	flags.Float64Var(&f.maxCost, "max-cost", 0, "stop before this run spends more than this, in US dollars; the rows left fail, and the same command takes them up")
	flags.BoolVar(&f.fallback, "fallback", false, "let the lexical judge stand in when the model cannot be asked")
	flags.BoolVar(&f.fresh, "fresh", false, "grade again even where a grade is kept")
	flags.BoolVar(&f.mix, "mix", false, "go on with RESULTS although it was made by another judge, prompt or rubric")
	flags.BoolVar(&f.asJSON, "json", false, "print the summary, or the estimate, as JSON")
	flags.StringVar(&f.server, "server", "", "have the gradus service at this URL grade; its key is in GRADUS_API_KEY")
	flags.BoolVar(&f.providerBatch, "provider-batch", false, "send the answers through the provider's batch API, at half the price; what it does not answer is asked live")
	flags.BoolVar(&f.quiet, "quiet", false, "show no progress")
	return cmd
}

func (f *batchFlags) check(cmd *cobra.Command, name string) error {
	switch {
	case f.out == "" && !f.estimate:
		return usage(errors.New("name the file for the results with -o RESULTS.jsonl"))
	case name != stdio && f.out != "" && sameFile(name, f.out):
		return usage(fmt.Errorf("%s holds the answers: name another file for the results", f.out))
	case !grading.Detail(f.detail).Valid():
		return usage(errors.New("--detail must be nudge, hint or full"))
	case f.onError != api.OnErrorReject && f.onError != api.OnErrorSkip:
		return usage(errors.New("--on-error must be reject or skip"))
	case cmd.Flags().Changed("max-cost") && f.maxCost <= 0:
		return usage(errors.New("--max-cost must be more than 0"))
	}
	return nil
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// grader is who grades here.
func (f *batchFlags) grader(cmd *cobra.Command, tty *terminal) (grader, error) {
	options := batch.Options{Judge: grading.Auto, Fallback: f.fallback, Fresh: f.fresh, Detail: f.detail}
	if f.maxCost > 0 {
		options.MaxCost = &f.maxCost
	}
	switch {
	case f.providerBatch:
		return newProvider(cmd, tty, f, options)
	case f.server != "":
		return newThere(cmd, tty, f)
	}
	a, err := open(cmd, tty)
	if err != nil {
		return nil, err
	}
	return newHere(a, options), nil
}

// grader is who grades the answers.
type grader interface {
	// find checks the question of a row, and returns it where it is known here.
	// The error is a *rows.Error.
	find(row *rows.Row) (*rubric.Question, error)
	// differs says in what way a row was not made as it would be made now; empty
	// where it was, or where that is not known yet.
	differs(row *keptRow, answer *answered) (string, error)
	estimate(ctx context.Context, todo []answered) (*api.BatchEstimate, error)
	// grade gives results to each as they are made, one call at a time. Where it
	// returns an error it may still return how far it has come.
	grade(ctx context.Context, todo []answered, each func(*rows.Result) error, talk *talk) (*standing, error)
	// done is told that all results are where they belong.
	done(ctx context.Context)
	close()
}

// standing is how far a batch has come.
type standing struct {
	total, pending, cached, review, failed int
	skipped                                int // rows that a service left out
	spent, saved                           api.Usage
}

// plus is how far a batch has come when a part of it has come so far.
func (s *standing) plus(part *standing) *standing {
	sum := *s
	sum.pending -= part.total - part.pending
	sum.cached += part.cached
	sum.review += part.review
	sum.failed += part.failed
	sum.skipped += part.skipped
	sum.spent = api.Usage(judge.Usage(s.spent).Plus(judge.Usage(part.spent)))
	sum.saved = api.Usage(judge.Usage(s.saved).Plus(judge.Usage(part.saved)))
	return &sum
}

func (f *batchFlags) run(cmd *cobra.Command, tty *terminal, name string) error {
	if err := f.check(cmd, name); err != nil {
		return err
	}
	ctx := cmd.Context()
	by, err := f.grader(cmd, tty)
	if err != nil {
		return err
	}
	defer by.close()
	answers, skipped, err := f.read(ctx, tty, by, name)
	if err != nil {
		return err
	}
	old := &earlier{}
	if f.out != "" {
		if old, err = readEarlier(f.out); err != nil {
			return err
		}
	}
	todo, err := f.remaining(by, answers, old)
	if err != nil {
		return err
	}
	if f.estimate {
		return f.foretell(ctx, tty, by, todo, len(old.rows))
	}
	return f.work(ctx, tty, by, todo, old, skipped)
}

// work grades what is left to do.
func (f *batchFlags) work(ctx context.Context, tty *terminal, by grader, todo []answered, old *earlier, skipped int) error {
	results, err := openResults(f.out, old, tty.out)
	if err != nil {
		return err
	}
	talk := newTalk(tty, f.quiet, len(todo), len(old.rows))
	sum := newSummary(old, skipped)
	if len(todo) > 0 {
		var came *standing
		came, err = by.grade(ctx, todo, func(row *rows.Result) error {
			sum.count(row)
			return results.Write(row)
		}, talk)
		talk.end()
		if came != nil {
			sum.Skipped += came.skipped
			sum.spent(came)
		}
	}
	// What is said of the rows is said once they are where they belong.
	if failed := results.Close(); failed != nil {
		err = failed
	}
	if err == nil {
		by.done(context.WithoutCancel(ctx))
	}
	err = f.explain(tty, err)
	if err != nil && !errors.As(err, new(*exitError)) {
		return err
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

// remaining are the answers that the file of results does not have yet. Rows that
// another judge, prompt or rubric has made, or that are of another answer, are an
// error unless they may be mixed.
func (f *batchFlags) remaining(by grader, answers []answered, old *earlier) ([]answered, error) {
	kept := make(map[string]*keptRow, len(old.rows))
	for i := range old.rows {
		kept[old.rows[i].id] = &old.rows[i]
	}
	todo := make([]answered, 0, len(answers))
	for i := range answers {
		row := kept[answers[i].item.ID]
		if row == nil {
			todo = append(todo, answers[i])
			continue
		}
		if f.mix {
			continue
		}
		reason, err := by.differs(row, &answers[i])
		switch {
		case err != nil:
			return nil, err
		case reason != "":
			return nil, f.mixed(row.id, reason)
		}
	}
	return todo, nil
}

// mixed refuses results that were made in two ways.
func (f *batchFlags) mixed(id, reason string) error {
	return usage(fmt.Errorf("%s: %s was graded %s; name another file, or allow both with --mix", f.out, id, reason))
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
	}
	if err != nil && errors.Is(err, errWrite) {
		return fmt.Errorf("%w%s", err, again)
	}
	return err
}

// foretell prints what a batch would do.
func (f *batchFlags) foretell(ctx context.Context, tty *terminal, by grader, todo []answered, kept int) error {
	e := &api.BatchEstimate{}
	if len(todo) > 0 {
		var err error
		if e, err = by.estimate(ctx, todo); err != nil {
			return f.explain(tty, err)
		}
	}
	if f.asJSON {
		return printJSON(tty.out, e)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d distinct, %d graded already", count(e.Items, "answer"), e.Distinct, e.Cached)
	if kept > 0 {
		fmt.Fprintf(&b, "; %d more in %s", kept, f.out)
	}
	b.WriteByte('\n')
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
	_, err := fmt.Fprint(tty.out, b.String())
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

func openInput(ctx context.Context, tty *terminal, name string) (io.ReadCloser, error) {
	if name == stdio {
		return io.NopCloser(&patient{ctx: ctx, from: tty.in}), nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, usage(err)
	}
	return file, nil
}

// patient reads from a source that may never end, until its context does.
type patient struct {
	ctx  context.Context
	from io.Reader
	came chan piece // nil until the first read
	left piece
}

type piece struct {
	text []byte
	err  error
}

func (p *patient) Read(into []byte) (int, error) {
	if p.came == nil {
		p.came = make(chan piece)
		go p.pump() // it goes with the process
	}
	if len(p.left.text) == 0 && p.left.err == nil {
		select {
		case p.left = <-p.came:
		case <-p.ctx.Done():
			return 0, p.ctx.Err()
		}
	}
	n := copy(into, p.left.text)
	if p.left.text = p.left.text[n:]; len(p.left.text) > 0 {
		return n, nil
	}
	return n, p.left.err
}

func (p *patient) pump() {
	for {
		text := make([]byte, 64<<10)
		n, err := p.from.Read(text)
		select {
		case p.came <- piece{text[:n], err}:
		case <-p.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}
