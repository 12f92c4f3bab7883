package agreement

import "math"

// MAE is the mean absolute error, in the unit of the ratings.
func MAE(gold, pred []float64) Figure {
	return average(gold, pred, func(g, p float64) float64 { return math.Abs(p - g) })
}

// RMSE is the root of the mean squared error, in the unit of the ratings.
func RMSE(gold, pred []float64) Figure {
	return root(average(gold, pred, func(g, p float64) float64 { return (p - g) * (p - g) }))
}

// Bias is the mean of pred - gold: above 0, pred is the kinder one.
func Bias(gold, pred []float64) Figure {
	return average(gold, pred, func(g, p float64) float64 { return p - g })
}

// Exact is the share of pairs that are equal, within a millionth.
func Exact(gold, pred []float64) Figure {
	return average(gold, pred, func(g, p float64) float64 {
		if math.Abs(g-p) < 1e-6 {
			return 1
		}
		return 0
	})
}

func average(gold, pred []float64, of func(g, p float64) float64) Figure {
	n := same(gold, pred)
	if n == 0 {
		return Figure{}
	}
	sum := 0.0
	for i := range gold {
		sum += of(gold[i], pred[i])
	}
	return Of(sum / float64(n))
}

func root(f Figure) Figure {
	if !f.defined {
		return f
	}
	return Of(math.Sqrt(f.value))
}

// bands is how many equal bands WeightedRMSE cuts the scale into.
const bands = 10

// WeightedRMSE is the RMSE on a scale of 0 to 1 with equal total weight for
// every tenth of the scale that gold uses, so that a judge cannot do well on
// the score most answers have and badly on the others (Meyer et al. 2024, the
// measure of ASAG2024).
func WeightedRMSE(gold, pred []float64) Figure {
	if same(gold, pred) == 0 {
		return Figure{}
	}
	var count, sum [bands]float64
	for i, g := range gold {
		// A score written as a decimal may lie a rounding error below its band.
		band := min(max(int(math.Floor(g*bands+1e-9)), 0), bands-1)
		count[band]++
		sum[band] += (pred[i] - g) * (pred[i] - g)
	}
	total, used := 0.0, 0.0
	for b := range count {
		if count[b] > 0 {
			total += sum[b] / count[b]
			used++
		}
	}
	return Of(math.Sqrt(total / used))
}

// StandardisedDifference is the difference of the means, pred - gold, in units
// of the pooled standard deviation, the root of the mean of both (population)
// variances. Its size should stay below .15 (Williamson, Xi and Breyer 2012).
// Undefined where neither side varies.
func StandardisedDifference(gold, pred []float64) Figure {
	if same(gold, pred) == 0 {
		return Figure{}
	}
	mg, vg := moments(gold)
	mp, vp := moments(pred)
	pooled := (vg + vp) / 2
	if pooled < flat {
		return Figure{}
	}
	return Of((mp - mg) / math.Sqrt(pooled))
}

// moments are the mean and the population variance.
func moments(v []float64) (m, variance float64) {
	m = mean(v)
	for _, x := range v {
		variance += (x - m) * (x - m)
	}
	return m, variance / float64(len(v))
}
