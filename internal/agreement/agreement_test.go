package agreement_test

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/agreement"
)

// equal checks a figure against a calculation made by hand.
func equal(t *testing.T, want float64, got agreement.Figure) {
	t.Helper()
	v, ok := got.Value()
	require.True(t, ok, "the figure is defined")
	require.InDelta(t, want, v, 1e-12)
}

func undefined(t *testing.T, got agreement.Figure) {
	t.Helper()
	require.False(t, got.Defined(), "got %s", got)
}

func TestFiguresByHand(t *testing.T) {
	t.Parallel()
	// g-mean 2.5, p-mean 3. Deviations -1.5 -.5 .5 1.5 and -2 1 -1 2:
	// products 3 -.5 -.5 3 = 5, squares 5 and 10. r = 5/√50.
	g, p := []float64{1, 2, 3, 4}, []float64{1, 4, 2, 5}
	equal(t, 5/math.Sqrt(50), agreement.Pearson(g, p))
	// Ranks 1 2 3 4 and 1 3 2 4: 1 - 6·(0+1+1+0)/(4·15) = .8
	equal(t, 0.8, agreement.Spearman(g, p))
	// Differences 0 2 -1 1: mean size 1, squares 0+4+1+1 = 6, mean .5.
	equal(t, 1, agreement.MAE(g, p))
	equal(t, math.Sqrt(6.0/4), agreement.RMSE(g, p))
	equal(t, 0.5, agreement.Bias(g, p))
	equal(t, 0.25, agreement.Exact(g, p))
	// Variances 5/4 and 10/4, pooled 15/8.
	equal(t, 0.5/math.Sqrt(15.0/8), agreement.StandardisedDifference(g, p))
	// Seen 6/4. Expected 5/4 + 10/4 + .25 = 4. 1 - 1.5/4.
	equal(t, 0.625, agreement.Kappa(g, p, agreement.Quadratic))
}

func TestTiesShareTheirMeanRank(t *testing.T) {
	t.Parallel()
	require.Equal(t, []float64{3.5, 1, 3.5, 2}, agreement.Ranks([]float64{7, 1, 7, 5}))
	require.Equal(t, []float64{2, 2, 2}, agreement.Ranks([]float64{0, 0, 0}))
}

func TestBandsCountAlike(t *testing.T) {
	t.Parallel()
	// Nine answers at 0 with error .1, one at 1 with error .5: the bands have
	// mean squares .01 and .25, whatever their sizes.
	gold := []float64{0, 0, 0, 0, 0, 0, 0, 0, 0, 1}
	pred := []float64{.1, .1, .1, .1, .1, .1, .1, .1, .1, .5}
	equal(t, math.Sqrt((0.01+0.25)/2), agreement.WeightedRMSE(gold, pred))
	// .3 is 2.9999… tenths: it belongs with .35, not below.
	equal(t, math.Sqrt((0.04+0.0)/2), agreement.WeightedRMSE([]float64{0.1 + 0.2, 0.35}, []float64{0.5, 0.35}))
}

func TestKappaByHand(t *testing.T) {
	t.Parallel()
	// Two raters, yes and no: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no. Seen
	// .7; by chance .5·.6 + .5·.4 = .5. (.7-.5)/(1-.5).
	var x, y []float64
	for _, cell := range []struct {
		n    int
		a, b float64
	}{{20, 1, 1}, {5, 1, 0}, {10, 0, 1}, {15, 0, 0}} {
		for range cell.n {
			x, y = append(x, cell.a), append(y, cell.b)
		}
	}
	equal(t, 0.4, agreement.Kappa(x, y, agreement.Unweighted))
	equal(t, 0.4, agreement.Kappa(x, y, agreement.Linear))
	equal(t, 0.4, agreement.Kappa(x, y, agreement.Quadratic))

	// Three levels: 0-0, 0-1, 1-1, 2-0. Linear: seen (0+1+0+2)/4 = .75.
	// Shares x: ½ ¼ ¼, y: ½ ½ 0. Expected over cells:
	// 0·.25 + 1·.25 + (1·.125 + 0·.125) + (2·.125 + 1·.125) = .75.
	x, y = []float64{0, 0, 1, 2}, []float64{0, 1, 1, 0}
	equal(t, 0, agreement.Kappa(x, y, agreement.Linear))
	// Unweighted: seen ½ apart. By chance the same: ½·½ + ¼·½ = 3/8.
	equal(t, 1-0.5/(5.0/8), agreement.Kappa(x, y, agreement.Unweighted))
}

