package lexical

import (
	"math"

	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/text"
)

// credit is what one criterion earns before its verdict.
type credit struct {
	// value is the credit, 0..1.
	value float64
	// place is where the match lies between no credit (0) and full credit (1),
	// unbounded.
	place        float64
	contradicted bool
	sign         sign
}

// credits weighs the matches of an answer.
func (q *compiled) credits(s *scratch, doc *text.Doc) []credit {
	out := make([]credit, len(q.criteria))
	q.places(s, out)
	brief := q.brevity(s)
	sum, weight := 0.0, 0.0
	for i := range q.criteria {
		c, m, cr := &q.criteria[i], &s.matches[i], &out[i]
		cr.value = min(max(cr.place, 0), 1)
		if c.Kind != rubric.Pitfall {
			cr.value = min(cr.value, brief)
		}
		if m.denied >= deniedShare && m.denied >= m.agreed {
			cr.contradicted = c.Kind != rubric.Pitfall
			cr.value = 0
		}
		if s.denying && m.denied > 0 { // then what is said in both ways is said in part
			cr.value *= m.agreed / (m.agreed + m.denied)
		}
		if c.signal == "" && c.Kind != rubric.Pitfall {
			sum += c.Weight * cr.value
			weight += c.Weight
		}
	}
	// A form proves nothing in an answer that speaks of something else.
	topical := 1.0
	if weight > 0 {
		topical = min(sum/weight/onTopic, 1)
	}
	for i := range q.criteria {
		if c, cr := &q.criteria[i], &out[i]; c.signal != "" {
			cr.sign = detect(c.signal, doc, s.rows)
			cr.value = min(max(0.5*cr.value, cr.sign.strength*topical*(0.5+0.5*cr.value)), brief)
		}
	}
	return out
}

// onTopic is the share of the other criteria's credit from which a form counts
// in full.
const onTopic = 0.25

// places says where each match lies between no credit and full credit.
//
// Where chance is a measure, a match is counted in standard deviations above
// it. The mean of that over all criteria says whether the answer speaks of the
// question at all: isolated matches in an answer to something else are chance,
// and a faint match in an answer that is to the point is probably none.
func (q *compiled) places(s *scratch, out []credit) {
	length := math.Log(1 + float64(s.tokens(q, apart)))
	sum, n := 0.0, 0.0
	for i := range q.criteria {
		c, m := &q.criteria[i], &s.matches[i]
		if !c.anchored {
			out[i].place = (m.score/q.ease(m.phrasing) - c.zero) / (c.full - c.zero)
			continue
		}
		out[i].place = (m.score - c.chanceAt(q.lengths, length)) / c.spread
		if c.signal == "" {
			sum += out[i].place
			n++
		}
	}
	lift := 0.0
	if n >= 3 { // the mean of one or two says nothing of an answer as a whole
		lift = min(max(liftShare*(sum/n-liftFrom), -mostFall), mostLift)
	}
	for i := range q.criteria {
		if q.criteria[i].anchored {
			out[i].place = (out[i].place + lift - zeroSigma) / (fullSigma - zeroSigma)
		}
	}
}

// ease is what is asked of a match with a phrasing, 1 or less: nobody says
// everything that a long reference answer holds.
func (q *compiled) ease(phrasing int32) float64 {
	if phrasing < 0 {
		return 1
	}
	n := float64(len(q.phrasings[phrasing].terms))
	return min(max(1-easeRate*math.Log(n/easeFrom), easeLeast), 1)
}

// brevity is the most that a criterion earns in an answer much shorter than
// the sample: half up to briefWords or a quarter of the sample, all of it from
// twice that. A short sample shows that a short answer is enough, and without
// a sample nobody knows.
func (q *compiled) brevity(s *scratch) float64 {
	if q.sampleWords == 0 {
		return 1
	}
	short := min(briefWords, 0.25*float64(q.sampleWords))
	return min(max(0.5*float64(s.tokens(q, aside))/short, 0.5), 1)
}
