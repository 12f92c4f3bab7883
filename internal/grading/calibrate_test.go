package grading

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gradus-ai/gradus/internal/calibration"
	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// calibrationFor is a file that moves the scores of one question, fitted for
// the default judge of a configuration.
func calibrationFor(t *testing.T, cfg Config, q *rubric.Question, c calibration.Correction) *calibration.File {
	t.Helper()
	running, err := service(t, cfg).judge(Auto)
	require.NoError(t, err)
	file := &calibration.File{
		Version: calibration.Version, JudgeID: identity(running), Judge: running.Name(),
		Questions: map[string]calibration.Correction{q.Digest(): c},
	}
	if running.Name() == Model {
		file.Model = "test-model"
	}
	var b bytes.Buffer
	require.NoError(t, file.Write(&b))
	file, err = calibration.Parse(b.Bytes())
	require.NoError(t, err)
	return file
}

// earns makes a judge that gives every criterion the same credit.
func earns(name string, credit int) *scriptedJudge {
	j := says(name, judge.Partial, "The old release stays up")
	partly := j.judge
	j.judge = func(ctx context.Context, task judge.Task) (*judge.Judgement, error) {
		out, err := partly(ctx, task)
		for i := range out.Findings {
			f := &out.Findings[i]
			switch f.Credit = credit; credit {
			case 0:
				f.Verdict, f.Evidence = judge.Missed, nil
			case judge.FullCredit:
				f.Verdict = judge.Met
			}
		}
		return out, err
	}
	return j
}

func TestACalibratedScoreSaysSo(t *testing.T) {
	t.Parallel()
	q := question(t)
	cfg := Config{Model: earns(Model, 700)}
	plain := grade(t, service(t, cfg), Request{Tenant: "local", Question: q, Answer: answer})
	require.InDelta(t, 70, *plain.Score, 0)
	require.Empty(t, plain.Provenance.Calibration)
	require.Nil(t, plain.Provenance.RawScore)

	cfg.Calibration = calibrationFor(t, cfg, q, calibration.Correction{Offset: 0.123})
	s := service(t, cfg)
	g := grade(t, s, Request{Tenant: "local", Question: q, Answer: answer})
	require.InDelta(t, 82.3, *g.Score, 0)
	require.Equal(t, Strong, *g.Band, "the band is that of the score shown")
	require.Equal(t, cfg.Calibration.Digest(), g.Provenance.Calibration)
	require.InDelta(t, 70, *g.Provenance.RawScore, 0)
	require.Equal(t, plain.Criteria, g.Criteria, "verdicts and credit stay the judge's")
	require.InDelta(t, 18, plain.Feedback.Improvements[0].Points, 0)
	require.InDelta(t, 17.7, g.Feedback.Improvements[0].Points, 0, "a fix wins no more than there is to win")

	other := cfg
	other.Calibration = calibrationFor(t, cfg, q, calibration.Correction{Offset: -0.2})
	moved := grade(t, service(t, other), Request{Tenant: "local", Question: q, Answer: answer})
	require.InDelta(t, 50, *moved.Score, 0)
	require.Len(t, map[string]bool{*plain.ID: true, *g.ID: true, *moved.ID: true}, 3, "another calibration makes another grade")
	require.NotNil(t, grade(t, s, Request{Tenant: "somebody", Question: q, Answer: answer}).Provenance.RawScore, "it holds for every tenant")
}