func TestAlphaByHand(t *testing.T) {
	t.Parallel()
	// Two raters, five units, one rating missing (that unit does not count):
	// 1-1, 2-2, 1-2, 2-2. Eight values: 3 ones, 5 twos.
	units := [][]float64{{1, 1}, {2, 2}, {1, 2}, {2, 2}, {1}}
	// Seen: one unit apart, 2 ordered pairs of 8 values: 2/8. Expected:
	// 2·3·5/(8·7) = 30/56. Interval and nominal agree when values are 1 apart.
	equal(t, 1-(2.0/8)/(30.0/56), agreement.Alpha(units, agreement.Nominal))
	equal(t, 1-(2.0/8)/(30.0/56), agreement.Alpha(units, agreement.Interval))
	// With two values, order adds nothing.
	equal(t, 1-(2.0/8)/(30.0/56), agreement.Alpha(units, agreement.Ordinal))

	// Values 1 1 | 1 3 | 3 3: six values, three each; apart by 2, squared 4.
	// Three raters in one unit: {1,2,3} counts each ordered pair by 1/2.
	units = [][]float64{{1, 2, 3}, {2, 2}}
	// Values 1, 2 (three times), 3: n = 5. Seen: pairs 1-2, 1-3, 2-3 with
	// squares 1 4 1, twice, over (3-1): 6; over n: 6/5.
	// Expected: 2·(1·3·1 + 1·1·4 + 3·1·1)/(5·4) = 20/20.
	equal(t, 1-6.0/5, agreement.Alpha(units, agreement.Interval))
	// Ordinal: middles .5, 2.5, 4.5: distances 2, 4, 2; squares 4 16 4 give
	// four times the interval figures on both sides.
	equal(t, 1-6.0/5, agreement.Alpha(units, agreement.Ordinal))
	// Nominal: seen 2·3/2/5 = 3/5. Expected 2·(3+1+3)/20 = 14/20.
	equal(t, 1-(3.0/5)/(14.0/20), agreement.Alpha(units, agreement.Nominal))
}

// TestAlphaOfThePublishedExample is the four-rater example of Krippendorff's
// "Computing Krippendorff's Alpha-Reliability" (2011).
func TestAlphaOfThePublishedExample(t *testing.T) {
	t.Parallel()
	units := [][]float64{
		{1, 1, 1}, {2, 2, 3, 2}, {3, 3, 3, 3}, {3, 3, 3, 3}, {2, 2, 2, 2}, {1, 2, 3, 4},
		{4, 4, 4, 4}, {1, 1, 2, 1}, {2, 2, 2, 2}, {5, 5, 5}, {1, 1}, {3},
	}
	for level, want := range map[agreement.Level]float64{agreement.Nominal: 0.743, agreement.Ordinal: 0.815, agreement.Interval: 0.849} {
		v, ok := agreement.Alpha(units, level).Value()
		require.True(t, ok)
		require.InDelta(t, want, v, 0.0005)
	}
}

