package grading

import (
	"strings"
	"unicode"

	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/text"
)

const (
	// longestComment bounds what a judge may say of one criterion, in code points.
	longestComment = 300
	// leakGram is the run of words shared with the sample answer from which a
	// comment counts as giving the sample away.
	leakGram = 5
)

// vocabulary is what a judge's comment on a question may draw on besides the
// answer: the words of the rubric, sample aside, and the runs of words of the
// sample that it may not recite.
type vocabulary struct {
	words  map[string]bool
	sample map[string]bool
}

func newVocabulary(q *rubric.Question) *vocabulary {
	v := &vocabulary{words: map[string]bool{}, sample: map[string]bool{}}
	texts := []string{q.Text, q.Intent, q.Guidance}
	for _, c := range q.Criteria {
		texts = append(texts, c.Statement, c.Partial, c.Hint)
		texts = append(texts, c.Phrases...)
	}
	for _, s := range texts {
		know(v.words, text.Parse(s))
	}
	for _, run := range runs(text.Parse(q.SampleAnswer)) {
		v.sample[run] = true
	}
	return v
}

// ground decides which of a judge's comments may leave: those whose numbers
// and names stand in the answer or in the rubric, and that do not recite the
// sample answer. The sample is not a source of names either, so that nothing
// that stands only there can reach a candidate through a comment.
type ground struct {
	rubric *vocabulary
	answer map[string]bool
}

func newGround(v *vocabulary, answer *text.Doc) *ground {
	g := &ground{rubric: v, answer: make(map[string]bool, len(answer.Tokens))}
	know(g.answer, answer)
	return g
}

// know adds the words of a text, in each of the forms that a comment may use
// for them: "SLOs" and "SLO", "50%" and "50 percent".
func know(words map[string]bool, doc *text.Doc) {
	for i := range doc.Tokens {
		t := &doc.Tokens[i]
		words[t.Norm], words[t.Stem], words[bare(t)] = true, true, true
	}
}

// bare is a word without its percent sign or the "s" of a plural, which no
// stemmer takes from abbreviations.
func bare(t *text.Token) string { return strings.TrimRight(t.Norm, "%s") }

// keep returns the comment fit to leave, or "".
func (g *ground) keep(comment string) string {
	comment = printable(comment)
	if comment == "" || len([]rune(comment)) > longestComment {
		return ""
	}
	doc := text.Parse(comment)
	for i := range doc.Tokens {
		t := &doc.Tokens[i]
		if t.Class == text.Function || g.known(t.Norm) || g.known(t.Stem) || g.known(bare(t)) {
			continue
		}
		first := []rune(doc.Slice(t.Start, t.End))[0]
		opens := i == 0 || doc.Tokens[i-1].Sentence != t.Sentence
		if strings.ContainsFunc(t.Norm, unicode.IsDigit) || (unicode.IsUpper(first) && !opens) {
			return ""
		}
	}
	for _, run := range runs(doc) {
		if g.rubric.sample[run] {
			return ""
		}
	}
	return comment
}

func (g *ground) known(word string) bool { return g.answer[word] || g.rubric.words[word] }

// runs lists the runs of leakGram words of a text.
func runs(doc *text.Doc) []string {
	var out []string
	for i := 0; i+leakGram <= len(doc.Tokens); i++ {
		words := make([]string, leakGram)
		for k := range words {
			words[k] = doc.Tokens[i+k].Norm
		}
		out = append(out, strings.Join(words, " "))
	}
	return out
}

// printable drops control and format characters and folds white space.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.Is(unicode.C, r):
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}
