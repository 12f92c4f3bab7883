package grading

import (
	"strings"
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
	f := feedback(q, g, false, nil)

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
	fix := feedback(q, g, false, nil).Improvements[0]
	findings[0].Verdict, findings[0].Credit = judge.Met, judge.FullCredit
	require.InDelta(t, *tally(q, findings).score(), *before.score()+fix.Points, .1)
}

func TestWhatWinsNothingIsNoFix(t *testing.T) {
	t.Parallel()
	q, findings := sheet(core(99.99, judge.Met), core(.01, judge.Missed))
	g := &Grade{Score: tally(q, findings).score(), Criteria: criteria(q, findings)}
	require.Empty(t, feedback(q, g, false, nil).Improvements)
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

func TestStartersTakeUpWhatTheCriterionSays(t *testing.T) {
	t.Parallel()
	for statement, want := range map[string]string{
		"Hardens access or secrets through a vault or narrow roles":   "I would harden access or secrets: [",
		"Tries the change on a pilot, such as one team":               "I would try the change on a pilot: [",
		"Ties own work to the goal":                                   "I would tie my own work to the goal: [",
		"Places data in a hosted, restorable store":                   "In concrete terms: [",
		"Names figures such as lead time, with a baseline":            "I would watch [your metric]",
		"Names what the choice gives up and why":                      "I would choose [your choice] over [the alternative]",
		"Defines opportunity cost as the next best use":               "By [the term] I mean [",
		"Terminals one and two are separated by the gap":              "In concrete terms: [",
		"The student should mention either law":                       "In concrete terms: [",
		"Increased pressure moves the balance to the side with less.": "In concrete terms: [",
		"": "In concrete terms: [",
	} {
		require.Contains(t, beginning(rubric.Technical, rubric.Criterion{Statement: statement}), want, statement)
	}
	for statement, want := range map[string]string{
		"Informed stakeholders at a set rhythm or through a channel": "I informed stakeholders at a set rhythm: [",
		"Tells how the fault was narrowed down":                      "At [where you worked]",
		"Reads secrets from a vault":                                 "At [where you worked]", // no deed of the past
	} {
		require.Contains(t, beginning(rubric.Behavioural, rubric.Criterion{Statement: statement}), want, statement)
	}
	for _, kind := range rubric.Kinds {
		begun := map[string]bool{}
		for range maxImprovements {
			starter(kind, rubric.Criterion{Statement: "Names it"}, begun)
		}
		require.Len(t, begun, maxImprovements, "no two fixes of a %s question begin alike", kind)
	}
}

func TestTheSummarySaysWhereTheAnswerStands(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		verdicts []judge.Verdict
		want     string
	}{
		{[]judge.Verdict{judge.Met}, "The answer meets the criterion."},
		{[]judge.Verdict{judge.Partial}, "The answer meets the criterion in part."},
		{[]judge.Verdict{judge.Missed}, "The answer does not yet speak to the criterion."},
		{[]judge.Verdict{judge.Contradicted}, "The answer says the opposite of what is looked for."},
		{[]judge.Verdict{judge.Met, judge.Met}, "The answer meets every criterion."},
		{[]judge.Verdict{judge.Missed, judge.Missed}, "The answer does not yet speak to any of the criteria. Most is to be won on a and b."},
		{[]judge.Verdict{judge.Met, judge.Partial, judge.Missed}, "The answer meets 1 of 3 criteria and 1 more in part. Most is to be won on c and b."},
		{[]judge.Verdict{judge.Missed, judge.Partial}, "The answer meets 1 of 2 criteria in part, and none in full. Most is to be won on a and b."},
		{[]judge.Verdict{judge.Met, judge.Contradicted}, "The answer meets 1 of 2 criteria, and says the opposite of what 1 asks for."},
		{[]judge.Verdict{judge.Contradicted, judge.Contradicted}, "The answer meets none of 2 criteria, and says the opposite of what 2 ask for. Most is to be won on a and b."},
		{[]judge.Verdict{judge.Met, judge.CannotAssess}, "The answer meets 1 of 2 criteria. 1 criterion could not be judged and is left out of the score."},
	} {
		criteria := []CriterionGrade{}
		q := &rubric.Question{}
		for i, v := range c.verdicts {
			// Ids of one letter are no topics; statements stand for them.
			criteria = append(criteria, CriterionGrade{ID: string(rune('a' + i)), Statement: string(rune('a' + i)), Kind: rubric.Core, Weight: 10, Verdict: v, Credit: float64(v.Credit()) / judge.FullCredit})
			q.Criteria = append(q.Criteria, rubric.Criterion{})
		}
		g := &Grade{Score: new(float64), Criteria: criteria}
		require.Equal(t, c.want, strings.NewReplacer("“", "", "”", "").Replace(feedback(q, g, false, nil).Summary))
	}
	g := &Grade{Score: new(float64), Criteria: []CriterionGrade{
		{ID: "core", Kind: rubric.Core, Weight: 100, Verdict: judge.Met, Credit: 1},
		{ID: "feedback-loop", Kind: rubric.Bonus, Weight: 5, Verdict: judge.Met, Credit: 1},
		{ID: "x1", Statement: "Blames a person.", Kind: rubric.Pitfall, Weight: -5, Verdict: judge.Met, Credit: 1},
	}, Provenance: Provenance{Judge: Lexical}}
	q := &rubric.Question{Criteria: make([]rubric.Criterion, 3)}
	require.Equal(t, "The answer meets the criterion. It earns extra points for feedback loop. It loses points for one thing to avoid: “Blames a person”. "+
		"This is an estimate made without a model.", feedback(q, g, false, nil).Summary)
	require.Contains(t, feedback(q, g, true, nil).Summary, "no answer here to judge")
	require.Contains(t, feedback(q, &Grade{}, false, nil).Summary, "a person should look")
}

