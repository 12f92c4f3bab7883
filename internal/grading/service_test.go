package grading

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// scriptedJudge answers with a function and counts how often it is asked.
type scriptedJudge struct {
	name  string
	asked atomic.Int32
	judge func(ctx context.Context, task judge.Task) (*judge.Judgement, error)
}

func (s *scriptedJudge) Name() string         { return s.name }
func (s *scriptedJudge) Fingerprint() string  { return s.name + "/test" }
func (s *scriptedJudge) PromptDigest() string { return "" }
func (s *scriptedJudge) Judge(ctx context.Context, task judge.Task) (*judge.Judgement, error) {
	s.asked.Add(1)
	return s.judge(ctx, task)
}

// says makes a judge that gives every criterion one verdict and one quote.
func says(name string, v judge.Verdict, quote string) *scriptedJudge {
	return &scriptedJudge{name: name, judge: func(_ context.Context, task judge.Task) (*judge.Judgement, error) {
		j := &judge.Judgement{Model: map[string]string{Model: "test-model"}[name]}
		for _, c := range task.Question.Criteria {
			f := judge.Finding{CriterionID: c.ID, Verdict: v, Credit: v.Credit(), Confidence: .9}
			if quote != "" {
				f.Evidence = []evidence.Quote{{Text: quote}}
			}
			j.Findings = append(j.Findings, f)
		}
		return j, nil
	}}
}

func fails(err error) *scriptedJudge {
	return &scriptedJudge{name: Model, judge: func(context.Context, judge.Task) (*judge.Judgement, error) { return nil, err }}
}

// mapCache is the smallest cache that keeps the contract for one caller.
type mapCache map[Key]*Record

func (m mapCache) Fetch(ctx context.Context, key Key, fresh bool, compute func(context.Context) (*Record, error)) (*Record, Source, error) {
	if r, ok := m[key]; ok && !fresh {
		return r, Hit, nil
	}
	r, err := compute(ctx)
	if err != nil {
		return nil, Miss, err
	}
	if r.Keep {
		m[key] = r
	}
	return r, Miss, nil
}
func (m mapCache) Get(_ context.Context, key Key) (*Record, error) {
	if r, ok := m[key]; ok {
		return r, nil
	}
	return nil, ErrNotFound
}
func (m mapCache) Forget(_ context.Context, key Key) error { delete(m, key); return nil }

var gradedAt = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func service(t *testing.T, cfg Config) *Service {
	t.Helper()
	if cfg.Lexical == nil {
		cfg.Lexical = says(Lexical, judge.Missed, "")
	}
	if cfg.Cache == nil {
		cfg.Cache = mapCache{}
	}
	cfg.Now = func() time.Time { return gradedAt }
	s, err := New(cfg)
	require.NoError(t, err)
	return s
}

func question(t *testing.T) *rubric.Question {
	t.Helper()
	q, err := rubric.Inline(rubric.Question{
		ID:           "rollback",
		Text:         "How would you make a deployment safe to undo?",
		Intent:       "whether undoing is part of the design",
		SampleAnswer: strings.Repeat("We keep yesterday's release running beside today's and flip the balancer back when the error rate climbs past one percent. ", 3),
		Criteria: []rubric.Criterion{
			{ID: "old-version-kept", Statement: "Keeps the old version ready to serve", Weight: 60, Hint: "Say where the old version waits."},
			{ID: "trigger", Statement: "Names what triggers the rollback", Weight: 40, Hint: "Name the signal that starts it.", Partial: "A signal without a limit."},
		},
	})
	require.NoError(t, err)
	return q
}

const answer = "The old release stays up behind the balancer. When errors pass two percent we flip traffic back."

func grade(t *testing.T, s *Service, req Request) *Grade {
	t.Helper()
	result, err := s.Grade(t.Context(), req)
	require.NoError(t, err)
	g, err := result.Record.Grade()
	require.NoError(t, err)
	return g
}

