package judge_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
)

func TestOnlyCreditedVerdictsEarn(t *testing.T) {
	t.Parallel()
	for v, credit := range map[judge.Verdict]int{judge.Met: 1000, judge.Partial: 500, judge.Missed: 0, judge.Contradicted: 0, judge.CannotAssess: 0} {
		require.True(t, v.Valid(), v)
		require.Equal(t, credit, v.Credit(), v)
		require.Equal(t, credit > 0, v.Credited(), v)
	}
	for _, v := range []judge.Verdict{"", "MET", "full"} {
		require.False(t, v.Valid(), v)
		require.Zero(t, v.Credit(), v)
	}
}

func TestALoneCriterionMayBeTheAnswerItself(t *testing.T) {
	t.Parallel()
	q := &rubric.Question{Text: "Why?", Criteria: []rubric.Criterion{
		{ID: "a", Statement: "Says why", Hint: "Say why.", Phrases: []string{"for the reason"}}, {ID: "b", Statement: "Says how"},
	}}
	require.Empty(t, judge.ReferenceTexts(q).Rubric)
	q.Criteria = append(q.Criteria, rubric.Criterion{ID: "c", Statement: "Says when"})
	require.Subset(t, judge.ReferenceTexts(q).Rubric, []string{"Says why", "Say why.", "for the reason", "Says how", "Says when"})
}

func TestNothingSaidIsMissedForCertain(t *testing.T) {
	t.Parallel()
	q := &rubric.Question{Criteria: []rubric.Criterion{{ID: "a"}, {ID: "b"}}}
	require.Equal(t, []judge.Finding{
		{CriterionID: "a", Verdict: judge.Missed, Confidence: 1}, {CriterionID: "b", Verdict: judge.Missed, Confidence: 1},
	}, judge.NothingSaid(q))
}
