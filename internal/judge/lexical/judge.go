package lexical

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/text"
)

// algorithmVersion changes with anything in the code that can change a verdict.
const algorithmVersion = 1

// mostConfident bounds the confidence of a judge that reads words only.
const mostConfident = 0.7

// Judge is the lexical judge. It is safe for concurrent use.
type Judge struct {
	questions *questionCache
}

// New makes a lexical judge. It does no work until the first answer.
func New() *Judge {
	return &Judge{questions: newQuestionCache(keptQuestions)}
}

// Name is "lexical".
func (*Judge) Name() string { return "lexical" }

// Fingerprint names the versions of the algorithm and of its resources.
func (*Judge) Fingerprint() string {
	return fmt.Sprintf("lexical-%d %s %s %s", algorithmVersion, bankVersion, freqVersion, lexiconVersion)
}

// PromptDigest is empty: there is no prompt.
func (*Judge) PromptDigest() string { return "" }

// Judge grades an answer by its words. The error is the context's.
func (j *Judge) Judge(ctx context.Context, task judge.Task) (*judge.Judgement, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("judge lexically: %w", err)
	}
	q := j.questions.get(task.Question)
	return &judge.Judgement{Findings: q.findings(evidence.Prepare(task.Answer))}, nil
}

// findings are the verdicts on one answer.
func (q *compiled) findings(a *evidence.Answer) []judge.Finding {
	doc := a.Doc()
	out := make([]judge.Finding, len(q.criteria))
	for i := range q.criteria {
		c := &q.criteria[i]
		out[i] = judge.Finding{CriterionID: c.ID, Verdict: judge.Missed, Confidence: mostConfident, Comment: c.lacking(judge.Missed)}
	}
	if a.Blank() {
		return out
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.read(q, doc, q.kept(a))
	s.score(q, true)
	credits := q.credits(s, doc)
	for i := range out {
		q.find(&out[i], i, s, doc, credits[i])
	}
	return out
}

// kept says which sentences of an answer are read: not lists of words, not
// orders to the grader, not the question over again.
func (q *compiled) kept(a *evidence.Answer) []bool {
	stuffed, echoed := a.StuffedSentences(), q.reference.EchoedSentences(a)
	in := evidence.Inspect(a, q.reference)
	doc := a.Doc()
	keep := make([]bool, len(doc.Sentences))
	for i, sen := range doc.Sentences {
		keep[i] = !stuffed[i] && !echoed[i] && !repeats(doc, i)
		for _, span := range in.Spans {
			if span.Flag != evidence.InstructionLike && span.Flag != evidence.HiddenText {
				continue
			}
			if covered := min(span.End, sen.End) - max(span.Start, sen.Start); 2*covered >= sen.End-sen.Start {
				keep[i] = false
			}
		}
	}
	return keep
}

// repeats reports whether an earlier sentence says the same words.
func repeats(doc *text.Doc, i int) bool {
	words := doc.Words(i)
	for before := range i {
		earlier := doc.Words(before)
		if len(earlier) != len(words) {
			continue
		}
		same := true
		for k := range words {
			if words[k].Stem != earlier[k].Stem {
				same = false
				break
			}
		}
		if same {
			return true
		}
	}
	return false
}

// credit is what one criterion earns before its verdict.
type credit struct {
	value        float64
	place        float64
	contradicted bool
	sign         sign
}

func (q *compiled) credits(s *scratch, doc *text.Doc) []credit {
	out := make([]credit, len(q.criteria))
	sum, weight := 0.0, 0.0
	places, brief := q.places(s), q.brevity(s)
	for i := range q.criteria {
		c, m := &q.criteria[i], &s.matches[i]
		out[i].place = places[i]
		out[i].value = min(max(places[i], 0), 1)
		if c.Kind != rubric.Pitfall {
			out[i].value = min(out[i].value, brief)
		}
		if m.denied >= tune.denied && m.denied >= m.agreed {
			out[i].contradicted = out[i].value > 0
			out[i].value = 0
		}
		if c.Signal == "" && c.Kind != rubric.Pitfall {
			sum += c.Weight * out[i].value
			weight += c.Weight
		}
	}
	// A form proves nothing in an answer that speaks of something else.
	topical := 1.0
	if weight > 0 {
		topical = min(sum/weight/onTopic, 1)
	}
	for i := range q.criteria {
		c := &q.criteria[i]
		if c.Signal != "" {
			found := detect(c.Signal, doc, s.kept)
			out[i].sign = found
			out[i].value = max(0.5*out[i].value, found.strength*topical*(0.5+0.5*out[i].value))
		}
	}
	return out
}

// places says where each match lies between no credit (0) and full credit (1),
// unbounded.
//
// Where chance is known, a match is measured by how many standard deviations it
// lies above it, and the mean over all criteria says whether the answer speaks
// of the question at all: isolated matches in an answer to something else are
// chance, and a faint match in an answer that is to the point is probably none.
func (q *compiled) places(s *scratch) []float64 {
	out := make([]float64, len(q.criteria))
	length := math.Log(1 + float64(s.tokens()))
	sum, n := 0.0, 0.0
	for i := range q.criteria {
		c := &q.criteria[i]
		if !c.anchored {
			ease := q.ease(s.matches[i].phrasing)
			out[i] = (s.matches[i].score/ease - c.zero) / (c.full - c.zero)
			continue
		}
		out[i] = (s.matches[i].score - q.chanceAt(i, length)) / c.spread
		if c.Signal == "" {
			sum += out[i]
			n++
		}
	}
	lift := 0.0
	if n >= 3 {
		lift = min(max(tune.shrink*(sum/n-tune.neutral), -tune.most), tune.most)
	}
	for i := range q.criteria {
		if q.criteria[i].anchored {
			out[i] = (out[i] + lift - tune.zero) / (tune.full - tune.zero)
		}
	}
	return out
}

// ease is what is asked for in a match with a phrasing, 1 or less: nobody says
// everything that a long reference answer holds.
func (q *compiled) ease(phrasing int32) float64 {
	if phrasing < 0 {
		return 1
	}
	n := float64(len(q.phrasings[phrasing].terms))
	return min(max(1-tune.easeRate*math.Log(n/tune.easeFrom), 0.4), 1)
}

// brevity is the most that a criterion earns in an answer much shorter than
// the sample: half up to briefWords or a quarter of the sample, in full from
// twice that. A short sample shows that a short answer is enough.
func (q *compiled) brevity(s *scratch) float64 {
	if q.sampleWords == 0 {
		return 1
	}
	short := min(briefWords, 0.25*float64(q.sampleWords))
	return min(max(0.5*float64(s.tokens())/short, 0.5), 1)
}

// tokens counts the words of the kept sentences.
func (s *scratch) tokens() int {
	n := 0
	for i := range s.kept {
		n += s.kept[i].tokens
	}
	return n
}

const (
	// briefWords is the length up to which an answer is brief, in words.
	briefWords = 25
	// onTopic is the share of the topical criteria from which a form counts in
	// full.
	onTopic = 0.25
	// leastCredit is the credit below which a criterion is missed, in
	// thousandths.
	leastCredit = 100
)

// find writes the finding on one criterion.
func (q *compiled) find(f *judge.Finding, i int, s *scratch, doc *text.Doc, cr credit) {
	c, m := &q.criteria[i], &s.matches[i]
	f.Credit = int(math.Round(cr.value * judge.FullCredit))
	switch {
	case cr.contradicted:
		f.Verdict, f.Credit = judge.Contradicted, 0
	case f.Credit >= judge.FullCredit:
		f.Verdict = judge.Met
	case f.Credit >= leastCredit:
		f.Verdict = judge.Partial
	default:
		f.Verdict, f.Credit = judge.Missed, 0
	}
	if f.Verdict != judge.Missed {
		f.Evidence = q.quotes(s, doc, m, cr.sign)
		if len(f.Evidence) == 0 {
			f.Verdict, f.Credit = judge.Missed, 0
		}
	}
	f.Comment = c.lacking(f.Verdict)
	z := cr.place - 0.5
	f.Confidence = 1 / (1 + math.Exp(-6*(math.Abs(z)-0.25)))
	if c.weak {
		f.Confidence *= 0.7
	}
	if cr.contradicted {
		f.Confidence -= 0.3
	}
	f.Confidence = math.Round(100*min(max(f.Confidence, 0.05), mostConfident)) / 100
}

// lacking says in a sentence what a verdict leaves open.
func (c *criterion) lacking(v judge.Verdict) string {
	switch {
	case v == judge.Met, c.Kind == rubric.Pitfall && v == judge.Missed:
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

// mostQuotes bounds the quotes of one finding.
const mostQuotes = 3

// quotes shows the sentences behind a match, in the order of the answer: those
// of its window that say most of the phrasing, and the one that says most of
// the next best phrasing.
func (q *compiled) quotes(s *scratch, doc *text.Doc, m *match, found sign) []evidence.Quote {
	var sentences []int
	add := func(sentence int) {
		if len(sentences) < mostQuotes && !slices.Contains(sentences, sentence) {
			sentences = append(sentences, sentence)
		}
	}
	if found.strength > 0 {
		add(found.sentence)
	}
	if m.phrasing >= 0 && m.score > 0 {
		best, second := q.loudest(s, m.phrasing)
		add(s.kept[best].index)
		if second >= 0 {
			add(s.kept[second].index)
		}
		if m.nextPhrasing >= 0 && m.second >= nextShare*m.best {
			best, _ = q.loudest(s, m.nextPhrasing)
			add(s.kept[best].index)
		}
	}
	slices.Sort(sentences)
	out := make([]evidence.Quote, len(sentences))
	for i, sentence := range sentences {
		sen := doc.Sentences[sentence]
		out[i] = evidence.Quote{
			Text: doc.Slice(sen.Start, sen.End), Start: sen.Start, End: sen.End, Match: evidence.Exact,
		}
	}
	return out
}

// nextShare is the share of the best match from which the next best counts as
// evidence, too.
const nextShare = 0.6

// loudest finds, in the best window of a phrasing, the kept sentence that says
// most of it, and another one that says at least half as much; -1 if none.
func (q *compiled) loudest(s *scratch, phrasing int32) (best, second int) {
	terms := len(q.vocab.terms)
	ph := &q.phrasings[phrasing]
	best, second = s.firsts[phrasing], -1
	var most, next float64
	for k := s.firsts[phrasing]; k < s.lasts[phrasing]; k++ {
		sum := 0.0
		for _, t := range ph.terms {
			sum += t.weight * max(s.said[k*terms+int(t.term)], s.denied[k*terms+int(t.term)])
		}
		switch {
		case sum > most:
			second, next = best, most
			best, most = k, sum
		case sum > next:
			second, next = k, sum
		}
	}
	if next < most/2 || next == 0 {
		second = -1
	}
	return best, second
}
