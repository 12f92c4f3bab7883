package lexical

import (
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/gradus-ai/gradus/internal/text"
)

// term is a word, or an entry of several words, that some phrasing of a
// question contains.
type term struct {
	key    string
	weight float64 // see vocabulary.weigh
	size   float64 // letters, for the cosine
	spell  spelling
	// particular says how particular the word is, see specific.
	particular float64
}

// vocabulary is all terms of a question, numbered from 0.
type vocabulary struct {
	terms []term
	// english are the terms that are words of English, and heads the same by
	// their first letters; strange are the others.
	english, strange []int32
	heads            map[string][]int32
	byKey            map[string]int32
	byClass          map[int32][]int32
	// bySynonyms are the terms in each class of synonyms.
	bySynonyms map[int32][]int32
	// demoted are the stems of the question's own text.
	demoted map[string]bool
	// df counts the question's own texts that contain a stem; docs is their
	// number.
	df   map[string]int
	docs int
	// stats are the document frequencies of the bank.
	stats *bankStats
}

func newVocabulary(stats *bankStats) *vocabulary {
	return &vocabulary{
		heads: map[string][]int32{}, byKey: map[string]int32{}, byClass: map[int32][]int32{}, bySynonyms: map[int32][]int32{},
		demoted: map[string]bool{}, df: map[string]int{}, stats: stats,
	}
}

// observe counts one of the question's own texts.
func (v *vocabulary) observe(docs ...*text.Doc) {
	seen := map[string]bool{}
	for _, doc := range docs {
		for i := range doc.Tokens {
			if t := &doc.Tokens[i]; t.Class != text.Function && !seen[t.Stem] {
				seen[t.Stem] = true
				v.df[t.Stem]++
			}
		}
	}
	v.docs++
}

// weight is the weight of a stem: how rare it is, in the bank and the
// question's own texts and in English at large, less what the question gives
// away itself.
func (v *vocabulary) weight(stem string, class text.Class) float64 {
	n := float64(v.stats.docs + v.docs)
	df := float64(v.stats.df[stem] + v.df[stem])
	rare := math.Log(1 + (n-df+0.5)/(df+0.5))
	general := numberWeight
	if class != text.Number {
		general = min(max(math.Ln10*(8-frequencies().zipf(stem))/2, 0), 8)
	}
	w := (n*rare + generalDocs*general) / (n + generalDocs)
	w = math.Pow(w, flatten)
	if v.demoted[stem] {
		w *= givenShare
	}
	return w
}

// add returns the number of a term, new or known.
func (v *vocabulary) add(key string, weight, size float64, classes []int32) int32 {
	if id, ok := v.byKey[key]; ok {
		return id
	}
	id := int32(len(v.terms))
	v.byKey[key] = id
	spell := newSpelling(key)
	v.terms = append(v.terms, term{key: key, weight: weight, size: size, spell: spell, particular: specific(key)})
	switch {
	case !spell.ascii:
	case spell.known:
		v.english = append(v.english, id)
		v.heads[key[:minLetters]] = append(v.heads[key[:minLetters]], id)
	default:
		v.strange = append(v.strange, id)
	}
	for _, c := range classes {
		v.byClass[c] = append(v.byClass[c], id)
	}
	return id
}

// admitSynonyms lets synonyms of a term match it.
func (v *vocabulary) admitSynonyms(id int32) {
	for _, c := range synonyms()[v.terms[id].key] {
		if !slices.Contains(v.bySynonyms[c], id) {
			v.bySynonyms[c] = append(v.bySynonyms[c], id)
		}
	}
}

// hit says that a word of the answer resembles a term. An opposite resembles
// what it denies.
type hit struct {
	term     int32
	sim      float64
	opposite bool
}

