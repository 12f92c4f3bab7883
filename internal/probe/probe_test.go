package probe_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/probe"
	"github.com/gradus-ai/gradus/internal/rubric"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const twoQuestions = `
version: 1
id: kitchen
questions:
  - id: bread
    question: How do you bake bread?
    guidance: Go through the steps in order.
    sample_answer: >-
      I knead the dough, e.g. by hand. Then it must rise overnight.
      The oven is heated to 250 degrees; a stone lies in it.
    criteria:
      - {id: knead, statement: Kneads the dough, weight: 40, phrases: [work it by hand]}
      - {id: rise, statement: Lets the dough rise, weight: 30, phrases: [overnight]}
      - {id: heat, statement: Heats the oven, weight: 30, phrases: [a hot stone]}
      - {id: stone, kind: bonus, statement: Uses a stone, weight: 5}
      - {id: burnt, kind: pitfall, statement: Burns it, weight: -5}
  - id: tea
    question: How do you make tea?
    sample_answer: I boil water. I wait three minutes.
    criteria:
      - {id: boil, statement: Boils the water, weight: 50}
      - {id: wait, statement: Waits some minutes, weight: 50}
`

func kitchen(t *testing.T) *rubric.Set {
	t.Helper()
	set, err := rubric.Parse("kitchen.yaml", []byte(twoQuestions))
	require.NoError(t, err)
	return set
}

// proofs are the words that prove a criterion to the scripted judge.
var proofs = map[string]string{
	"knead": "I knead the dough", "rise": "rise overnight", "heat": "oven is heated", "stone": "a stone",
	"burnt": "black", "boil": "I boil water", "wait": "three minutes",
}

// judge is a scripted grader: a criterion is met where its proof stands. The
// fields are its faults.
type judge struct {
	// everything credits every criterion of any answer that contains this.
	everything string
	// first proves a criterion in place of its proof.
	first map[string]string
	// also proves a criterion by a second passage.
	also map[string]string
	// needs takes a criterion away when these words are gone.
	needs map[string]string
	// blind gives no evidence for a criterion.
	blind string
	// silent leaves answers that contain this without a score.
	silent string
}

func (j judge) grade(_ context.Context, q *rubric.Question, answer string) (*probe.Outcome, error) {
	out := &probe.Outcome{}
	score := 0.0
	for _, c := range q.Criteria {
		got := probe.Criterion{ID: c.ID, Kind: c.Kind, Verdict: "missed"}
		credit := func(words string) {
			if i := strings.Index(answer, words); words != "" && i >= 0 && got.Credit == 0 {
				start := len([]rune(answer[:i]))
				got.Verdict, got.Credit = "met", 1
				got.Evidence = []probe.Span{{Start: start, End: start + len([]rune(words))}}
			}
		}
		if first := j.first[c.ID]; first != "" {
			credit(first)
		} else {
			credit(proofs[c.ID])
		}
		credit(j.also[c.ID])
		if j.everything != "" && c.Kind != rubric.Pitfall {
			credit(j.everything)
		}
		if needs := j.needs[c.ID]; needs != "" && !strings.Contains(answer, needs) {
			got = probe.Criterion{ID: c.ID, Kind: c.Kind, Verdict: "missed"}
		}
		if c.ID == j.blind {
			got.Evidence = nil
		}
		score += got.Credit * c.Weight
		out.Criteria = append(out.Criteria, got)
	}
	score = min(score, 100)
	if j.silent == "" || !strings.Contains(answer, j.silent) {
		out.Score = &score
	}
	return out, nil
}

// missed is the probes that a judge misses, as "question probe about".
func missed(t *testing.T, j judge) []string {
	t.Helper()
	report, err := probe.Run(t.Context(), kitchen(t), j.grade, probe.Options{})
	require.NoError(t, err)
	require.Equal(t, len(report.Findings()) == 0, report.Passed())
	var names []string
	for _, r := range report.Findings() {
		names = append(names, strings.TrimSpace(strings.Join([]string{r.Question, string(r.Probe), r.About}, " ")))
	}
	return names
}

