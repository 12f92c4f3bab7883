package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/importer"
	"github.com/gradus-ai/gradus/internal/probe"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// importFlags is what a caller may ask of gradus import.
type importFlags struct {
	out, format, id, title string
	force, model           bool
}

func newImport(tty *terminal) *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import PAGE -o SET.yaml",
		Short: "Draft a question set from a page of interview questions",
		Long: "Reads a page of questions, each with guidance (\"Employers ask this to see if …\") and\n" +
			"a sample answer (\"Answer Example: …\"), as plain text, Markdown or HTML, or as CSV\n" +
			"with the columns question, guidance, sample_answer and, if you like, kind, intent\n" +
			"and id, by these or other usual names. Writes a question set whose criteria are the\n" +
			"claims that the guidance asks for, with weights, hints and phrases.\n\n" +
			"It is a draft. What a person has to decide is marked \"draft:\" in the file and listed\n" +
			"on stderr with its line, together with what gradus lint finds and with what the judge\n" +
			"without a model makes of each sample answer.\n\n" +
			"With --model the configured model proposes the criteria. Where its reply is of no use,\n" +
			"not even after it was asked again, they are made by rule, and the draft says so.",
		Example: "gradus import questions.txt -o mine.yaml\n" +
			"gradus import questions.csv -o mine.yaml --id nurse --title 'Ward nurse'\n" +
			"pbpaste | gradus import - > mine.yaml",
		Args: takes(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error { return runImport(cmd, tty, args[0], f) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.out, "output", "o", "-", "where to write the set; - is stdout")
	flags.StringVar(&f.format, "format", "", "text or csv (default: by the name of the page, else text)")
	flags.StringVar(&f.id, "id", "", "id of the set (default: the page's title or name)")
	flags.StringVar(&f.title, "title", "", "title of the set (default: the page's)")
	flags.BoolVar(&f.force, "force", false, "overwrite a file that is there")
	flags.BoolVar(&f.model, "model", false, "let the configured model propose the criteria")
	return cmd
}

func runImport(cmd *cobra.Command, tty *terminal, name string, f importFlags) error {
	format, err := f.formatOf(name)
	if err != nil {
		return err
	}
	if f.id != "" && !setID.MatchString(f.id) {
		return usage(fmt.Errorf("--id %q may only hold lower-case letters, digits and hyphens", f.id))
	}
	if err := f.free(); err != nil {
		return err
	}
	data, err := readPage(tty.in, name)
	if err != nil {
		return err
	}
	page, err := importer.Read(name, data, format)
	if err != nil {
		return err
	}
	cfg, err := settings(cmd)
	if err != nil {
		return err
	}
	cfg.Judge = grading.Lexical // a draft is tried with the judge that costs nothing
	a, err := openWith(cmd, tty, cfg)
	if err != nil {
		return err
	}
	defer a.Close()
	options := importer.Options{ID: f.id, Title: f.title, Source: filepath.Base(name)}
	if options.Title == "" && page.Title == "" && name != "-" {
		options.Title = strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	}
	if f.model {
		if options.Proposer, err = a.Proposer(cmd.Context()); err != nil {
			return err
		}
		options.Progress = func(done, of int) { fmt.Fprintf(tty.err, "%d of %s drafted\n", done, count(of, "question")) }
	}
	draft, err := importer.Compose(cmd.Context(), page, options)
	if err != nil {
		return err
	}
	file := draft.File()
	shown := f.out
	if shown == "-" {
		shown = "stdout"
	}
	set, err := rubric.Parse(shown, file.YAML)
	if err != nil {
		return err
	}
	todo, err := todoOf(cmd.Context(), a, set, file)
	if err != nil {
		return err
	}
	if err := f.write(tty.out, file.YAML); err != nil {
		return err
	}
	for _, q := range draft.Fallback {
		fmt.Fprintf(tty.err, "%s: the model had no usable proposal; its criteria are made by rule\n", q)
	}
	for _, s := range page.Skipped {
		fmt.Fprintf(tty.err, "%s:%d: left out, for %s: %s\n", name, s.Line, s.Why, plain(s.Text))
	}
	for _, t := range todo {
		fmt.Fprintf(tty.err, "%s:%d: %s\n", shown, t.line, plain(t.text))
	}
	fmt.Fprintf(tty.err, "%s with %s drafted, %s to decide\n", count(len(set.Questions), "question"), criteria(set), count(len(todo), "thing"))
	return nil
}

