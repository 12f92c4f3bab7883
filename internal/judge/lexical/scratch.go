package lexical

import (
	"sync"

	"github.com/gradus-ai/gradus/internal/text"
)

// mostRows is how many rows of sentences an answer is read into at most, which
// bounds the memory for an answer of very many very short lines: beyond it,
// several sentences share a row.
const mostRows = 400

// row is one kept sentence of an answer, seldom several.
type row struct {
	// first and last bound its sentences in the Doc: [first, last).
	first, last int
	// tokens, weight and size count its words and those of its distinct content
	// words, the last two as phrasings do.
	tokens       int
	weight, size float64
}

// word is a distinct word of the answer.
type word struct {
	weight, size float64
	hits         []hit
	// seen is one more than the last row that has the word.
	seen int
}

// scratch is the working memory of one answer; none of it outlives the call.
type scratch struct {
	// ids numbers the words of the answer; inside those within an entry, which
	// have no classes of their own.
	ids, inside map[string]int32
	words       []word
	hits        []hit
	units       []unit
	negated     []bool // per token of the answer
	denying     bool   // of nearly all that the answer names
	rows        []row
	// said[r*terms+t] is how well row r says term t; denied is the same for what
	// it denies.
	said, denied []float64
	// explained[r*phrasings+p] is the weight of the words of row r that phrasing
	// p holds, too.
	explained []float64

	// allSaid and allDenied are the best over the whole answer, nowSaid and
	// nowDenied those over a window, by term.
	allSaid, allDenied, nowSaid, nowDenied []float64
	// best is the score of each phrasing, in its best window [firsts, lasts) of
	// rows. While the answer is read it holds the likeness of one word.
	best          []float64
	firsts, lasts []int
	touched       []int32
	matches       []match
}

var scratches = sync.Pool{New: func() any {
	return &scratch{ids: map[string]int32{}, inside: map[string]int32{}}
}}

// reset makes room for an answer of n sentences to a question.
func (s *scratch) reset(q *compiled, n int) {
	clear(s.ids)
	clear(s.inside)
	s.words, s.hits, s.units, s.rows = s.words[:0], s.hits[:0], s.units[:0], s.rows[:0]
	terms, phrasings := len(q.vocab.terms), len(q.phrasings)
	n = min(n, mostRows)
	s.said = zeros(s.said, n*terms)
	s.denied = zeros(s.denied, n*terms)
	s.explained = zeros(s.explained, n*phrasings)
	s.allSaid = zeros(s.allSaid, terms)
	s.allDenied = zeros(s.allDenied, terms)
	s.nowSaid = zeros(s.nowSaid, terms)
	s.nowDenied = zeros(s.nowDenied, terms)
	s.best = zeros(s.best, phrasings)
	s.firsts = zeros(s.firsts, phrasings)
	s.lasts = zeros(s.lasts, phrasings)
	s.matches = zeros(s.matches, len(q.criteria))
	s.touched = s.touched[:0]
}

// zeros returns n zero values, in buf if it is large enough.
func zeros[T any](buf []T, n int) []T {
	if cap(buf) < n {
		return make([]T, n, n+n/2)
	}
	buf = buf[:n]
	clear(buf)
	return buf
}

// read fills the rows from the sentences of doc for which keep is true; nil
// keeps all.
func (s *scratch) read(q *compiled, doc *text.Doc, keep []bool) {
	s.reset(q, len(doc.Sentences))
	s.denying = denying(doc)
	s.negated = negations(s.negated, doc, s.denying)
	kept := 0
	for i := range doc.Sentences {
		if keep == nil || keep[i] {
			kept++
		}
	}
	share := (kept + mostRows - 1) / mostRows // sentences a row
	inRow := share
	for i := range doc.Sentences {
		if keep != nil && !keep[i] {
			continue
		}
		if inRow >= share || s.rows[len(s.rows)-1].last != i {
			if len(s.rows) < mostRows {
				s.rows = append(s.rows, row{first: i})
			}
			inRow = 0
		}
		inRow++
		s.rows[len(s.rows)-1].last = i + 1
		s.sentence(q, doc, i)
	}
}

// sentence adds a sentence to the last row.
func (s *scratch) sentence(q *compiled, doc *text.Doc, i int) {
	at := len(s.rows) - 1
	r := &s.rows[at]
	r.tokens += doc.Sentences[i].Last - doc.Sentences[i].First
	terms, phrasings := len(q.vocab.terms), len(q.phrasings)
	s.units = units(s.units[:0], doc, doc.Sentences[i].First, doc.Sentences[i].Last)
	for j := range s.units {
		u := &s.units[j]
		w := &s.words[s.intern(q, u)]
		said, denied := s.said[at*terms:(at+1)*terms], s.denied[at*terms:(at+1)*terms]
		if s.negated[u.token] {
			said, denied = denied, said
		}
		for _, h := range w.hits {
			side := said
			if h.opposite {
				side = denied
			}
			side[h.term] = max(side[h.term], h.sim)
		}
		if w.seen == at+1 {
			continue
		}
		w.seen = at + 1
		if u.class == text.Function {
			continue
		}
		if u.tokens == 1 { // the words within an entry count, not the entry
			r.weight += w.weight
			r.size += w.size
		}
		s.explain(q, w, s.explained[at*phrasings:(at+1)*phrasings])
	}
}

// intern numbers a word of the answer and finds what it resembles, once.
func (s *scratch) intern(q *compiled, u *unit) int32 {
	ids := s.ids
	if u.inside {
		ids = s.inside
	}
	if id, ok := ids[u.key]; ok {
		return id
	}
	id := int32(len(s.words))
	ids[u.key] = id
	first := len(s.hits)
	s.hits = q.vocab.resemble(s.hits, u)
	w := word{hits: s.hits[first:len(s.hits):len(s.hits)]}
	if u.class == text.Function {
		s.words = append(s.words, w)
		return id
	}
	w.size = float64(len(u.key))
	if t, ok := q.vocab.byKey[u.key]; ok {
		w.weight = q.vocab.terms[t].weight
	} else {
		w.weight = q.vocab.weight(u.key, u.class)
	}
	s.words = append(s.words, w)
	return id
}

// explain adds a word's weight to the phrasings that hold something like it.
func (s *scratch) explain(q *compiled, w *word, explained []float64) {
	for _, h := range w.hits {
		for _, p := range q.holders[h.term] {
			if s.best[p] == 0 {
				s.touched = append(s.touched, p)
			}
			s.best[p] = max(s.best[p], h.sim)
		}
	}
	for _, p := range s.touched {
		explained[p] += w.weight * s.best[p]
		s.best[p] = 0
	}
	s.touched = s.touched[:0]
}

// tokens counts the words of the rows that share words of a weight of least or
// more with some phrasing: thanks and filler make no answer longer.
func (s *scratch) tokens(q *compiled, least float64) int {
	n, phrasings := 0, len(q.phrasings)
	for r := range s.rows {
		for _, w := range s.explained[r*phrasings : (r+1)*phrasings] {
			if w >= least {
				n += s.rows[r].tokens
				break
			}
		}
	}
	return n
}