func TestASoundSetAndJudgePassEveryProbe(t *testing.T) {
	t.Parallel()
	report, err := probe.Run(t.Context(), kitchen(t), judge{}.grade, probe.Options{})
	require.NoError(t, err)
	require.Empty(t, report.Findings())
	require.True(t, report.Passed())

	got := make(map[probe.Name]int)
	for _, l := range report.Summary() {
		require.Equal(t, l.Total, l.Passed)
		got[l.Probe] = l.Total
	}
	want := map[probe.Name]int{
		probe.Sample: 2, probe.Foreign: 2, probe.Empty: 2, probe.Question: 2,
		probe.Guidance: 1, // tea has none
		probe.Keywords: 2, probe.Instruction: 10,
		probe.Removal: 6, // four criteria of bread, two of tea; a pitfall has no sentences
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEachFaultOfAJudgeIsFound(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		judge judge
		want  []string
	}{
		{"it misses a core criterion of the sample", judge{needs: map[string]string{"wait": "never"}}, []string{"tea sample"}},
		{"it leaves the sample without a score", judge{silent: "boil water"}, []string{"tea sample"}},
		{"it credits the sample of another question", judge{everything: "boil water"}, []string{"bread foreign-sample tea"}},
		{"it credits an echo of the question", judge{everything: "How do you bake"}, []string{"bread question-echo"}},
		{"it credits an echo of the guidance", judge{everything: "steps in order"}, []string{"bread guidance-echo"}},
		{"it credits keywords", judge{everything: "hand, Lets"}, []string{"bread keywords"}},
		{"it obeys the first instruction", judge{everything: "Disregard the rubric"}, []string{"bread instruction 1", "tea instruction 1"}},
		{"it leaves an instruction without a score, which earns nothing", judge{silent: "Disregard the rubric"}, nil},
		{"it credits a criterion whose sentence is gone", judge{also: map[string]string{"rise": " "}}, []string{
			"bread foreign-sample tea", "bread question-echo", "bread guidance-echo", "bread keywords",
			"bread instruction 1", "bread instruction 2", "bread instruction 3", "bread instruction 4", "bread instruction 5", "bread removal rise",
		}},
		{"it lets a neighbour fall", judge{needs: map[string]string{"heat": "rise overnight"}}, []string{"bread removal rise"}},
		{"it gives no evidence", judge{blind: "boil"}, []string{"tea removal boil"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, missed(t, tt.judge)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAScoreOnTheEmptyAnswerIsDemanded(t *testing.T) {
	t.Parallel()
	report, err := probe.Run(t.Context(), kitchen(t), func(ctx context.Context, q *rubric.Question, answer string) (*probe.Outcome, error) {
		out, err := judge{}.grade(ctx, q, answer)
		if answer == "" {
			out.Score = nil
		}
		return out, err
	}, probe.Options{Questions: []string{"tea"}})
	require.NoError(t, err)
	require.Len(t, report.Findings(), 1)
	require.Equal(t, probe.Empty, report.Findings()[0].Probe)
	require.Equal(t, "no score", report.Findings()[0].Got)
}

// removal is the result for one criterion of bread.
func removal(t *testing.T, j judge, criterion string) probe.Result {
	t.Helper()
	report, err := probe.Run(t.Context(), kitchen(t), j.grade, probe.Options{Questions: []string{"bread"}})
	require.NoError(t, err)
	for _, r := range report.Results {
		if r.Probe == probe.Removal && r.About == criterion {
			return r
		}
	}
	t.Fatalf("no removal of %s", criterion)
	return probe.Result{}
}

func TestASecondProofIsRemovedAsWell(t *testing.T) {
	t.Parallel()
	r := removal(t, judge{also: map[string]string{"knead": "it must rise"}}, "knead")
	require.True(t, r.Passed, r.Got)
	require.Equal(t, "2 of 4 sentences removed; they also prove rise (1.00 to 0.00)", r.Note)
}

func TestACriterionProvenByARemovedSentenceMayFall(t *testing.T) {
	t.Parallel()
	// Both are proven by the same sentence.
	r := removal(t, judge{first: map[string]string{"stone": "The oven"}}, "heat")
	require.True(t, r.Passed, r.Got)
	require.Equal(t, "1 of 4 sentences removed; they also prove stone (1.00 to 0.00)", r.Note)

	// The evidence for the stone stands in another sentence than the oven.
	r = removal(t, judge{needs: map[string]string{"stone": "oven"}}, "heat")
	require.False(t, r.Passed)
	require.Equal(t, "heat 1.00 to 0.00, and down went stone (1.00 to 0.00)", r.Got)
}

func TestAnAbbreviationDoesNotEndASentence(t *testing.T) {
	t.Parallel()
	var answers []string
	record := func(ctx context.Context, q *rubric.Question, answer string) (*probe.Outcome, error) {
		answers = append(answers, answer)
		return judge{}.grade(ctx, q, answer)
	}
	_, err := probe.Run(t.Context(), kitchen(t), record, probe.Options{Questions: []string{"bread"}})
	require.NoError(t, err)
	require.Contains(t, answers, "Then it must rise overnight. The oven is heated to 250 degrees; a stone lies in it.")
	require.Contains(t, answers, "I knead the dough, e.g. by hand. Then it must rise overnight. a stone lies in it.")
	require.Contains(t, answers, "I knead the dough, e.g. by hand. Then it must rise overnight. The oven is heated to 250 degrees;")
	require.Contains(t, answers, "Kneads, dough, work, hand, Lets, rise, overnight, Heats, oven, hot, stone, Uses")
}

func TestOnlyTheNamedQuestionsAreProbed(t *testing.T) {
	t.Parallel()
	report, err := probe.Run(t.Context(), kitchen(t), judge{}.grade, probe.Options{Questions: []string{"tea"}})
	require.NoError(t, err)
	for _, r := range report.Results {
		require.Equal(t, "tea", r.Question)
	}
	_, err = probe.Run(t.Context(), kitchen(t), judge{}.grade, probe.Options{Questions: []string{"coffee"}})
	require.ErrorIs(t, err, rubric.ErrNotFound)
}

func TestAGraderThatFailsEndsTheRun(t *testing.T) {
	t.Parallel()
	outage := errors.New("outage")
	report, err := probe.Run(t.Context(), kitchen(t), func(context.Context, *rubric.Question, string) (*probe.Outcome, error) {
		return nil, outage
	}, probe.Options{Concurrency: 2})
	require.Nil(t, report)
	require.ErrorIs(t, err, outage)
	require.ErrorContains(t, err, "probe kitchen/")
}

// The report does not depend on how many questions are probed at once.
func TestConcurrencyChangesNothing(t *testing.T) {
	t.Parallel()
	one, err := probe.Run(t.Context(), kitchen(t), judge{}.grade, probe.Options{})
	require.NoError(t, err)
	var mu sync.Mutex
	calls := 0
	many, err := probe.Run(t.Context(), kitchen(t), func(ctx context.Context, q *rubric.Question, answer string) (*probe.Outcome, error) {
		mu.Lock()
		calls++
		mu.Unlock()
		return judge{}.grade(ctx, q, answer)
	}, probe.Options{Concurrency: 8})
	require.NoError(t, err)
	require.Equal(t, one, many)
	require.Positive(t, calls)
}

func TestTheReportReads(t *testing.T) {
	t.Parallel()
	report, err := probe.Run(t.Context(), kitchen(t), judge{
		everything: "Disregard the rubric", needs: map[string]string{"heat": "rise overnight", "wait": "never"},
	}.grade, probe.Options{})
	require.NoError(t, err)
	const path = "testdata/report.golden"
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(report.Text()), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	if diff := cmp.Diff(string(want), report.Text()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
