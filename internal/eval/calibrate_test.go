package eval_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/eval"
	"github.com/gradus-ai/gradus/internal/grading"
)

// leaning makes answers to questions on which the judge is off by the given
// amounts, with some noise.
func leaning(t *testing.T, perQuestion int, by ...float64) (*eval.Gold, *eval.Outcome) {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 4))
	out := &eval.Outcome{Predictions: map[string]*eval.Prediction{}, Judge: grading.Identity{Judge: "ju_judge"}}
	var lines []string
	for q, lean := range by {
		for i := range perQuestion {
			id := fmt.Sprintf("%d/%d", q, i)
			human := 0.3 + 0.4*random.Float64()
			score := min(max(human+lean+0.1*random.NormFloat64(), 0), 1)
			lines = append(lines, fmt.Sprintf(`{"answer_id":%q,"question_id":"q%d","question":"Why %d?","reference_answers":["so"],"answer":"x","human_score":%g}`, id, q, q, human))
			out.Predictions[id] = &eval.Prediction{AnswerID: id, Score: &score, Judge: "lexical"}
		}
	}
	return readGold(t, lines...), out
}

func calibrate(t *testing.T, gold *eval.Gold, out *eval.Outcome) (*eval.Calibrated, error) {
	t.Helper()
	return eval.Calibrate(gold, out, &eval.Questions{}, eval.Bootstrap{Rounds: 200, Seed: 1}, 1)
}

func TestALeaningJudgeIsSetRight(t *testing.T) {
	t.Parallel()
	gold, out := leaning(t, 30, 0.25, -0.25, 0, 0.2, -0.1, 0.15)
	c, err := calibrate(t, gold, out)
	require.NoError(t, err)
	require.Equal(t, []int{6, 0, 180, 0}, []int{c.Questions, c.Skipped, c.Answers, c.Curves})
	require.Less(t, c.After.Get("rmse").Value.Or(1), 0.7*c.Before.Get("rmse").Value.Or(0))
	require.Positive(t, c.Gain.Low.Or(0))
	require.Equal(t, "ju_judge", c.File.JudgeID)
	require.Equal(t, gold.Digest, c.File.Gold)
	require.Len(t, c.File.Questions, 6)

	// The first question's judge was .25 too kind: 30 labels of 33 count.
	asked, err := (&eval.Questions{}).For(&gold.Rows[0])
	require.NoError(t, err)
	correction, ok := c.File.Questions[asked.Digest()]
	require.True(t, ok)
	require.InDelta(t, -0.25*30/33, correction.Offset, 0.04)
	require.Equal(t, 30, correction.Labels)

	again, err := calibrate(t, gold, out)
	require.NoError(t, err)
	require.Equal(t, c, again, "the same seed gives the same corrections")

	var text strings.Builder
	require.NoError(t, c.Print(&text))
	require.Contains(t, text.String(), "Calibration of 6 questions, on 180 answers held out in 5 parts")
}

func TestAJudgeThatDoesNotLeanIsLeftAlone(t *testing.T) {
	t.Parallel()
	gold, out := leaning(t, 20, 0, 0, 0, 0, 0, 0)
	c, err := calibrate(t, gold, out)
	require.ErrorIs(t, err, eval.ErrNoGain)
	require.Nil(t, c.File)
	require.True(t, c.Before.Get("rmse").Value.Defined(), "what was found is told")
}

func TestACalibrationIsForOneModel(t *testing.T) {
	t.Parallel()
	gold, out := leaning(t, 30, 0.25, -0.25, 0, 0.2, -0.1, 0.15)
	i := 0
	for _, id := range slices.Sorted(maps.Keys(out.Predictions)) {
		p := out.Predictions[id]
		p.Judge, p.Model = "model", "first"
		if i++; i%9 == 0 {
			p.Model = "a-fallback"
		}
	}
	c, err := calibrate(t, gold, out)
	require.NoError(t, err)
	require.Equal(t, 160, c.Answers)
	require.Equal(t, []string{"model", "first"}, []string{c.File.Judge, c.File.Model})
}

func TestFewAnswersAreNotEnough(t *testing.T) {
	t.Parallel()
	gold, out := leaning(t, 3, 0.4, 0.4)
	c, err := calibrate(t, gold, out)
	require.ErrorIs(t, err, eval.ErrNoGain)
	require.Equal(t, 2, c.Skipped)

	gold, out = leaning(t, 20, 0.3, 0.3, 0.3)
	for _, p := range out.Predictions {
		p.Score = nil
	}
	_, err = calibrate(t, gold, out)
	require.ErrorIs(t, err, eval.ErrNoGain, "answers without a score say nothing")
}

func TestACurveIsKeptWhereItHelps(t *testing.T) {
	t.Parallel()
	// The judge squeezes the scale: an offset cannot stretch it, a curve can.
	gold, out := leaning(t, 100, 0, 0, 0, 0, 0)
	for i := range gold.Rows {
		row := &gold.Rows[i]
		score := 0.6 + 0.2*row.Human()
		out.Predictions[row.AnswerID].Score = &score
	}
	c, err := calibrate(t, gold, out)
	require.NoError(t, err)
	require.Equal(t, 5, c.Curves)
	require.Less(t, c.After.Get("rmse").Value.Or(1), 0.03)
}
