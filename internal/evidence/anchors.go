package evidence

import (
	"unicode/utf8"

	"github.com/gradus-ai/gradus/internal/text"
)

// Anchors are the words that tie a quote to a criterion: a quote without any
// of them may still prove it, but somebody should look again.
type Anchors struct {
	stems     map[string]bool
	prefixes  map[string]bool
	spellings map[string][]string // by stem, for Distinguish
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
	a := newAnchors()
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

func newAnchors() *Anchors {
	return &Anchors{stems: map[string]bool{}, prefixes: map[string]bool{}, spellings: map[string][]string{}}
}

func (a *Anchors) add(stem, norm string) {
	a.stems[stem] = true
	a.spellings[stem] = append(a.spellings[stem], norm)
	if p, ok := variant(norm); ok {
		a.prefixes[p] = true
	}
}

// Distinguish takes from each of a question's anchors the words that many of
// them hold: a word that would tie a quote to half of the criteria ties it to
// none. Anchors that would be left with nothing keep what they have.
func Distinguish(anchors []*Anchors) {
	holders := map[string]int{}
	for _, a := range anchors {
		if a != nil {
			for stem := range a.stems {
				holders[stem]++
			}
		}
	}
	common := func(stem string) bool { return holders[stem] >= 3 && 3*holders[stem] > len(anchors) }
	for _, a := range anchors {
		if a == nil {
			continue
		}
		distinct := newAnchors()
		for stem, norms := range a.spellings {
			if !common(stem) {
				for _, norm := range norms {
					distinct.add(stem, norm)
				}
			}
		}
		if len(distinct.stems) > 0 {
			*a = *distinct
		}
	}
}

// Touch reports whether a quote shares an anchor: the same stem or number, or a
// word with the same first five letters. Letters that are words (Han, kana,
// Thai) count in pairs.
func (a *Anchors) Touch(quote string) bool { return a.Touches(quote, 1) }

// Touches reports whether a quote shares at least n different anchors.
func (a *Anchors) Touches(quote string, n int) bool {
	seen := map[string]bool{}
	each(text.Parse(quote).Tokens, func(stem, norm string, _ text.Class) {
		if a.stems[stem] {
			seen[stem] = true
		} else if p, ok := variant(norm); ok && a.prefixes[p] {
			seen[p] = true
		}
	})
	return len(seen) >= n
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
