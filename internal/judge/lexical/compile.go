package lexical

import (
	"regexp"
	"slices"
	"strings"

	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/text"
)

// compiled is a question made ready for matching. It is immutable.
type compiled struct {
	question  *rubric.Question
	reference *evidence.Reference
	vocab     *vocabulary
	order     *order
	phrasings []phrasing
	// holders are the phrasings that contain each term.
	holders  [][]int32
	criteria []criterion
	// reach is the longest window of any phrasing.
	reach int
	// sampleWords is the length of the sample answer; 0 without one.
	sampleWords int
	// measured is true where there is a sample answer, the question's own or one
	// of the bank's, that shows what a good answer matches.
	measured bool
	// lengths are the mean logarithms of the words of the texts by which chance
	// was measured, shortest first.
	lengths [lengths]float64
}

// criterion is what is known of a criterion before any answer.
type criterion struct {
	*rubric.Criterion
	// signal is its own or one that it borrows.
	signal rubric.Signal
	// chance is what texts that do not speak to it match on average, by length;
	// spread is the standard deviation of that.
	chance [lengths]float64
	spread float64
	// zero and full are the matches of credit 0 and 1 where there is no sample
	// answer to learn from.
	zero, full float64
	// anchored is true where the sample answer shows that chance is a measure.
	anchored bool
	// wordless is true where neither statement nor phrases hold a word.
	wordless bool
	// many is true where there are phrasings enough that a right answer matches
	// several.
	many bool
	// weak marks a criterion whose sample matches hardly better than anything.
	weak bool
}

// compile prepares a question. The cost is a few milliseconds.
func compile(q *rubric.Question) *compiled {
	c := &compiled{
		question: q,
		reference: evidence.NewReference(evidence.ReferenceTexts{
			Question: q.Text, Guidance: q.Guidance, Sample: q.SampleAnswer,
		}),
		vocab: newVocabulary(&theBank().stats),
		order: newOrder(),
	}
	asked, sample := text.Parse(q.Text), text.Parse(q.SampleAnswer)
	for i := range asked.Tokens {
		if t := &asked.Tokens[i]; t.Class != text.Function {
			c.vocab.demoted[t.Stem] = true
		}
	}
	c.sampleWords = len(sample.Tokens)
	c.measured = c.sampleWords > 0
	c.vocab.observe(asked)
	if q.Guidance != "" {
		c.vocab.observe(text.Parse(q.Guidance))
	}
	if q.SampleAnswer != "" {
		c.vocab.observe(sample)
	}

	drafts := make([][]draft, len(q.Criteria))
	for i := range q.Criteria {
		drafts[i] = draftsOf(&q.Criteria[i])
		docs := make([]*text.Doc, 0, len(drafts[i]))
		for j, d := range drafts[i] {
			docs = append(docs, d.doc)
			c.order.add(d.doc.Tokens, j == 0)
		}
		c.vocab.observe(docs...)
		c.criteria = append(c.criteria, criterion{Criterion: &q.Criteria[i], signal: q.Criteria[i].Signal})
	}
	for i := range drafts {
		drafts[i] = slices.DeleteFunc(drafts[i], func(d draft) bool { return d.first == d.last })
		c.criteria[i].wordless = len(drafts[i]) == 0
		c.phrase(int32(i), drafts[i])
	}
	c.index()
	if t := c.related(asked); t != nil {
		c.borrow(t)
		c.index()
		if len(sample.Tokens) == 0 {
			sample = t.answer
			c.sampleWords = len(sample.Tokens)
		}
	}
	if len(sample.Sentences) > 0 {
		for i, sentences := range c.align(sample) {
			c.phrase(int32(i), sentences)
		}
		c.index()
	}
	c.anchor(asked, sample)
	return c
}

// draft is a phrasing before its terms are weighed.
type draft struct {
	doc *text.Doc
	// first and last bound its tokens.
	first, last int
	statement   bool // written in the rubric's voice
	aligned     bool
}

func whole(doc *text.Doc) draft {
	return draft{doc: doc, last: len(doc.Tokens)}
}

// draftsOf lists what a criterion's author wrote: statement, its alternatives,
// and phrases.
func draftsOf(c *rubric.Criterion) []draft {
	var out []draft
	for _, s := range alternatives(c.Statement) {
		d := whole(text.Parse(s))
		d.statement = true
		out = append(out, d)
	}
	for _, p := range c.Phrases {
		out = append(out, whole(text.Parse(p)))
	}
	return out
}

var (
	bullet = regexp.MustCompile(`(?m)^\s*[*•-]\s+`)
	orWord = regexp.MustCompile(`\bOR\b|;\s*or\b|,\s*or that\b`)
)

