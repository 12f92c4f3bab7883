package grading

import (
	"fmt"
	"math"

	"github.com/gradus-ai/gradus/internal/calibration"
	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// Points are counted in thousandths of a point (millipoints) and weights in
// millionths (an inline question's may be tiny once scaled to 100), so that
// every sum is exact. A score of 100 is fullScore.
const (
	micro     = 1_000_000
	milli     = 1000
	fullScore = 100 * milli
	bonusCap  = 5 * milli  // what bonus criteria may add in all
	copiedCap = 50 * milli // the most an answer that copies the sample may have
)

// Bands, in millipoints.
const (
	strongFrom     = 80 * milli
	solidFrom      = 60 * milli
	developingFrom = 40 * milli
)

// points is the outcome of a tally.
type points struct {
	value int // millipoints, 0..fullScore; meaningless when unknown
	known bool
}

// tally turns verdicts into points:
//
//	clip( 100 · Σ w·credit / Σ w over the assessed core criteria
//	      + bonus (at most 5) + pitfalls, 0, 100 )
//
// A criterion that could not be assessed is in neither sum. With less than
// half of the core weight assessed there is no score at all.
func tally(q *rubric.Question, findings []judge.Finding) points {
	var earned, assessed, core, bonus, pitfalls int
	for i, c := range q.Criteria {
		f := findings[i]
		w := micropoints(c.Weight)
		known := f.Verdict != judge.CannotAssess
		switch c.Kind {
		case rubric.Bonus:
			bonus += w * f.Credit
		case rubric.Pitfall:
			pitfalls += w * f.Credit // w is negative
		default:
			core += w
			if known {
				assessed += w
				earned += w * f.Credit
			}
		}
	}
	if assessed == 0 || 2*assessed < core {
		return points{}
	}
	// w·credit / w is in thousandths; a hundred of them make a millipoint scale.
	value := divRound(earned*(fullScore/judge.FullCredit), assessed)
	const perMillipoint = micro / milli * judge.FullCredit
	value += min(bonus/perMillipoint, bonusCap) + pitfalls/perMillipoint
	return points{value: max(0, min(value, fullScore)), known: true}
}

func micropoints(weight float64) int { return int(math.Round(weight * micro)) }

// divRound divides a non-negative a by a positive b, halves away from zero.
func divRound(a, b int) int { return (a + b/2) / b }

func (p points) cappedAt(limit int) points {
	p.value = min(p.value, limit)
	return p
}

// corrected is the points after a correction.
func (p points) corrected(c *calibration.Correction) points {
	p.value = int(math.Round(c.Apply(float64(p.value)/fullScore) * fullScore))
	return p
}

// plus is what the points would be with some more of them, of 100.
func (p points) plus(more float64) points {
	p.value = min(p.value+int(math.Round(more*milli)), fullScore)
	return p
}

// above is how far p is above q, in points of 100.
func (p points) above(q points) float64 { return float64(p.value-q.value) / milli }

// tenths is the value as it leaves: tenths of a point.
func (p points) tenths() int { return divRound(p.value, milli/10) }

// score is 0..100 with one decimal; nil when unknown.
func (p points) score() *float64 {
	if !p.known {
		return nil
	}
	score := float64(p.tenths()) / 10
	return &score
}

// band is read off the score as it is shown, so that 80.0 is never "solid".
func (p points) band() *Band {
	if !p.known {
		return nil
	}
	band := Weak
	switch shown := p.tenths() * (milli / 10); {
	case shown >= strongFrom:
		band = Strong
	case shown >= solidFrom:
		band = Solid
	case shown >= developingFrom:
		band = Developing
	}
	return &band
}

// check refuses a judgement that is not about this question's criteria, or
// whose verdicts and credits contradict each other. Nothing is clamped: such a
// judgement is a fault of the judge, not of the answer.
func check(q *rubric.Question, findings []judge.Finding) error {
	if len(findings) != len(q.Criteria) {
		return fmt.Errorf("%d findings for %d criteria", len(findings), len(q.Criteria))
	}
	for i, f := range findings {
		id := q.Criteria[i].ID
		var fits bool
		switch f.Verdict {
		case judge.Met:
			fits = f.Credit == judge.FullCredit
		case judge.Partial:
			fits = f.Credit > 0 && f.Credit < judge.FullCredit
		case judge.Missed, judge.Contradicted, judge.CannotAssess:
			fits = f.Credit == 0
		default:
			return fmt.Errorf("criterion %s: verdict is not on the menu", id)
		}
		switch {
		case f.CriterionID != id:
			return fmt.Errorf("finding %d is not about criterion %s", i, id)
		case !fits:
			return fmt.Errorf("criterion %s: credit %d does not fit verdict %s", id, f.Credit, f.Verdict)
		case math.IsNaN(f.Confidence) || f.Confidence < 0 || f.Confidence > 1:
			return fmt.Errorf("criterion %s: confidence outside 0..1", id)
		}
	}
	return nil
}

// criteria is the findings as the grade shows them.
func criteria(q *rubric.Question, findings []judge.Finding) []CriterionGrade {
	out := make([]CriterionGrade, len(findings))
	for i, f := range findings {
		out[i] = criterionGrade(q.Criteria[i], f)
	}
	return out
}

func criterionGrade(c rubric.Criterion, f judge.Finding) CriterionGrade {
	kind := c.Kind
	if kind == "" {
		kind = rubric.Core
	}
	return CriterionGrade{
		ID:         c.ID,
		Statement:  c.Statement,
		Kind:       kind,
		Weight:     math.Round(c.Weight*100) / 100,
		Verdict:    f.Verdict,
		Credit:     float64(f.Credit) / judge.FullCredit,
		Evidence:   f.Evidence,
		Comment:    f.Comment,
		Confidence: math.Round(f.Confidence*100) / 100,
	}
}

// decided is one finding as it is shown before the grade is made. Comments are
// held against the answer and the rubric only then, so none is shown.
func decided(q *rubric.Question, r *evidence.Reading, index int, f judge.Finding) CriterionGrade {
	checked, _, _ := verify(r, []judge.Finding{f})
	checked[0].Comment = ""
	return criterionGrade(q.Criteria[index], checked[0])
}
