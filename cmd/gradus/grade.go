package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/grading"
)

func newGrade(tty *terminal) *cobra.Command {
	var (
		ref, detail   string
		asJSON, fresh bool
		fallback      bool
		failUnder     float64
	)
	cmd := &cobra.Command{
		Use:   "grade -q SET/QUESTION [FILE|-]",
		Short: "Grade one answer",
		Long: "Grades the answer in FILE, or from standard input, and prints the grade: the\n" +
			"verdict on each criterion with the words that prove it, and what to fix first.",
		Example: "gradus grade -q lead-platform-engineer/first-90-days answer.txt\n" +
			"echo \"I would ...\" | gradus grade -q lead-platform-engineer/first-90-days --json -",
		Args: takes(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if ref == "" {
				return usage(errors.New("name the question with -q SET/QUESTION; gradus questions lists them"))
			}
			if !grading.Detail(detail).Valid() {
				return usage(errors.New("--detail must be nudge, hint or full"))
			}
			if !(failUnder >= 0 && failUnder <= 100) { // NaN is neither
				return usage(errors.New("--fail-under must be a score, from 0 to 100"))
			}
			a, err := open(cmd, tty)
			if err != nil {
				return err
			}
			defer a.Close()
			question, err := a.Library().Find(ref)
			if err != nil {
				return err
			}
			answer, err := readAnswer(cmd.Context(), tty, args)
			if err != nil {
				return err
			}
			result, err := a.Service().Grade(cmd.Context(), grading.Request{
				Tenant: app.LocalTenant, Question: question, Answer: answer, Fallback: fallback, Fresh: fresh,
			})
			if err != nil {
				return err
			}
			grade, err := result.Record.Grade()
			if err != nil {
				return err
			}
			grade = grade.With(result.Usage).At(grading.Detail(detail))
			if asJSON {
				err = printJSON(tty.out, grade)
			} else {
				err = printGrade(tty, question, answer, grade)
			}
			if err != nil {
				return err
			}
			switch {
			case grade.Score != nil && *grade.Score < failUnder:
				return &exitError{exitGate}
			case grade.Status == grading.NeedsReview:
				return &exitError{exitIncomplete}
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&ref, "question", "q", "", "the question, as SET/QUESTION")
	flags.BoolVar(&asJSON, "json", false, "print the grade as JSON")
	flags.StringVar(&detail, "detail", "full", "how much the feedback gives away: nudge, hint or full")
	flags.BoolVar(&fallback, "fallback", false, "let the lexical judge stand in when the model cannot be asked")
	flags.BoolVar(&fresh, "fresh", false, "grade again even where a grade is kept")
	flags.Float64Var(&failUnder, "fail-under", 0, "end with code 4 when the score is under this")
	return cmd
}

// maxAnswerBytes is the longest answer graded: a code point has at most four.
const maxAnswerBytes = 4 * api.MaxAnswer

// readAnswer reads the answer from a file or from standard input.
func readAnswer(ctx context.Context, tty *terminal, args []string) (string, error) {
	from := tty.in
	if len(args) == 1 && args[0] != "-" {
		file, err := os.Open(args[0])
		if err != nil {
			return "", usage(err)
		}
		defer func() { _ = file.Close() }() // nothing was written
		from = file
	} else if interactive(tty.in) {
		fmt.Fprintln(tty.err, "Write your answer; end it with Ctrl-D on a line of its own.")
	}
	raw, err := readAll(ctx, io.LimitReader(from, maxAnswerBytes+1)) // one more byte shows that there is more
	if err != nil {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	switch {
	case !utf8.Valid(raw) && len(raw) <= maxAnswerBytes:
		return "", usage(errors.New("the answer is not UTF-8 text"))
	case utf8.RuneCount(raw) > api.MaxAnswer:
		return "", usage(fmt.Errorf("the answer is longer than %d characters", api.MaxAnswer))
	}
	return strings.TrimSuffix(string(raw), "\n"), nil
}

// readAll is io.ReadAll for a source that may never end: a person at a
// terminal, or a pipe that nobody closes. What it leaves behind when the
// context ends first goes with the process.
func readAll(ctx context.Context, from io.Reader) ([]byte, error) {
	type result struct {
		raw []byte
		err error
	}
	done := make(chan result, 1)
	go func() {
		raw, err := io.ReadAll(from)
		done <- result{raw, err}
	}()
	select {
	case r := <-done:
		return r.raw, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
