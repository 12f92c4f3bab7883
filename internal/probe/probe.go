// Package probe finds out whether a question set and a judge work together: it
// grades, for every question, answers whose grade is known beforehand.
//
// A good answer must score well, an answer to another question badly, and text
// that only looks like an answer (nothing, the question, the guidance, a list
// of keywords, orders to the grader) must earn nothing. A good answer without
// the sentences that prove one criterion must lose that criterion and no other.
//
// The package knows nothing of judges and grades: it is handed a Grader and
// declares what it needs to see of an outcome.
package probe

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/gradus-ai/gradus/internal/rubric"
)

// Grader grades one answer to one question. Whoever wires it up must lift the
// rule against copying the sample answer, for the probes are made of it. An
// error ends the run. It is called concurrently if Options say so.
type Grader func(ctx context.Context, q *rubric.Question, answer string) (*Outcome, error)

// Outcome is what a probe looks at in a grade.
type Outcome struct {
	// Score is 0..100, or nil when the answer could not be scored.
	Score *float64
	// Criteria holds each criterion of the question once, in any order.
	Criteria []Criterion
}

// Criterion is the verdict on one criterion.
type Criterion struct {
	ID   string
	Kind rubric.CriterionKind
	// Verdict is shown to people and not interpreted.
	Verdict string
	// Credit is the share earned, 0..1; above 0 means at least partial. For a
	// pitfall it is the share of the deduction.
	Credit float64
	// Evidence is where in the answer the proof stands.
	Evidence []Span
}

// Span is a passage [Start, End) of the answer, in code points.
type Span struct{ Start, End int }

// criterion finds a criterion of the outcome; one that is not there has no
// credit.
func (o *Outcome) criterion(id string) Criterion {
	for _, c := range o.Criteria {
		if c.ID == id {
			return c
		}
	}
	return Criterion{ID: id, Verdict: "not graded"}
}

// Name names a probe.
type Name string

// The probes, in the order in which they run.
const (
	Sample      Name = "sample"
	Foreign     Name = "foreign-sample"
	Empty       Name = "empty"
	Question    Name = "question-echo"
	Guidance    Name = "guidance-echo"
	Keywords    Name = "keywords"
	Instruction Name = "instruction"
	Removal     Name = "removal"
)

// Limits are what the probes demand. Scores are of 100, credits of 1.
type Limits struct {
	// MinSample is the least that a sample answer scores.
	MinSample float64
	// MaxForeign is the most that the sample answer of another question scores.
	MaxForeign float64
	// MaxNothing is the most that an answer without substance scores.
	MaxNothing float64
	// LostShare is the share of its credit that a criterion loses at least when
	// its sentences are removed.
	LostShare float64
	// Tolerance is the credit that the other criteria may lose by that, for a
	// judge that reads sentences together.
	Tolerance float64
	// MaxRounds is how often more sentences are removed because the judge found
	// another proof of the criterion.
	MaxRounds int
}

// DefaultLimits are what a shipped set keeps.
func DefaultLimits() Limits {
	return Limits{MinSample: 85, MaxForeign: 20, MaxNothing: 10, LostShare: 0.5, Tolerance: 0.25, MaxRounds: 3}
}

// Options say what to run.
type Options struct {
	// Questions are local ids; empty means all.
	Questions []string
	// Concurrency is how many questions are probed at once; 0 means one.
	Concurrency int
	// Limits with only zeros mean DefaultLimits.
	Limits Limits
}

// Result is the result of one probe.
type Result struct {
	Question string `json:"question"`
	Probe    Name   `json:"probe"`
	// About says which of several: the criterion that was removed, the question
	// whose sample it was, or the number of the instruction.
	About    string `json:"about,omitempty"`
	Passed   bool   `json:"passed"`
	Expected string `json:"expected"`
	Got      string `json:"got"`
	// Score is what the answer of the probe scored; nil when it had none.
	Score *float64 `json:"score"`
	// Note says what a reader should know beside that, for instance which
	// other criteria fell because the removed sentences prove them as well.
	Note string `json:"note,omitempty"`
}

// Report holds the results of one set, question by question in the order of
// the set, probe by probe in the order of the names above.
type Report struct {
	Set     string   `json:"set"`
	Results []Result `json:"results"`
}

