package agreement

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Estimate is a figure with the ends of its 95 % interval. The ends are
// undefined where an interval could not be had.
type Estimate struct {
	Value Figure `json:"value"`
	Low   Figure `json:"low"`
	High  Figure `json:"high"`
}

// By says what a bootstrap draws.
type By string

// ByQuestion draws whole questions: the honest interval for answers to new
// questions, once there are some tens of them. ByRow draws single answers: how
// sure the figure is for these questions.
const (
	ByQuestion By = "question"
	ByRow      By = "rows"
)

// Sample is one draw. Rows index the data, a row drawn twice stands twice;
// Groups number the question each row came with, one drawn twice being two.
type Sample struct {
	Rows   []int
	Groups []int
}

// Whole is the sample that holds all data once.
func Whole(groups []int) Sample {
	rows := make([]int, len(groups))
	for i := range rows {
		rows[i] = i
	}
	return Sample{Rows: rows, Groups: groups}
}

// Bootstrap estimates figures with 95 % percentile intervals (Efron 1979) from
// rounds draws with replacement. groups numbers the question of each row. The
// draws depend on seed and nothing else, so that the same data give the same
// intervals. figures must always return the same statistics in the same order;
// one that is undefined in more than half of the draws gets no interval.
func Bootstrap(groups []int, by By, rounds int, seed uint64, figures func(Sample) []Figure) []Estimate {
	values := figures(Whole(groups))
	out := make([]Estimate, len(values))
	for i, v := range values {
		out[i].Value = v
	}
	if rounds <= 0 || len(groups) == 0 {
		return out
	}
	draws := make([][]float64, len(values))
	questions := Groups(groups)
	// The stream is fixed so that a seed names the same draws for ever.
	random := rand.New(rand.NewPCG(seed, 0x5eed))
	var sample Sample
	for range rounds {
		sample.Rows, sample.Groups = sample.Rows[:0], sample.Groups[:0]
		if by == ByQuestion {
			for k := range questions {
				for _, row := range questions[random.IntN(len(questions))] {
					sample.Rows = append(sample.Rows, row)
					sample.Groups = append(sample.Groups, k)
				}
			}
		} else {
			for range groups {
				row := random.IntN(len(groups))
				sample.Rows = append(sample.Rows, row)
				sample.Groups = append(sample.Groups, groups[row])
			}
		}
		for i, f := range figures(sample) {
			if v, ok := f.Value(); ok {
				draws[i] = append(draws[i], v)
			}
		}
	}
	for i, d := range draws {
		if !values[i].defined || 2*len(d) <= rounds {
			continue
		}
		slices.Sort(d)
		last := float64(len(d) - 1)
		out[i].Low = Of(d[int(math.Floor(0.025*last))])
		out[i].High = Of(d[int(math.Ceil(0.975*last))])
	}
	return out
}
