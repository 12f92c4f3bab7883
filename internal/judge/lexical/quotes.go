package lexical

import (
	"slices"

	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/text"
)

const (
	// mostQuotes bounds the quotes of one finding.
	mostQuotes = 3
	// nextProof is the share of the best match from which the second best is
	// shown, too.
	nextProof = 0.6
)

// finding writes the verdict on one criterion with what proves it.
func (q *compiled) finding(s *scratch, r *evidence.Reading, i int, cr credit) judge.Finding {
	c := &q.criteria[i]
	f := judge.Finding{CriterionID: c.ID, Confidence: confidence(c, cr)}
	f.Verdict, f.Credit = verdict(cr)
	if f.Verdict != judge.Missed {
		// A quote that repeats the question proves nothing. Grading would not
		// know what to make of a criterion without one; this judge does.
		f.Evidence = slices.DeleteFunc(q.quotes(s, r.Answer.Doc(), &s.matches[i], cr.sign), func(x evidence.Quote) bool {
			return !r.Counts(x)
		})
		if len(f.Evidence) == 0 {
			f.Verdict, f.Credit = judge.Missed, 0
		}
	}
	f.Comment = c.lacking(f.Verdict)
	return f
}

// quotes shows what a verdict rests on, in the order of the answer: the
// sentence with the form that was looked for, those of the best window that
// say most of the phrasing, and the one that says most of the next best
// phrasing.
func (q *compiled) quotes(s *scratch, doc *text.Doc, m *match, found sign) []evidence.Quote {
	var spans [][2]int // of sentences
	add := func(first, last int) {
		if span := [2]int{first, last}; len(spans) < mostQuotes && !slices.Contains(spans, span) {
			spans = append(spans, span)
		}
	}
	if found.strength > 0 {
		add(found.sentence, found.sentence+1)
	}
	if m.phrasing >= 0 {
		best, second := q.loudest(s, m.phrasing)
		add(s.rows[best].first, s.rows[best].last)
		if second >= 0 {
			add(s.rows[second].first, s.rows[second].last)
		}
		if m.next >= 0 && m.nextTop >= nextProof*m.top {
			best, _ = q.loudest(s, m.next)
			add(s.rows[best].first, s.rows[best].last)
		}
	}
	slices.SortFunc(spans, func(a, b [2]int) int { return a[0] - b[0] })
	out := make([]evidence.Quote, len(spans))
	for i, span := range spans {
		start, end := doc.Sentences[span[0]].Start, doc.Sentences[span[1]-1].End
		out[i] = evidence.Quote{Text: doc.Slice(start, end), Start: start, End: end, Match: evidence.Exact}
	}
	return out
}

// loudest finds, in the best window of a phrasing, the row that says most of
// it, and another one that says at least half as much; -1 if none.
func (q *compiled) loudest(s *scratch, phrasing int32) (best, second int) {
	terms := len(q.vocab.terms)
	ph := &q.phrasings[phrasing]
	best, second = s.firsts[phrasing], -1
	var most, next float64
	for r := s.firsts[phrasing]; r < s.lasts[phrasing]; r++ {
		sum := 0.0
		for _, t := range ph.terms {
			sum += t.weight * max(s.said[r*terms+int(t.term)], s.denied[r*terms+int(t.term)])
		}
		switch {
		case sum > most:
			second, next = best, most
			best, most = r, sum
		case sum > next:
			second, next = r, sum
		}
	}
	if next < most/2 || next == 0 {
		second = -1
	}
	return best, second
}