func TestWhatIsNotCalibrated(t *testing.T) {
	t.Parallel()
	q := question(t)
	lift := calibration.Correction{Offset: 0.25}
	untouched := func(t *testing.T, g *Grade) {
		t.Helper()
		require.Empty(t, g.Provenance.Calibration)
		require.Nil(t, g.Provenance.RawScore)
	}
	t.Run("a blank answer", func(t *testing.T) {
		t.Parallel()
		cfg := Config{}
		cfg.Calibration = calibrationFor(t, cfg, q, lift)
		g := grade(t, service(t, cfg), Request{Question: q, Answer: "I don't know."})
		require.Zero(t, *g.Score)
		untouched(t, g)
	})
	t.Run("no score", func(t *testing.T) {
		t.Parallel()
		cfg := Config{Model: says(Model, judge.CannotAssess, "")}
		cfg.Calibration = calibrationFor(t, cfg, q, lift)
		g := grade(t, service(t, cfg), Request{Question: q, Answer: answer})
		require.Nil(t, g.Score)
		untouched(t, g)
	})
	t.Run("an answer that earned nothing gets nothing", func(t *testing.T) {
		t.Parallel()
		cfg := Config{Model: earns(Model, 0)}
		cfg.Calibration = calibrationFor(t, cfg, q, lift)
		require.Zero(t, *grade(t, service(t, cfg), Request{Question: q, Answer: answer}).Score)
	})
	t.Run("the cap of a copied sample is not lifted", func(t *testing.T) {
		t.Parallel()
		copied := says(Model, judge.Met, "flip the balancer back")
		cfg := Config{Model: copied}
		cfg.Calibration = calibrationFor(t, cfg, q, lift)
		g := grade(t, service(t, cfg), Request{Question: q, Answer: q.SampleAnswer})
		require.True(t, g.Integrity.Has(evidence.CopiedSample))
		require.InDelta(t, 50, *g.Score, 0)
	})
	t.Run("another question, another judge, another model", func(t *testing.T) {
		t.Parallel()
		cfg := Config{Model: earns(Model, 700), Lexical: earns(Lexical, 300)}
		plain := service(t, cfg)
		changed, err := rubric.Inline(rubric.Question{ID: "rollback", Text: "How would you undo it?", Criteria: q.Criteria})
		require.NoError(t, err)
		cfg.Calibration = calibrationFor(t, cfg, q, lift)
		s := service(t, cfg)
		for _, req := range []Request{{Question: changed, Answer: answer}, {Question: q, Answer: answer, Judge: Lexical}} {
			g := grade(t, s, req)
			untouched(t, g)
			require.Equal(t, grade(t, plain, req), g, "id and all")
		}
		cfg.Calibration.Model = "the-model-of-then"
		untouched(t, grade(t, service(t, cfg), Request{Question: q, Answer: answer}))
	})
	t.Run("who stands in for the model", func(t *testing.T) {
		t.Parallel()
		cfg := Config{Model: fails(errors.New("down")), Lexical: earns(Lexical, 300)}
		cfg.Calibration = calibrationFor(t, cfg, q, lift)
		g := grade(t, service(t, cfg), Request{Question: q, Answer: answer, Fallback: true})
		require.True(t, g.Provenance.Degraded)
		untouched(t, g)
	})
}

func TestACalibrationIsForOneJudge(t *testing.T) {
	t.Parallel()
	q := question(t)
	now := Config{Model: earns(Model, 700), Lexical: earns(Lexical, 300), Cache: mapCache{}, Now: service(t, Config{}).cfg.Now}
	lexicals := calibrationFor(t, Config{Lexical: now.Lexical}, q, calibration.Correction{Offset: 0.1})
	others := calibrationFor(t, now, q, calibration.Correction{Offset: 0.1})
	others.JudgeID = "ju_of_other_settings"
	for want, file := range map[string]*calibration.File{
		"for the lexical judge, and the model judge is running": lexicals,
		"the model judge had other models, prompts or settings": others,
	} {
		cfg := now
		cfg.Calibration = file
		_, err := New(cfg)
		require.ErrorIs(t, err, calibration.ErrOtherJudge)
		require.ErrorContains(t, err, want)
	}

	s := service(t, now)
	model, err := s.Identify(Auto)
	require.NoError(t, err)
	require.Empty(t, model.Calibration)
	lexical, err := s.Identify(Lexical)
	require.NoError(t, err)
	require.NotEqual(t, model.Judge, lexical.Judge)
	_, err = service(t, Config{}).Identify(Model)
	require.ErrorIs(t, err, ErrNoModel)

	now.Calibration = calibrationFor(t, now, q, calibration.Correction{Offset: 0.1})
	calibrated, err := service(t, now).Identify(Auto)
	require.NoError(t, err)
	require.Equal(t, Identity{Judge: model.Judge, Calibration: now.Calibration.Digest()}, calibrated)
}

func TestABetterAnswerStaysBetterWhenCalibrated(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := &calibration.Correction{Offset: rapid.Float64Range(-1, 1).Draw(t, "offset")}
		if rapid.Bool().Draw(t, "curve") {
			low := rapid.Float64Range(0, 1).Draw(t, "low")
			c.Curve = []calibration.Point{{Score: .2, Human: low}, {Score: .7, Human: rapid.Float64Range(low, 1).Draw(t, "high")}}
		}
		a := points{value: rapid.IntRange(0, fullScore).Draw(t, "a"), known: true}
		b := points{value: rapid.IntRange(a.value, fullScore).Draw(t, "b"), known: true}
		afterA, afterB := a.corrected(c), b.corrected(c)
		require.LessOrEqual(t, afterA.value, afterB.value)
		for _, p := range []points{afterA, afterB} {
			require.GreaterOrEqual(t, p.value, 0)
			require.LessOrEqual(t, p.value, fullScore)
		}
		require.LessOrEqual(t, afterA.value, 2*a.value)
	})
}
