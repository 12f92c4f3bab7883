package lexical

import (
	"math/bits"
	"strings"
	"unicode/utf8"
)

// Words too short to be alike but not equal, and too short for a typing error.
const (
	minLetters  = 4
	typoLetters = 5
)

// spelling is a word prepared for comparison of its letters.
type spelling struct {
	word  string
	ascii bool
	// known is true for a word of English, which is not a slip of another one.
	known bool
	// set has a bit for each bigram, hashed. The number of common bits, and the
	// lesser number of repeats, bound the number of common bigrams from above.
	set     uint64
	n       int // bigrams
	repeats int // bigrams without a bit of their own
}

func newSpelling(word string) spelling {
	s := spelling{word: word, ascii: len(word) >= minLetters, n: len(word) - 1}
	for i := range len(word) {
		if word[i] >= utf8.RuneSelf || word[i] == ' ' {
			s.ascii = false
		}
		if i > 0 {
			s.set |= 1 << (bigram(word, i) % 61)
		}
	}
	s.repeats = max(0, s.n-bits.OnesCount64(s.set))
	_, s.known = frequencies().find(word)
	return s
}

func bigram(w string, i int) uint16 { return uint16(w[i-1])<<8 | uint16(w[i]) }

// letters is the similarity of two different words by their letters, 0..1.
func letters(a, b *spelling) float64 {
	if !a.ascii || !b.ascii {
		return 0
	}
	words := a.known && b.known // of which only derived forms are alike
	if !words && a.word[0] == b.word[0] && len(a.word) >= typoLetters && len(b.word) >= typoLetters && oneEdit(a.word, b.word) {
		return oneTypo
	}
	if compared(a.word, b.word) || compared(b.word, a.word) {
		return samePrefix
	}
	if min(len(a.word), len(b.word)) < typoLetters {
		return 0
	}
	prefix := 0
	for prefix < min(len(a.word), len(b.word)) && a.word[prefix] == b.word[prefix] {
		prefix++
	}
	d := dice(a.word, b.word)
	switch {
	case d >= 0.6 && prefix >= minLetters:
		return min(samePrefix, d)
	case d >= 0.7 && !words:
		return 0.8 * d
	}
	return 0
}

// compared reports whether longer is the comparative or superlative of word,
// which stemming leaves alone: "hard", "harder", "hardest".
func compared(word, longer string) bool {
	rest, found := strings.CutPrefix(longer, word)
	return found && (rest == "er" || rest == "est")
}

// dice is the share of common bigrams.
func dice(a, b string) float64 {
	var used uint64 // bigrams of b that are taken; words beyond 64 letters lose the rest
	common := 0
	for i := 1; i < len(a); i++ {
		for j := 1; j < len(b) && j < 64; j++ {
			if used&(1<<j) == 0 && bigram(a, i) == bigram(b, j) {
				used |= 1 << j
				common++
				break
			}
		}
	}
	return 2 * float64(common) / float64(len(a)+len(b)-2)
}

// oneEdit reports whether one insertion, deletion, substitution or swap of
// neighbours turns a into b (Damerau-Levenshtein distance 1).
func oneEdit(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	if i == len(a) {
		return false // equal
	}
	if a[i+1:] == b[i+1:] {
		return true
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}
