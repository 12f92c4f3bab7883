package eval_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/eval"
)

var update = flag.Bool("update", false, "rewrite golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// graded makes gold of two collections, six questions and three raters, with
// predictions that lean towards kindness.
func graded(t *testing.T) (*eval.Gold, *eval.Outcome) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	out := &eval.Outcome{Predictions: map[string]*eval.Prediction{}, Run: "run_test"}
	var lines []string
	for i := range 60 {
		truth := random.IntN(3)
		votes := []int{0, 0, 0}
		for k := range votes {
			if truth == 2 || (truth == 1 && random.IntN(2) == 0) {
				votes[k] = 1
			}
		}
		label := 0
		if votes[0]+votes[1]+votes[2] >= 2 {
			label = 1
		}
		line, err := json.Marshal(map[string]any{
			"dataset": []string{"alpha", "beta"}[i%2], "answer_id": fmt.Sprintf("a%d", i), "question_id": fmt.Sprintf("q%d", i%6),
			"question": "Why?", "answer": strings.Repeat("word ", 1+random.IntN(20)), "human_score": truth, "max_score": 2,
			"human_scores": []int{truth, min(truth+votes[0], 2), truth}, "criteria": []map[string]any{{"id": "why", "text": "Says why"}},
			"criterion_labels": map[string]int{"why": label}, "criterion_votes": map[string][]int{"why": votes},
		})
		require.NoError(t, err)
		lines = append(lines, string(line))
		score := min(max((float64(truth)+random.NormFloat64()*0.6)/2+0.1, 0), 1)
		p := &eval.Prediction{
			AnswerID: fmt.Sprintf("a%d", i), Score: &score, Confidence: 0.5 + random.Float64()/2, Judge: "model", Model: "some-model",
			Criteria: map[string]float64{"why": score}, CriterionConfidence: map[string]float64{"why": random.Float64()},
		}
		if i == 7 {
			p.Score, p.Criteria, p.Review = nil, nil, []string{"cannot_assess"}
		}
		if i != 8 {
			out.Predictions[p.AnswerID] = p
		}
	}
	cost := 0.25
	out.Progress = eval.Progress{Total: 60, Done: 60, Failed: 1, Usage: eval.Usage{Calls: 60, PromptTokens: 9000, CachedTokens: 4000, CompletionTokens: 800, CostUSD: &cost}}
	out.Failures = []eval.Failure{{AnswerID: "a8", Err: errDown}}
	return readGold(t, lines...), out
}

func TestTheReportReadsWell(t *testing.T) {
	t.Parallel()
	gold, out := graded(t)
	report := eval.NewReport("gold.jsonl", gold, out, eval.Bootstrap{Rounds: 200, Seed: 1}, 2)
	var text strings.Builder
	require.NoError(t, report.Print(&text))
	golden(t, "report.golden", text.String())

	raw, err := json.MarshalIndent(report, "", " ")
	require.NoError(t, err)
	golden(t, "report.json.golden", string(raw)+"\n")
	require.Equal(t, "pearson", report.Gate.Name)
}

func TestAnswersWithoutAScoreAreCountedNotZero(t *testing.T) {
	t.Parallel()
	gold, out := graded(t)
	report := eval.NewReport("gold.jsonl", gold, out, eval.Bootstrap{}, 0)
	c := report.Counts
	require.Equal(t, []int{60, 58, 1, 1, 0, 1}, []int{c.Answers, c.Scored, c.Abstained, c.Failed, c.Missing, c.NeedsReview})
	require.Equal(t, 58, report.All.Answers)
	require.False(t, report.Complete())
	require.Empty(t, report.Worst, "answers are shown on request only")
	require.Len(t, report.Datasets, 2)
}

