package lexical

import (
	"math"
	"slices"

	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/text"
)

const (
	// alignedSentences is how many sentences of the sample answer serve as
	// phrasings of a criterion at most.
	alignedSentences = 3
	// alignedMatch is the least match that aligns a sentence, and alignedShare
	// the least share of the match with the criterion it fits best.
	alignedMatch, alignedShare = 0.25, 0.85
	// leastMatch is the match of the only sentence that is aligned for want of a
	// better one.
	leastMatch = 0.12
	// weakGap is the least distance between off-topic answers and the sample.
	weakGap = 0.15
	// ownSample is the share of common words from which an answer of the bank
	// is taken for this question's own sample.
	ownSample = 0.7
)

// align finds the sentences of the sample answer that speak to each criterion.
func (c *compiled) align(sample *text.Doc) [][]draft {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	n := len(sample.Sentences)
	scores := make([][]float64, n)
	keep := make([]bool, n)
	best := make([]float64, n)
	for i := range n {
		clear(keep)
		keep[i] = true
		s.read(c, sample, keep)
		s.score(c, len(s.rows), true)
		scores[i] = make([]float64, len(c.criteria))
		for k := range c.criteria {
			scores[i][k] = s.matches[k].score
			best[i] = max(best[i], scores[i][k])
		}
	}
	out := make([][]draft, len(c.criteria))
	for k := range c.criteria {
		if c.criteria[k].Weight < 0 {
			continue // a sample answer does not show its own pitfalls
		}
		var order []int
		for i := range n {
			if scores[i][k] >= alignedMatch && scores[i][k] >= alignedShare*best[i] {
				order = append(order, i)
			}
		}
		slices.SortStableFunc(order, func(a, b int) int {
			switch {
			case scores[a][k] > scores[b][k]:
				return -1
			case scores[a][k] < scores[b][k]:
				return 1
			}
			return 0
		})
		if len(order) == 0 { // the best there is: a sample speaks to every criterion
			best := 0
			for i := range n {
				if scores[i][k] > scores[best][k] {
					best = i
				}
			}
			if scores[best][k] >= leastMatch {
				order = append(order, best)
			}
		}
		for _, i := range order[:min(len(order), alignedSentences)] {
			sen := sample.Sentences[i]
			out[k] = append(out[k], draft{doc: sample, first: sen.First, last: sen.Last, aligned: true})
		}
	}
	return out
}

// anchor learns what each criterion matches in texts that do not speak to it:
// the answers of the bank, whole and cut short, for a longer answer matches
// more by chance. A sample answer shows that a criterion can be matched at all.
func (c *compiled) anchor(asked, sample *text.Doc) {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	var sums, squares [lengths][]float64
	for l := range lengths {
		sums[l], squares[l] = make([]float64, len(c.criteria)), make([]float64, len(c.criteria))
	}
	n := 0.0
	for i := range theBank().topics {
		other := theBank().topics[i].answer
		if len(sample.Tokens) > 0 && common(other, sample) >= ownSample {
			continue
		}
		n++
		s.read(c, other, nil)
		for l := range lengths {
			sentences := [lengths]int{1, (len(s.rows) + 1) / 2, len(s.rows)}[l]
			c.lengths[l] += math.Log(float64(other.Sentences[sentences-1].Last))
			s.score(c, sentences, true)
			for k := range c.criteria {
				g := s.matches[k].score
				sums[l][k] += g
				squares[l][k] += g * g
			}
		}
	}
	for l := range lengths {
		c.lengths[l] /= n
	}
	s.read(c, asked, nil)
	s.score(c, len(s.rows), true)
	for k := range c.criteria {
		cr := &c.criteria[k]
		for l := range lengths {
			cr.chance[l] = sums[l][k] / n
		}
		whole := cr.chance[lengths-1]
		cr.spread = max(math.Sqrt(max(squares[lengths-1][k]/n-whole*whole, 0)), leastSpread)
		cr.zero = max(priorZero, chanceShare*(whole+cr.spread), givenMatch*s.matches[k].score)
		cr.full = cr.zero + priorFull - priorZero
		more := perPhrasing * math.Log(float64(max(c.count(k), 1)))
		cr.zero += more
		cr.full += more
	}
	if len(sample.Sentences) == 0 {
		return
	}
	s.read(c, sample, nil)
	s.score(c, len(s.rows), false)
	for k := range c.criteria {
		cr := &c.criteria[k]
		high := s.matches[k].score
		if cr.Kind == rubric.Pitfall {
			// The sample answer shows how close a good answer comes to it.
			cr.zero = max(cr.zero, high) + pitfallMargin
			cr.full = cr.zero + pitfallSpan
			continue
		}
		cr.anchored = c.question.SampleAnswer != "" || cr.many
		cr.weak = high-cr.chance[lengths-1] < weakGap
	}
}

// lengths is how many lengths of text are measured: a sentence, about half of
// an answer, and a whole one.
const lengths = 3

// chanceAt is what a text of so many words (their logarithm) matches by chance.
func (c *criterion) chanceAt(measured [lengths]float64, words float64) float64 {
	if words <= measured[0] {
		return c.chance[0] * words / measured[0]
	}
	for l := 1; l < lengths; l++ {
		if words <= measured[l] {
			part := (words - measured[l-1]) / (measured[l] - measured[l-1])
			return c.chance[l-1] + part*(c.chance[l]-c.chance[l-1])
		}
	}
	return c.chance[lengths-1]
}

// common is the share of b's distinct content stems that a has.
func common(a, b *text.Doc) float64 {
	has := map[string]bool{}
	for i := range a.Tokens {
		has[a.Tokens[i].Stem] = true
	}
	shared, total := 0.0, 0.0
	seen := map[string]bool{}
	for i := range b.Tokens {
		t := &b.Tokens[i]
		if t.Class == text.Function || seen[t.Stem] {
			continue
		}
		seen[t.Stem] = true
		total++
		if has[t.Stem] {
			shared++
		}
	}
	return shared / max(total, 1)
}

// count is the number of phrasings of a criterion.
func (c *compiled) count(k int) int {
	n := 0
	for p := range c.phrasings {
		if c.phrasings[p].criterion == int32(k) {
			n++
		}
	}
	return n
}
