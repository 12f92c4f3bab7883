// Package api states what goes over the wire: requests, grades, question sets,
// readiness and problems, and a small client that speaks it.
//
// It imports nothing of ours, so that a program that only calls a running
// service can use it alone. Struct tags carry the documentation from which the
// server renders its OpenAPI document.
package api

import "time"

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

// Verdict is the level a judge chose for one criterion.
type Verdict string

// The verdicts. CannotAssess leaves the criterion out of the score.
const (
	Met          Verdict = "met"
	Partial      Verdict = "partial"
	Missed       Verdict = "missed"
	Contradicted Verdict = "contradicted"
	CannotAssess Verdict = "cannot_assess"
)

// Names of the events of a grade that is asked for as text/event-stream: a
// CriterionGrade each time one is decided, then the Grade, or the Problem that
// kept it from being made. EventPing comes in between.
const (
	EventCriterion = "criterion"
	EventGrade     = "grade"
	EventProblem   = "problem"
)

// Grade is the result of grading one answer.
type Grade struct {
	// ID is "gr_" and a content address; nil for a grade that is not kept
	// because it is degraded or has no score.
	ID         *string `json:"id" doc:"Content address of everything that could change the grade; null when the grade is degraded or has no score, and so is not kept." example:"gr_6n4kq2mxw7t3ycqv5h2zr7d4paejs3fu"`
	Status     Status  `json:"status" enum:"graded,needs_review" doc:"needs_review exactly when review.needed."`
	QuestionID string  `json:"question_id" doc:"SET/QUESTION; an inline question is in the set \"inline\"." example:"lead-platform-engineer/first-90-days"`
	// Score is 0..100 with one decimal; nil when nothing could be judged.
	Score      *float64         `json:"score" minimum:"0" maximum:"100" doc:"Points of 100, one decimal; null when too little could be judged."`
	Band       *Band            `json:"band" enum:"strong,solid,developing,weak" doc:"strong from 80, solid from 60, developing from 40, weak below; null without a score."`
	Criteria   []CriterionGrade `json:"criteria" nullable:"false" doc:"One entry per criterion, in the question's order."`
	Feedback   Feedback         `json:"feedback"`
	Integrity  Integrity        `json:"integrity"`
	Review     Review           `json:"review"`
	Provenance Provenance       `json:"provenance"`
	Usage      Usage            `json:"usage"`
}

// CriterionGrade is the verdict on one criterion with what proves it.
type CriterionGrade struct {
	ID        string `json:"id"`
	Statement string `json:"statement" doc:"The observable claim."`
	Kind      string `json:"kind" enum:"core,bonus,pitfall"`
	// Weight is in points of 100; negative for a pitfall.
	Weight  float64 `json:"weight" doc:"Points of 100; negative for a pitfall."`
	Verdict Verdict `json:"verdict" enum:"met,partial,missed,contradicted,cannot_assess"`
	// Credit is the share of the weight earned, 0..1 in steps of .001.
	Credit     float64 `json:"credit" minimum:"0" maximum:"1" doc:"Share of the weight earned."`
	Evidence   []Quote `json:"evidence" nullable:"false" doc:"Passages of the answer that were checked and found."`
	Comment    string  `json:"comment" doc:"What is lacking; empty where nothing is."`
	Confidence float64 `json:"confidence" minimum:"0" maximum:"1"`
}

// Quote is a passage of the answer: exactly the slice [Start, End), counted in
// Unicode code points of the answer as sent.
type Quote struct {
	Quote string `json:"quote"`
	Start int    `json:"start" minimum:"0" doc:"First code point, counted from 0."`
	End   int    `json:"end" minimum:"0" doc:"Code point after the last."`
	Match string `json:"match" enum:"exact,fuzzy"`
}

// Feedback is what the candidate can act on.
type Feedback struct {
	Summary      string        `json:"summary"`
	Strengths    []Strength    `json:"strengths" nullable:"false"`
	Improvements []Improvement `json:"improvements" nullable:"false" doc:"Most points first."`
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
	Starter     string  `json:"starter" doc:"A sentence to begin with, with placeholders; empty below detail full."`
	Points      float64 `json:"points" doc:"What fixing it could win, in points of 100."`
}

// Integrity is what was noticed about the answer without a model. It is data
// beside the score and never changes it silently.
type Integrity struct {
	Flags []string `json:"flags" nullable:"false" enum:"instruction_like,copied_sample,question_echo,guidance_echo,keyword_stuffing,hidden_text"`
	Spans []Span   `json:"spans" nullable:"false"`
}

// Span is a passage of the answer that raised a flag, in code points.
type Span struct {
	Flag  string `json:"flag"`
	Start int    `json:"start" minimum:"0"`
	End   int    `json:"end" minimum:"0"`
}

// Review says whether a person should look, and why.
type Review struct {
	Needed  bool     `json:"needed"`
	Reasons []string `json:"reasons" nullable:"false" doc:"Short snake_case reasons."`
}

// Provenance is what a sceptic needs to redo the grade.
type Provenance struct {
	Judge        string    `json:"judge" enum:"model,lexical"`
	Model        string    `json:"model" doc:"As the endpoint named it; empty for the lexical judge."`
	RubricDigest string    `json:"rubric_digest" doc:"sha256:HEX of the question."`
	PromptDigest string    `json:"prompt_digest" doc:"sha256:HEX of the prompt templates; empty for the lexical judge."`
	GradedAt     time.Time `json:"graded_at"`
	// Degraded is true when the lexical judge stood in for a model that could
	// not be asked.
	Degraded bool `json:"degraded" doc:"The lexical judge stood in for a model that could not be asked."`
	// Calibration is the digest of the calibration file that moved the score;
	// empty where none did. RawScore is then what the score was before, 0..100.
	Calibration string   `json:"calibration,omitempty" doc:"sha256:HEX of the calibration file that moved the score; left out where none did."`
	RawScore    *float64 `json:"raw_score,omitempty" minimum:"0" maximum:"100" doc:"The score before calibration; left out where there was none."`
}

// Usage is what this answer cost now: zero for a grade from the cache.
type Usage struct {
	Calls            int `json:"calls" minimum:"0"`
	PromptTokens     int `json:"prompt_tokens" minimum:"0"`
	CachedTokens     int `json:"cached_tokens" minimum:"0"`
	CompletionTokens int `json:"completion_tokens" minimum:"0"`
	// CostUSD is in US dollars; nil where no price is known.
	CostUSD *float64 `json:"cost_usd" doc:"US dollars; null where no price is known."`
}
