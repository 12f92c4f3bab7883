package rubric

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Weights that an inline bonus or pitfall has when none is given, in points.
const (
	DefaultBonus   = 5
	DefaultPitfall = -5
)

// Inline checks a question that came with a request and returns a loaded copy.
//
// Only the question and, for each criterion, id and statement are needed. The
// kind defaults to technical, a criterion's to core. A core weight of 0 means
// not given and becomes the mean of those that are given, so that with none
// given all count the same; core weights may be any positive numbers and are
// scaled to add up to 100. Bonus and pitfall weights are points of 100.
// The form rules of Lint do not apply.
//
// The error is Faults, each with a JSON pointer into the question
// ("/criteria/3/weight").
func Inline(q Question) (*Question, error) {
	q.Criteria = slices.Clone(q.Criteria)
	for i := range q.Criteria {
		q.Criteria[i].Phrases = slices.Clone(q.Criteria[i].Phrases)
	}
	q.trim()

	c := &collector{at: func(string) InvalidError { return InvalidError{} }}
	if q.ID != "" {
		checkID(c, inlineID, "", q.ID, "letters, digits, dots, hyphens and underscores")
	}
	checkQuestion(&q, c, "", inlineID)
	inlineWeights(&q, c)
	if err := c.err(); err != nil {
		return nil, err
	}

	q.digest = q.computeDigest()
	q.Ref = InlineSet + "/" + q.ID
	if q.ID == "" {
		q.Ref = InlineSet + "/" + strings.TrimPrefix(q.digest, "sha256:")[:12]
	}
	return &q, nil
}

// trim does to an inline question what Parse does to the texts of a file.
func (q *Question) trim() {
	for _, t := range []*string{&q.Text, &q.Intent, &q.Guidance, &q.SampleAnswer} {
		*t = strings.TrimSpace(*t)
	}
	for i := range q.Criteria {
		c := &q.Criteria[i]
		for _, t := range []*string{&c.Statement, &c.Partial, &c.Hint} {
			*t = strings.TrimSpace(*t)
		}
		for i := range c.Phrases {
			c.Phrases[i] = strings.TrimSpace(c.Phrases[i])
		}
	}
}

// inlineWeights notes weights that mean nothing, fills in those that are not
// given, and scales the core ones.
func inlineWeights(q *Question, c *collector) {
	largest, given := 0.0, 0
	for i := range q.Criteria {
		cr, at := &q.Criteria[i], "/criteria/"+strconv.Itoa(i)+"/weight"
		w := cr.Weight
		switch {
		case math.IsNaN(w) || math.IsInf(w, 0):
			c.add(at, "the weight is not a number")
		case cr.Kind == Pitfall:
			if w > 0 || w < -100 {
				c.add(at, "a pitfall costs points: its weight is below 0, at least -100")
			}
			if w == 0 {
				cr.Weight = DefaultPitfall
			}
		case cr.Kind == Bonus:
			if w < 0 || w > 100 {
				c.add(at, "the weight of a bonus criterion is above 0, at most 100")
			}
			if w == 0 {
				cr.Weight = DefaultBonus
			}
		case w < 0:
			c.add(at, "the weight of a core criterion is above 0")
		case w > 0:
			largest = max(largest, w)
			given++
		}
	}
	if len(c.faults) > 0 {
		return
	}
	mean := 1.0
	if given > 0 {
		sum := 0.0
		for i := range q.Criteria {
			if cr := &q.Criteria[i]; cr.Kind == Core && cr.Weight > 0 {
				// Of the largest, so that no sum is beyond all numbers and no weight
				// becomes one that is not given.
				cr.Weight = max(cr.Weight/largest, 1e-300)
				sum += cr.Weight
			}
		}
		mean = sum / float64(given)
	}
	sum := 0.0
	for i := range q.Criteria {
		if cr := &q.Criteria[i]; cr.Kind == Core {
			if cr.Weight == 0 {
				cr.Weight = mean
			}
			sum += cr.Weight
		}
	}
	for i := range q.Criteria {
		if cr := &q.Criteria[i]; cr.Kind == Core {
			cr.Weight = scaled(cr.Weight, sum)
		}
	}
}

// scaled is weight as a share of sum in points of CoreTotal, to a millionth of
// a point: so that weights in the same proportions have the same digest.
func scaled(weight, sum float64) float64 {
	points := weight / sum * CoreTotal
	if rounded := math.Round(points*1e6) / 1e6; rounded > 0 {
		return rounded
	}
	return points
}
