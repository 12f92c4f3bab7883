package eval

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// Grader grades one answer, and says what its grades depend on besides;
// *grading.Service is one.
type Grader interface {
	Grade(ctx context.Context, req grading.Request) (grading.Result, error)
	Identify(judge string) (grading.Identity, error)
}

// Options says how to grade.
type Options struct {
	Grader Grader
	// Tenant and Judge are those of every request.
	Tenant, Judge string
	// Questions makes the questions.
	Questions Questions
	// Concurrency is how many answers are graded at a time; at least 1.
	Concurrency int
	// Now is the clock behind latencies. Required.
	Now func() time.Time
	// Progress, where set, hears of the state after every answer, one call at
	// a time.
	Progress func(Progress)
	// File, where set, has the predictions of an earlier run and takes those
	// of this one.
	File *File
}

// Progress is how far a run has come.
type Progress struct {
	Total, Done, Failed int
	// Resumed answers were found in the predictions file, Cached ones in the
	// grade cache.
	Resumed, Cached int
	Usage           Usage
}

// Usage is what grading cost.
type Usage struct {
	Calls            int `json:"calls"`
	PromptTokens     int `json:"prompt_tokens"`
	CachedTokens     int `json:"cached_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	// CostUSD adds up the calls whose price is known; nil when none is.
	CostUSD *float64 `json:"cost_usd"`
}

func (u *Usage) add(v Usage) {
	u.Calls += v.Calls
	u.PromptTokens += v.PromptTokens
	u.CachedTokens += v.CachedTokens
	u.CompletionTokens += v.CompletionTokens
	if v.CostUSD != nil {
		sum := *v.CostUSD
		if u.CostUSD != nil {
			sum += *u.CostUSD
		}
		u.CostUSD = &sum
	}
}

// Prediction is what the grader says of one answer, as it stands on one line
// of a predictions file.
type Prediction struct {
	AnswerID string `json:"answer_id"`
	// Score is 0..1; nil when the judge could not judge.
	Score *float64 `json:"score"`
	// Criteria has the credit (0..1) of each criterion that was assessed,
	// under gold's id.
	Criteria map[string]float64 `json:"criteria"`
	// Confidence is the mean over the assessed core criteria by weight, 0..1;
	// CriterionConfidence that of each.
	Confidence          float64            `json:"confidence"`
	CriterionConfidence map[string]float64 `json:"criterion_confidence"`
	// Review has the reasons why a person should look; empty when none should.
	Review []string `json:"review"`
	// Judge and Model say who judged.
	Judge string `json:"judge"`
	Model string `json:"model,omitempty"`
	// Calibration is the digest of the file that moved the score; empty where
	// none did.
	Calibration string `json:"calibration,omitempty"`
	Usage       Usage  `json:"usage"`
	// Run is the fingerprint of the run; see Outcome.
	Run string `json:"run"`
}

// Failure is an answer that could not be graded, and why.
type Failure struct {
	AnswerID string
	Err      error
}

// Outcome is everything a run found out.
type Outcome struct {
	Predictions map[string]*Prediction
	Failures    []Failure
	// Latencies are those of the answers that were graded now, not resumed or
	// cached.
	Latencies []time.Duration
	Progress  Progress
	// Judge is the identity of the judge. Run is the fingerprint of the run: the
	// judge, the gold and how questions were made of it.
	Judge grading.Identity
	Run   string
}

// hopeless is how many failures in a row, with no success before or between,
// end a run: whoever must be asked is not there.
const hopeless = 10

// Run grades every answer of gold that the predictions file does not have yet.
//
// An answer that cannot be graded is a Failure and the run goes on; it is not
// written to the file, so that the next run tries it again. When ctx ends, the
// answers being graded are finished, for they are paid for, and no more are
// begun. The error is one that ends the run: gold that makes no question, a
// file of another run, the context's, or that nothing can be graded at all.
// Outcome is then what was reached.
func Run(ctx context.Context, gold *Gold, o Options) (*Outcome, error) {
	asked, err := questionsOf(gold, &o.Questions)
	if err != nil {
		return nil, err
	}
	out := &Outcome{Predictions: make(map[string]*Prediction)}
	if out.Judge, err = o.Grader.Identify(o.Judge); err != nil {
		return nil, fmt.Errorf("identify the judge: %w", err)
	}
	out.Run = fingerprint(gold, &o.Questions, out.Judge)
	var earlier map[string]*Prediction
	if o.File != nil {
		if earlier, err = o.File.start(out.Run); err != nil {
			return nil, err
		}
	}
	r := &runner{Options: o, out: out}
	var todo []task
	for i := range gold.Rows {
		row := &gold.Rows[i]
		if p := earlier[row.AnswerID]; p != nil {
			out.Predictions[row.AnswerID] = p
			r.out.Progress.Resumed++
			r.out.Progress.Done++
			continue
		}
		todo = append(todo, task{row, asked[i]})
	}
	r.out.Progress.Total = len(gold.Rows)
	if err := r.grade(ctx, todo); err != nil {
		return out, err
	}
	if n := len(out.Failures); n > 0 && len(out.Predictions) == 0 {
		return out, nothingGraded(n, out.Failures[n-1].Err)
	}
	return out, nil
}

// nothingGraded is the error of a run in which whoever must be asked is not
// there.
func nothingGraded(n int, last error) error {
	return fmt.Errorf("%d answers failed and none was graded; the last: %w", n, last)
}

// questionsOf makes the question of every row, each once: rows of one question
// share it where they bring the same texts.
func questionsOf(gold *Gold, qs *Questions) ([]*Asked, error) {
	out := make([]*Asked, len(gold.Rows))
	byDigest := make(map[string]*Asked)
	var faults []error
	failed := make(map[string]bool)
	for i := range gold.Rows {
		row := &gold.Rows[i]
		a, err := qs.For(row)
		if err != nil {
			if !failed[row.QuestionID] && len(faults) < mostFaults {
				faults = append(faults, err)
			}
			failed[row.QuestionID] = true
			continue
		}
		if known := byDigest[a.Digest()]; known != nil && known.Ref == a.Ref {
			a.Question = known.Question
		} else {
			byDigest[a.Digest()] = a
		}
		out[i] = a
	}
	return out, errors.Join(faults...)
}

// fingerprint is the digest of all that could change a run's predictions: the
// gold file, how questions are made of it, and the judge.
func fingerprint(gold *Gold, qs *Questions, judge grading.Identity) string {
	set := ""
	if qs.Set != nil {
		set = qs.Set.Digest()
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\n%s\n%s\n%s\n%s\n", derivation, gold.Digest, set, judge.Judge, judge.Calibration))
	return "run_" + hex.EncodeToString(sum[:12])
}

type task struct {
	row   *Row
	asked *Asked
}

// runner is a run under way.
type runner struct {
	Options
	mu      sync.Mutex
	out     *Outcome
	streak  int  // failures since the start; only counted until a success
	success bool // something was graded
}

func (r *runner) grade(caller context.Context, todo []task) error {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(caller))
	defer cancel(nil)
	tasks := make(chan task)
	var workers sync.WaitGroup
	for range max(1, r.Concurrency) {
		workers.Go(func() {
			for t := range tasks {
				if err := r.one(ctx, t); err != nil {
					cancel(err)
				}
			}
		})
	}
feed:
	for _, t := range todo {
		if caller.Err() != nil {
			break // a select between two open ways takes either
		}
		select {
		case tasks <- t:
		case <-ctx.Done():
			break feed
		case <-caller.Done():
			break feed
		}
	}
	close(tasks)
	workers.Wait()
	if caller.Err() != nil {
		return caller.Err() // whatever made the caller stop, it is no fault of the run
	}
	return context.Cause(ctx)
}

// one grades one answer; its error ends the run.
func (r *runner) one(ctx context.Context, t task) error {
	began := r.Now()
	result, err := r.Grader.Grade(ctx, grading.Request{
		Tenant: r.Tenant, Question: t.asked.Question, Answer: t.row.Answer, Judge: r.Judge,
	})
	took := r.Now().Sub(began)
	var p *Prediction
	if err == nil {
		p, err = prediction(t, result)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, grading.ErrNoModel) {
			return err
		}
		return r.failed(t, err)
	}
	p.Run = r.out.Run
	if r.File != nil {
		if err := r.File.append(p); err != nil {
			return err
		}
	}
	r.success = true
	r.out.Predictions[p.AnswerID] = p
	r.out.Progress.Usage.add(p.Usage)
	if result.Source == grading.Miss {
		r.out.Latencies = append(r.out.Latencies, took)
	} else {
		r.out.Progress.Cached++
	}
	r.advance()
	return nil
}

func (r *runner) failed(t task, err error) error {
	r.out.Failures = append(r.out.Failures, Failure{t.row.AnswerID, err})
	r.out.Progress.Failed++
	r.advance()
	if r.streak++; !r.success && r.streak >= hopeless {
		return nothingGraded(r.streak, err)
	}
	return nil
}

func (r *runner) advance() {
	r.out.Progress.Done++
	if r.Progress != nil {
		r.Progress(r.out.Progress)
	}
}

// prediction is what a grade says, on gold's scale and under gold's names.
func prediction(t task, result grading.Result) (*Prediction, error) {
	grade, err := result.Record.Grade()
	if err != nil {
		return nil, err
	}
	p := &Prediction{
		AnswerID:            t.row.AnswerID,
		Criteria:            make(map[string]float64),
		CriterionConfidence: make(map[string]float64),
		Review:              grade.Review.Reasons,
		Judge:               grade.Provenance.Judge,
		Model:               grade.Provenance.Model,
		Calibration:         grade.Provenance.Calibration,
		Usage:               usageOf(result),
	}
	if grade.Score != nil {
		score := *grade.Score / 100
		p.Score = &score
	}
	sum, weight := 0.0, 0.0
	for i, c := range grade.Criteria {
		if c.Verdict == cannotAssess {
			continue
		}
		name := t.asked.Names[i]
		p.Criteria[name] = c.Credit
		p.CriterionConfidence[name] = c.Confidence
		if c.Kind == rubric.Core {
			sum += c.Weight * c.Confidence
			weight += c.Weight
		}
	}
	if weight > 0 {
		p.Confidence = sum / weight
	}
	return p, nil
}

func usageOf(r grading.Result) Usage {
	return Usage{
		Calls:            r.Usage.Calls,
		PromptTokens:     r.Usage.PromptTokens,
		CachedTokens:     r.Usage.CachedTokens,
		CompletionTokens: r.Usage.CompletionTokens,
		CostUSD:          r.Usage.CostUSD,
	}
}

// cannotAssess is the verdict that leaves a criterion out.
const cannotAssess = "cannot_assess"
