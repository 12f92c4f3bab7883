package eval_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/eval"
	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
)

// reader is a judge that meets every criterion when it finds a word that it
// looks for, and proves it by that word.
type reader struct {
	find func(answer string) (at int, word string)
}

func (reader) Name() string         { return "lexical" }
func (reader) Fingerprint() string  { return "reader" }
func (reader) PromptDigest() string { return "" }

func (r reader) Judge(_ context.Context, task judge.Task) (*judge.Judgement, error) {
	out := &judge.Judgement{}
	at, word := r.find(task.Answer)
	for _, c := range task.Question.Criteria {
		f := judge.Finding{CriterionID: c.ID, Verdict: judge.Missed, Confidence: 0.5}
		if at >= 0 {
			start := len([]rune(task.Answer[:at]))
			f.Verdict, f.Credit = judge.Met, judge.FullCredit
			f.Evidence = []evidence.Quote{{Text: word, Start: start, End: start + len([]rune(word)), Match: evidence.Exact}}
		}
		out.Findings = append(out.Findings, f)
	}
	return out, nil
}

// looksFor finds a word as it is written.
func looksFor(word string) func(string) (int, string) {
	return func(answer string) (int, string) { return strings.Index(answer, word), word }
}

func robust(t *testing.T, gold *eval.Gold, find func(string) (int, string)) *eval.Robustness {
	t.Helper()
	now := func() time.Time { return time.Time{} }
	service, err := grading.New(grading.Config{Lexical: reader{find}, Cache: noCache{}, Now: now})
	require.NoError(t, err)
	report, err := eval.Robust(t.Context(), "gold.jsonl", gold, eval.Options{Grader: service, Concurrency: 2, Now: now}, 1)
	require.NoError(t, err)
	return report
}

func family(t *testing.T, r *eval.Robustness, kind, name string) eval.Family {
	t.Helper()
	for _, f := range r.Families {
		if f.Kind == kind && f.Name == name {
			return f
		}
	}
	t.Fatalf("no family %s of %s", name, kind)
	return eval.Family{}
}

// clouds are answers to two questions, most of which name what is looked for.
func clouds(t *testing.T) *eval.Gold {
	const (
		rain = `"question_id":"rain","question":"What falls from the sky?","criteria":[{"id":"a","text":"Names raindrops"},{"id":"b","text":"Says that raindrops fall"}]`
		ice  = `"question_id":"ice","question":"What floats on a lake?","criteria":[{"id":"a","text":"Names the ice"}]`
	)
	return readGold(t,
		`{`+rain+`,"answer":"I thought about it for long. Those raindrops are falling all day.","human_score":1}`,
		`{`+rain+`,"answer":"Plenty of raindrops come down. They make puddles everywhere.","human_score":1}`,
		`{`+rain+`,"answer":"Nobody knows about such things. I certainly do not, in truth.","human_score":0}`,
		`{`+ice+`,"answer":"Plenty of boats float there. They carry other people around.","human_score":0}`)
}

func TestAJudgeThatReadsOneSpellingViolatesCase(t *testing.T) {
	t.Parallel()
	report := robust(t, clouds(t), looksFor("raindrops"))
	// Two of four answers have the word, and lose it in capitals.
	f := family(t, report, eval.Invariance, "case")
	require.Equal(t, 4, f.Trials)
	require.InDelta(t, 0.5, f.Rate.Value.Or(-1), 1e-9)
	require.InDelta(t, 50, f.Points.Or(-1), 1e-9)
	require.Less(t, f.Rate.Low.Or(1), 0.5)

	for _, name := range []string{"sentence order", "bullets", "politeness", "criteria order", "repeat"} {
		require.Zero(t, family(t, report, eval.Invariance, name).Rate.Value.Or(-1), name)
	}
	require.Equal(t, 3, family(t, report, eval.Invariance, "criteria order").Trials, "the other question has one criterion")
}

func TestAJudgeThatReadsOnlyWordsMissesTheirDenial(t *testing.T) {
	t.Parallel()
	report := robust(t, clouds(t), looksFor("raindrops"))
	require.InDelta(t, 1, family(t, report, eval.Sensitivity, "fact removed").Rate.Value.Or(-1), 1e-9)
	require.InDelta(t, 0, family(t, report, eval.Sensitivity, "fact negated").Rate.Value.Or(-1), 1e-9)

	// One that reads "not" as well notices both.
	report = robust(t, clouds(t), func(answer string) (int, string) {
		if strings.Contains(answer, " not ") {
			return -1, ""
		}
		return strings.Index(answer, "raindrops"), "raindrops"
	})
	f := family(t, report, eval.Sensitivity, "fact negated")
	require.Equal(t, 2, f.Trials)
	require.InDelta(t, 1, f.Rate.Value.Or(-1), 1e-9)
	require.InDelta(t, -100, f.Points.Or(0), 1e-9)
}

func TestAttacksPayWithAJudgeThatFallsForThem(t *testing.T) {
	t.Parallel()
	// The words of the rubric are enough for a judge that reads words.
	report := robust(t, clouds(t), looksFor("raindrops"))
	for name, rate := range map[string]float64{
		"shuffled rubric": 0.5, // the rubric of one of two questions
		"off topic":       0.5, // an answer about rain is tried on the other
		"echo":            0, "filler": 0, "padding": 0, "instruction alone": 0, "instruction added": 0,
	} {
		require.InDelta(t, rate, family(t, report, eval.Gaming, name).Rate.Value.Or(-1), 1e-9, name)
	}
	require.Equal(t, 12, family(t, report, eval.Gaming, "instruction alone").Trials)

	// One that likes idle words is paid in them.
	report = robust(t, clouds(t), looksFor("people"))
	require.InDelta(t, 1, family(t, report, eval.Gaming, "filler").Rate.Value.Or(-1), 1e-9)
	f := family(t, report, eval.Gaming, "padding")
	require.Equal(t, 3, f.Trials, "who has full marks has nothing to win")
	require.InDelta(t, 1, f.Rate.Value.Or(-1), 1e-9)
	require.InDelta(t, 100, f.Points.Or(-1), 1e-9)
}

func TestTheRobustnessReportReadsWellAndRepeats(t *testing.T) {
	t.Parallel()
	first := robust(t, clouds(t), looksFor("raindrops"))
	require.Equal(t, first, robust(t, clouds(t), looksFor("raindrops")), "the same seed gives the same report")
	var text strings.Builder
	require.NoError(t, first.Print(&text))
	golden(t, "robust.golden", text.String())
	sum := 0
	for _, f := range first.Families {
		if f.Name == "all" {
			sum += f.Trials
		}
	}
	require.Equal(t, first.Trials, sum)
	_, err := json.Marshal(first)
	require.NoError(t, err)
}

func TestRobustnessEndsWhenNobodyIsThere(t *testing.T) {
	t.Parallel()
	_, err := eval.Robust(t.Context(), "", clouds(t), options(t, &clerk{fail: func(string) error { return errDown }}), 1)
	require.ErrorIs(t, err, errDown)
}