func TestTwoWayByHand(t *testing.T) {
	t.Parallel()
	gold := []bool{true, true, true, false, false, false, false, false}
	pred := []bool{true, true, false, true, false, false, false, false}
	c := agreement.Confuse(gold, pred)
	require.Equal(t, agreement.Confusion{TP: 2, FP: 1, FN: 1, TN: 4}, c)
	equal(t, 6.0/8, c.Accuracy())
	equal(t, 2.0/3, c.TPR())
	equal(t, 4.0/5, c.TNR())
	equal(t, 0, c.YesBias())
	// F1 of yes 4/6, of no 8/10.
	equal(t, (4.0/6+8.0/10)/2, c.MacroF1())

	// Nobody says yes: the mean is over no alone.
	equal(t, 1, agreement.Confuse([]bool{false}, []bool{false}).MacroF1())
	// The judge says yes where people never do: that class counts.
	odd := agreement.Confuse([]bool{false, false}, []bool{true, false})
	equal(t, (0+2.0/3)/2, odd.MacroF1())
	undefined(t, odd.TPR())

	// Three classes, F1 of 0: 2/3, of ½: 0, of 1: 1.
	equal(t, (2.0/3+0+1)/3, agreement.MacroF1([]float64{0, 0.5, 1}, []float64{0, 0, 1}))
}

func TestTheScaleRoundsUpBetweenSteps(t *testing.T) {
	t.Parallel()
	s := agreement.NewScale(1, 0, 0.5, 0.5)
	require.Equal(t, agreement.Scale{0, 0.5, 1}, s)
	require.Equal(t, agreement.Scale{0, 0.25, 0.5, 1}, s.With(0.25))
	require.Equal(t, agreement.Scale{0, 0.5, 1}, s, "a scale is not changed")
	for v, want := range map[float64]float64{-3: 0, 0.24: 0, 0.25: 0.5, 0.74: 0.5, 0.75: 1, 9: 1} {
		require.Equal(t, want, s.Nearest(v), "nearest to %g", v)
	}
}

func TestWithinQuestionsByHand(t *testing.T) {
	t.Parallel()
	// Question 1 has five answers in perfect order, question 2 five with the
	// same prediction (counts 0), question 3 four (does not count), question 4
	// five on which people say the same (does not count).
	var group []int
	var gold, pred []float64
	add := func(q int, g, p float64) {
		group, gold, pred = append(group, q), append(gold, g), append(pred, p)
	}
	for i := range 5 {
		add(1, float64(i), float64(2*i))
		add(2, float64(i), 0.5)
		add(4, 1, float64(i))
	}
	for i := range 4 {
		add(3, float64(i), float64(-i))
	}
	equal(t, 0.5, agreement.PearsonWithin(group, gold, pred))
}

func TestConfidenceByHand(t *testing.T) {
	t.Parallel()
	confidence := []float64{.9, .9, .6, .5, .3}
	right := []bool{true, false, true, false, false}
	// Squares .01 .81 .16 .25 .09 = 1.32
	equal(t, 1.32/5, agreement.Brier(confidence, right))
	// Two bins, least confident first: {.3 .5} both wrong: gap -.8; then
	// {.6 .9 .9}: 2 right of confidence 2.4: gap -.4. (.8 + .4)/5.
	equal(t, 1.2/5, agreement.ECE(confidence, right, 2))
	// Three errors, of which the least confident fifth is one.
	equal(t, 1.0/3, agreement.CaughtErrors(confidence, right, 0.2))
	// Half an answer more: half of the second error.
	equal(t, 1.5/3, agreement.CaughtErrors(confidence, right, 0.3))
	// The last of four is one of the two at .9, of which half is an error.
	equal(t, 2.5/3, agreement.CaughtErrors(confidence, right, 0.8))
	equal(t, 3.0/5, agreement.RiskAt(confidence, right, 1))
	// The most confident two: .9 and .9, one error.
	equal(t, 1.0/2, agreement.RiskAt(confidence, right, 0.4))
	// Pairs right-wrong: .9-.9 tie, .9-.5, .9-.3, .6-.9 lost, .6-.5, .6-.3.
	equal(t, 4.5/6, agreement.ErrorDetection(confidence, right))
}

