package evidence

import (
	"unicode/utf8"

	"github.com/gradus-ai/gradus/internal/text"
)

// Anchors are the words that tie a quote to a criterion: a quote without any
// of them may still prove it, but somebody should look again.
type Anchors struct {
	stems    map[string]bool
	prefixes map[string]bool
}

// prefix is how many letters two words share at the start when they are
// variants of one ("deploys", "deployment").
const prefix = 5

// rubricVerbs are words with which criteria speak about answers; they say
// nothing of what an answer should hold.
var rubricVerbs = words(`state describ explain mention give say show name list identifi answer candid includ note provid
	discuss demonstr point clear clear concret exampl correct correctli link refer make use specif describ least respons`)

// NewAnchors takes the content words and numbers of a criterion's own texts
// (its statement and phrases). Words that the question gives away, and words
// in which criteria speak about answers, count only where nothing else remains.
func NewAnchors(ref ReferenceTexts, criterionTexts ...string) *Anchors {
	given := map[string]bool{}
	for _, t := range text.Parse(ref.Question).Tokens {
		given[t.Stem] = true
	}
	a := &Anchors{stems: map[string]bool{}, prefixes: map[string]bool{}}
	take := func(all bool) {
		for _, s := range criterionTexts {
			each(text.Parse(s).Tokens, func(stem, norm string, class text.Class) {
				if all || class == text.Number || !given[stem] && !rubricVerbs[stem] {
					a.add(stem, norm)
				}
			})
		}
	}
	take(false)
	if len(a.stems) == 0 {
		take(true)
	}
	return a
}

func (a *Anchors) add(stem, norm string) {
	a.stems[stem] = true
	if p, ok := variant(norm); ok {
		a.prefixes[p] = true
	}
}

// Touch reports whether a quote shares an anchor: the same stem or number, or a
// word with the same first five letters. Letters that are words (Han, kana,
// Thai) count in pairs.
func (a *Anchors) Touch(quote string) bool {
	touched := false
	each(text.Parse(quote).Tokens, func(stem, norm string, _ text.Class) {
		if touched {
			return
		}
		if touched = a.stems[stem]; touched {
			return
		}
		if p, ok := variant(norm); ok {
			touched = a.prefixes[p]
		}
	})
	return touched
}

// each visits what can be an anchor: content words, numbers, and neighbouring
// letters of scripts without spaces.
func each(tokens []text.Token, visit func(stem, norm string, class text.Class)) {
	for i, t := range tokens {
		switch {
		case t.Class == text.Function || t.Negator:
		case len(t.Norm) > 1 && utf8.RuneCountInString(t.Norm) == 1: // one letter beyond ASCII
			if i+1 < len(tokens) && tokens[i+1].Start == t.End {
				pair := t.Norm + tokens[i+1].Norm
				visit(pair, pair, text.Content)
			} else if (i == 0 || tokens[i-1].End < t.Start) && len(tokens) == 1 {
				visit(t.Norm, t.Norm, t.Class)
			}
		default:
			visit(t.Stem, t.Norm, t.Class)
		}
	}
}

// variant is the start that the variants of a word share.
func variant(norm string) (string, bool) {
	n := 0
	for i := range norm {
		if n == prefix {
			return norm[:i], true
		}
		n++
	}
	return norm, n == prefix
}
