package agreement

import (
	"cmp"
	"math"
	"slices"
)

// Pearson is the product-moment correlation, in [-1, 1]. It is undefined for
// fewer than two pairs and where one side does not vary.
func Pearson(x, y []float64) Figure {
	n := same(x, y)
	if n < 2 {
		return Figure{}
	}
	mx, my := mean(x), mean(y)
	var xx, yy, xy float64
	for i := range x {
		dx, dy := x[i]-mx, y[i]-my
		xx += dx * dx
		yy += dy * dy
		xy += dx * dy
	}
	if xx < flat || yy < flat {
		return Figure{}
	}
	return Of(min(max(xy/math.Sqrt(xx*yy), -1), 1))
}

// Spearman is Pearson's correlation of the ranks, in [-1, 1]: how well one
// side orders what the other does. Ties share their mean rank.
func Spearman(x, y []float64) Figure {
	same(x, y)
	return Pearson(Ranks(x), Ranks(y))
}

// Ranks numbers the values from 1, the smallest first; equal values share the
// mean of the ranks they take up.
func Ranks(v []float64) []float64 {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(v[a], v[b]) })
	ranks := make([]float64, len(v))
	for first := 0; first < len(order); {
		last := first
		for last+1 < len(order) && v[order[last+1]] == v[order[first]] {
			last++
		}
		for _, i := range order[first : last+1] {
			ranks[i] = float64(first+last)/2 + 1
		}
		first = last + 1
	}
	return ranks
}

// smallestGroup is the number of answers from which PearsonWithin looks at a
// question: below it, a correlation is mostly luck.
const smallestGroup = 5

// PearsonWithin is the mean of Pearson's correlation within each group (a
// question): what is left when telling easy from hard questions earns
// nothing. group numbers the group of each pair. It counts the groups with at
// least 5 pairs whose gold varies; there, predictions that do not vary count
// as 0, for a judge that says the same of all answers is of no use. Undefined
// when no group counts.
func PearsonWithin(group []int, gold, pred []float64) Figure {
	n := same(gold, pred)
	if len(group) != n {
		panic("agreement: groups of a different length")
	}
	var figures []Figure
	for _, members := range Groups(group) {
		if len(members) < smallestGroup {
			continue
		}
		g, p := pick(gold, members), pick(pred, members)
		if slices.Min(g) == slices.Max(g) {
			continue
		}
		figures = append(figures, Of(Pearson(g, p).Or(0)))
	}
	return MeanOf(figures...)
}

// Groups lists the members of each group in order of their first appearance.
func Groups(group []int) [][]int {
	var out [][]int
	at := make(map[int]int)
	for i, g := range group {
		k, known := at[g]
		if !known {
			k = len(out)
			at[g] = k
			out = append(out, nil)
		}
		out[k] = append(out[k], i)
	}
	return out
}

func pick[T any](v []T, members []int) []T {
	out := make([]T, len(members))
	for i, m := range members {
		out[i] = v[m]
	}
	return out
}

// LengthCorrelation is the correlation of pred - gold with the logarithm of
// one plus the number of words: above 0 the judge favours long answers beyond
// what people do.
func LengthCorrelation(gold, pred []float64, words []int) Figure {
	n := same(gold, pred)
	if len(words) != n {
		panic("agreement: lengths of a different length")
	}
	residual, length := make([]float64, n), make([]float64, n)
	for i := range gold {
		residual[i] = pred[i] - gold[i]
		length[i] = math.Log1p(float64(words[i]))
	}
	return Pearson(residual, length)
}
