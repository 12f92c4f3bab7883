package evidence

import (
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gradus-ai/gradus/internal/text"
)

// Answer is an answer prepared for everything that is looked up in it. It is
// immutable and safe for concurrent use.
type Answer struct {
	source string
	doc    *text.Doc
	folded text.Folded
}

// Prepare folds and parses an answer once.
func Prepare(answer string) *Answer {
	return &Answer{source: answer, doc: text.Parse(answer), folded: text.Fold(answer)}
}

// Source is the answer as it was sent.
func (a *Answer) Source() string { return a.source }

// Doc is the parsed answer.
func (a *Answer) Doc() *text.Doc { return a.doc }

// unknowing is the number of words from which an answer is read even where it
// begins by saying that it does not know.
const unknowing = 25

// Blank reports whether the answer gives a judge nothing to judge: it has no
// words, several function words that choose nothing, or only says that it does
// not know.
// Short is not blank: a number, a name, "yes" or the letter of a choice are
// answers.
func (a *Answer) Blank() bool {
	tokens := a.doc.Tokens
	switch {
	case len(tokens) == 0:
		return true
	case len(tokens) == 1:
		return shrug[tokens[0].Norm] || a.announcesNothing()
	}
	return !says(tokens) && !chooses(tokens) || len(tokens) < unknowing && onlyShrugs(tokens) || a.announcesNothing()
}

// choices are function words that answer a question all the same: "both of
// them", "all of the above", "it would be the same".
var choices = words("all both each either every more most fewer same other before after above below")

// longestChoice is the number of words that such an answer has at most.
const longestChoice = 6

// chooses reports whether tokens are such an answer.
func chooses(tokens []text.Token) bool {
	return len(tokens) <= longestChoice && slices.ContainsFunc(tokens, func(t text.Token) bool { return choices[t.Norm] })
}

// announcesNothing reports whether the answer is but the announcement of one:
// "Thought process:".
func (a *Answer) announcesNothing() bool {
	return len(a.doc.Tokens) <= 4 && strings.HasSuffix(strings.TrimRight(a.folded.Text, " \"'*_#"), ":")
}

// shrug are words that alone say that no answer is given.
var shrug = words("idk dunno skip skipped unsure n/a na")

// shrugs are ways to say so in several words, after normalisation.
var shrugs = phrases(`
	i do not know; do not know; i do not really know; do not have an idea; i have no idea; no idea; i have no clue; no clue;
	not sure; i am not sure; i am unsure; i can not answer; can not answer; can not say; i do not remember; do not remember;
	i can not remember; i can not recall; i do not recall; i forgot; i have forgotten; i have never learned; i never learned;
	i have not learned; i did not learn; i did not study; i have not studied; no answer; no comment; not applicable;
	i skip; skip this; i pass; pass on this; i give up; i would have to guess; nothing to say; i have no answer;
	i do not have an answer; i have no experience with; i have no experience; i do not understand; beats me; who knows;
	never heard of; i have never heard of; leave blank; left blank; no response; nothing comes to mind;
	let think; let solve; let work; let break; let us think; let us solve; let us work; let us break; step by step; the answer to; how to answer; what to say; what to write; at this point; right now; off the top of my head; at all
`)

// padding are words that say nothing beside a shrug.
var padding = words(`problem carefully first down sorry honestly really question answer this that one it so but unfortunately afraid sure truth
	to be honest say think just actually well um hmm pretty much yet about topic thing subject today idk dunno skip
	not know idea guess`)

// onlyShrugs reports whether tokens say that no answer is given, and nothing
// else.
func onlyShrugs(tokens []text.Token) bool {
	shrugged := false
	for i := 0; i < len(tokens); {
		if n := shrugs.at(tokens, i); n > 0 {
			i += n
			shrugged = true
			continue
		}
		t := tokens[i]
		if shrug[t.Norm] {
			shrugged = true
		} else if t.Class != text.Function && !padding[t.Norm] {
			return false
		}
		i++
	}
	return shrugged
}

// tokensIn returns the tokens that overlap the code points [start, end), as
// the range [first, last) of the document's tokens.
func (a *Answer) tokensIn(start, end int) (first, last int) {
	tokens := a.doc.Tokens
	first = sort.Search(len(tokens), func(i int) bool { return tokens[i].End > start })
	last = first
	for last < len(tokens) && tokens[last].Start < end {
		last++
	}
	return first, last
}

// runeAt is the code point at index i; -1 outside the answer.
func (a *Answer) runeAt(i int) rune {
	if i < 0 || i >= a.doc.Len() {
		return -1
	}
	r, _ := utf8.DecodeRuneInString(a.doc.Slice(i, i+1))
	return r
}

// cluster widens [start, end) so that it cuts no combined character in two: an
// emoji sequence, or a letter with its marks.
func (a *Answer) cluster(start, end int) (int, int) {
	if len(a.source) == a.doc.Len() {
		return start, end // ASCII
	}
	for a.within(start) {
		start--
	}
	for clings(a.runeAt(end)) || end > start && a.runeAt(end-1) == joiner && end < a.doc.Len() {
		end++
	}
	return start, end
}

// within reports whether a combined character goes on at code point i.
func (a *Answer) within(i int) bool {
	return i > 0 && (clings(a.runeAt(i)) || a.runeAt(i-1) == joiner)
}

const joiner = '\u200d'

// clings reports whether r belongs to the character before it.
func clings(r rune) bool {
	return r == joiner || r >= 0x300 && unicode.IsMark(r) || 0x1f3fb <= r && r <= 0x1f3ff
}

// words is a set of words.
func words(list string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}

// phraseBook finds phrases in tokens.
type phraseBook map[string][][]string // by first word, longest first

// phrases makes a book of phrases that are separated by semicolons and written
// as normalised words.
func phrases(list string) phraseBook {
	book := phraseBook{}
	for _, p := range strings.Split(list, ";") {
		if w := strings.Fields(p); len(w) > 0 {
			book[w[0]] = append(book[w[0]], w[1:])
		}
	}
	for _, rest := range book {
		sort.SliceStable(rest, func(i, j int) bool { return len(rest[i]) > len(rest[j]) })
	}
	return book
}

// at returns the number of tokens of the longest phrase that begins at i.
func (b phraseBook) at(tokens []text.Token, i int) int {
next:
	for _, rest := range b[tokens[i].Norm] {
		if i+len(rest) >= len(tokens) {
			continue
		}
		for k, w := range rest {
			if tokens[i+1+k].Norm != w {
				continue next
			}
		}
		return 1 + len(rest)
	}
	return 0
}
