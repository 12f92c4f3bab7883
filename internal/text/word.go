package text

import (
	"hash/maphash"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/snowballstem"
	"github.com/blevesearch/snowballstem/english"
)

// word is what is known of one spelling. Texts repeat their words, so each
// spelling is analysed once and kept (see lexicon).
type word struct {
	spelling string // as written, ASCII letters in lower case
	first    part
	// second is the "not" of a contraction; its Norm is empty elsewhere.
	second part
	// cut is where second begins, in code points from the end of the word.
	cut int
}

type part struct {
	norm, stem string
	hash       uint64 // of stem
	class      Class
	negator    bool
}

const (
	// longestKept is the longest spelling worth keeping, in bytes.
	longestKept = 40
	lexiconSize = 1 << 14
)

// lexicon keeps analysed spellings: a table of fixed size in which a new word
// takes the place of the one that had its slot. It so never grows, never locks,
// and what it holds changes how fast a text is parsed, not the result.
type lexicon struct {
	seed  maphash.Seed
	slots [lexiconSize]atomic.Pointer[word]
}

var words = &lexicon{seed: maphash.MakeSeed()}

// find returns what is known of a spelling, as written.
func (l *lexicon) find(spelling string) *word {
	if len(spelling) > longestKept {
		return analyse(strings.Clone(spelling))
	}
	var buf [longestKept]byte
	low := buf[:len(spelling)]
	for i := range len(spelling) {
		c := spelling[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		low[i] = c
	}
	slot := &l.slots[maphash.Bytes(l.seed, low)%lexiconSize]
	if w := slot.Load(); w != nil && w.spelling == string(low) {
		return w
	}
	w := analyse(string(low)) // a copy: the lexicon must not hold on to whole answers
	slot.Store(w)
	return w
}

// irregular are first halves of contractions that are not words: what they
// stand for, and how much of the spelling is left for the "not".
var irregular = map[string]struct {
	base string
	cut  int
}{"ca": {"can", 2}, "wo": {"will", 2}, "sha": {"shall", 2}, "ai": {"is", 3}}

// careless are contractions written without their apostrophe.
var careless = map[string]string{
	"dont": "do", "doesnt": "does", "didnt": "did", "isnt": "is", "wasnt": "was", "arent": "are", "werent": "were",
	"hasnt": "has", "havent": "have", "hadnt": "had", "shouldnt": "should", "couldnt": "could", "wouldnt": "would",
	"cant": "can", "wont": "will",
}

// analyse takes a spelling apart, and hashes its stems once for all who compare
// runs of words.
func analyse(spelling string) *word {
	w := takeApart(spelling)
	w.first.hash, w.second.hash = fnv1a(w.first.stem), fnv1a(w.second.stem)
	return w
}

func fnv1a(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// takeApart finds contraction, clitic, class and stem.
func takeApart(spelling string) *word {
	w := &word{spelling: spelling}
	norm := spelling
	if !isLowerASCII(norm) {
		norm = normalise(norm)
	}
	if r, _ := utf8.DecodeRuneInString(norm); '0' <= r && r <= '9' {
		norm = strings.ReplaceAll(norm, ",", "")
		w.first = part{norm: norm, stem: norm, class: Number}
		return w
	}
	norm = strings.ReplaceAll(norm, "-", "/") // only pairs hold a hyphen: "blue-green"
	base, cut := contraction(norm)
	if cut > 0 && utf8.RuneCountInString(spelling) > cut {
		w.first, w.second, w.cut = describe(base), describe("not"), cut
		return w
	}
	if at := strings.LastIndexByte(norm, '\''); at > 0 {
		switch norm[at+1:] {
		case "s", "re", "ve", "ll", "d", "m":
			norm = norm[:at]
		}
	}
	w.first = describe(norm)
	return w
}

// contraction splits "don't", "cannot" and the like: the word before the
// "not", and how many code points at the end spell the "not". A cut of 0 means
// there is none.
func contraction(norm string) (base string, cut int) {
	if norm == "cannot" {
		return "can", 3
	}
	if base, ok := careless[norm]; ok {
		if base == "can" || base == "will" {
			return base, 1
		}
		return base, 2
	}
	base, found := strings.CutSuffix(norm, "n't")
	if !found || base == "" {
		return "", 0
	}
	if i, ok := irregular[base]; ok {
		return i.base, i.cut
	}
	return base, 3
}

func describe(norm string) part {
	p := part{norm: norm, stem: norm, class: Content}
	switch {
	case stopwords[norm]:
		p.class = Function
	case negators[norm]:
		p.negator = true
	}
	p.stem = stem(norm)
	return p
}

// aliases are spellings that no stemmer brings together.
var aliases = map[string]string{"cicd": "ci/cd", "bluegreen": "blue/green", "nodejs": "node.js"}

// stem is the Snowball stem of a word of plain English letters.
func stem(norm string) string {
	if s, ok := aliases[norm]; ok {
		return s
	}
	if len(norm) < 3 || len(norm) > longestKept {
		return norm
	}
	for i := range len(norm) {
		if c := norm[i]; c < 'a' || c > 'z' {
			return norm
		}
	}
	env := snowballstem.NewEnv(norm)
	english.Stem(env)
	if s := env.Current(); s != norm {
		return s
	}
	return norm
}

func isLowerASCII(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// normalise is the norm of a spelling that is not plain lower-case ASCII.
func normalise(spelling string) string {
	var b strings.Builder
	for _, r := range Fold(spelling).Text {
		if r != ' ' {
			b.WriteRune(asciiDigit(r))
		}
	}
	if b.Len() == 0 {
		return spelling
	}
	return b.String()
}

// asciiDigit is the decimal digit r stands for, or r.
func asciiDigit(r rune) rune {
	if r < 0x80 || !unicode.IsDigit(r) {
		return r
	}
	// Decimal digits stand in rows of ten from 0 to 9 (Unicode, chapter 4.6).
	for _, row := range unicode.Nd.R16 {
		if rune(row.Lo) <= r && r <= rune(row.Hi) {
			return '0' + (r-rune(row.Lo))%10
		}
	}
	for _, row := range unicode.Nd.R32 {
		if rune(row.Lo) <= r && r <= rune(row.Hi) {
			return '0' + (r-rune(row.Lo))%10
		}
	}
	return r
}