func TestTheGateIsMacroF1WherePeopleSaidRightOrWrong(t *testing.T) {
	t.Parallel()
	row := func(id string, human int) string {
		return fmt.Sprintf(`{"answer_id":%q,"question":"Why?","reference_answers":["so"],"human_score":%d}`, id, human)
	}
	gold := readGold(t, row("a", 1), row("b", 1), row("c", 0), row("d", 0))
	out := &eval.Outcome{Predictions: map[string]*eval.Prediction{}}
	for id, score := range map[string]float64{"a": 0.9, "b": 0.4, "c": 0.1, "d": 0.2} {
		out.Predictions[id] = &eval.Prediction{AnswerID: id, Score: &score}
	}
	report := eval.NewReport("", gold, out, eval.Bootstrap{}, 0)
	require.Equal(t, "f1_2", report.Gate.Name)
	// F1 of right 2/3, of wrong 4/5.
	require.InDelta(t, (2.0/3+4.0/5)/2, report.Gate.Value.Or(0), 1e-9)
	require.True(t, report.Gate.Met(0.7))
	require.False(t, report.Gate.Met(0.74))

	nothing := eval.NewReport("", gold, &eval.Outcome{}, eval.Bootstrap{Rounds: 10}, 3)
	require.False(t, nothing.Gate.Met(0), "what is undefined meets no gate")
	var text strings.Builder
	require.NoError(t, nothing.Print(&text))
	require.Contains(t, text.String(), "Nothing was scored.")
}

// TestFiguresEqualTheReference holds every figure against an independent
// implementation outside the repository, on all data there, where it and a
// Python to run it are at hand.
func TestFiguresEqualTheReference(t *testing.T) {
	t.Parallel()
	shared, err := filepath.Abs(filepath.Join("..", "..", "..", "shared", "data"))
	require.NoError(t, err)
	python, noPython := exec.LookPath("python3")
	files, err := filepath.Glob(filepath.Join(shared, "gold", "*.jsonl"))
	require.NoError(t, err)
	if noPython != nil || len(files) == 0 {
		return
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			f, err := os.Open(file)
			require.NoError(t, err)
			defer func() { require.NoError(t, f.Close()) }()
			gold, err := eval.ReadGold(f)
			require.NoError(t, err)
			predictions := filepath.Join(t.TempDir(), "p.jsonl")
			out := guess(gold)
			write(t, predictions, out)

			command := exec.CommandContext(t.Context(), python, filepath.Join(shared, "agreement.py"), file, predictions, "--boot", "0", "--json")
			raw, err := command.Output()
			require.NoError(t, err)
			var want struct {
				Figures  map[string][]*float64 `json:"figures"`
				Ceilings map[string]*float64   `json:"ceilings"`
			}
			require.NoError(t, json.Unmarshal(raw, &want))

			got := eval.NewReport("", gold, out, eval.Bootstrap{}, 0).All
			require.GreaterOrEqual(t, len(want.Figures), 11)
			check := func(fs eval.Figures, name string, want *float64) {
				v, ok := fs.Get(name).Value.Value()
				require.Equal(t, want != nil, ok, name)
				if ok {
					require.InDelta(t, *want, v, 1e-9, name)
				}
			}
			for name, v := range want.Figures {
				fs := got.Scores
				if strings.HasPrefix(name, "crit_") {
					fs = got.Criteria
				}
				check(fs, name, v[0])
			}
			for name, v := range want.Ceilings {
				check(got.Humans, name, v)
			}
		})
	}
}

// guess makes predictions that lie between people's and luck, some absent or
// without a score, some at the steps of the scale.
func guess(gold *eval.Gold) *eval.Outcome {
	random := rand.New(rand.NewPCG(5, 6))
	out := &eval.Outcome{Predictions: map[string]*eval.Prediction{}}
	near := func(v float64) float64 {
		v = min(max(v+0.4*random.NormFloat64(), 0), 1)
		if random.IntN(3) == 0 {
			v = float64(int(8*v)) / 8
		}
		return v
	}
	for i := range gold.Rows {
		row := &gold.Rows[i]
		p := &eval.Prediction{AnswerID: row.AnswerID, Criteria: map[string]float64{}}
		if random.IntN(20) > 0 {
			score := near(row.Human())
			p.Score = &score
		}
		for _, c := range row.Criteria {
			if random.IntN(10) > 0 {
				p.Criteria[c.ID] = near(row.Labels[c.ID])
			}
		}
		if random.IntN(20) > 0 {
			out.Predictions[row.AnswerID] = p
		}
	}
	return out
}

func write(t *testing.T, name string, out *eval.Outcome) {
	t.Helper()
	f, err := os.Create(name)
	require.NoError(t, err)
	for _, p := range out.Predictions {
		line, err := json.Marshal(p)
		require.NoError(t, err)
		_, err = io.WriteString(f, string(line)+"\n")
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
}
