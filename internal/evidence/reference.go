package evidence

import (
	"github.com/gradus-ai/gradus/internal/text"
)

// ReferenceTexts are the texts that come with a question. Empty ones are fine.
type ReferenceTexts struct {
	Question, Guidance, Sample string
	// Rubric is the criteria in the words of their author, which a candidate can
	// have read: statements, hints, phrases.
	Rubric []string
}

// Lengths of the runs of words that show where text comes from.
const (
	// questionRun and echoRun are the runs shared with the question, or with the
	// guidance, from which words are taken for repeated and not for used. The
	// guidance names what answers speak of, so that short runs are no wonder.
	questionRun = 4
	echoRun     = 5
	// shortestEcho is the sentence, in words, that can be an echo.
	shortestEcho = 7
	// sampleRun and guidanceRun are runs that two people seldom write alike.
	sampleRun   = 5
	guidanceRun = 8
	// rubricRun is the run that counts against an answer made of the rubric's
	// texts; some of its phrases are no longer. A question of nine criteria has
	// some 600 of them.
	rubricRun      = 4
	mostRubricRuns = 8192
	// shortestSample is the sample, in words, that can be told from common
	// knowledge; copiedRuns are the runs that a copy shares with it at least.
	shortestSample = 40
	copiedRuns     = 12 // of the rubric, too
)

// Shares, of words or runs of words.
const (
	echoShare   = 0.6 // of a quote, from which it is an echo
	copiedShare = 0.6 // from which an answer is a copy of the sample
	saidAgain   = 0.8 // of a sentence, from which it repeats the question
	mostlyEcho  = 0.4 // of an answer, from which its repetitions are flagged
	recital     = 0.5 // of an answer, from which it recites the rubric
)

// Reference is what is known of a question before any answer: the runs of
// words of its texts. It is immutable and safe for concurrent use.
type Reference struct {
	question, guidance grams           // runs of questionRun and of echoRun words
	recited            grams           // runs of guidanceRun words of the guidance
	sample             grams           // runs of sampleRun words; empty for a short sample
	rubric             grams           // runs of rubricRun words of its texts that the sample does not have
	asked              int             // words of the question
	topic              map[string]bool // words and stems of question and guidance
	attacks            bool            // the question is about attacks by text
	lists              bool            // the question asks for a list
}

// NewReference prepares the texts of a question.
func NewReference(texts ReferenceTexts) *Reference {
	question, guidance, sample := text.Parse(texts.Question), text.Parse(texts.Guidance), text.Parse(texts.Sample)
	r := &Reference{
		question: newGrams(question.Tokens, questionRun),
		guidance: newGrams(guidance.Tokens, echoRun),
		recited:  newGrams(guidance.Tokens, guidanceRun),
		asked:    len(question.Tokens),
		topic:    map[string]bool{},
	}
	r.rubric = newGrams(nil, rubricRun)
	common := newGrams(sample.Tokens, rubricRun)
	for _, t := range texts.Rubric {
		if len(r.rubric.index) >= mostRubricRuns {
			break // callers write rubrics, too, and many are kept
		}
		r.rubric.add(text.Parse(t).Tokens, &common)
	}
	if len(sample.Tokens) >= shortestSample {
		r.sample = newGrams(sample.Tokens, sampleRun)
	} else {
		r.sample = newGrams(nil, sampleRun)
	}
	if len(question.Tokens) > 0 {
		switch question.Tokens[0].Norm {
		case "list", "name", "enumerate":
			r.lists = true
		}
	}
	for _, d := range []*text.Doc{question, guidance} {
		for i, t := range d.Tokens {
			if i > 0 && d.Tokens[i-1].Class == text.Number {
				continue // "(2 marks)" does not make marks the topic
			}
			r.topic[t.Norm] = true
			r.topic[t.Stem] = true
			r.attacks = r.attacks || senses[t.Norm]&attack != 0
		}
	}
	return r
}

// Echoed is the share of words, in [0, 1], that lie in runs of four words or
// more shared with the question, or of five or more shared with the guidance,
// whichever is more.
func (r *Reference) Echoed(tokens []text.Token) float64 {
	if len(tokens) == 0 {
		return 0
	}
	q, g := r.question.covered(tokens), r.guidance.covered(tokens)
	return float64(max(q, g)) / float64(len(tokens))
}

// EchoedSentences reports for each sentence of the answer whether it says
// little but the question or the guidance over again.
func (r *Reference) EchoedSentences(a *Answer) []bool {
	out := make([]bool, len(a.doc.Sentences))
	for i := range out {
		words := a.doc.Words(i)
		out[i] = len(words) >= shortestEcho && r.Echoed(words) >= saidAgain
	}
	return out
}

// CopiedShare says how much of the sample answer an answer copies, in [0, 1]:
// the share of the sample's runs of five words that it has, or the share of its
// own that are the sample's, whichever is more (a part of the sample alone is a
// copy, too, and so is the sample with words around it). It is 0 for a sample
// under 40 words, which honest answers may match by knowing the same thing.
func (r *Reference) CopiedShare(a *Answer) float64 {
	if len(r.sample.index) == 0 {
		return 0
	}
	tokens := a.doc.Tokens
	seen := make([]bool, len(r.sample.index))
	distinct, shared, total := 0, 0, 0
	r.sample.each(tokens, func(_ int, id int32) {
		total++
		if id < 0 {
			return
		}
		shared++
		if !seen[id] {
			seen[id] = true
			distinct++
		}
	})
	share := float64(distinct) / float64(len(seen))
	if shared >= copiedRuns {
		share = max(share, float64(shared)/float64(total))
	}
	return share
}

// grams are the runs of n words of a text, by stem.
type grams struct {
	n     int
	index map[uint64]int32
}

func newGrams(tokens []text.Token, n int) grams {
	g := grams{n: n, index: map[uint64]int32{}}
	g.add(tokens, &grams{})
	return g
}

// add takes in the runs of another text, except those of a text of no interest.
func (g *grams) add(tokens []text.Token, except *grams) {
	g.each(tokens, func(i int, id int32) {
		h := text.RunHash(tokens[i : i+g.n])
		if _, found := except.index[h]; id < 0 && !found {
			g.index[h] = int32(len(g.index))
		}
	})
}

// each visits every run of n tokens with its number in the text of g, or -1.
func (g *grams) each(tokens []text.Token, visit func(i int, id int32)) {
	for i := 0; i+g.n <= len(tokens); i++ {
		id, ok := g.index[text.RunHash(tokens[i:i+g.n])]
		if !ok {
			id = -1
		}
		visit(i, id)
	}
}

// covered counts the tokens that lie in a run shared with the text of g.
func (g *grams) covered(tokens []text.Token) int {
	count, until := 0, 0
	if len(g.index) == 0 {
		return 0
	}
	g.each(tokens, func(i int, id int32) {
		if id >= 0 {
			count += i + g.n - max(i, until)
			until = i + g.n
		}
	})
	return count
}

// runs returns the maximal runs of tokens shared with the text of g, as ranges
// [first, last) of tokens.
func (g *grams) runs(tokens []text.Token) [][2]int {
	var out [][2]int
	if len(g.index) == 0 {
		return nil
	}
	g.each(tokens, func(i int, id int32) {
		switch {
		case id < 0:
		case len(out) > 0 && out[len(out)-1][1] >= i:
			out[len(out)-1][1] = i + g.n
		default:
			out = append(out, [2]int{i, i + g.n})
		}
	})
	return out
}
