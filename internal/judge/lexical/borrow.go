package lexical

import (
	"math"
	"slices"

	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/text"
)

// A bare criterion, "Describes the rollback mechanism", shares few words with
// any answer. Where the bank has a question about the same thing, its criteria
// say what people say who meet them.

// shortlist is how many topics of the bank are looked into.
const shortlist = 3

// related finds the topic of the bank that a question without phrases is about;
// nil if none.
func (c *compiled) related(asked *text.Doc) *topic {
	q := c.question
	if len(q.Criteria) < fewestBare ||
		slices.ContainsFunc(q.Criteria, func(cr rubric.Criterion) bool { return len(cr.Phrases) > 0 }) {
		return nil
	}
	docs := []*text.Doc{asked}
	for i := range q.Criteria {
		docs = append(docs, text.Parse(q.Criteria[i].Statement))
	}
	topics := theBank().topics
	shares := make([]float64, len(topics))
	order := make([]int, len(topics))
	for t := range topics {
		shares[t], order[t] = topics[t].share(docs), t
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case shares[a] > shares[b]:
			return -1
		case shares[a] < shares[b]:
			return 1
		}
		return 0
	})
	best, most := -1, relatedFrom
	for _, t := range order[:min(shortlist, len(order))] {
		if r := shares[t] * c.likeness(&topics[t]); r >= most {
			best, most = t, r
		}
	}
	if best < 0 {
		return nil
	}
	return &topics[best]
}

// share is the share of the content words of docs that a topic speaks of, rare
// ones and such that it repeats first.
func (t *topic) share(docs []*text.Doc) float64 {
	topics := theBank().topics
	seen := map[string]bool{}
	sum, found := 0.0, 0.0
	for _, doc := range docs {
		for i := range doc.Tokens {
			k := &doc.Tokens[i]
			if k.Class == text.Function || seen[k.Stem] || rubricWords[k.Stem] {
				continue
			}
			seen[k.Stem] = true
			df := 0.5
			for j := range topics {
				if topics[j].stems[k.Stem] > 0 {
					df++
				}
			}
			w := math.Log(1 + float64(len(topics))/df)
			sum += w
			n := float64(t.stems[k.Stem])
			found += w * n / (n + 1)
		}
	}
	return found / max(sum, 1)
}

// likeness is how well the criteria of a topic match those of the question, on
// average.
func (c *compiled) likeness(t *topic) float64 {
	sum := 0.0
	scores := c.held(t)
	for k := range c.criteria {
		best := 0.0
		for j := range scores {
			best = max(best, scores[j][k])
		}
		sum += best
	}
	return sum / float64(len(c.criteria))
}

// held is how well each criterion of a topic, read as if it were an answer,
// matches each one of the question.
func (c *compiled) held(t *topic) [][]float64 {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	scores := make([][]float64, len(t.criteria))
	for j := range t.criteria {
		s.read(c, t.criteria[j].doc, nil)
		s.score(c, len(s.rows), true)
		scores[j] = make([]float64, len(c.criteria))
		for k := range c.criteria {
			scores[j][k] = s.matches[k].score
		}
	}
	return scores
}

// borrow gives each criterion the phrases of those criteria of a topic that
// match it best.
func (c *compiled) borrow(t *topic) {
	c.measured = true
	scores := c.held(t)
	for k := range c.criteria {
		if c.criteria[k].Kind == rubric.Pitfall {
			continue
		}
		most := 0.0
		for j := range scores {
			most = max(most, scores[j][k])
		}
		var drafts []draft
		for j := range scores {
			own := slices.Max(scores[j])
			if scores[j][k] < borrowedFrom || scores[j][k] < borrowedShare*most && scores[j][k] < own {
				continue
			}
			doc := t.criteria[j].doc
			for i, sen := range doc.Sentences {
				drafts = append(drafts, draft{doc: doc, first: sen.First, last: sen.Last, statement: i == 0})
			}
			if c.criteria[k].signal == "" && scores[j][k] == most {
				c.criteria[k].signal = t.criteria[j].signal
			}
		}
		if len(drafts) >= manyPhrasings { // a heading that is repeated proves little
			c.phrasings = slices.DeleteFunc(c.phrasings, func(p phrasing) bool { return p.criterion == int32(k) })
		}
		c.phrase(int32(k), drafts)
	}
}
