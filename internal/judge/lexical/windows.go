package lexical

import "math"

// A phrasing is one way to put a criterion into words.
type phrasing struct {
	criterion int32
	terms     []weighted
	// links are the numbers of the terms that are function words, where they
	// count, and linked is their weight together.
	links  []int32
	linked float64
	// total is what the weights of the terms are held against: their sum, or
	// that of a typical phrasing of the criterion if it is more.
	total float64
	// size is the letters of the terms, the square of the norm of the cosine.
	size float64
	// aligned marks a sentence of the sample answer: left out when the sample
	// answer itself is measured.
	aligned bool
	// reach is how many rows a window may hold for it.
	reach int
}

// weighted is a term of a phrasing.
type weighted struct {
	term   int32
	weight float64
	// negated is true where the phrasing denies the word.
	negated bool
}

// match is the best match of one criterion in one answer.
type match struct {
	// score is how well the answer matches the criterion, about 0..1: that of
	// the best phrasing, or a blend of the best two.
	score float64
	// phrasing is the best one, -1 for none, and top its score; next is the
	// second best and nextTop its score.
	phrasing, next int32
	top, nextTop   float64
	// agreed and denied are the shares of the best phrasing's weight that its
	// window says with the same and with the opposite polarity.
	agreed, denied float64
}

// score finds the best match of every criterion in the first n rows. Aligned
// phrasings are left out on demand.
func (s *scratch) score(q *compiled, n int, withAligned bool) {
	for c := range s.matches {
		s.matches[c] = match{phrasing: -1, next: -1}
	}
	for p := range s.best {
		s.best[p] = -1
	}
	terms := len(q.vocab.terms)
	clear(s.allSaid)
	clear(s.allDenied)
	for r := range n {
		widen(s.allSaid, s.said[r*terms:])
		widen(s.allDenied, s.denied[r*terms:])
	}
	for first := range n {
		clear(s.nowSaid)
		clear(s.nowDenied)
		weight, size := 0.0, 0.0
		for last := first + 1; last <= min(first+q.reach, n); last++ {
			widen(s.nowSaid, s.said[(last-1)*terms:])
			widen(s.nowDenied, s.denied[(last-1)*terms:])
			weight += s.rows[last-1].weight
			size += s.rows[last-1].size
			s.window(q, first, last, n, weight, size, withAligned)
		}
	}
	s.blend(q)
	clear(s.best)
}

// widen keeps the greater of each pair; more may be longer.
func widen(values, more []float64) {
	more = more[:len(values)]
	for i, v := range more {
		if v > values[i] {
			values[i] = v
		}
	}
}

// window holds the rows [first, last) against every phrasing.
func (s *scratch) window(q *compiled, first, last, n int, weight, size float64, withAligned bool) {
	phrasings := len(q.phrasings)
	for p := range q.phrasings {
		ph := &q.phrasings[p]
		if last-first > ph.reach || ph.aligned && !withAligned {
			continue
		}
		// A window that begins or ends beside the point is a shorter window.
		if last-first > 1 && !q.criteria[ph.criterion].many &&
			min(s.explained[first*phrasings+p], s.explained[(last-1)*phrasings+p]) < aside {
			continue
		}
		explained := 0.0
		for r := first; r < last; r++ {
			explained += s.explained[r*phrasings+p]
		}
		if explained == 0 {
			continue
		}
		s.consider(q, int32(p), first, last, n, min(explained/max(weight, explained), 1), size)
	}
}

// consider scores a window for a phrasing: how much of the phrasing the window
// says (recall), how much of the window the phrasing holds (precision, in F2),
// and how many letters they share (cosine); and how much of the phrasing is
// said anywhere in the answer.
func (s *scratch) consider(q *compiled, p int32, first, last, n int, precision, size float64) {
	ph := &q.phrasings[p]
	var agreed, denied, common, anywhere float64
	for i := range ph.terms {
		t := &ph.terms[i]
		same, opposite := s.nowSaid[t.term], s.nowDenied[t.term]
		if t.negated {
			same, opposite = opposite, same
		}
		agreed += t.weight * same
		if opposite > same {
			denied += t.weight * (opposite - same)
			same = opposite
		}
		common += same * q.vocab.terms[t.term].size
		anywhere += t.weight * max(s.allSaid[t.term], s.allDenied[t.term])
	}
	if !q.criteria[ph.criterion].many {
		anywhere = s.anywhere(q, p, first, last, n)
	}
	recall := (agreed + denied) / ph.total
	if ph.linked > 0 {
		recall = (recall*ph.total + s.linked(q, p, first, last)) / (ph.total + ph.linked)
	}
	score := recallShare * recall
	if recall > 0 {
		score += fShare * 5 * precision * recall / (4*precision + recall)
	}
	if size > 0 {
		score += cosineShare * min(common/math.Sqrt(size*ph.size), 1)
	}
	score = windowShare*score + (1-windowShare)*anywhere/ph.total
	if !q.criteria[ph.criterion].many {
		score -= deniedCost * denied / ph.total
	}
	if score > s.best[p] {
		s.best[p], s.firsts[p], s.lasts[p] = score, first, last
	}
	if m := &s.matches[ph.criterion]; score > m.top {
		*m = match{phrasing: p, next: -1, top: score, agreed: agreed / ph.total, denied: denied / ph.total}
	}
}

// anywhere is the weight of the terms of a phrasing that are said in a window or
// in other rows that speak to it.
func (s *scratch) anywhere(q *compiled, p int32, first, last, n int) float64 {
	sum := 0.0
	for _, t := range q.phrasings[p].terms {
		best := 0.0
		for r := range n {
			if r >= first && r < last || s.explained[r*len(q.phrasings)+int(p)] >= aside {
				at := r*len(q.vocab.terms) + int(t.term)
				best = max(best, s.said[at], s.denied[at])
			}
		}
		sum += t.weight * best
	}
	return sum
}

// linked is the weight of the function words of a phrasing in those rows of a
// window that say something of it besides.
func (s *scratch) linked(q *compiled, p int32, first, last int) float64 {
	said := 0
	for _, t := range q.phrasings[p].links {
		for r := first; r < last; r++ {
			at := r*len(q.vocab.terms) + int(t)
			if s.explained[r*len(q.phrasings)+int(p)] > 0 && s.said[at]+s.denied[at] > 0 {
				said++
				break
			}
		}
	}
	return functionWeight * float64(said)
}

// blend finds the second best phrasing of each criterion. Where there are many,
// a right answer resembles several of them, and a chance match one.
func (s *scratch) blend(q *compiled) {
	for p, score := range s.best {
		m := &s.matches[q.phrasings[p].criterion]
		if int32(p) != m.phrasing && score > m.nextTop {
			m.next, m.nextTop = int32(p), score
		}
	}
	for c := range s.matches {
		m := &s.matches[c]
		m.score = m.top
		if q.criteria[c].many {
			m.score = (1-nextShare)*m.top + nextShare*m.nextTop
		}
	}
}