func TestAGradeCarriesWhatProvesIt(t *testing.T) {
	t.Parallel()
	q := question(t)
	s := service(t, Config{Model: says(Model, judge.Met, "the OLD release  stays up")})
	g := grade(t, s, Request{Tenant: "local", Question: q, Answer: answer})

	require.InDelta(t, 100, *g.Score, 0)
	require.Equal(t, Strong, *g.Band)
	require.Equal(t, Graded, g.Status)
	require.Equal(t, Provenance{Judge: Model, Model: "test-model", RubricDigest: q.Digest(), GradedAt: gradedAt}, g.Provenance)
	for _, c := range g.Criteria {
		require.Equal(t, []evidence.Quote{{Text: "The old release stays up", Start: 0, End: 24, Match: evidence.Exact}}, c.Evidence)
	}
	require.Empty(t, g.Feedback.Improvements, "nothing to fix at full marks")
	require.NotEmpty(t, g.Feedback.FollowUp)
}

func TestCreditNeedsWordsOfTheAnswer(t *testing.T) {
	t.Parallel()
	for name, quote := range map[string]string{
		"an invented quote":        "we always keep three previous versions warm",
		"the question's own words": "make a deployment safe to undo",
		"no quote at all":          "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := service(t, Config{Model: says(Model, judge.Met, quote)})
			g := grade(t, s, Request{Question: question(t), Answer: answer + " You asked how to make a deployment safe to undo."})
			require.Nil(t, g.Score)
			require.Nil(t, g.ID, "a grade without a score is not kept")
			require.Equal(t, NeedsReview, g.Status)
			require.Contains(t, g.Review.Reasons, ReasonCannotAssess)
		})
	}
}

func TestABlankAnswerIsZeroAndAsksNobody(t *testing.T) {
	t.Parallel()
	for _, blank := range []string{"", "  \n\t ", "I don't know, sorry.", "..."} {
		model := says(Model, judge.Met, "anything")
		s := service(t, Config{Model: model})
		g := grade(t, s, Request{Question: question(t), Answer: blank})
		require.Zero(t, *g.Score, "%q", blank)
		require.Equal(t, Graded, g.Status)
		require.Len(t, g.Feedback.Improvements, 2)
		require.Zero(t, model.asked.Load())
	}
}

func TestACopyOfTheSampleIsCappedAndReviewed(t *testing.T) {
	t.Parallel()
	q := question(t)
	quote := "flip the balancer back when the error rate climbs"
	s := service(t, Config{Model: says(Model, judge.Met, quote)})
	g := grade(t, s, Request{Question: q, Answer: q.SampleAnswer})
	require.InDelta(t, 50, *g.Score, 0)
	require.Contains(t, g.Integrity.Flags, evidence.CopiedSample)
	require.Contains(t, g.Review.Reasons, ReasonCopiedSample)

	probing := service(t, Config{Model: says(Model, judge.Met, quote), AllowSampleAnswer: true})
	g = grade(t, probing, Request{Question: q, Answer: q.SampleAnswer})
	require.InDelta(t, 100, *g.Score, 0)
}

func TestAFailureIsNeverAScore(t *testing.T) {
	t.Parallel()
	outage := errors.New("endpoint is down")
	cache := mapCache{}
	s := service(t, Config{Model: fails(outage), Cache: cache})
	_, err := s.Grade(t.Context(), Request{Question: question(t), Answer: answer})
	require.ErrorIs(t, err, outage)
	require.Empty(t, cache)
}

func TestTheLexicalJudgeStandsInOnlyWhenAllowed(t *testing.T) {
	t.Parallel()
	cache := mapCache{}
	s := service(t, Config{Model: fails(errors.New("endpoint is down")), Lexical: says(Lexical, judge.Met, "stays up behind"), Cache: cache})
	g := grade(t, s, Request{Question: question(t), Answer: answer, Fallback: true})
	require.True(t, g.Provenance.Degraded)
	require.Equal(t, Lexical, g.Provenance.Judge)
	require.Nil(t, g.ID)
	require.Empty(t, cache, "a degraded grade is not kept")
}

func TestAskingForAModelThatIsNotThereIsAnError(t *testing.T) {
	t.Parallel()
	_, err := service(t, Config{}).Grade(t.Context(), Request{Question: question(t), Answer: answer, Judge: Model})
	require.ErrorIs(t, err, ErrNoModel)
	_, err = New(Config{Lexical: says(Lexical, judge.Met, ""), Cache: mapCache{}, Now: time.Now, Default: Model})
	require.ErrorIs(t, err, ErrNoModel)
}