// resemble appends the terms that a word of the answer resembles.
func (v *vocabulary) resemble(hits []hit, u *unit) []hit {
	first, stem := len(hits), u.key
	exact, found := v.byKey[stem]
	if found {
		hits = append(hits, hit{term: exact, sim: 1})
	}
	if len(u.classes) > 0 {
		own := specific(stem)
		for _, c := range u.classes {
			for _, t := range v.byClass[c] {
				if !found || t != exact {
					s := min(own, v.terms[t].particular)
					hits = addHit(hits, first, hit{term: t, sim: kinOfCommon + s*(kinOfRare-kinOfCommon)})
				}
			}
		}
	}
	if u.class == text.Number {
		return hits
	}
	if u.class != text.Function {
		for _, c := range synonyms()[stem] {
			for _, t := range v.bySynonyms[c] {
				if !found || t != exact {
					hits = addHit(hits, first, hit{term: t, sim: synonym})
				}
			}
		}
	}
	for _, o := range concepts().forms[stem] {
		if t, ok := v.byKey[o]; ok {
			hits = addHit(hits, first, hit{term: t, sim: sameWord})
		}
	}
	if len(stem) < minLetters || u.class == text.Function {
		return hits
	}
	for _, o := range concepts().opposites[stem] {
		if t, ok := v.byKey[o]; ok {
			hits = addHit(hits, first, hit{term: t, sim: opposed, opposite: true})
		}
	}
	word := newSpelling(stem)
	if !word.ascii {
		return hits
	}
	english := v.english
	if word.known { // two words of English are alike only where they begin alike
		english = v.heads[stem[:minLetters]]
	}
	for _, terms := range [...][]int32{english, v.strange} {
		for _, t := range terms {
			hits = v.spelled(hits, first, &word, t)
		}
	}
	return hits
}

// spelled appends a term that is spelled much like a word of the answer, and is
// not the same.
func (v *vocabulary) spelled(hits []hit, first int, word *spelling, t int32) []hit {
	other := &v.terms[t].spell
	// The least Dice that counts without a common prefix is .7; with one, the
	// first bigrams agree.
	// Two letters swapped in the middle of five leave one bigram.
	common := bits.OnesCount64(word.set & other.set)
	if common == 0 {
		return hits
	}
	common += min(word.repeats, other.repeats)
	if 20*common < 7*(word.n+other.n)-40 && (common < 4 || word.word[:minLetters] != other.word[:minLetters]) {
		return hits
	}
	if word.word == other.word {
		return hits
	}
	if s := letters(word, other); s > 0 {
		hits = addHit(hits, first, hit{term: t, sim: s})
	}
	return hits
}

// addHit keeps the better of two hits on one term, among hits[first:].
func addHit(hits []hit, first int, h hit) []hit {
	for i := first; i < len(hits); i++ {
		if hits[i].term == h.term {
			if hits[i].sim < h.sim {
				hits[i] = h
			}
			return hits
		}
	}
	return append(hits, h)
}

// unit is a word of a text as matching sees it: a content word, or an entry
// of the lexicon.
type unit struct {
	key     string
	class   text.Class
	classes []int32
	token   int // its first token
	tokens  int
	// inside is true for words within an entry: the entry stands for them in a
	// phrasing; in an answer they match by themselves, too.
	inside bool
}

// units lists the words and entries of the tokens [first, last).
func units(out []unit, doc *text.Doc, first, last int) []unit {
	lex := concepts()
	until := first // end of the entry reached
	for i := first; i < last; i++ {
		t := &doc.Tokens[i]
		if i >= until {
			if e := lex.find(doc.Tokens[i:last]); e != nil {
				out = append(out, unit{key: e.key, class: text.Content, classes: e.classes, token: i, tokens: len(e.stems)})
				until = i + len(e.stems)
			}
		}
		u := unit{key: t.Stem, class: t.Class, token: i, tokens: 1, inside: i < until}
		if !u.inside && t.Class != text.Function {
			u.classes = lex.classes[t.Stem]
		}
		out = append(out, u)
	}
	return out
}

// median of values, which it sorts.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// specific says how particular a word is, 0..1: what a common word means
// depends on what it stands beside, a rare one or an entry of several words
// means one thing.
func specific(key string) float64 {
	if strings.IndexByte(key, ' ') >= 0 {
		return 1
	}
	return min(max((commonFrom-frequencies().zipf(key))/(commonFrom-rareFrom), 0), 1)
}
