package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/rows"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// here grades within this process.
type here struct {
	*shelf

	app     *app.App
	options batch.Options
}

func newHere(a *app.App, options batch.Options) *here {
	return &here{app: a, options: options, shelf: &shelf{library: a.Library(), found: make(map[string]*rubric.Question)}}
}

func (h *here) close() { h.app.Close() }

func (h *here) done(context.Context) {}

func (h *here) differs(row *keptRow, answer *answered) (string, error) {
	name, _, prompt, err := h.app.Service().Versions(grading.Auto)
	if err != nil {
		return "", err
	}
	if reason := row.unlike(made{judge: name, prompt: prompt, rubric: answer.question.Digest()}); reason != "" || row.gradeID == "" {
		return reason, nil
	}
	id, err := h.app.Service().ID(grading.Request{Tenant: app.LocalTenant, Question: answer.question, Answer: answer.item.Answer, Judge: grading.Auto})
	if err != nil || id == row.gradeID {
		return "", err
	}
	return "from another answer, or by another judge, prompt or rubric", nil
}

func (h *here) estimate(ctx context.Context, todo []answered) (*api.BatchEstimate, error) {
	e, err := h.app.EstimateLocally(ctx, h.options, fill(todo))
	if err != nil {
		return nil, err
	}
	return &api.BatchEstimate{Items: e.Items, Distinct: e.Distinct, Cached: e.Cached, Usage: api.Usage(e.Usage)}, nil
}

func (h *here) grade(ctx context.Context, todo []answered, each func(*rows.Result) error, talk *talk) (*standing, error) {
	b, err := h.app.GradeLocally(ctx, app.Local{
		Options: h.options,
		Fill:    fill(todo),
		Each: func(r batch.Result) error {
			row, err := wireRow(&r, todo[r.Index].index, grading.Detail(h.options.Detail))
			if err != nil {
				return err
			}
			return each(row)
		},
		Progress: func(b batch.Batch) { talk.progress(standingOf(&b)) },
		Draining: talk.drains,
	})
	if b == nil {
		return nil, err
	}
	return standingOf(b), err
}

func standingOf(b *batch.Batch) *standing {
	return &standing{
		total: b.Total, pending: b.Pending(), cached: b.Cached, review: b.NeedsReview, failed: b.Failed,
		spent: api.Usage(b.Spent), saved: api.Usage(b.Saved),
	}
}

func fill(todo []answered) func(app.Add) error {
	return func(add app.Add) error {
		for i := range todo {
			if err := add(todo[i].item.ID, i, todo[i].question, todo[i].item.Answer); err != nil {
				return err
			}
		}
		return nil
	}
}

// wireRow is a result as it is written.
func wireRow(r *batch.Result, index int, detail grading.Detail) (*rows.Result, error) {
	row := &rows.Result{Index: index, ID: r.ID, Status: api.RowStatus(r.Status), Grade: r.Grade}
	if r.Grade == nil {
		row.Error = problemOf(r.Reason)
		return row, nil
	}
	if detail != "" && detail != grading.Full {
		var g grading.Grade
		if err := json.Unmarshal(r.Grade, &g); err != nil {
			return nil, fmt.Errorf("decode the grade of %s: %w", r.ID, err)
		}
		text, err := json.Marshal(g.At(detail))
		if err != nil {
			return nil, fmt.Errorf("encode the grade of %s: %w", r.ID, err)
		}
		row.Grade = text
	}
	return row, nil
}

// problemOf is the problem that a reason stands for.
func problemOf(reason string) *api.Problem {
	for _, t := range api.ProblemTypes() {
		if t.Slug() == reason {
			return &api.Problem{Type: t.Type, Title: t.Title, Status: t.Status, Detail: t.Meaning}
		}
	}
	return &api.Problem{Type: api.Internal.Type, Title: api.Internal.Title, Status: api.Internal.Status}
}
