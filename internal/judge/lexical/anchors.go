package lexical

import (
	"math"
	"slices"

	"github.com/gradus-ai/gradus/internal/text"
)

const (
	// alignedSentences is how many sentences of the sample answer serve as
	// phrasings of a criterion at most.
	alignedSentences = 3
	// alignedMatch is the least match that aligns a sentence, and alignedShare
	// the least share of the match with the criterion it fits best.
	alignedMatch, alignedShare = 0.25, 0.85
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
		s.score(c, true)
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
		for _, i := range order[:min(len(order), alignedSentences)] {
			sen := sample.Sentences[i]
			out[k] = append(out[k], draft{doc: sample, first: sen.First, last: sen.Last, aligned: true, share: 1})
		}
	}
	return out
}

// anchor sets where credit begins and ends for each criterion: between what
// answers to other questions match and what the question's own sample matches.
func (c *compiled) anchor(asked, sample *text.Doc) {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	sum, squares := make([]float64, len(c.criteria)), make([]float64, len(c.criteria))
	n := 0.0
	measure := func(doc *text.Doc, withAligned bool) {
		s.read(c, doc, nil)
		s.score(c, withAligned)
	}
	for _, other := range theBank().answers {
		if len(sample.Tokens) > 0 && common(other, sample) >= ownSample {
			continue
		}
		measure(other, true)
		for k := range c.criteria {
			g := s.matches[k].score
			sum[k] += g
			squares[k] += g * g
		}
		n++
	}
	low := make([]float64, len(c.criteria))
	for k := range low {
		mean := sum[k] / n
		low[k] = mean + math.Sqrt(max(squares[k]/n-mean*mean, 0))
	}
	measure(asked, true)
	for k := range low {
		low[k] = max(low[k], s.matches[k].score*tune.asked)
	}
	if len(sample.Sentences) > 0 {
		measure(sample, false)
	}
	for k := range c.criteria {
		cr := &c.criteria[k]
		if len(sample.Sentences) == 0 || len(c.phrasings) == 0 {
			cr.zero = max(tune.priorLow, low[k])
			cr.full = cr.zero + tune.priorFull - tune.priorLow
			continue
		}
		high := s.matches[k].score
		cr.weak = high-low[k] < weakGap
		span := max(tune.minSpan, tune.share*(high-low[k]))
		cr.zero, cr.full = low[k]+tune.zero*span, low[k]+tune.full*span
	}
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
