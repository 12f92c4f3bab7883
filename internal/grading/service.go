// Package grading is the heart of gradus: an answer goes in, a judge gives a
// verdict on each criterion, every quote is checked, Go adds up the points,
// and a grade comes out with everything needed to check it.
//
// It knows no HTTP, no Redis and no model. All doors (HTTP, command line,
// batches, evaluation) lead through Service.Grade.
package grading

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gradus-ai/gradus/internal/calibration"
	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// Names of judges as a caller asks for them; the empty string means Auto.
const (
	Auto    = "auto"
	Model   = "model"
	Lexical = "lexical"
)

// ErrNoModel is returned when a caller insists on the model judge and none is
// configured.
var ErrNoModel = errors.New("no model is configured")

// ErrTimeout is returned when grading took longer than Config.Timeout. It
// wraps context.DeadlineExceeded.
var ErrTimeout = fmt.Errorf("grading took too long: %w", context.DeadlineExceeded)

// Config is what a Service is made of.
type Config struct {
	// Lexical is the judge that needs nobody. Required.
	Lexical judge.Judge
	// Model is the judge that asks an LLM; nil where none is configured.
	Model judge.Judge
	// Default is the judge for Auto: Model or Lexical. Empty means Model where
	// there is one, else Lexical.
	Default string
	// Calibration corrects the scores of the default judge, for which it must
	// have been fitted, on the questions that it knows; nil corrects none. The
	// other judge's grades, and those of another model than the one that the
	// file names, stay as they are.
	Calibration *calibration.File
	// Cache keeps grades. Required.
	Cache Cache
	// Now is the clock behind Provenance.GradedAt. Required.
	Now func() time.Time
	// Timeout is the longest one grade may take, retries included; 0 means no
	// limit beyond the caller's own.
	Timeout time.Duration
	// Observe, where set, hears of every grade made and every failure to make
	// one; hits make none. It must be quick.
	Observe func(Observation)
	// AllowSampleAnswer lifts the cap on answers that copy the sample, so that
	// a question set can be probed with its own samples. No door exposes it.
	AllowSampleAnswer bool
}

// Observation is the outcome of grading one answer, for metrics. Outcome is
// "graded", "needs_review", "degraded" or "failed".
type Observation struct {
	Judge, Outcome string
	// Quotes is how many quotes the judge gave, and Stood how many of them were
	// found in the answer and count.
	Quotes, Stood int
}

// Service grades answers. It is safe for concurrent use.
type Service struct {
	cfg   Config
	shelf *shelf
}

// New makes a Service. A calibration that was fitted for another judge than the
// default one is refused with calibration.ErrOtherJudge.
func New(cfg Config) (*Service, error) {
	switch {
	case cfg.Lexical == nil || cfg.Cache == nil || cfg.Now == nil:
		return nil, errors.New("grading needs a lexical judge, a cache and a clock")
	case cfg.Default == Model && cfg.Model == nil:
		return nil, fmt.Errorf("choose the default judge: %w", ErrNoModel)
	}
	s := &Service{cfg: cfg, shelf: newShelf()}
	if err := s.checkCalibration(); err != nil {
		return nil, err
	}
	return s, nil
}

// Request is one answer to grade.
type Request struct {
	// Tenant owns the grade; grades of one tenant are invisible to another.
	Tenant   string
	Question *rubric.Question
	// Answer is valid UTF-8; offsets in the grade count its code points.
	Answer string
	// Judge is Auto (or empty), Model or Lexical.
	Judge string
	// Fallback lets the lexical judge stand in when the model cannot be asked.
	// The grade then says it is degraded and is not kept.
	Fallback bool
	// Fresh grades again even where a grade is kept, and replaces it.
	Fresh bool
	// Decided, where set, hears of criteria before the grade is made, where the
	// judge takes its time over them: in no order, one call at a time, and again
	// when the judge comes to another view. Quotes are checked already. What is
	// found in the cache, or graded for somebody else, is not told of. It must be
	// quick, and may be called for as long as the grade is being made, by then
	// perhaps for others.
	Decided func(CriterionGrade)
}

// Result is a grade and how it came about.
type Result struct {
	Record *Record
	Source Source
	// Usage is what this request spent: zero for a hit.
	Usage judge.Usage
}

// Grade grades one answer, or finds the grade it already has.
//
// Being unable to judge is a result: a grade with status needs_review. Being
// unable to ask is an error: the judge's own (see package llm), ErrNoModel,
// ErrTimeout, or the context's. An error is never a score and never kept.
func (s *Service) Grade(ctx context.Context, req Request) (Result, error) {
	chosen, err := s.judge(req.Judge)
	if err != nil {
		return Result{}, err
	}
	key := Key{Tenant: req.Tenant, ID: s.id(req, chosen)}
	waiting, cancel := s.limit(ctx)
	defer cancel()
	record, source, err := s.cfg.Cache.Fetch(waiting, key, req.Fresh, func(ctx context.Context) (*Record, error) {
		ctx, cancel := s.limit(ctx)
		defer cancel()
		record, err := s.compute(ctx, req, chosen, key.ID)
		if err != nil && !errors.Is(err, context.Canceled) { // who has left misses nothing
			s.observe(Observation{Judge: chosen.Name(), Outcome: "failed"})
		}
		return record, err
	})
	if err != nil {
		err = s.explain(ctx, waiting, err)
		if req.Fallback && chosen.Name() == Model && ctx.Err() == nil {
			return s.standIn(ctx, req)
		}
		return Result{}, fmt.Errorf("grade %s: %w", req.Question.Ref, err)
	}
	result := Result{Record: record, Source: source}
	if source == Miss {
		result.Usage = record.Spent
	}
	return result, nil
}