func TestLengthFavouredByHand(t *testing.T) {
	t.Parallel()
	// Residuals 0 1 2, log words 0, ln 2, 2·ln 2: a straight line.
	equal(t, 1, agreement.LengthCorrelation([]float64{0, 0, 0}, []float64{0, 1, 2}, []int{0, 1, 3}))
}

func TestWilsonByHand(t *testing.T) {
	t.Parallel()
	// None of 10: from 0 to z²/(n+z²) with z = 1.96.
	e := agreement.Wilson(0, 10)
	equal(t, 0, e.Value)
	equal(t, 0, e.Low)
	require.InDelta(t, 3.8415/13.8415, e.High.Or(-1), 1e-4)
	undefined(t, agreement.Wilson(0, 0).Value)
}

func TestWhatIsUndefined(t *testing.T) {
	t.Parallel()
	none := []float64{}
	one := []float64{0.5}
	flat, varied := []float64{.7, .7, .7}, []float64{0, .5, 1}
	undefined(t, agreement.Pearson(none, none))
	undefined(t, agreement.Pearson(one, one))
	undefined(t, agreement.Pearson(flat, varied))
	undefined(t, agreement.Spearman(varied, flat))
	undefined(t, agreement.MAE(none, none))
	undefined(t, agreement.RMSE(none, none))
	undefined(t, agreement.WeightedRMSE(none, none))
	undefined(t, agreement.StandardisedDifference(flat, flat))
	undefined(t, agreement.Kappa(none, none, agreement.Unweighted))
	for _, w := range []agreement.Weighting{agreement.Unweighted, agreement.Linear, agreement.Quadratic} {
		undefined(t, agreement.Kappa(flat, flat, w))
	}
	undefined(t, agreement.Alpha(nil, agreement.Nominal))
	undefined(t, agreement.Alpha([][]float64{{1}, {2}}, agreement.Nominal))
	undefined(t, agreement.Alpha([][]float64{{1, 1}, {1, 1}}, agreement.Interval))
	undefined(t, agreement.Brier(nil, nil))
	undefined(t, agreement.ECE(nil, nil, 10))
	undefined(t, agreement.CaughtErrors(one, []bool{true}, 0.15))
	undefined(t, agreement.ErrorDetection(one, []bool{true}))
	undefined(t, agreement.RiskAt(one, []bool{true}, 0))
	undefined(t, agreement.PearsonWithin([]int{1, 1, 1}, varied, varied))
	undefined(t, agreement.Confuse(nil, nil).MacroF1())
	undefined(t, agreement.MacroF1(none, none))
	undefined(t, agreement.Mean(nil))
	undefined(t, agreement.Of(math.NaN()))
	undefined(t, agreement.Of(math.Inf(1)))
	undefined(t, agreement.MeanOf(agreement.Figure{}))
	equal(t, 2, agreement.MeanOf(agreement.Of(2), agreement.Figure{}))
}

func TestAnUndefinedFigureIsNull(t *testing.T) {
	t.Parallel()
	out, err := json.Marshal(agreement.Estimate{Value: agreement.Of(0.5)})
	require.NoError(t, err)
	require.Equal(t, `{"value":0.5,"low":null,"high":null}`, string(out))
	var back agreement.Estimate
	require.NoError(t, json.Unmarshal(out, &back))
	require.Equal(t, agreement.Estimate{Value: agreement.Of(0.5)}, back)
	require.Equal(t, "-", agreement.Figure{}.String())
	require.Equal(t, "0.000", agreement.Of(-0.0001).String())
	require.Equal(t, "0.500", agreement.Of(0.5).String())
}

func TestRatingsOfDifferentLengthsAreAFaultOfTheProgram(t *testing.T) {
	t.Parallel()
	require.Panics(t, func() { agreement.Pearson([]float64{1}, nil) })
	require.Panics(t, func() { agreement.Confuse([]bool{true}, nil) })
	require.Panics(t, func() { agreement.Brier([]float64{1}, nil) })
}
