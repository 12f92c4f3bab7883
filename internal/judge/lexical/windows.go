package lexical

import (
	"math"
	"sync"

	"github.com/gradus-ai/gradus/internal/text"
)

// A phrasing is one way to put a criterion into words.
type phrasing struct {
	criterion int32
	// terms, their weights (which add up to total) and their polarity.
	terms []weighted
	total float64
	size  float64 // letters of the terms, the square of the cosine's norm
	// aligned marks a sentence of the sample answer: left out when the sample
	// answer itself is measured.
	aligned bool
	// share is what a full match is worth: 1, or less for the words of
	// `partial`.
	share float64
	// reach is how many sentences a window may hold for it.
	reach int
}

type weighted struct {
	term   int32
	weight float64
	// negated is true where the phrasing denies the word.
	negated bool
}

// match is the best match of one criterion in one answer.
type match struct {
	score float64 // G of the specification, about 0..1
	best  float64 // that of the best phrasing alone
	// window are the sentences [first, last) of the best window, by place among
	// the answer's kept sentences.
	first, last int
	phrasing    int32
	// denied is the share of the phrasing's weight that the window says with
	// the opposite polarity, and agreed what it says with the same.
	denied, agreed float64
	recall         float64
	// second is the score of the next best phrasing, nextPhrasing its number.
	second       float64
	nextPhrasing int32
}

// word is a distinct word of the answer.
type word struct {
	weight, size float64
	hits         []hit
}

// scratch is the working memory of one answer; none of it outlives the call.
type scratch struct {
	// ids numbers the words of the answer; inside those within an entry, which
	// have no classes of their own.
	ids, inside map[string]int32
	words       []word
	hits        []hit
	units       []unit

	// sentences of the answer that are kept, with their units.
	kept []keptSentence
	// said[s*terms+t] is how well sentence s says term t, denied the same for
	// what it denies.
	said, denied []float64
	// precise[s*phrasings+p] is the weight of the words of sentence s that
	// phrasing p explains.
	precise []float64
	// allSaid and allDenied are the best over the whole answer; nowSaid and
	// nowDenied over a window.
	allSaid, allDenied, nowSaid, nowDenied []float64
	best                                   []float64 // per phrasing
	firsts, lasts                          []int     // the best window of each phrasing
	touched                                []int32
	matches                                []match
	negated                                []bool // per token of the answer
}

type keptSentence struct {
	index        int // in the Doc
	weight, size float64
	first, last  int // in scratch.units
	tokens       int
}

var scratches = sync.Pool{New: func() any { return &scratch{ids: map[string]int32{}, inside: map[string]int32{}} }}

// reset makes room for an answer of n sentences to a question.
func (s *scratch) reset(q *compiled, n int) {
	clear(s.ids)
	clear(s.inside)
	s.words, s.hits, s.units, s.kept = s.words[:0], s.hits[:0], s.units[:0], s.kept[:0]
	terms, phrasings := len(q.vocab.terms), len(q.phrasings)
	s.said = zeros(s.said, n*terms)
	s.denied = zeros(s.denied, n*terms)
	s.precise = zeros(s.precise, n*phrasings)
	s.allSaid = zeros(s.allSaid, terms)
	s.allDenied = zeros(s.allDenied, terms)
	s.nowSaid = zeros(s.nowSaid, terms)
	s.nowDenied = zeros(s.nowDenied, terms)
	s.best = zeros(s.best, phrasings)
	if cap(s.firsts) < phrasings {
		s.firsts, s.lasts = make([]int, phrasings), make([]int, phrasings)
	}
	s.firsts, s.lasts = s.firsts[:phrasings], s.lasts[:phrasings]
	s.touched = s.touched[:0]
	if cap(s.matches) < len(q.criteria) {
		s.matches = make([]match, len(q.criteria))
	}
	s.matches = s.matches[:len(q.criteria)]
}

func zeros(buf []float64, n int) []float64 {
	if cap(buf) < n {
		return make([]float64, n, n+n/2)
	}
	buf = buf[:n]
	clear(buf)
	return buf
}

// read fills the sentence tables from the sentences of doc for which keep is
// true (nil keeps all).
func (s *scratch) read(q *compiled, doc *text.Doc, keep []bool) {
	s.reset(q, len(doc.Sentences))
	s.negated = negations(s.negated, doc)
	terms, phrasings := len(q.vocab.terms), len(q.phrasings)
	for i := range doc.Sentences {
		if keep != nil && !keep[i] {
			continue
		}
		at := len(s.kept)
		k := keptSentence{index: i, first: len(s.units), tokens: doc.Sentences[i].Last - doc.Sentences[i].First}
		s.units = units(s.units, doc, doc.Sentences[i].First, doc.Sentences[i].Last)
		k.last = len(s.units)
		for j := k.first; j < k.last; j++ {
			u := &s.units[j]
			id := s.intern(q, u)
			w := &s.words[id]
			said, denied := s.said[at*terms:(at+1)*terms], s.denied[at*terms:(at+1)*terms]
			if s.negated[u.token] {
				said, denied = denied, said
			}
			for _, h := range w.hits {
				row := said
				if h.opposite {
					row = denied
				}
				row[h.term] = max(row[h.term], h.sim)
			}
			if u.tokens == 1 {
				if !contains(s.units[k.first:j], u.key) {
					k.weight += w.weight
					k.size += w.size
					s.explain(q, w, s.precise[at*phrasings:(at+1)*phrasings])
				}
			}
		}
		s.kept = append(s.kept, k)
	}
}

