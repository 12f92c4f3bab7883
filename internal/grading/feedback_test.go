package grading

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/text"
)

func TestFixesAreRankedByThePointsTheyWin(t *testing.T) {
	t.Parallel()
	q, findings := sheet(core(10, judge.Missed), core(40, judge.Partial), core(30, judge.Missed), core(20, judge.Met), pitfall(-8, judge.Met), bonus(5, judge.Missed))
	findings[3].Evidence = []evidence.Quote{{Text: "words", Start: 0, End: 5, Match: evidence.Exact}}
	total := tally(q, findings)
	g := &Grade{Score: total.score(), Criteria: criteria(q, findings)}
	f := feedback(q, Model, g)

	var got []string
	for _, fix := range f.Improvements {
		got = append(got, fix.CriterionID)
	}
	require.Equal(t, []string{"c", "b", "a"}, got, "30, 20, 10 points; the pitfall's 8 come fourth, the bonus never")
	require.InDelta(t, 30, f.Improvements[0].Points, 0)
	require.Equal(t, []Strength{{CriterionID: "d", Text: "", Quote: "words"}}, f.Strengths)
	require.Contains(t, f.Summary, "meets 1 of 4")
	require.Contains(t, f.Summary, "thing to avoid")
}

func TestPointsOfAFixAreWhatTheScoreWouldGain(t *testing.T) {
	t.Parallel()
	q, findings := sheet(core(30, judge.Missed), core(30, judge.Met), core(40, judge.CannotAssess))
	before := tally(q, findings)
	g := &Grade{Score: before.score(), Criteria: criteria(q, findings)}
	fix := feedback(q, Model, g).Improvements[0]
	findings[0].Verdict, findings[0].Credit = judge.Met, judge.FullCredit
	require.InDelta(t, *tally(q, findings).score(), *before.score()+fix.Points, .1)
}

func TestDetailTellsMoreStepByStep(t *testing.T) {
	t.Parallel()
	q := question(t)
	g := grade(t, service(t, Config{Model: says(Model, judge.Missed, "")}), Request{Question: q, Answer: answer})
	full, hint, nudge := g.At(Full), g.At(Hint), g.At(Nudge)
	require.Same(t, g, full)

	first := func(g *Grade) Improvement { return g.Feedback.Improvements[0] }
	require.Contains(t, first(full).Text, "Say where the old version waits.")
	require.Contains(t, first(full).Text, "What they want to learn: whether undoing is part of the design.")
	require.NotEmpty(t, first(full).Starter)
	require.Equal(t, first(full).Text, first(hint).Text)
	require.Empty(t, first(hint).Starter)
	require.Equal(t, "Look again at old version kept.", first(nudge).Text)
	require.Empty(t, first(nudge).Starter)
	require.NotEmpty(t, first(g).Starter, "the grade itself is untouched")
	require.Equal(t, g.Score, nudge.Score)
}

func TestACommentMayOnlyUseWhatTheReaderCanCheck(t *testing.T) {
	t.Parallel()
	q := &rubric.Question{
		Text:         "How do you undo a deployment?",
		SampleAnswer: "I keep Gandalf warm and flip the balancer back to Monday's release within 90 seconds.",
		Criteria:     []rubric.Criterion{{ID: "a", Statement: "Names a trigger such as a Prometheus alert"}},
	}
	ground := newGround(newVocabulary(q), text.Parse("We watch errors in Grafana for 15 minutes."))
	for comment, keep := range map[string]bool{
		"The limit for the errors is not given.":                   true,
		"Grafana is named, but no Prometheus alert.":               true,
		"15 minutes of watching is there, the trigger is not.":     true,
		"You should say 99 percent.":                               false, // a number from nowhere
		"Unlike Kubernetes, this has no trigger.":                  false, // a name from nowhere
		"It is missing Gandalf.":                                   false, // a name that only the sample holds
		"You could flip the balancer back to the earlier release.": false, // five words of the sample in a row
	} {
		want := ""
		if keep {
			want = comment
		}
		require.Equal(t, want, ground.keep(comment), comment)
	}
	require.Equal(t, "two lines", ground.keep("two\nlines\u202e\x1b"), "control and direction characters go")
}
