package grading

import (
	"slices"

	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// Reasons for a review that this package finds; a judge may add its own.
const (
	ReasonCannotAssess   = "cannot_assess"
	ReasonLowConfidence  = "low_confidence"
	ReasonJudgesFarApart = "judges_far_apart"
	ReasonCopiedSample   = "copied_sample"
	ReasonFlaggedQuote   = "flagged_evidence"
)

const (
	// doubtBelow is the confidence under which a criterion's weight counts as
	// in doubt; doubtShare of the core weight in doubt sends a grade to review.
	// The lexical judge caps its confidence and is an estimate by its own word,
	// so only verdicts on the very edge of a cut count.
	doubtBelow        = 0.5
	doubtBelowLexical = 0.25
	doubtShare        = 5 // one fifth

	// farApart is the distance between two judges' scores, in millipoints, from
	// which a person should look.
	farApart = 40 * milli
)

// review decides whether a person should look at the grade, and says why.
func review(q *rubric.Question, findings []judge.Finding, j *judge.Judgement, in evidence.Integrity, total points) Review {
	reasons := append([]string{}, j.Doubts...)
	threshold := doubtBelow
	if j.Model == "" {
		threshold = doubtBelowLexical
	}
	var core, doubt int
	var unassessed, flagged bool
	for i, c := range q.Criteria {
		f := findings[i]
		unknown := f.Verdict == judge.CannotAssess
		unassessed = unassessed || unknown
		flagged = flagged || (f.Verdict.Credited() && touches(in.Spans, f.Evidence))
		if c.Kind == rubric.Bonus || c.Kind == rubric.Pitfall {
			continue
		}
		w := micropoints(c.Weight)
		core += w
		if unknown || f.Confidence < threshold {
			doubt += w
		}
	}
	if unassessed {
		reasons = append(reasons, ReasonCannotAssess)
	}
	if doubtShare*doubt > core {
		reasons = append(reasons, ReasonLowConfidence)
	}
	if j.Second != nil && total.known {
		if second := tally(q, j.Second); second.known && abs(second.value-total.value) > farApart {
			reasons = append(reasons, ReasonJudgesFarApart)
		}
	}
	if in.Has(evidence.CopiedSample) {
		reasons = append(reasons, ReasonCopiedSample)
	} else if flagged {
		reasons = append(reasons, ReasonFlaggedQuote)
	}
	slices.Sort(reasons)
	reasons = slices.Compact(reasons)
	return Review{Needed: len(reasons) > 0, Reasons: reasons}
}

// touches reports whether a flagged passage overlaps a quote.
func touches(spans []evidence.Flagged, quotes []evidence.Quote) bool {
	for _, s := range spans {
		for _, q := range quotes {
			if s.Start < q.End && q.Start < s.End {
				return true
			}
		}
	}
	return false
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}
