package agreement_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gradus-ai/gradus/internal/agreement"
)

type measure struct {
	name      string
	of        func(x, y []float64) agreement.Figure
	low, high float64
	symmetric bool
	perfect   float64 // the value of a rating against itself
	anyScale  bool    // unchanged when both are stretched and moved together
}

var measures = []measure{
	{"pearson", agreement.Pearson, -1, 1, true, 1, true},
	{"spearman", agreement.Spearman, -1, 1, true, 1, true},
	{"qwk", weightedKappa(agreement.Quadratic), -1, 1, true, 1, true},
	{"linear kappa", weightedKappa(agreement.Linear), -1, 1, true, 1, true},
	{"kappa", weightedKappa(agreement.Unweighted), -1, 1, true, 1, true},
	{"alpha, nominal", alphaOf(agreement.Nominal), -1, 1, true, 1, true},
	{"alpha, ordinal", alphaOf(agreement.Ordinal), -1, 1, true, 1, true},
	{"alpha, interval", alphaOf(agreement.Interval), -1, 1, true, 1, true},
	{"exact", agreement.Exact, 0, 1, true, 1, true},
	{"mae", agreement.MAE, 0, 1, true, 0, false},
	{"rmse", agreement.RMSE, 0, 1, true, 0, false},
	{"wrmse", agreement.WeightedRMSE, 0, 1, false, 0, false},
	{"bias", agreement.Bias, -1, 1, false, 0, false},
	{"smd", agreement.StandardisedDifference, -1e3, 1e3, false, 0, true},
	{"macro-F1", agreement.MacroF1, 0, 1, false, 1, true},
}

func weightedKappa(w agreement.Weighting) func(x, y []float64) agreement.Figure {
	return func(x, y []float64) agreement.Figure { return agreement.Kappa(x, y, w) }
}

func alphaOf(level agreement.Level) func(x, y []float64) agreement.Figure {
	return func(x, y []float64) agreement.Figure {
		units := make([][]float64, len(x))
		for i := range x {
			units[i] = []float64{x[i], y[i]}
		}
		return agreement.Alpha(units, level)
	}
}

// ratings draws a pair of raters on a scale of up to nine steps from 0 to 1.
func ratings(t *rapid.T) (x, y []float64) {
	steps := rapid.IntRange(1, 8).Draw(t, "steps")
	n := rapid.IntRange(1, 30).Draw(t, "n")
	draw := func(label string) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = float64(rapid.IntRange(0, steps).Draw(t, label)) / float64(steps)
		}
		return v
	}
	return draw("x"), draw("y")
}

func within(t *rapid.T, name string, want, got agreement.Figure) {
	require.Equal(t, want.Defined(), got.Defined(), name)
	require.InDelta(t, want.Or(0), got.Or(0), 1e-9, name)
}

func TestMeasuresKeepTheirPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x, y := ratings(t)
		order := rapid.Permutation(indices(len(x))).Draw(t, "order")
		for _, m := range measures {
			f := m.of(x, y)
			if v, ok := f.Value(); ok {
				require.GreaterOrEqual(t, v, m.low-1e-9, m.name)
				require.LessOrEqual(t, v, m.high+1e-9, m.name)
			}
			if self, ok := m.of(x, x).Value(); ok {
				require.InDelta(t, m.perfect, self, 1e-9, "%s of a rating with itself", m.name)
			}
			if m.symmetric {
				within(t, m.name+" the other way round", f, m.of(y, x))
			}
			if m.anyScale {
				within(t, m.name+" on another scale", f, m.of(moved(x), moved(y)))
			}
			within(t, m.name+" in another order", f, m.of(ordered(x, order), ordered(y, order)))
		}
		require.LessOrEqual(t, agreement.MAE(x, y).Or(0), agreement.RMSE(x, y).Or(0)+1e-9, "no mean is above the root mean square")
	})
}

func TestConfidenceMeasuresKeepTheirPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		confidence, y := ratings(t)
		right := make([]bool, len(y))
		for i := range y {
			right[i] = y[i] >= 0.5
		}
		order := rapid.Permutation(indices(len(y))).Draw(t, "order")
		bins := rapid.IntRange(1, 12).Draw(t, "bins")
		share := rapid.Float64Range(0, 1).Draw(t, "share")
		for name, of := range map[string]func(c []float64, r []bool) agreement.Figure{
			"ece":    func(c []float64, r []bool) agreement.Figure { return agreement.ECE(c, r, bins) },
			"brier":  agreement.Brier,
			"caught": func(c []float64, r []bool) agreement.Figure { return agreement.CaughtErrors(c, r, share) },
			"risk":   func(c []float64, r []bool) agreement.Figure { return agreement.RiskAt(c, r, share) },
			"auc":    agreement.ErrorDetection,
		} {
			f := of(confidence, right)
			require.GreaterOrEqual(t, f.Or(0), -1e-9, name)
			require.LessOrEqual(t, f.Or(0), 1+1e-9, name)
			within(t, name+" in another order", f, of(ordered(confidence, order), ordered(right, order)))
		}
		constant := make([]float64, len(y))
		if caught, ok := agreement.CaughtErrors(constant, right, share).Value(); ok {
			require.InDelta(t, share, caught, 1e-9, "a confidence that says nothing catches no more than its share")
		}
		if caught, ok := agreement.CaughtErrors(confidence, right, 1).Value(); ok {
			require.InDelta(t, 1, caught, 1e-9, "reviewing everything catches everything")
		}
	})
}

func TestAnIntervalHoldsItsBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x, y := ratings(t)
		groups := make([]int, len(x))
		for i := range groups {
			groups[i] = rapid.IntRange(0, 4).Draw(t, "group")
		}
		by := rapid.SampledFrom([]agreement.By{agreement.ByRow, agreement.ByQuestion}).Draw(t, "by")
		e := agreement.Bootstrap(groups, by, 60, 1, func(s agreement.Sample) []agreement.Figure {
			return []agreement.Figure{agreement.MAE(ordered(x, s.Rows), ordered(y, s.Rows))}
		})[0]
		require.True(t, e.Low.Defined() && e.High.Defined())
		require.LessOrEqual(t, e.Low.Or(0), e.High.Or(0))
		require.GreaterOrEqual(t, e.Low.Or(0), 0.0)
		require.LessOrEqual(t, e.High.Or(0), 1.0)
	})
}

func TestWilsonHoldsItsShare(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 1000).Draw(t, "n")
		count := rapid.IntRange(0, n).Draw(t, "count")
		e := agreement.Wilson(count, n)
		share := float64(count) / float64(n)
		require.LessOrEqual(t, e.Low.Or(9), share+1e-12)
		require.GreaterOrEqual(t, e.High.Or(-9), share-1e-12)
		more := agreement.Wilson(10*count, 10*n)
		require.LessOrEqual(t, more.High.Or(9)-more.Low.Or(0), e.High.Or(0)-e.Low.Or(0)+1e-12, "more data are surer")
	})
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func ordered[T any](v []T, order []int) []T {
	out := make([]T, 0, len(order))
	for _, i := range order {
		out = append(out, v[i])
	}
	return slices.Clip(out)
}

// moved is a rating on another scale. The factor is a power of two, so that
// equal ratings stay equal.
func moved(v []float64) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		out[i] = 4*v[i] + 8
	}
	return out
}
