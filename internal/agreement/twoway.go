package agreement

import (
	"math"
	"slices"
)

// Scale is the points that raters use, smallest first.
type Scale []float64

// NewScale is the scale of the given points, in order and each once.
func NewScale(points ...float64) Scale {
	s := Scale(slices.Clone(points))
	slices.Sort(s)
	return slices.Compact(s)
}

// With is the scale with one more point.
func (s Scale) With(point float64) Scale {
	at, known := slices.BinarySearch(s, point)
	if known {
		return s
	}
	return slices.Insert(slices.Clone(s), at, point)
}

// Nearest is the point of the scale closest to v; where two are as close, the
// higher; v itself on an empty scale.
func (s Scale) Nearest(v float64) float64 {
	best, least := v, math.Inf(1)
	for _, step := range s {
		if d := math.Abs(step - v); d <= least {
			best, least = step, d
		}
	}
	return best
}

// Confusion counts how a two-way judge does: yes and no, of people and of the
// judge.
type Confusion struct{ TP, FP, FN, TN int }

// Confuse counts the four outcomes.
func Confuse(gold, pred []bool) Confusion {
	if len(gold) != len(pred) {
		panic("agreement: ratings of different lengths")
	}
	var c Confusion
	for i, g := range gold {
		switch {
		case g && pred[i]:
			c.TP++
		case g:
			c.FN++
		case pred[i]:
			c.FP++
		default:
			c.TN++
		}
	}
	return c
}

// N is the number of pairs.
func (c Confusion) N() int { return c.TP + c.FP + c.FN + c.TN }

// Accuracy is the share of pairs that agree.
func (c Confusion) Accuracy() Figure { return ratio(c.TP+c.TN, c.N()) }

// TPR is the share of people's yes that the judge says yes to.
func (c Confusion) TPR() Figure { return ratio(c.TP, c.TP+c.FN) }

// TNR is the share of people's no that the judge says no to.
func (c Confusion) TNR() Figure { return ratio(c.TN, c.TN+c.FP) }

// YesBias is the judge's share of yes less people's: above 0 it is too kind.
func (c Confusion) YesBias() Figure { return ratio(c.FP-c.FN, c.N()) }

// MacroF1 averages the F1 of yes and that of no, over those of the two that
// anyone said. Undefined without pairs.
func (c Confusion) MacroF1() Figure { return MeanOf(c.f1s()...) }

func (c Confusion) f1s() []Figure {
	return []Figure{ratio(2*c.TP, 2*c.TP+c.FP+c.FN), ratio(2*c.TN, 2*c.TN+c.FP+c.FN)}
}

func ratio(a, b int) Figure {
	if b == 0 {
		return Figure{}
	}
	return Of(float64(a) / float64(b))
}

// MacroF1 is the mean F1 over the classes that gold uses. Undefined without
// pairs.
func MacroF1(gold, pred []float64) Figure {
	same(gold, pred)
	var figures []Figure
	for _, class := range tally(gold) {
		g, p := make([]bool, len(gold)), make([]bool, len(gold))
		for i := range gold {
			g[i], p[i] = gold[i] == class.value, pred[i] == class.value
		}
		figures = append(figures, Confuse(g, p).f1s()[0])
	}
	return MeanOf(figures...)
}

// Wilson is the 95 % score interval of a share (Wilson 1927), which stays
// honest where nothing, or everything, was counted.
func Wilson(count, of int) Estimate {
	if of == 0 {
		return Estimate{}
	}
	const z = 1.959963984540054
	n, p := float64(of), float64(count)/float64(of)
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return Estimate{Value: Of(p), Low: Of(max(middle-half, 0)), High: Of(min(middle+half, 1))}
}
