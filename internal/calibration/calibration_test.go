package calibration_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gradus-ai/gradus/internal/calibration"
)

func TestAnOffsetIsHeldBackWhereLabelsAreFew(t *testing.T) {
	t.Parallel()
	kind := calibration.Label{Score: 0.9, Human: 0.5}
	_, ok := calibration.Fit([]calibration.Label{kind, kind}, true)
	require.False(t, ok, "two labels say nothing")

	// Three errors of -.4 over 3+3.
	c, ok := calibration.Fit([]calibration.Label{kind, kind, kind}, true)
	require.True(t, ok)
	require.InDelta(t, -0.2, c.Offset, 1e-9)
	require.InDelta(t, 0.5, c.Apply(0.7), 1e-9)
	require.Zero(t, c.Apply(0.1), "scores end at 0")
	c.Offset = 0.5
	require.InDelta(t, 0.2, c.Apply(0.1), 1e-9, "at most twice the score")
	require.Zero(t, c.Apply(0), "what earned nothing gets nothing")
	c.Offset = 0.3
	require.InDelta(t, 1, c.Apply(0.9), 1e-9)

	// Forty-nine errors of -.4 over 49+3.
	c, _ = calibration.Fit(repeat(kind, 49), true)
	require.InDelta(t, -0.4*49/52, c.Offset, 1e-4)
	require.Empty(t, c.Curve)
	c, _ = calibration.Fit(repeat(kind, 50), true)
	require.NotEmpty(t, c.Curve)
	c, _ = calibration.Fit(repeat(kind, 50), false)
	require.Empty(t, c.Curve)
}

func repeat(l calibration.Label, n int) []calibration.Label {
	out := make([]calibration.Label, n)
	for i := range out {
		out[i] = l
	}
	return out
}

func TestACurvePoolsWhatFalls(t *testing.T) {
	t.Parallel()
	// Scores .2 .4 .6 .8, people .1 .5 .3 .9: the middle two fall and are
	// pooled to .4 at .5.
	var labels []calibration.Label
	for range 13 {
		labels = append(labels, calibration.Label{Score: .2, Human: .1}, calibration.Label{Score: .4, Human: .5},
			calibration.Label{Score: .6, Human: .3}, calibration.Label{Score: .8, Human: .9})
	}
	c, ok := calibration.Fit(labels, true)
	require.True(t, ok)
	require.Equal(t, []calibration.Point{{Score: .2, Human: .1}, {Score: .5, Human: .4}, {Score: .8, Human: .9}}, c.Curve)
	for score, want := range map[float64]float64{0: 0, .03: .06, .2: .1, .35: .25, .5: .4, .65: .65, 1: .9} {
		require.InDelta(t, want, c.Apply(score), 1e-9, "at %g", score)
	}
}

func TestCorrectionsRiseAndStayOnTheScale(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		labels := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) calibration.Label {
			return calibration.Label{
				Score: float64(rapid.IntRange(0, 20).Draw(t, "score")) / 20,
				Human: float64(rapid.IntRange(0, 4).Draw(t, "human")) / 4,
			}
		}), calibration.Fewest, 90).Draw(t, "labels")
		c, ok := calibration.Fit(labels, rapid.Bool().Draw(t, "curves"))
		require.True(t, ok)
		before := -1.0
		for s := range 101 {
			after := c.Apply(float64(s) / 100)
			require.GreaterOrEqual(t, after, 0.0)
			require.LessOrEqual(t, after, 1.0)
			require.LessOrEqual(t, after, 2*float64(s)/100, "nothing comes of nothing")
			require.GreaterOrEqual(t, after, before-1e-9, "a better score stays better")
			before = after
		}

		f := &calibration.File{Version: calibration.Version, JudgeID: "gr_x", Questions: map[string]calibration.Correction{"sha256:1": c}}
		var b bytes.Buffer
		require.NoError(t, f.Write(&b))
		back, err := calibration.Parse(b.Bytes())
		require.NoError(t, err)
		require.Equal(t, f.Questions, back.Questions)
		require.Equal(t, c, *back.For("sha256:1"))
		require.Nil(t, back.For("sha256:2"))
		require.Regexp(t, "^sha256:[0-9a-f]{64}$", back.Digest())
		again, err := calibration.Parse(append(b.Bytes(), '\n'))
		require.NoError(t, err)
		require.NotEqual(t, back.Digest(), again.Digest(), "the digest is that of the file")
	})
}

func TestAFileThatCannotBeUsedIsRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"not JSON":            `nothing`,
		"another version":     `{"version":2,"judge_id":"x"}`,
		"no judge":            `{"version":1}`,
		"an unknown field":    `{"version":1,"judge_id":"x","offsets":{}}`,
		"two documents":       `{"version":1,"judge_id":"x"}{}`,
		"an offset too large": `{"version":1,"judge_id":"x","questions":{"q":{"offset":1.5}}}`,
		"a falling curve":     `{"version":1,"judge_id":"x","questions":{"q":{"curve":[{"score":0,"human":1},{"score":1,"human":0}]}}}`,
		"a curve off scale":   `{"version":1,"judge_id":"x","questions":{"q":{"curve":[{"score":0,"human":2}]}}}`,
	} {
		_, err := calibration.Parse([]byte(text))
		require.ErrorIs(t, err, calibration.ErrFile, name)
	}
}
