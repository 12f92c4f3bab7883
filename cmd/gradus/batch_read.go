package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/rows"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// answered is one answer of the file, with its question.
type answered struct {
	rows.Place

	index    int // in the file, from 0, skipped rows not counted
	item     api.BatchItem
	question *rubric.Question // nil where a service knows it
}

// read reads the whole file before anything is graded. Rows at fault are
// printed; without --on-error skip they are an error.
func (f *batchFlags) read(ctx context.Context, tty *terminal, by grader, name string) (answers []answered, skipped int, err error) {
	format, err := formatOf(name, f.format)
	if err != nil {
		return nil, 0, err
	}
	in, err := openInput(ctx, tty, name)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = in.Close() }() // it was only read
	var (
		reader = rows.NewReader(in, format, f.question)
		faults rows.Faults
	)
	for ctx.Err() == nil {
		row, err := reader.Next()
		var bad *rows.Error
		switch {
		case errors.Is(err, io.EOF):
			return answers, faults.Rows, f.report(tty, name, &faults)
		case errors.As(err, &bad):
			faults.Add(bad)
			if bad.Whole {
				return nil, 0, f.report(tty, name, &faults)
			}
			continue
		case ctx.Err() != nil:
			return nil, 0, ctx.Err()
		case errors.Is(err, rows.ErrTooMany):
			return nil, 0, usage(fmt.Errorf("%s: %w", sourceName(name), err))
		case err != nil:
			return nil, 0, fmt.Errorf("read %s: %w", sourceName(name), err)
		}
		question, err := by.find(row)
		if errors.As(err, &bad) {
			faults.Add(bad)
			continue
		}
		if question != nil {
			row.Item.Question = nil // it is held once, not with every row
		}
		answers = append(answers, answered{Place: row.Place, index: len(answers), item: row.Item, question: question})
	}
	return nil, 0, ctx.Err()
}

// report prints what is wrong with the file; an error unless rows may be skipped.
func (f *batchFlags) report(tty *terminal, name string, faults *rows.Faults) error {
	if !faults.Any() {
		return nil
	}
	for _, fault := range faults.List() {
		fmt.Fprintln(tty.err, placed(sourceName(name), fault))
	}
	if f.onError == api.OnErrorSkip && !faults.Whole {
		fmt.Fprintf(tty.err, "%s skipped\n", count(faults.Rows, "row"))
		return nil
	}
	return usage(fmt.Errorf("nothing was graded: %s has %s", sourceName(name), count(faults.Count(), "fault")))
}

// placed is a fault as compilers write theirs.
func placed(name string, fault api.Fault) string {
	var b strings.Builder
	b.WriteString(name)
	if fault.Line > 0 {
		fmt.Fprintf(&b, ":%d", fault.Line)
	}
	b.WriteString(": ")
	if fault.Pointer != "" {
		b.WriteString(strings.TrimPrefix(fault.Pointer, "/") + ": ")
	}
	b.WriteString(fault.Detail)
	return b.String()
}

// shelf finds questions, each once.
type shelf struct {
	library *rubric.Library
	found   map[string]*rubric.Question
}

// find is the question of a row. The error is a *rows.Error.
func (s *shelf) find(row *rows.Row) (*rubric.Question, error) {
	if row.Item.Question != nil {
		return s.own(row)
	}
	if q := s.found[row.Item.QuestionID]; q != nil {
		return q, nil
	}
	q, err := s.library.Find(row.Item.QuestionID)
	if err != nil {
		detail := "there is no such question"
		var missing *rubric.NotFoundError
		if errors.As(err, &missing) && len(missing.Near) > 0 {
			detail += "; did you mean " + strings.Join(missing.Near, " or ") + "?"
		}
		return nil, &rows.Error{Faults: []api.Fault{row.Fault("/question_id", detail)}}
	}
	s.found[row.Item.QuestionID] = q
	return q, nil
}

// own is the question that a row brings with it. The wire has the shape of the
// rubric.
func (s *shelf) own(row *rows.Row) (*rubric.Question, error) {
	raw, err := json.Marshal(row.Item.Question)
	if err != nil {
		return nil, err
	}
	if q := s.found[string(raw)]; q != nil {
		return q, nil
	}
	var in rubric.Question
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, err
	}
	q, err := rubric.Inline(in)
	var faulty rubric.Faults
	switch {
	case errors.As(err, &faulty):
		faults := make([]api.Fault, len(faulty))
		for i, fault := range faulty {
			faults[i] = row.Fault("/question"+fault.Pointer, fault.Reason)
		}
		return nil, &rows.Error{Faults: faults}
	case err != nil:
		return nil, &rows.Error{Faults: []api.Fault{row.Fault("/question", err.Error())}}
	}
	s.found[string(raw)] = q
	return q, nil
}