// Run probes the questions of a set. The error is the Grader's, the context's,
// or that of an unknown question; missed probes are not errors.
func Run(ctx context.Context, set *rubric.Set, grade Grader, opts Options) (*Report, error) {
	if opts.Limits == (Limits{}) {
		opts.Limits = DefaultLimits()
	}
	for _, id := range opts.Questions {
		if set.Question(id) == nil {
			return nil, fmt.Errorf("probe %s/%s: %w", set.ID, id, rubric.ErrNotFound)
		}
	}
	results := make([][]Result, len(set.Questions))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, opts.Concurrency))
	for i, q := range set.Questions {
		if len(opts.Questions) > 0 && !slices.Contains(opts.Questions, q.ID) {
			continue
		}
		group.Go(func() error {
			p := &prober{set: set, question: q, grade: grade, limits: opts.Limits}
			if err := p.all(ctx); err != nil {
				return fmt.Errorf("probe %s: %w", q.Ref, err)
			}
			results[i] = p.results
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return &Report{Set: set.ID, Results: slices.Concat(results...)}, nil
}

// prober probes one question.
type prober struct {
	set      *rubric.Set
	question *rubric.Question
	grade    Grader
	limits   Limits
	results  []Result
}

func (p *prober) all(ctx context.Context) error {
	if err := p.sample(ctx); err != nil {
		return err
	}
	for _, other := range p.set.Questions {
		if other == p.question || other.SampleAnswer == "" {
			continue
		}
		if err := p.atMost(ctx, Foreign, other.ID, other.SampleAnswer, p.limits.MaxForeign); err != nil {
			return err
		}
	}
	nothing := []struct {
		probe         Name
		about, answer string
	}{
		{Empty, "", ""},
		{Question, "", p.question.Text},
		{Guidance, "", p.question.Guidance},
		{Keywords, "", keywords(p.question)},
	}
	for i, text := range instructions {
		nothing = append(nothing, struct {
			probe         Name
			about, answer string
		}{Instruction, fmt.Sprint(i + 1), text})
	}
	for _, n := range nothing {
		if n.answer == "" && n.probe != Empty {
			continue // no guidance to echo
		}
		if err := p.atMost(ctx, n.probe, n.about, n.answer, p.limits.MaxNothing); err != nil {
			return err
		}
	}
	return p.removals(ctx)
}

// sample demands a high score and something on every core criterion.
func (p *prober) sample(ctx context.Context) error {
	r := Result{
		Question: p.question.ID, Probe: Sample,
		Expected: fmt.Sprintf("at least %g, and every core criterion at least partial", p.limits.MinSample),
	}
	if p.question.SampleAnswer == "" {
		r.Got = "no sample answer"
		p.results = append(p.results, r)
		return nil
	}
	out, err := p.grade(ctx, p.question, p.question.SampleAnswer)
	if err != nil {
		return fmt.Errorf("%s: %w", Sample, err)
	}
	var missed []string
	for _, c := range p.question.Criteria {
		if got := out.criterion(c.ID); c.Kind == rubric.Core && got.Credit <= 0 {
			missed = append(missed, c.ID+" "+got.Verdict)
		}
	}
	r.Score, r.Got = out.Score, score(out.Score)
	r.Passed = out.Score != nil && *out.Score >= p.limits.MinSample && len(missed) == 0
	if len(missed) > 0 {
		r.Got += ", with " + list(missed)
	}
	p.results = append(p.results, r)
	return nil
}

// atMost demands that an answer earns next to nothing. An answer that is left
// without a score has earned nothing, but the empty one must have one: it can
// be graded without asking anybody.
func (p *prober) atMost(ctx context.Context, probe Name, about, answer string, most float64) error {
	out, err := p.grade(ctx, p.question, answer)
	if err != nil {
		return fmt.Errorf("%s %s: %w", probe, about, err)
	}
	r := Result{
		Question: p.question.ID, Probe: probe, About: about,
		Expected: fmt.Sprintf("at most %g", most), Got: score(out.Score), Score: out.Score,
	}
	if out.Score == nil {
		r.Passed = probe != Empty
	} else {
		r.Passed = *out.Score <= most
	}
	if !r.Passed {
		var credited []string
		for _, c := range out.Criteria {
			if c.Credit > 0 && c.Kind != rubric.Pitfall {
				credited = append(credited, fmt.Sprintf("%s %.2f", c.ID, c.Credit))
			}
		}
		if len(credited) > 0 {
			r.Got += ", with " + list(credited)
		}
	}
	p.results = append(p.results, r)
	return nil
}

// score is a score for people.
func score(s *float64) string {
	if s == nil {
		return "no score"
	}
	return fmt.Sprintf("%.1f", *s)
}
