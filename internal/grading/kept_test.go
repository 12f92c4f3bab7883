package grading

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/judge"
)

// priced is a judge that knows what it costs.
type priced struct{ *scriptedJudge }

func (p priced) Estimate(task judge.Task, warm bool) (judge.Usage, error) {
	usage := judge.Usage{Calls: 1, PromptTokens: len(task.Answer)}
	if warm {
		usage.CachedTokens = 7
	}
	return usage, nil
}

func TestAGradeIsKeptOnceItIsMade(t *testing.T) {
	t.Parallel()
	s := service(t, Config{Model: says(Model, judge.Met, "flip traffic back")})
	req := Request{Tenant: "a", Question: question(t), Answer: answer}
	require.False(t, s.Kept(t.Context(), req))
	_, err := s.Grade(t.Context(), req)
	require.NoError(t, err)
	require.True(t, s.Kept(t.Context(), req))
	for name, other := range map[string]func(r *Request){
		"another tenant's": func(r *Request) { r.Tenant = "b" },
		"another answer":   func(r *Request) { r.Answer += "!" },
		"another judge":    func(r *Request) { r.Judge = Lexical },
		"a fresh one":      func(r *Request) { r.Fresh = true },
	} {
		changed := req
		other(&changed)
		require.False(t, s.Kept(t.Context(), changed), name)
	}
}

func TestAnEstimateAsksNobody(t *testing.T) {
	t.Parallel()
	model := priced{fails(nil)}
	s := service(t, Config{Model: model})
	req := Request{Question: question(t), Answer: answer}
	usage, err := s.Estimate(req, false)
	require.NoError(t, err)
	require.Equal(t, judge.Usage{Calls: 1, PromptTokens: len(answer)}, usage)
	usage, err = s.Estimate(req, true)
	require.NoError(t, err)
	require.Equal(t, 7, usage.CachedTokens)
	req.Answer = " I don't know. "
	usage, err = s.Estimate(req, false)
	require.NoError(t, err)
	require.Zero(t, usage, "nobody is asked about a blank answer")
	req.Answer, req.Judge = answer, Lexical
	usage, err = s.Estimate(req, false)
	require.NoError(t, err)
	require.Zero(t, usage)
	require.Zero(t, model.asked.Load())

	_, err = service(t, Config{}).Estimate(Request{Judge: Model}, false)
	require.ErrorIs(t, err, ErrNoModel)
}

func TestVersionsNameTheJudgeThatIsMeant(t *testing.T) {
	t.Parallel()
	both := service(t, Config{Model: says(Model, judge.Met, "")})
	name, fingerprint, _, err := both.Versions(Auto)
	require.NoError(t, err)
	require.Equal(t, []string{Model, "model/test"}, []string{name, fingerprint})
	name, _, _, err = both.Versions(Lexical)
	require.NoError(t, err)
	require.Equal(t, Lexical, name)
	alone := service(t, Config{})
	name, _, _, err = alone.Versions(Auto)
	require.NoError(t, err)
	require.Equal(t, Lexical, name)
	_, _, _, err = alone.Versions(Model)
	require.ErrorIs(t, err, ErrNoModel)
}