func contains(units []unit, key string) bool {
	for i := range units {
		if units[i].key == key {
			return true
		}
	}
	return false
}

// intern numbers a word of the answer and finds what it resembles, once.
func (s *scratch) intern(q *compiled, u *unit) int32 {
	ids := s.ids
	if u.inside {
		ids = s.inside
	}
	id, ok := ids[u.key]
	if ok {
		return id
	}
	id = int32(len(s.words))
	ids[u.key] = id
	first := len(s.hits)
	s.hits = q.vocab.resemble(s.hits, u.key, u.class, u.classes)
	w := word{size: float64(len(u.key)), hits: s.hits[first:len(s.hits):len(s.hits)]}
	if t, ok := q.vocab.byKey[u.key]; ok {
		w.weight = q.vocab.terms[t].weight
	} else {
		w.weight = q.vocab.weight(u.key, u.class)
	}
	s.words = append(s.words, w)
	return id
}

// explain adds a word's weight to the phrasings that hold something like it.
func (s *scratch) explain(q *compiled, w *word, precise []float64) {
	for _, h := range w.hits {
		for _, p := range q.holders[h.term] {
			if s.best[p] == 0 {
				s.touched = append(s.touched, p)
			}
			s.best[p] = max(s.best[p], h.sim)
		}
	}
	for _, p := range s.touched {
		precise[p] += w.weight * s.best[p]
		s.best[p] = 0
	}
	s.touched = s.touched[:0]
}

// score finds the best match of every criterion. Aligned phrasings are left
// out for the measure of the sample answer itself.
func (s *scratch) score(q *compiled, withAligned bool) {
	s.scoreFirst(q, withAligned, len(s.kept))
}

// scoreFirst does so for the first n kept sentences.
func (s *scratch) scoreFirst(q *compiled, withAligned bool, n int) {
	for c := range s.matches {
		s.matches[c] = match{phrasing: -1, nextPhrasing: -1}
	}
	terms, phrasings := len(q.vocab.terms), len(q.phrasings)
	clear(s.allSaid)
	clear(s.allDenied)
	for k := range n {
		for t := range terms {
			s.allSaid[t] = max(s.allSaid[t], s.said[k*terms+t])
			s.allDenied[t] = max(s.allDenied[t], s.denied[k*terms+t])
		}
	}
	for p := range s.best {
		s.best[p] = -1
	}
	for first := range n {
		copy(s.nowSaid, s.said[first*terms:(first+1)*terms])
		copy(s.nowDenied, s.denied[first*terms:(first+1)*terms])
		weight, size := s.kept[first].weight, s.kept[first].size
		for last := first + 1; last <= min(first+q.reach, n); last++ {
			if last > first+1 {
				row := (last - 1) * terms
				for t := range terms {
					s.nowSaid[t] = max(s.nowSaid[t], s.said[row+t])
					s.nowDenied[t] = max(s.nowDenied[t], s.denied[row+t])
				}
				weight += s.kept[last-1].weight
				size += s.kept[last-1].size
			}
			for p := range q.phrasings {
				ph := &q.phrasings[p]
				if last-first > ph.reach || ph.aligned && !withAligned {
					continue
				}
				precise := 0.0
				for k := first; k < last; k++ {
					precise += s.precise[k*phrasings+p]
				}
				if precise == 0 {
					continue
				}
				s.consider(q, int32(p), first, last, precise, weight, size)
			}
		}
	}
	for p, score := range s.best {
		m := &s.matches[q.phrasings[p].criterion]
		if int32(p) != m.phrasing && score > m.second {
			m.second, m.nextPhrasing = score, int32(p)
		}
	}
	for c := range s.matches {
		m := &s.matches[c]
		m.best = m.score
		if q.criteria[c].many {
			m.score = (1-tune.second)*m.score + tune.second*m.second
		}
	}
	for p := range s.best {
		s.best[p] = 0
	}
}

// consider keeps a window if it matches a criterion best so far.
func (s *scratch) consider(q *compiled, p int32, first, last int, precise, weight, size float64) {
	ph := &q.phrasings[p]
	var agreed, denied, common, whole float64
	for _, t := range ph.terms {
		same, opposite := s.nowSaid[t.term], s.nowDenied[t.term]
		all := max(s.allSaid[t.term], s.allDenied[t.term])
		if t.negated {
			same, opposite = opposite, same
		}
		agreed += t.weight * same
		if opposite > same {
			denied += t.weight * (opposite - same)
			same = opposite
		}
		common += same * q.vocab.terms[t.term].size
		whole += t.weight * all
	}
	recall := (agreed + denied) / ph.total
	precision := min(precise/weight, 1)
	score := tune.recall * recall
	if recall > 0 {
		score += tune.fscore * 5 * precision * recall / (4*precision + recall)
	}
	score += tune.cosine * min(common/math.Sqrt(size*ph.size), 1)
	score = ph.share * (tune.window*score + (1-tune.window)*whole/ph.total)
	if score > s.best[p] {
		s.best[p], s.firsts[p], s.lasts[p] = score, first, last
	}
	if m := &s.matches[ph.criterion]; score > m.score {
		*m = match{
			score: score, first: first, last: last, phrasing: p,
			denied: denied / ph.total, agreed: agreed / ph.total, recall: recall, nextPhrasing: -1,
		}
	}
}