// Find returns a kept grade, or ErrNotFound.
func (s *Service) Find(ctx context.Context, key Key) (*Record, error) {
	return s.cfg.Cache.Get(ctx, key)
}

// Forget erases a kept grade.
func (s *Service) Forget(ctx context.Context, key Key) error {
	return s.cfg.Cache.Forget(ctx, key)
}

// judge picks the judge a caller asked for.
func (s *Service) judge(name string) (judge.Judge, error) {
	if name == "" || name == Auto {
		name = s.cfg.Default
	}
	switch {
	case name == Lexical, name == "" && s.cfg.Model == nil:
		return s.cfg.Lexical, nil
	case s.cfg.Model == nil:
		return nil, ErrNoModel
	default:
		return s.cfg.Model, nil
	}
}

func (s *Service) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.cfg.Timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, s.cfg.Timeout, ErrTimeout)
}

// explain names our own time limit as the cause where it was what ended the
// work; a deadline of the caller's stays the caller's.
func (s *Service) explain(caller, limited context.Context, err error) error {
	if caller.Err() != nil {
		return err
	}
	if errors.Is(context.Cause(limited), ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
		return errors.Join(ErrTimeout, err)
	}
	return err
}

// compute is the way one answer travels once nothing is kept for it. Without
// an id the grade is not for keeping.
func (s *Service) compute(ctx context.Context, req Request, chosen judge.Judge, id string) (*Record, error) {
	known := s.shelf.of(req.Question)
	reading := evidence.Read(req.Answer, known.reference)
	answer, integrity := reading.Answer, reading.Integrity

	judgement := &judge.Judgement{Findings: judge.NothingSaid(req.Question)} // of a blank answer no judge is asked
	if !answer.Blank() {
		var err error
		task := judge.Task{Question: req.Question, Answer: req.Answer, Reading: reading}
		if req.Decided != nil {
			task.Decided = func(index int, f judge.Finding) { req.Decided(decided(req.Question, reading, index, f)) }
		}
		judgement, err = chosen.Judge(ctx, task)
		if err != nil {
			return nil, err
		}
	}
	if err := check(req.Question, judgement.Findings); err != nil {
		return nil, fmt.Errorf("judge %s: %w", chosen.Name(), err)
	}
	findings, quotes, stood := verify(reading, judgement.Findings)

	limit := fullScore
	if integrity.Has(evidence.CopiedSample) && !s.cfg.AllowSampleAnswer {
		limit = copiedCap
	}
	raw := tally(req.Question, findings).cappedAt(limit)
	total := raw
	var worth func(float64) float64
	if c := s.correction(req.Question, chosen); c != nil && raw.known && !answer.Blank() && judgement.Model == s.cfg.Calibration.Model {
		total = raw.corrected(c).cappedAt(limit)
		worth = func(points float64) float64 { return raw.plus(points).corrected(c).above(total) }
	}
	grade := Grade{
		QuestionID: req.Question.Ref,
		Score:      total.score(),
		Band:       total.band(),
		Criteria:   criteria(req.Question, findings),
		Integrity:  integrity,
		Review:     review(req.Question, findings, judgement, integrity, raw),
		Provenance: Provenance{
			Judge:        chosen.Name(),
			Model:        judgement.Model,
			RubricDigest: req.Question.Digest(),
			PromptDigest: chosen.PromptDigest(),
			GradedAt:     s.cfg.Now().UTC().Truncate(time.Second),
		},
		Usage: judgement.Usage,
	}
	if worth != nil {
		grade.Provenance.Calibration, grade.Provenance.RawScore = s.cfg.Calibration.Digest(), raw.score()
	}
	grade.Status = Graded
	if grade.Review.Needed {
		grade.Status = NeedsReview
	}
	keep := grade.Score != nil && id != ""
	if keep {
		grade.ID = &id
	}
	if chosen.Name() == Model {
		ground := newGround(known.vocabulary(), answer.Doc())
		for i := range grade.Criteria {
			grade.Criteria[i].Comment = ground.keep(grade.Criteria[i].Comment)
		}
	}
	grade.Feedback = feedback(req.Question, &grade, answer.Blank(), worth)
	if id != "" {
		s.observe(Observation{Judge: chosen.Name(), Outcome: string(grade.Status), Quotes: max(quotes, judgement.Quotes), Stood: stood})
	}
	return NewRecord(grade, keep, judgement.Replies)
}

// standIn grades with the lexical judge in place of a model that could not be
// asked. The result is marked and never kept: the next request tries the model
// again.
func (s *Service) standIn(ctx context.Context, req Request) (Result, error) {
	record, err := s.compute(ctx, req, s.cfg.Lexical, "")
	if err != nil {
		return Result{}, fmt.Errorf("grade %s without the model: %w", req.Question.Ref, err)
	}
	grade, err := record.Grade()
	if err != nil {
		return Result{}, err
	}
	degraded := *grade
	degraded.Provenance.Degraded = true
	s.observe(Observation{Judge: s.cfg.Lexical.Name(), Outcome: "degraded"})
	record, err = NewRecord(degraded, false, nil)
	return Result{Record: record, Source: Miss}, err
}

func (s *Service) observe(o Observation) {
	if s.cfg.Observe != nil {
		s.cfg.Observe(o)
	}
}