func TestAGradeIsKeptUnderAllThatCouldChangeIt(t *testing.T) {
	t.Parallel()
	model := says(Model, judge.Met, "stays up")
	s := service(t, Config{Model: model})
	base := Request{Tenant: "a", Question: question(t), Answer: answer}
	id := func(change func(*Request)) string {
		req := base
		change(&req)
		return *grade(t, s, req).ID
	}
	first := id(func(*Request) {})
	require.Equal(t, first, id(func(*Request) {}))
	require.EqualValues(t, 1, model.asked.Load(), "the second time was a hit")
	require.Equal(t, first, id(func(r *Request) { r.Fallback = true }))

	other := question(t)
	other.Criteria[0].Hint = "Another hint."
	reworded, err := rubric.Inline(*other)
	require.NoError(t, err)
	for name, change := range map[string]func(*Request){
		"another tenant":   func(r *Request) { r.Tenant = "b" },
		"one more space":   func(r *Request) { r.Answer += " " },
		"a changed rubric": func(r *Request) { r.Question = reworded },
		"another judge":    func(r *Request) { r.Judge = Lexical },
	} {
		require.NotEqual(t, first, id(change), name)
	}
}

func TestAFreshGradeReplacesTheKeptOne(t *testing.T) {
	t.Parallel()
	model := says(Model, judge.Met, "stays up")
	s := service(t, Config{Model: model})
	req := Request{Question: question(t), Answer: answer}
	first := grade(t, s, req)
	req.Fresh = true
	second := grade(t, s, req)
	require.Equal(t, first.ID, second.ID)
	require.EqualValues(t, 2, model.asked.Load())
}

func TestAHitSpendsNothing(t *testing.T) {
	t.Parallel()
	model := says(Model, judge.Met, "stays up")
	plain := model.judge
	model.judge = func(ctx context.Context, task judge.Task) (*judge.Judgement, error) {
		j, err := plain(ctx, task)
		j.Usage = judge.Usage{Calls: 1, PromptTokens: 700}
		return j, err
	}
	s := service(t, Config{Model: model})
	req := Request{Question: question(t), Answer: answer}
	miss, err := s.Grade(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, Miss, miss.Source)
	require.Equal(t, 700, miss.Usage.PromptTokens)
	hit, err := s.Grade(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, Hit, hit.Source)
	require.Zero(t, hit.Usage)
	require.Equal(t, 700, hit.Record.Spent.PromptTokens, "what it cost is not forgotten")
	kept, err := hit.Record.Grade()
	require.NoError(t, err)
	require.Zero(t, kept.Usage)
}

func TestOurTimeLimitIsNamedAndTheCallersIsNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hangs := &scriptedJudge{name: Model, judge: func(ctx context.Context, _ judge.Task) (*judge.Judgement, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		s := service(t, Config{Model: hangs, Timeout: time.Minute})
		start := time.Now()
		_, err := s.Grade(t.Context(), Request{Question: question(t), Answer: answer})
		require.ErrorIs(t, err, ErrTimeout)
		require.Equal(t, time.Minute, time.Since(start))

		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = s.Grade(impatient, Request{Question: question(t), Answer: answer, Fallback: true})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, ErrTimeout)
	})
}

func TestReviewReasons(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(j *judge.Judgement)
		answer string
		want   string
	}{
		"a third of the weight is in doubt": {func(j *judge.Judgement) { j.Findings[1].Confidence = .3 }, answer, ReasonLowConfidence},
		"the other judge is far away": {func(j *judge.Judgement) {
			j.Second = []judge.Finding{{CriterionID: "old-version-kept", Verdict: judge.Missed}, {CriterionID: "trigger", Verdict: judge.Missed}}
		}, answer, ReasonJudgesFarApart},
		"the judge had doubts of its own": {func(j *judge.Judgement) { j.Doubts = []string{"second_look_failed"} }, answer, "second_look_failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			model := says(Model, judge.Met, "stays up")
			plain := model.judge
			model.judge = func(ctx context.Context, task judge.Task) (*judge.Judgement, error) {
				j, err := plain(ctx, task)
				tc.change(j)
				return j, err
			}
			g := grade(t, service(t, Config{Model: model}), Request{Question: question(t), Answer: tc.answer})
			require.Equal(t, NeedsReview, g.Status)
			require.Equal(t, []string{tc.want}, g.Review.Reasons)
			require.NotNil(t, g.Score, "a doubt is not a zero")
		})
	}
}
