package agreement

import (
	"cmp"
	"math"
	"slices"
)

// Weighting says how far apart two different ratings are.
type Weighting int

// Unweighted counts every difference alike, Linear by its size, Quadratic by
// the square of its size.
const (
	Unweighted Weighting = iota
	Linear
	Quadratic
)

func (w Weighting) distance(a, b float64) float64 {
	d := a - b
	switch {
	case w == Quadratic:
		return d * d
	case w == Linear:
		return math.Abs(d)
	case d != 0:
		return 1
	default:
		return 0
	}
}

// Kappa is Cohen's kappa of two raters (1960; weighted, 1968): 1 less the
// disagreement seen over the disagreement expected of two independent raters
// with the same habits. 1 is perfect, 0 what chance does. The ratings are
// points of any common scale; Quadratic is the QWK of the grading literature.
// Undefined without pairs, and where chance alone would agree fully.
func Kappa(x, y []float64, w Weighting) Figure {
	n := same(x, y)
	if n == 0 {
		return Figure{}
	}
	seen := 0.0
	for i := range x {
		seen += w.distance(x[i], y[i])
	}
	seen /= float64(n)
	expected := 0.0
	if w == Quadratic {
		// E(a-b)² of independent a and b; no table of all pairs is needed, so
		// that the ratings may be continuous.
		mx, vx := moments(x)
		my, vy := moments(y)
		expected = vx + vy + (mx-my)*(mx-my)
	} else {
		cx, cy := tally(x), tally(y)
		for _, a := range cx {
			for _, b := range cy {
				expected += a.share * b.share * w.distance(a.value, b.value)
			}
		}
	}
	if expected <= flat {
		return Figure{}
	}
	return Of(1 - seen/expected)
}

type portion struct {
	value, share float64
}

// tally lists the distinct values with the share of each, smallest first.
func tally(v []float64) []portion {
	sorted := slices.Clone(v)
	slices.Sort(sorted)
	var out []portion
	for _, x := range sorted {
		if len(out) == 0 || out[len(out)-1].value != x {
			out = append(out, portion{value: x})
		}
		out[len(out)-1].share++
	}
	for i := range out {
		out[i].share /= float64(len(v))
	}
	return out
}

// Level is the level of measurement behind an alpha.
type Level int

// Nominal ratings are names, Ordinal ones have an order, and the differences
// of Interval ones mean something.
const (
	Nominal Level = iota
	Ordinal
	Interval
)

// Alpha is Krippendorff's alpha (2011 computation): 1 less the disagreement
// within units over the disagreement of all ratings with each other. It takes
// any number of raters and missing ratings: each unit lists the ratings it
// has. Units with fewer than two ratings do not count. Undefined where no two
// ratings can be compared, or all ratings are the same.
func Alpha(units [][]float64, level Level) Figure {
	counts := map[float64]float64{}
	total := 0.0
	for _, u := range units {
		if len(u) < 2 {
			continue
		}
		for _, v := range u {
			counts[v]++
			total++
		}
	}
	if total < 2 {
		return Figure{}
	}
	values := make([]float64, 0, len(counts))
	for v := range counts {
		values = append(values, v)
	}
	slices.SortFunc(values, cmp.Compare[float64])
	delta := metric(values, counts, level)

	seen := 0.0
	for _, u := range units {
		if len(u) < 2 {
			continue
		}
		within := 0.0
		for i, a := range u {
			for _, b := range u[i+1:] {
				within += 2 * delta(a, b)
			}
		}
		seen += within / float64(len(u)-1)
	}
	seen /= total
	expected := 0.0
	for i, a := range values {
		for _, b := range values[i+1:] {
			expected += 2 * counts[a] * counts[b] * delta(a, b)
		}
	}
	expected /= total * (total - 1)
	if expected <= flat {
		return Figure{}
	}
	return Of(1 - seen/expected)
}

// metric is the squared distance of two values at a level. The ordinal one is
// the number of ratings from the one to the other, both ends counted by half.
func metric(values []float64, counts map[float64]float64, level Level) func(a, b float64) float64 {
	switch level {
	case Interval:
		return Quadratic.distance
	case Ordinal:
		middle := make(map[float64]float64, len(values))
		below := 0.0
		for _, v := range values {
			middle[v] = below + counts[v]/2
			below += counts[v]
		}
		return func(a, b float64) float64 { return Quadratic.distance(middle[a], middle[b]) }
	default:
		return Unweighted.distance
	}
}
