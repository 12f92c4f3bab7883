// Package judge says what a judge is: something that reads one answer to one
// question and gives a verdict on each criterion, with quotes to prove it.
//
// Judges choose levels; they never write a score. The implementations live in
// the packages below this one: lexical asks nobody, model asks an LLM.
package judge

import (
	"context"

	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// Verdict is the level a judge chose for one criterion.
type Verdict string

// The menu of verdicts. CannotAssess leaves the criterion out of the score
// and sends the grade to review; it is never a polite word for Missed.
const (
	Met          Verdict = "met"
	Partial      Verdict = "partial"
	Missed       Verdict = "missed"
	Contradicted Verdict = "contradicted"
	CannotAssess Verdict = "cannot_assess"
)

// Valid reports whether v is on the menu.
func (v Verdict) Valid() bool {
	switch v {
	case Met, Partial, Missed, Contradicted, CannotAssess:
		return true
	}
	return false
}

// Credited reports whether v earns anything, and so needs evidence.
func (v Verdict) Credited() bool { return v == Met || v == Partial }

// FullCredit is the credit of a criterion that is met. Credit is counted in
// thousandths so that the tally stays in integers.
const FullCredit = 1000

// Credit is what a verdict earns when the judge has only levels, in
// thousandths of the criterion's weight.
func (v Verdict) Credit() int {
	switch v {
	case Met:
		return FullCredit
	case Partial:
		return FullCredit / 2
	default:
		return 0
	}
}

// Task is one answer to be judged.
type Task struct {
	Question *rubric.Question
	// Answer is valid UTF-8, exactly as sent.
	Answer string
	// Reading is Answer read against ReferenceTexts(Question), from whoever has
	// read it already; nil makes a judge read for itself.
	Reading *evidence.Reading
	// Decided, where set, hears of findings as soon as they are made, by the
	// place of their criterion: in no order, one call at a time. A judge may come
	// to another view of a criterion later, and tell of it again, and one that
	// needs no time need not call it at all. It must be quick.
	Decided func(index int, f Finding)
}

// severalCriteria is the number of criteria from which a rubric describes
// answers. A lone one may be nothing but the right answer, and who gives that
// recites nothing.
const severalCriteria = 3

// ReferenceTexts are the texts of a question that an answer is held against.
func ReferenceTexts(q *rubric.Question) evidence.ReferenceTexts {
	texts := evidence.ReferenceTexts{Question: q.Text, Guidance: q.Guidance, Sample: q.SampleAnswer}
	if len(q.Criteria) < severalCriteria {
		return texts
	}
	for _, c := range q.Criteria {
		texts.Rubric = append(texts.Rubric, c.Statement, c.Partial, c.Hint)
		texts.Rubric = append(texts.Rubric, c.Phrases...)
	}
	return texts
}

// Finding is what a judge says of one criterion.
type Finding struct {
	CriterionID string
	Verdict     Verdict
	// Credit is in thousandths: FullCredit when met, strictly between 0 and
	// FullCredit when partial, 0 otherwise.
	Credit   int
	Evidence []evidence.Quote
	// Comment says in a sentence what is lacking; empty where nothing is.
	Comment string
	// Confidence is in [0, 1].
	Confidence float64
}

// NothingSaid is what there is to find in an answer that says nothing.
func NothingSaid(q *rubric.Question) []Finding {
	findings := make([]Finding, len(q.Criteria))
	for i, c := range q.Criteria {
		findings[i] = Finding{CriterionID: c.ID, Verdict: Missed, Confidence: 1}
	}
	return findings
}

// Usage is what judging one answer cost.
type Usage struct {
	Calls            int      `json:"calls"`
	PromptTokens     int      `json:"prompt_tokens"`
	CachedTokens     int      `json:"cached_tokens"`
	CompletionTokens int      `json:"completion_tokens"`
	CostUSD          *float64 `json:"cost_usd"` // null where no price is known
}

// Judgement is everything a judge says of one answer.
type Judgement struct {
	// Findings holds one entry per criterion, in the question's order.
	Findings []Finding
	// Second is another judge's opinion, formed on the way; nil when none was
	// asked. Same shape as Findings.
	Second []Finding
	// Doubts says why the judgement as a whole should be looked at by a
	// person: short snake_case reasons such as "refused" or "reply_truncated".
	Doubts []string
	// Quotes is how many quotes were offered as proof, where the judge dropped
	// some before Findings; 0 where Findings hold all of them.
	Quotes int
	// Model is the model that answered; empty for a judge without one.
	Model string
	Usage Usage
	// Replies are the raw replies behind the findings, for a sceptic. They
	// are kept apart from the grade and never served with it.
	Replies []string
}

// Judge reads one answer and gives verdicts.
//
// Judge returns an error only when the question could not be put (an outage, a
// rate limit, a deadline, a cancelled context): the caller must not turn that
// into a score. A judge that was asked and gave nothing usable returns a
// Judgement whose findings are CannotAssess, with the reason in Doubts.
// Implementations are safe for concurrent use.
type Judge interface {
	Judge(ctx context.Context, task Task) (*Judgement, error)
	// Name is "model" or "lexical".
	Name() string
	// Fingerprint covers everything except question and answer that could
	// change a verdict: model, settings, resource versions.
	Fingerprint() string
	// PromptDigest is "sha256:HEX" of the prompt templates; empty for a judge
	// that has none.
	PromptDigest() string
}