var setID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

func (f *importFlags) formatOf(name string) (importer.Format, error) {
	switch {
	case slices.Contains(importer.Formats, importer.Format(f.format)):
		return importer.Format(f.format), nil
	case f.format != "":
		return "", usage(fmt.Errorf("--format must be text or csv"))
	}
	switch strings.ToLower(filepath.Ext(name)) {
	case ".csv", ".tsv":
		return importer.CSV, nil
	}
	return importer.Text, nil
}

// free reports, before any work is done, that the result has nowhere to go.
func (f *importFlags) free() error {
	if f.out == "-" || f.force {
		return nil
	}
	if _, err := os.Lstat(f.out); err == nil {
		return usage(fmt.Errorf("%s is there already; --force overwrites it", f.out))
	}
	return nil
}

// readPage reads a page from a file, or from in where the name is "-". What is
// beyond the limit is for the importer to refuse.
func readPage(in io.Reader, name string) ([]byte, error) {
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, usage(err)
		}
		defer func() { _ = file.Close() }() // it was only read
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, importer.MaxBytes+1))
	if err != nil {
		return nil, usage(fmt.Errorf("read %s: %w", name, err))
	}
	return data, nil
}

func (f *importFlags) write(out io.Writer, yaml []byte) error {
	if f.out == "-" {
		_, err := out.Write(yaml)
		return err
	}
	mode := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if f.force {
		mode = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	file, err := os.OpenFile(f.out, mode, 0o644)
	if err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = fmt.Errorf("%s is there already; --force overwrites it", f.out)
		}
		return usage(err)
	}
	_, err = file.Write(yaml)
	return errors.Join(err, file.Close())
}

// task is something that a person has to decide, and where.
type task struct {
	line int
	text string
}

// todoOf is what is to be decided about a draft: what the importer marked, what
// the form rules find, and which sample answers do not earn what they should.
func todoOf(ctx context.Context, a *app.App, set *rubric.Set, file *importer.File) ([]task, error) {
	var todo []task
	for _, n := range file.Notes {
		todo = append(todo, task{n.Line, about(n.Question, n.Criterion) + n.Text})
	}
	for _, f := range rubric.Lint(set) {
		todo = append(todo, task{f.Line, fmt.Sprintf("%s%s [%s %s]", about(f.Question, f.Criterion), f.Message, f.Severity, f.Rule)})
	}
	samples, err := sampleTasks(ctx, a, set, file)
	if err != nil {
		return nil, err
	}
	todo = append(todo, samples...)
	slices.SortStableFunc(todo, func(a, b task) int { return cmp.Compare(a.line, b.line) })
	return todo, nil
}

func about(question, criterion string) string {
	switch {
	case question == "":
		return ""
	case criterion == "":
		return question + ": "
	}
	return question + "/" + criterion + ": "
}

// sampleTasks grades each sample answer with the judge that asks nobody.
func sampleTasks(ctx context.Context, a *app.App, set *rubric.Set, file *importer.File) ([]task, error) {
	service, err := a.Probing()
	if err != nil {
		return nil, err
	}
	grade := prober(service, grading.Lexical)
	least := probe.DefaultLimits().MinSample
	var todo []task
	for _, q := range set.Questions {
		if q.SampleAnswer == "" {
			continue
		}
		outcome, err := grade(ctx, q, q.SampleAnswer)
		if err != nil {
			return nil, err
		}
		var silent []string
		for _, c := range outcome.Criteria {
			if c.Kind == rubric.Core && c.Credit == 0 {
				silent = append(silent, c.ID)
			}
		}
		if outcome.Score == nil || *outcome.Score >= least && len(silent) == 0 {
			continue
		}
		text := fmt.Sprintf("%s: the sample answer earns %.0f of 100 with the lexical judge", q.ID, *outcome.Score)
		if len(silent) > 0 {
			text += ", for " + strings.Join(silent, ", ") + " nothing: add phrases, add to the answer, or drop the criterion"
		}
		todo = append(todo, task{file.Lines[q.ID], text})
	}
	return todo, nil
}

func criteria(set *rubric.Set) string {
	n := 0
	for _, q := range set.Questions {
		n += len(q.Criteria)
	}
	if n == 1 {
		return "1 criterion"
	}
	return fmt.Sprintf("%d criteria", n)
}
