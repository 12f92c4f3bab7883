package lexical

import (
	"context"
	"fmt"
	"math"

	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// algorithmVersion changes with anything in the code that can change a verdict.
const algorithmVersion = 4

// mostConfident bounds the confidence of a judge that reads words only.
const mostConfident = 0.7

// Judge is the lexical judge. It is safe for concurrent use.
type Judge struct {
	questions *questionCache
}

// New makes a lexical judge. It does no work until the first answer, and keeps
// the questions used last in a compiled form.
func New() *Judge {
	return &Judge{questions: newQuestionCache(keptQuestions)}
}

// Name is "lexical".
func (*Judge) Name() string { return "lexical" }

// Fingerprint names the versions of the algorithm and of its resources.
func (*Judge) Fingerprint() string {
	return fmt.Sprintf("lexical-%d %s %s %s %s", algorithmVersion, bankVersion, freqVersion, lexiconVersion, synonymVersion)
}

// PromptDigest is empty: there is no prompt.
func (*Judge) PromptDigest() string { return "" }

// Judge grades an answer by its words. The error is the context's.
func (j *Judge) Judge(ctx context.Context, task judge.Task) (*judge.Judgement, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("judge lexically: %w", err)
	}
	q := j.questions.get(task.Question)
	reading := task.Reading
	if reading == nil {
		reading = evidence.Read(task.Answer, q.reference)
	}
	return &judge.Judgement{Findings: q.findings(reading)}, nil
}

// findings are the verdicts on one answer.
func (q *compiled) findings(r *evidence.Reading) []judge.Finding {
	out := make([]judge.Finding, len(q.criteria))
	if r.Answer.Blank() {
		for i := range q.criteria {
			c := &q.criteria[i]
			out[i] = judge.Finding{
				CriterionID: c.ID, Verdict: judge.Missed, Comment: c.lacking(judge.Missed), Confidence: mostConfident,
			}
		}
		return out
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	doc := r.Answer.Doc()
	s.read(q, doc, q.readable(r))
	s.score(q, len(s.rows), true)
	for i, cr := range q.credits(s, doc) {
		out[i] = q.finding(s, r, i, cr)
		if q.criteria[i].wordless { // nothing to look for is nobody's fault but the question's
			out[i] = judge.Finding{CriterionID: q.criteria[i].ID, Verdict: judge.CannotAssess}
		}
	}
	return out
}

// verdict names a credit.
func verdict(cr credit) (judge.Verdict, int) {
	thousandths := int(math.Round(cr.value * judge.FullCredit))
	switch {
	case cr.contradicted:
		return judge.Contradicted, 0
	case thousandths >= judge.FullCredit:
		return judge.Met, judge.FullCredit
	case cr.value >= leastCredit:
		return judge.Partial, thousandths
	}
	return judge.Missed, 0
}

// confidence is least where a match lies half way between no credit and full
// credit.
func confidence(c *criterion, cr credit) float64 {
	far := math.Abs(cr.place - 0.5)
	v := 1 / (1 + math.Exp(-6*(far-0.25)))
	switch {
	case c.weak:
		v *= 0.7
	case !c.anchored:
		v *= 0.85
	}
	if cr.contradicted {
		v -= 0.3 // polarity alone is a weak sign
	}
	return math.Round(100*min(max(v, 0.05), mostConfident)) / 100
}

// lacking says in a sentence what a verdict leaves open; nothing for a
// criterion that is met or a pitfall that was kept clear of.
func (c *criterion) lacking(v judge.Verdict) string {
	switch {
	case c.Kind == rubric.Pitfall:
		if v.Credited() {
			return c.Hint
		}
		return ""
	case v == judge.Met:
		return ""
	case v == judge.Contradicted:
		return "The answer seems to say the opposite."
	case v == judge.Partial && c.Partial != "":
		return c.Partial
	case c.Hint != "":
		return c.Hint
	case v == judge.Partial:
		return "The answer touches on this only in part."
	}
	return "The answer does not seem to speak to this."
}