// alternatives takes apart a statement that says itself that one of several
// things is enough. The whole statement comes first.
func alternatives(statement string) []string {
	out := []string{statement}
	parts := []string{statement}
	if at := bullet.FindAllStringIndex(statement, -1); len(at) > 1 {
		parts = nil
		for i, b := range at {
			end := len(statement)
			if i+1 < len(at) {
				end = at[i+1][0]
			}
			parts = append(parts, statement[b[1]:end])
		}
	}
	for _, p := range parts {
		out = append(out, orWord.Split(p, -1)...)
	}
	out = slices.DeleteFunc(out, func(s string) bool { return len(strings.Fields(s)) < 2 && len(out) > 1 })
	if len(out) == 0 {
		return []string{statement}
	}
	slices.SortStableFunc(out, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(out)
}

// rubricWords are stems with which rubrics speak about answers.
var rubricWords = func() map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(`state states describe describes mention mentions explain explains give gives show
		shows include includes say says define defines report reports name names identify identifies recognize
		recognizes indicate indicates note notes discuss discusses list lists provide provides demonstrate
		demonstrates student students answer answers candidate response correct correctly likely following either
		least concrete specific specifically conclude concludes link links support supports write writes using
		use uses tell tells lay lays`) {
		out[stemsOf(w)[0]] = true
	}
	return out
}()

// phrase adds the phrasings of one criterion.
func (c *compiled) phrase(of int32, drafts []draft) {
	first := len(c.phrasings)
	// With a sample answer for measure, many phrasings are many ways to say it.
	many := c.criteria[of].many || len(drafts) >= manyPhrasings && c.measured
	var us []unit
	for _, d := range drafts {
		marks := negations(nil, d.doc, false)
		ph := phrasing{criterion: of, aligned: d.aligned, reach: longestWindow}
		if n := d.doc.Tokens[d.last-1].Sentence - d.doc.Tokens[d.first].Sentence + 1; n > ph.reach {
			ph.reach = n
		}
		us = units(us[:0], d.doc, d.first, d.last)
		saying := slices.ContainsFunc(us, func(u unit) bool { return u.class != text.Function })
		for _, u := range us {
			if u.inside {
				continue
			}
			// Where there are only function words, they must do.
			if u.class == text.Function && saying {
				if many {
					continue
				}
				if id := c.vocab.add(u.key, functionWeight, 0, nil); !slices.Contains(ph.links, id) {
					ph.links = append(ph.links, id)
					ph.linked += functionWeight
				}
				continue
			}
			w, most := 0.0, 0.0
			for i := u.token; i < u.token+u.tokens; i++ {
				if t := &d.doc.Tokens[i]; t.Class != text.Function || u.tokens == 1 {
					x := c.vocab.weight(t.Stem, t.Class)
					w += x
					most = max(most, x)
				}
			}
			w = min(w, entryShare*most)
			if w == 0 {
				w = 1
			}
			id := c.vocab.add(u.key, w, float64(len(u.key)), u.classes)
			if !many {
				c.vocab.admitSynonyms(id)
			}
			w = c.vocab.terms[id].weight
			if d.statement && rubricWords[u.key] {
				w *= rubricShare
			}
			if slices.ContainsFunc(ph.terms, func(x weighted) bool { return x.term == id }) {
				continue
			}
			ph.terms = append(ph.terms, weighted{term: id, weight: w, negated: marks[u.token]})
		}
		c.phrasings = append(c.phrasings, ph)
	}
	var weights, totals []float64
	for _, ph := range c.phrasings[first:] {
		for _, t := range ph.terms {
			weights = append(weights, t.weight)
		}
	}
	most := capMedians * median(weights)
	for p := first; p < len(c.phrasings); p++ {
		ph := &c.phrasings[p]
		for i := range ph.terms {
			t := &ph.terms[i]
			t.weight = max(min(t.weight, most), 1e-6)
			ph.total += t.weight
			ph.size += c.vocab.terms[t.term].size
		}
		totals = append(totals, ph.total)
	}
	// Few words are matched by chance more easily than many.
	if many && !c.criteria[of].many {
		c.criteria[of].many = true
		typical := median(totals)
		for p := first; p < len(c.phrasings); p++ {
			c.phrasings[p].total = max(c.phrasings[p].total, typical)
		}
	}
}

// index finds the holders of each term and the longest window.
func (c *compiled) index() {
	c.holders = make([][]int32, len(c.vocab.terms))
	for p := range c.phrasings {
		for _, t := range c.phrasings[p].terms {
			c.holders[t.term] = append(c.holders[t.term], int32(p))
		}
		c.reach = max(c.reach, c.phrasings[p].reach)
	}
}
