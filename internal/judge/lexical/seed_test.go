package lexical

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/probe"
	"github.com/gradus-ai/gradus/internal/rubric"
)

func shippedSet(t testing.TB) *rubric.Set {
	file := filepath.Join("..", "..", "..", "rubrics", "lead-platform-engineer.yaml")
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	set, err := rubric.Parse(file, raw)
	require.NoError(t, err)
	return set
}

type seedRow struct {
	QuestionNo int     `json:"question_no"`
	Kind       string  `json:"kind"`
	Answer     string  `json:"answer"`
	HumanScore float64 `json:"human_score"`
	// Question and Criteria are what a caller without a set would send.
	Question string `json:"question"`
	Criteria []struct {
		ID   string `json:"id"`
		Text string `json:"text"`
	} `json:"criteria"`
}

// TestSeedAnswers grades answers of known quality to the shipped questions,
// where they are at hand, and prints what they earn.
func TestSeedAnswers(t *testing.T) {
	t.Parallel()
	set, j := shippedSet(t), New()
	var rows []scored
	kinds := map[string][]float64{}
	var out strings.Builder
	for _, r := range readRows[seedRow](t, "seed-answers.jsonl") {
		q := set.Questions[r.QuestionNo-1]
		findings := judged(t, j, q, r.Answer)
		score := points(q, findings)
		rows = append(rows, scored{q.ID, r.HumanScore, score / 100})
		kinds[r.Kind] = append(kinds[r.Kind], score)
		fmt.Fprintf(&out, "%2d %-9s human %.2f judge %5.1f  ", r.QuestionNo, r.Kind, r.HumanScore, score)
		for i, f := range findings {
			if f.Credit > 0 || f.Verdict == judge.Contradicted {
				fmt.Fprintf(&out, " %s %d", q.Criteria[i].ID, f.Credit)
			}
		}
		out.WriteString("\n")
	}
	if len(rows) == 0 {
		return
	}
	t.Logf("pearson %.3f spearman %.3f per question %.3f\n%s", pearson(rows), spearman(rows), perQuestion(rows), out.String())
	require.GreaterOrEqual(t, pearson(rows), 0.86)
	require.GreaterOrEqual(t, spearman(rows), 0.76)
	mean := func(kind string) float64 {
		sum := 0.0
		for _, s := range kinds[kind] {
			sum += s
		}
		return sum / float64(len(kinds[kind]))
	}
	require.Greater(t, mean("excellent"), mean("good"))
	require.Greater(t, mean("good"), mean("partial"))
	for _, low := range []string{"fluff", "wrong", "short", "negated", "stuffed"} {
		require.Greater(t, mean("partial"), mean(low), low)
	}
	for _, low := range []string{"fluff", "wrong", "negated", "stuffed"} {
		for _, s := range kinds[low] {
			require.Less(t, s, 40.0, "%s is in the lowest band", low)
		}
	}
}

// TestAnswersOfEveryKind grades answers to all shipped questions that a language
// model wrote and scored without sight of the set's phrases: eight kinds to each
// question. Plain ones say the right things in everyday words and wrong ones
// the wrong things in the right words; by words alone neither can be told.
func TestAnswersOfEveryKind(t *testing.T) {
	t.Parallel()
	set, j := shippedSet(t), New()
	var rows []scored
	kinds := map[string][]float64{}
	for _, r := range rowsOf[struct {
		QuestionID string  `json:"question_id"`
		Kind       string  `json:"kind"`
		Answer     string  `json:"answer"`
		HumanScore float64 `json:"human_score"`
	}](t, filepath.Join("testdata", "answers.jsonl")) {
		at := slices.IndexFunc(set.Questions, func(q *rubric.Question) bool { return q.Ref == r.QuestionID })
		require.GreaterOrEqual(t, at, 0, r.QuestionID)
		q := set.Questions[at]
		score := points(q, judged(t, j, q, r.Answer))
		kinds[r.Kind] = append(kinds[r.Kind], score)
		rows = append(rows, scored{q.ID, r.HumanScore, score / 100})
		if r.Kind == "stuffed" { // in capitals and in lines it is the same
			shouted, lines := strings.ToUpper(r.Answer), strings.ReplaceAll(r.Answer, ", ", "\n- ")
			kinds["shouted"] = append(kinds["shouted"], points(q, judged(t, j, q, shouted)))
			kinds["lines"] = append(kinds["lines"], points(q, judged(t, j, q, lines)))
		}
	}
	mean := map[string]float64{}
	for kind, scores := range kinds {
		for _, s := range scores {
			mean[kind] += s / float64(len(scores))
		}
	}
	t.Logf("pearson %.3f spearman %.3f %v", pearson(rows), spearman(rows), mean)
	require.GreaterOrEqual(t, pearson(rows), 0.5)
	for _, pair := range [][2]string{{"excellent", "good"}, {"good", "partial"}, {"good", "wrong"}, {"partial", "fluff"}, {"partial", "negated"}, {"partial", "stuffed"}} {
		require.Greater(t, mean[pair[0]], mean[pair[1]]+10, "%v", pair)
	}
	for _, low := range []string{"fluff", "negated", "stuffed", "shouted"} {
		require.Less(t, slices.Max(kinds[low]), 25.0, low)
	}
	require.Less(t, mean["lines"], 10.0)
}

// TestSeedAnswersWithoutASet grades the same answers by one-line criteria that
// nobody has put into other words.
func TestSeedAnswersWithoutASet(t *testing.T) {
	t.Parallel()
	j := New()
	var rows []scored
	for _, r := range readRows[seedRow](t, "seed-answers.jsonl") {
		bare := rubric.Question{Text: r.Question}
		for _, c := range r.Criteria {
			bare.Criteria = append(bare.Criteria, rubric.Criterion{ID: c.ID, Statement: c.Text, Weight: 1})
		}
		q, err := rubric.Inline(bare)
		require.NoError(t, err)
		score := points(q, judged(t, j, q, r.Answer))
		rows = append(rows, scored{r.Question, r.HumanScore, score / 100})
		if r.Kind == "negated" || r.Kind == "stuffed" {
			require.Less(t, score, 20.0, r.Kind)
		}
	}
	if len(rows) == 0 {
		return
	}
	t.Logf("pearson %.3f spearman %.3f per question %.3f", pearson(rows), spearman(rows), perQuestion(rows))
	require.GreaterOrEqual(t, pearson(rows), 0.75)
	require.GreaterOrEqual(t, spearman(rows), 0.68)
}

func TestShippedSetPassesItsProbes(t *testing.T) {
	t.Parallel()
	report, err := probe.Run(t.Context(), shippedSet(t), probeGrader(New()), probe.Options{})
	require.NoError(t, err)
	require.True(t, report.Passed(), "\n"+report.Text())
}

func probeGrader(j *Judge) probe.Grader {
	return func(ctx context.Context, q *rubric.Question, answer string) (*probe.Outcome, error) {
		out, err := j.Judge(ctx, judge.Task{Question: q, Answer: answer})
		if err != nil {
			return nil, err
		}
		score := points(q, out.Findings)
		o := &probe.Outcome{Score: &score}
		for i, f := range out.Findings {
			c := probe.Criterion{ID: f.CriterionID, Kind: q.Criteria[i].Kind, Verdict: string(f.Verdict), Credit: float64(f.Credit) / judge.FullCredit}
			for _, e := range f.Evidence {
				c.Evidence = append(c.Evidence, probe.Span{Start: e.Start, End: e.End})
			}
			o.Criteria = append(o.Criteria, c)
		}
		return o, nil
	}
}