func TestTheFollowUpFitsTheKindOfQuestion(t *testing.T) {
	t.Parallel()
	ask := func(kind rubric.Kind, v judge.Verdict) string {
		return followUp(kind, &Grade{Criteria: []CriterionGrade{{ID: "way-back", Kind: rubric.Core, Verdict: v}}})
	}
	require.Equal(t, "I have not heard about way back yet: how would you go about it?", ask(rubric.Technical, judge.Missed))
	require.Equal(t, "I have not heard about way back yet: what did you do there?", ask(rubric.Behavioural, judge.Missed))
	require.Equal(t, "I have not heard about way back yet: what would you say about it?", ask(rubric.Motivational, judge.Missed))
	require.Contains(t, ask(rubric.Behavioural, judge.Partial), "how did you know that it worked?")
	require.Contains(t, ask(rubric.Technical, judge.Contradicted), "the other way on way back")
	require.Contains(t, ask(rubric.Technical, judge.Met), "change your mind about way back")
	require.Empty(t, followUp(rubric.Technical, &Grade{}))
}

func TestTwoStrengthsShowTwoQuotesWhereTheyCan(t *testing.T) {
	t.Parallel()
	shared, own := evidence.Quote{Text: "one"}, evidence.Quote{Text: "two"}
	g := &Grade{Criteria: []CriterionGrade{
		{ID: "a", Statement: "names it", Weight: 60, Verdict: judge.Met, Credit: 1, Evidence: []evidence.Quote{shared}},
		{ID: "b", Statement: "tests it", Weight: 40, Verdict: judge.Partial, Credit: .5, Evidence: []evidence.Quote{shared, own}},
	}}
	require.Equal(t, []Strength{{"a", "Names it.", "one"}, {"b", "In part: Tests it.", "two"}}, strengths(g))
}

func TestACommentMayOnlyUseWhatTheReaderCanCheck(t *testing.T) {
	t.Parallel()
	q := &rubric.Question{
		Text:         "How do you undo a deployment?",
		SampleAnswer: "I keep Gandalf warm and flip the balancer back to Monday's release within 90 seconds.",
		Criteria:     []rubric.Criterion{{ID: "a", Statement: "Names a trigger such as a Prometheus alert"}},
	}
	ground := newGround(newVocabulary(q), text.Parse("We watch errors in Grafana for 15 minutes and roll back above 2 percent. Our SLOs hold."))
	for comment, keep := range map[string]bool{
		"The limit for the errors is not given.":                   true,
		"Grafana is named, but no Prometheus alert.":               true,
		"15 minutes of watching is there, the trigger is not.":     true,
		"No trigger is tied to the SLO.":                           true, // another form of the word
		"The 2% has no baseline.":                                  true,
		"It says: We watch errors, but not who acts.":              true,  // a capital of a quoted sentence
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
