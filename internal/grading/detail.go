package grading

import (
	"fmt"

	"github.com/gradus-ai/gradus/internal/judge"
)

// Valid reports whether d is one of the details, or empty.
func (d Detail) Valid() bool { return d == "" || d == Nudge || d == Hint || d == Full }

// At returns the grade with its feedback reduced to a detail: Nudge names
// topics only, Hint says what to add, Full gives sentence starters too. The
// verdicts, the points and the quotes are the same at every detail. The
// receiver is not changed.
func (g *Grade) At(d Detail) *Grade {
	if d == "" || d == Full {
		return g
	}
	out := *g
	out.Feedback.Improvements = make([]Improvement, len(g.Feedback.Improvements))
	for i, fix := range g.Feedback.Improvements {
		fix.Starter = ""
		if d == Nudge {
			fix.Text = fmt.Sprintf("Look again at %s.", g.topic(fix.CriterionID))
		}
		out.Feedback.Improvements[i] = fix
	}
	if d == Nudge {
		out.Criteria = make([]CriterionGrade, len(g.Criteria))
		for i, c := range g.Criteria {
			c.Comment = ""
			out.Criteria[i] = c
		}
	}
	return &out
}

// With returns the grade as answered to whoever paid for it: with what it cost.
// The receiver is not changed.
func (g *Grade) With(spent judge.Usage) *Grade {
	out := *g
	out.Usage = spent
	return &out
}
