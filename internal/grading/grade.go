package grading

import (
	"time"

	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// Status says whether a grade stands on its own.
type Status string

// NeedsReview is the status exactly when Review.Needed is true.
const (
	Graded      Status = "graded"
	NeedsReview Status = "needs_review"
)

// Band is the score in one word: strong from 80, solid from 60, developing
// from 40, weak below.
type Band string

// The bands.
const (
	Strong     Band = "strong"
	Solid      Band = "solid"
	Developing Band = "developing"
	Weak       Band = "weak"
)

// Grade is the result of grading one answer. Its JSON is the wire format that
// callers see (package api states the same shape; a test keeps them equal).
// A Grade is immutable once recorded.
type Grade struct {
	// ID is "gr_" and a content address of everything that could change the
	// grade; nil when the grade is degraded or has no score, for such a grade
	// is not kept.
	ID         *string `json:"id"`
	Status     Status  `json:"status"`
	QuestionID string  `json:"question_id"`
	// Score is 0..100 with one decimal; nil when nothing could be judged.
	Score      *float64           `json:"score"`
	Band       *Band              `json:"band"`
	Criteria   []CriterionGrade   `json:"criteria"`
	Feedback   Feedback           `json:"feedback"`
	Integrity  evidence.Integrity `json:"integrity"`
	Review     Review             `json:"review"`
	Provenance Provenance         `json:"provenance"`
	Usage      judge.Usage        `json:"usage"`
}

// CriterionGrade is the verdict on one criterion with what proves it.
type CriterionGrade struct {
	ID        string               `json:"id"`
	Statement string               `json:"statement"`
	Kind      rubric.CriterionKind `json:"kind"`
	// Weight is in points of 100; negative for a pitfall.
	Weight  float64       `json:"weight"`
	Verdict judge.Verdict `json:"verdict"`
	// Credit is the share of the weight earned, 0..1 in steps of .001.
	Credit     float64          `json:"credit"`
	Evidence   []evidence.Quote `json:"evidence"`
	Comment    string           `json:"comment"`
	Confidence float64          `json:"confidence"`
}

// Feedback is what the candidate can act on.
type Feedback struct {
	Summary      string        `json:"summary"`
	Strengths    []Strength    `json:"strengths"`
	Improvements []Improvement `json:"improvements"`
	FollowUp     string        `json:"follow_up"`
}

// Strength is something the answer did, with its own words.
type Strength struct {
	CriterionID string `json:"criterion_id"`
	Text        string `json:"text"`
	Quote       string `json:"quote"`
}

// Improvement is one thing to fix; Points is what it could win, 0..100.
type Improvement struct {
	CriterionID string  `json:"criterion_id"`
	Text        string  `json:"text"`
	Starter     string  `json:"starter"`
	Points      float64 `json:"points"`
}

// Review says whether a person should look, and why.
type Review struct {
	Needed  bool     `json:"needed"`
	Reasons []string `json:"reasons"`
}

// Provenance is what a sceptic needs to redo the grade.
type Provenance struct {
	Judge        string    `json:"judge"`
	Model        string    `json:"model"`
	RubricDigest string    `json:"rubric_digest"`
	PromptDigest string    `json:"prompt_digest"`
	GradedAt     time.Time `json:"graded_at"`
	// Degraded is true when the lexical judge stood in for a model that could
	// not be asked.
	Degraded bool `json:"degraded"`
	// Calibration is the digest of the calibration file that moved the score;
	// empty where none did. RawScore is then what the score was before.
	Calibration string   `json:"calibration,omitempty"`
	RawScore    *float64 `json:"raw_score,omitempty"`
}

// Detail says how much of the feedback a caller wants.
type Detail string

// Nudge names topics only, Hint adds the hint, Full adds starters. The zero
// value means Full.
const (
	Nudge Detail = "nudge"
	Hint  Detail = "hint"
	Full  Detail = "full"
)
