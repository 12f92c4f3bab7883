package lexical

import (
	"math/bits"
	"strings"

	"github.com/gradus-ai/gradus/internal/text"
)

// Who says something in the rubric's own words says them in an order that the
// rubric has, too: of human answers that hold little else, nearly all share a
// third of their pairs of neighbours with it, and words in no order a tenth.
const (
	// fewestJumbled is the length from which the order of words says something;
	// fewestListed that of a bare list.
	fewestJumbled, fewestListed = 7, 4
	// borrowed is the share of words from a text from which order counts, and
	// ordered the share of pairs up to which there is none.
	borrowed, ordered = 0.85, 0.25
	// mostOf is the share of a text that a sentence is as long as: a long text
	// has the words for many a sentence.
	mostOf = 0.5
)

// order is what the texts of a rubric hold of words and of pairs of neighbours.
// The bits are its texts, which share them from the 64th on, and the highest
// one is all statements together.
type order struct {
	words, pairs map[uint64]uint64
	lengths      [64]int // in words
	texts        int
}

const allStatements = 63

func newOrder() *order {
	return &order{words: map[uint64]uint64{}, pairs: map[uint64]uint64{}}
}

// add takes in a text of the rubric.
func (o *order) add(tokens []text.Token, statement bool) {
	if len(tokens) < fewestListed {
		return
	}
	bit := o.texts % allStatements
	under := uint64(1) << bit
	o.lengths[bit] = max(o.lengths[bit], len(tokens))
	o.texts++
	if statement {
		under |= 1 << allStatements
		o.lengths[allStatements] += len(tokens)
	}
	for i := range tokens {
		o.words[tokens[i].Hash] |= under
		if i > 0 {
			o.pairs[text.RunHash(tokens[i-1:i+1])] |= under
		}
	}
}

// jumbled reports whether a sentence is little but words of one text of the
// rubric, most of it and out of their order, or a bare list of them. Formulas
// have an order of their own.
func (o *order) jumbled(doc *text.Doc, sentence int) bool {
	words := doc.Words(sentence)
	n, long := len(words), float64(len(words))
	if n < fewestListed {
		return false
	}
	if listed(doc, words) {
		long *= 2 // half of a text is function words, which no list has
	} else if n < fewestJumbled {
		return false
	}
	var held, paired [64]uint16
	symbols := 0
	for i := range words {
		if words[i].Class == text.Number || words[i].End-words[i].Start == 1 {
			symbols++
		}
		tally(&held, o.words[words[i].Hash])
		if i > 0 {
			tally(&paired, o.pairs[text.RunHash(words[i-1:i+1])])
		}
	}
	found := false
	if 2*symbols >= n {
		return false
	}
	for k := range held {
		if float64(paired[k]) > ordered*float64(n-1) {
			return false
		}
		found = found || float64(held[k]) >= borrowed*float64(n) && long >= mostOf*float64(o.lengths[k])
	}
	return found
}

// tally counts the bits.
func tally(counts *[64]uint16, set uint64) {
	for ; set != 0; set &= set - 1 {
		counts[bits.TrailingZeros64(set)]++
	}
}

// listed reports whether words only follow each other after commas.
func listed(doc *text.Doc, words []text.Token) bool {
	for i := range words {
		if words[i].Class == text.Function || i > 0 && !strings.Contains(doc.Slice(words[i-1].End, words[i].Start), ",") {
			return false
		}
	}
	return true
}
