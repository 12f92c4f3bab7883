package eval_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/eval"
	"github.com/gradus-ai/gradus/internal/grading"
)

// threeAnswers are to one question with two criteria that gold calls by names
// of its own.
func threeAnswers(t *testing.T) *eval.Gold {
	const question = `"question_id":"q","question":"Why and how?","criteria":[{"id":"why?","text":"Says why","weight":1},{"id":"how?","text":"Says how","weight":3}]`
	return readGold(t,
		`{"answer_id":"a",`+question+`,"answer":"c1=1000 c2=1000","human_score":2,"max_score":2,"criterion_labels":{"why?":1,"how?":1}}`,
		`{"answer_id":"b",`+question+`,"answer":"c1=? c2=400","human_score":1,"max_score":2,"criterion_labels":{"why?":0,"how?":0.5}}`,
		`{"answer_id":"c",`+question+`,"answer":"c1=? c2=?","human_score":0,"max_score":2,"criterion_labels":{"why?":0,"how?":0}}`)
}

// TestPredictionsOfAnotherCalibrationAreNotGoneOnWith also shows that what is
// calibrated is no ground for a calibration.
func TestPredictionsOfAnotherCalibrationAreNotGoneOnWith(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "out.jsonl")
	gold := threeAnswers(t)
	o := options(t, &clerk{})
	o.File = open(t, name)
	first, err := eval.Run(t.Context(), gold, o)
	require.NoError(t, err)
	_, err = eval.Calibrate(gold, first, &eval.Questions{}, eval.Bootstrap{}, 1)
	require.ErrorIs(t, err, eval.ErrNoGain)

	o = options(t, &clerk{})
	o.Grader = calibrated{o.Grader}
	o.File = open(t, name)
	_, err = eval.Run(t.Context(), gold, o)
	require.ErrorIs(t, err, eval.ErrOtherRun)
	o.File = nil
	out, err := eval.Run(t.Context(), gold, o)
	require.NoError(t, err)
	require.Equal(t, first.Judge.Judge, out.Judge.Judge)
	_, err = eval.Calibrate(gold, out, &eval.Questions{}, eval.Bootstrap{}, 1)
	require.ErrorIs(t, err, eval.ErrCalibrated)
}

// calibrated is a grader with a calibration in force.
type calibrated struct{ eval.Grader }

func (c calibrated) Identify(judge string) (grading.Identity, error) {
	id, err := c.Grader.Identify(judge)
	id.Calibration = "sha256:00"
	return id, err
}

func open(t *testing.T, name string) *eval.File {
	t.Helper()
	f, err := eval.OpenFile(name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

func TestGradesBecomePredictionsUnderTheNamesOfGold(t *testing.T) {
	t.Parallel()
	out, err := eval.Run(t.Context(), threeAnswers(t), options(t, &clerk{}))
	require.NoError(t, err)
	require.Empty(t, out.Failures)
	a, b, c := out.Predictions["a"], out.Predictions["b"], out.Predictions["c"]
	require.InDelta(t, 1, *a.Score, 0)
	require.Equal(t, map[string]float64{"why?": 1, "how?": 1}, a.Criteria)
	require.InDelta(t, 0.6, a.Confidence, 1e-9)
	require.InDelta(t, 0.4, *b.Score, 0, "what could not be assessed is in neither sum")
	require.Equal(t, map[string]float64{"how?": 0.4}, b.Criteria)
	require.Contains(t, b.Review, "cannot_assess")
	require.Nil(t, c.Score, "unable to judge is not 0")
	require.Empty(t, c.Criteria)
	require.Equal(t, eval.Progress{Total: 3, Done: 3}, out.Progress)
}

func TestARunGoesOnWhereItEnded(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "out.jsonl")
	gold := threeAnswers(t)

	// The first run is stopped at the second answer, which it finishes.
	ctx, cancel := context.WithCancelCause(t.Context())
	first := &clerk{fail: func(answer string) error {
		if strings.Contains(answer, "400") {
			cancel(errors.New("a signal"))
		}
		return nil
	}}
	o := options(t, first)
	o.File = open(t, name)
	out, err := eval.Run(ctx, gold, o)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, out.Predictions, 2)
	written, err := os.ReadFile(name)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(written), `{"answer_id":"a","score":1,"criteria":{"how?":1,"why?":1},`), string(written))

	// Its machine then loses part of the last line.
	require.NoError(t, os.WriteFile(name, written[:len(written)-20], 0o600))

	// The second asks only about the rest.
	second := &clerk{}
	o = options(t, second)
	o.File = open(t, name)
	out, err = eval.Run(t.Context(), gold, o)
	require.NoError(t, err)
	require.Equal(t, []string{"c1=? c2=400", "c1=? c2=?"}, second.judged)
	require.Equal(t, eval.Progress{Total: 3, Done: 3, Resumed: 1}, out.Progress)
	require.InDelta(t, 1, *out.Predictions["a"].Score, 0)
	require.InDelta(t, 0.6, out.Predictions["a"].Confidence, 1e-9, "confidence survives")

	// The third has nothing to do, and changes nothing.
	whole, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, 3, strings.Count(string(whole), "\n"))
	third := &clerk{}
	o = options(t, third)
	o.File = open(t, name)
	again, err := eval.Run(t.Context(), gold, o)
	require.NoError(t, err)
	require.Empty(t, third.judged)
	require.Equal(t, out.Predictions, again.Predictions)
	after, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, whole, after)
}

