package model

import (
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// sheetsKept bounds the prepared questions in memory: inline questions come
// from callers, who could otherwise fill it.
const sheetsKept = 512

// sheet is what is derived from a question once.
type sheet struct {
	reference *evidence.Reference
	criteria  []criterion
}

// criterion tells whether a quote has to do with a criterion.
type criterion struct {
	anchors *evidence.Anchors // nil where any quote will do
	signal  rubric.Signal
}

func newSheet(q *rubric.Question) *sheet {
	texts := judge.ReferenceTexts(q)
	s := &sheet{reference: evidence.NewReference(texts), criteria: make([]criterion, len(q.Criteria))}
	anchors := make([]*evidence.Anchors, len(q.Criteria))
	for i, c := range q.Criteria {
		if c.Kind == rubric.Pitfall {
			continue // nobody is talked into losing points
		}
		anchors[i] = evidence.NewAnchors(texts, append([]string{c.Statement, c.Partial}, c.Phrases...)...)
		s.criteria[i] = criterion{anchors[i], c.Signal}
	}
	evidence.Distinguish(anchors)
	return s
}

// anchored reports whether some quote has to do with the criterion at index,
// by at least so many of the criterion's own words.
func (s *sheet) anchored(index int, quotes []evidence.Quote, words int) bool {
	c := s.criteria[index]
	return slices.ContainsFunc(quotes, func(quote evidence.Quote) bool {
		return c.anchors == nil || c.anchors.Touches(quote.Text, words) || signals(c.signal, quote.Text)
	})
}

// signWords are words that show a criterion about form, whose own words
// ("gives a figure") need not occur in what shows it.
var signWords = map[rubric.Signal][]string{
	rubric.Quantified:  {"half", "double", "doubled", "twice", "third", "quarter", "dozen", "hundred", "thousand", "million", "zero", "percent"},
	rubric.OwnActions:  {"i", "my", "me", "myself", "we", "our"},
	rubric.PastEvent:   {"was", "were", "had", "did", "when", "once", "ago", "last", "previous", "previously", "former", "year", "years"},
	rubric.Prioritised: {"first", "firstly", "second", "then", "next", "before", "after", "start", "begin", "priority", "priorities", "top", "most", "later", "finally", "order"},
}

// signals reports whether a quote has the form that the signal is about, by
// the roughest of measures: what passes is still the model's verdict, what
// does not gets a second look.
func signals(signal rubric.Signal, quote string) bool {
	words := signWords[signal]
	if words == nil {
		return false
	}
	if signal == rubric.Quantified && strings.ContainsFunc(quote, unicode.IsDigit) {
		return true
	}
	for word := range strings.FieldsFuncSeq(strings.ToLower(quote), func(r rune) bool { return !unicode.IsLetter(r) }) {
		if slices.Contains(words, word) || signal == rubric.PastEvent && len(word) > 4 && strings.HasSuffix(word, "ed") {
			return true
		}
	}
	return false
}

// sheets keeps prepared questions by digest.
type sheets struct {
	mu   sync.Mutex
	kept map[string]*sheet
}

func (s *sheets) of(q *rubric.Question) *sheet {
	digest := q.Digest()
	s.mu.Lock()
	made, found := s.kept[digest]
	s.mu.Unlock()
	if found {
		return made
	}
	made = newSheet(q)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil || len(s.kept) >= sheetsKept {
		s.kept = make(map[string]*sheet) // rare enough to start over
	}
	s.kept[digest] = made
	return made
}
