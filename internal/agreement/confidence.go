package agreement

import (
	"cmp"
	"math"
	"slices"
)

// Brier is the mean squared distance of a confidence in [0, 1] from what came
// true (1) or not (0): 0 is perfect, .25 is what always saying one half gets.
func Brier(confidence []float64, right []bool) Figure {
	return average(truth(confidence, right), confidence, func(t, c float64) float64 { return (t - c) * (t - c) })
}

// ECE is the expected calibration error: the mean distance between confidence
// and the share that came true, over bins of equal mass (the last digits of n
// spread over the first bins). Pairs of equal confidence are told apart by
// nothing, so each counts with the share that came true among all of them.
// Undefined without pairs or bins.
func ECE(confidence []float64, right []bool, bins int) Figure {
	n := len(confidence)
	outcome := truth(confidence, right)
	if n == 0 || bins < 1 {
		return Figure{}
	}
	order := pooled(confidence, outcome)
	bins = min(bins, n)
	sum := 0.0
	for b := range bins {
		gap := 0.0
		for _, i := range order[b*n/bins : (b+1)*n/bins] {
			gap += outcome[i] - confidence[i]
		}
		sum += math.Abs(gap)
	}
	return Of(sum / float64(n))
}

// CaughtErrors is the share of all errors that a person finds by reviewing the
// least confident share of the answers (of equally confident ones, any). A
// judge whose confidence says nothing gets share itself. Undefined without
// errors.
func CaughtErrors(confidence []float64, right []bool, share float64) Figure {
	outcome := truth(confidence, right)
	errors := 0.0
	for _, t := range outcome {
		errors += 1 - t
	}
	if errors == 0 {
		return Figure{}
	}
	caught, left := 0.0, share*float64(len(outcome))
	for _, i := range pooled(confidence, outcome) {
		caught += min(max(left, 0), 1) * (1 - outcome[i])
		left--
	}
	return Of(caught / errors)
}

// RiskAt is the share of errors left among the answers that are kept when only
// the most confident share of them is. Undefined when nothing is kept.
func RiskAt(confidence []float64, right []bool, share float64) Figure {
	outcome := truth(confidence, right)
	kept := share * float64(len(outcome))
	if kept <= 0 {
		return Figure{}
	}
	order := pooled(confidence, outcome)
	slices.Reverse(order)
	risk, left := 0.0, kept
	for _, i := range order {
		risk += min(max(left, 0), 1) * (1 - outcome[i])
		left--
	}
	return Of(risk / kept)
}

// ErrorDetection is the chance that an answer that is right has more
// confidence than one that is wrong (the area under the ROC curve), ties by
// half: .5 is a coin. Undefined unless there are both.
func ErrorDetection(confidence []float64, right []bool) Figure {
	outcome := truth(confidence, right)
	ranks := Ranks(confidence)
	sum, yes := 0.0, 0.0
	for i, t := range outcome {
		sum += t * ranks[i]
		yes += t
	}
	no := float64(len(outcome)) - yes
	if yes == 0 || no == 0 {
		return Figure{}
	}
	return Of((sum - yes*(yes+1)/2) / (yes * no))
}

func truth(confidence []float64, right []bool) []float64 {
	if len(confidence) != len(right) {
		panic("agreement: confidences and outcomes of different lengths")
	}
	out := make([]float64, len(right))
	for i, r := range right {
		if r {
			out[i] = 1
		}
	}
	return out
}

// pooled orders the pairs from the least confident, and replaces the outcome
// of each by the mean over those with its confidence.
func pooled(confidence, outcome []float64) []int {
	order := make([]int, len(confidence))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(confidence[a], confidence[b]) })
	for first := 0; first < len(order); {
		last, sum := first, 0.0
		for last < len(order) && confidence[order[last]] == confidence[order[first]] {
			sum += outcome[order[last]]
			last++
		}
		for _, i := range order[first:last] {
			outcome[i] = sum / float64(last-first)
		}
		first = last
	}
	return order
}