func TestAFileOfAnotherRunIsRefusedAndKept(t *testing.T) {
	t.Parallel()
	gold := threeAnswers(t)
	mine := filepath.Join(t.TempDir(), "mine.jsonl")
	o := options(t, &clerk{})
	o.File = open(t, mine)
	_, err := eval.Run(t.Context(), gold, o)
	require.NoError(t, err)

	changed := readGold(t, `{"answer_id":"a","question":"Why?","reference_answers":["so"],"answer":"c1=1000","human_score":1}`)
	for name, tc := range map[string]struct {
		judge *clerk
		gold  *eval.Gold
	}{
		"another judge": {&clerk{version: "2"}, gold},
		"other gold":    {&clerk{}, changed},
	} {
		before, err := os.ReadFile(mine)
		require.NoError(t, err)
		o := options(t, tc.judge)
		o.File = open(t, mine)
		_, err = eval.Run(t.Context(), tc.gold, o)
		require.ErrorIs(t, err, eval.ErrOtherRun, name)
		after, err := os.ReadFile(mine)
		require.NoError(t, err)
		require.Equal(t, before, after, name)
	}
}

func TestAFileThatHoldsSomethingElseIsKept(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"my only copy", "my thesis\n", "{\"answer_id\":\"a\"}\nrest", `{"id":1`} {
		name := filepath.Join(t.TempDir(), "thesis.txt")
		require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
		o := options(t, &clerk{})
		o.File = open(t, name)
		_, err := eval.Run(t.Context(), threeAnswers(t), o)
		require.Error(t, err)
		after, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, content, string(after))
	}
}

func TestAnAnswerThatCannotBePutFailsAndIsTriedAgain(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "out.jsonl")
	flaky := &clerk{fail: func(answer string) error {
		if strings.Contains(answer, "400") {
			return errDown
		}
		return nil
	}}
	o := options(t, flaky)
	o.File = open(t, name)
	out, err := eval.Run(t.Context(), threeAnswers(t), o)
	require.NoError(t, err)
	require.Len(t, out.Failures, 1)
	require.Equal(t, "b", out.Failures[0].AnswerID)
	require.ErrorIs(t, out.Failures[0].Err, errDown)
	require.NotContains(t, out.Predictions, "b")

	flaky.fail, flaky.judged = nil, nil
	o.File = open(t, name)
	out, err = eval.Run(t.Context(), threeAnswers(t), o)
	require.NoError(t, err)
	require.Empty(t, out.Failures)
	require.Equal(t, []string{"c1=? c2=400"}, flaky.judged)
}

func TestARunEndsWhenNobodyIsThere(t *testing.T) {
	t.Parallel()
	var lines []string
	for i := range 30 {
		lines = append(lines, `{"question":"Why?","reference_answers":["so"],"answer":"number `+string(rune('a'+i))+`","human_score":1}`)
	}
	asked := 0
	down := &clerk{fail: func(string) error { asked++; return errDown }}
	out, err := eval.Run(t.Context(), readGold(t, lines...), options(t, down))
	require.ErrorIs(t, err, errDown)
	require.Less(t, asked, 15, "it does not ask thirty times")
	require.Empty(t, out.Predictions)
}

func TestProgressTellsOfEveryAnswer(t *testing.T) {
	t.Parallel()
	var heard []eval.Progress
	o := options(t, &clerk{})
	o.Concurrency = 3
	o.Progress = func(p eval.Progress) { heard = append(heard, p) }
	_, err := eval.Run(t.Context(), threeAnswers(t), o)
	require.NoError(t, err)
	require.Len(t, heard, 3)
	require.Equal(t, eval.Progress{Total: 3, Done: 3}, heard[2])
}
