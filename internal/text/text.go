// Package text prepares a text for matching: words with their stems, sentences,
// and a folded form in which two spellings of the same words look alike.
//
// Everything found points back into the source in Unicode code points, so that
// whoever matches prepared words can show the passage as it was written. The
// package knows words, not meanings: no synonyms, weights or thresholds.
//
// All functions take any string, valid UTF-8 or not (a byte that belongs to no
// character counts as one code point), and all results are safe to share
// between goroutines as long as nobody changes them.
package text

import "math/bits"

// Class says what a token can contribute to a match.
type Class uint8

// The classes. Negations carry meaning and are Content.
const (
	Function Class = iota // a stopword: "the", "would", "because"
	Content               // any other word, in any script
	Number                // starts with a digit: "4", "99.9%", "1,000"
)

// Token is one word or number of a text.
type Token struct {
	// Norm is the word after NFKC in lower case, without hidden characters,
	// possessive or clitic ("team's" -> "team", "we'll" -> "we"). A number has
	// ASCII digits and no thousands separators. "n't" is a token "not" of its
	// own.
	Norm string
	// Stem is the English Snowball (Porter2) stem of Norm; Norm itself for
	// numbers, tech tokens and words of other scripts.
	Stem string
	// Hash is of Stem, the same in every process: equal stems have equal hashes.
	Hash uint64
	// Start and End bound the word in the source, in code points: [Start, End).
	Start, End int
	// Sentence is the index of the token's sentence in Doc.Sentences.
	Sentence int
	Class    Class
	// Negator is true for "not", "never", "without" and the like.
	Negator bool
}

// RunHash is a hash of the stems of a run of tokens, in their order.
func RunHash(run []Token) uint64 {
	h := uint64(len(run))
	for i := range run {
		// Rotating and multiplying by an odd number keep the order in.
		h = (bits.RotateLeft64(h, 23) ^ run[i].Hash) * 0x9e3779b97f4a7c15
	}
	return h
}

// Sentence is a run of tokens that ends with a full stop, a semicolon, an
// exclamation or question mark, a line or a list item.
type Sentence struct {
	// First and Last bound its tokens in Doc.Tokens: [First, Last), never empty.
	First, Last int
	// Start and End bound it in the source, in code points: [Start, End), with
	// its punctuation and without the white space around it.
	Start, End int
}

// Doc is a parsed text. Tokens are in order and do not overlap; the sentences
// partition them.
type Doc struct {
	Source    string
	Tokens    []Token
	Sentences []Sentence

	index index
}

// Slice returns the code points [start, end) of the source; bounds outside it
// are moved to its ends.
func (d *Doc) Slice(start, end int) string { return d.index.slice(d.Source, start, end) }

// Len is the length of the source in code points.
func (d *Doc) Len() int { return d.index.runes }

// Words returns the tokens of the sentence at index i.
func (d *Doc) Words(i int) []Token {
	s := d.Sentences[i]
	return d.Tokens[s.First:s.Last]
}

// index finds code points of one string without counting them each time.
type index struct {
	runes int
	// starts holds the byte offset of every code point and of the end; nil
	// where all are one byte long.
	starts []int32
}

// newIndex indexes s.
func newIndex(s string) index {
	ascii := true
	for i := range len(s) {
		if s[i] >= 0x80 {
			ascii = false
			break
		}
	}
	if ascii {
		return index{runes: len(s)}
	}
	starts := make([]int32, 0, len(s)+1)
	for i := range s {
		starts = append(starts, int32(i))
	}
	n := len(starts)
	return index{runes: n, starts: append(starts, int32(len(s)))}
}

// slice returns the code points [start, end) of s, the string indexed.
func (x *index) slice(s string, start, end int) string {
	start = min(max(start, 0), x.runes)
	end = min(max(end, start), x.runes)
	if x.starts == nil {
		return s[start:end]
	}
	return s[x.starts[start]:x.starts[end]]
}
