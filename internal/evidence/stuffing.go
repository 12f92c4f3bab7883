package evidence

import (
	"strings"

	"github.com/gradus-ai/gradus/internal/text"
)

// Limits between sentences and mere words, found by measuring honest answers:
// the share of function words has its median at .5 and its first percentile at
// .13 to .24; the share of distinct pairs of words is .67 or more in 99 of 100;
// changes between function and content words are under .85 a word, and unlikely
// pairs of function words under .06. Honest short answers of other collections
// moved distinctPairs and oddPairs: people repeat themselves, and call a thing
// "A".
const (
	fewestWords    = 8
	functionShare  = 0.20
	fewFunctions   = 0.10 // so few that even one sentence shows it
	longestRun     = 8    // words without a function word between them
	longestRunLong = 14   // in a sentence of more than 25 words
	distinctPairs  = 0.45
	fewestSwitches = 0.15
	mostSwitches   = 0.88
	oddPairs       = 0.10
	fewestOddPairs = 2
	atLength       = 25  // words from which a list is no note any more
	mostlyStuffed  = 0.5 // of an answer's words, from which it is flagged
	longestList    = 15  // words of a list that is an answer
)

// StuffedSentences reports for each sentence of the answer (see Doc) whether it
// holds words without a sentence: keywords in a row, shuffled words, the same
// words again and again, or a sentence that was there before. Lines of code,
// formulas and data, and sentences in other languages than English, are left
// alone, and a short list where one is asked for. About one honest sentence in
// forty is terse: as long as an answer has few such words, they are no stuffing.
func (r *Reference) StuffedSentences(a *Answer) []bool {
	out := make([]bool, len(a.doc.Sentences))
	if r.listed(a) {
		return out
	}
	degrees := a.stuffing()
	words := 0
	for i, d := range degrees {
		if d > 0 {
			words += len(a.doc.Words(i))
		}
	}
	least := plain
	if words >= atLength {
		least = terse
	}
	for i, d := range degrees {
		out[i] = d >= least
	}
	return out
}

// listed reports whether an answer is a short list of different things that the
// question asks for.
func (r *Reference) listed(a *Answer) bool {
	return r.lists && len(a.doc.Tokens) <= longestList && distinct(a.doc.Tokens) == 1
}

// degree says how much a sentence looks like words without one.
type degree uint8

const (
	terse degree = iota + 1 // a headline would look the same
	plain
)

// stuffing finds the degree of every sentence.
func (a *Answer) stuffing() []degree {
	out := make([]degree, len(a.doc.Sentences))
	if !a.otherLanguage() {
		for i := range out {
			if words := a.doc.Words(i); !a.structured(i) && !a.named(words) {
				out[i] = wordsOnly(words)
			}
		}
		a.pieces(out)
	}
	a.repeated(out)
	return out
}

// pieces judges what is too short to be judged alone together with its
// neighbours of that kind: a list of keywords is one in lines of its own, too.
func (a *Answer) pieces(out []degree) {
	for first := 0; first < len(out); first++ {
		last := first
		for last < len(out) && (out[last] > 0 || a.piece(last)) {
			last++
		}
		if last-first < 2 {
			continue
		}
		words := a.doc.Tokens[a.doc.Sentences[first].First:a.doc.Sentences[last-1].Last]
		if len(words) >= atLength { // a few notes are no list
			d := wordsOnly(words)
			for i := first; i < last; i++ {
				out[i] = max(out[i], d)
			}
		}
		first = last
	}
}

// piece reports whether a sentence is too short to be judged alone, or a list of
// names.
func (a *Answer) piece(i int) bool {
	words := a.doc.Words(i)
	return (len(words) < fewestWords || a.named(words)) && !a.structured(i)
}

// stuffed flags an answer that holds little but such sentences: plainly, or at
// some length.
func (a *Answer) stuffed(ref *Reference) []Flagged {
	if ref.listed(a) {
		return nil
	}
	var out []Flagged
	count, plainly := 0, 0
	for i, d := range a.stuffing() {
		if d > 0 {
			s := a.doc.Sentences[i]
			count += s.Last - s.First
			if d == plain {
				plainly += s.Last - s.First
			}
			out = append(out, Flagged{Flag: KeywordStuffing, Start: s.Start, End: s.End})
		}
	}
	half := mostlyStuffed * float64(len(a.doc.Tokens))
	if count == 0 || float64(plainly) < half && (float64(count) < half || count < atLength) {
		return nil
	}
	return out
}

// binds reports whether a word holds sentences together, in whatever language.
func binds(t *text.Token) bool {
	return t.Class == text.Function || t.Negator || foreignWords[t.Norm]
}

// otherLanguage reports whether the answer is not in English, so that the share
// of English function words says nothing.
func (a *Answer) otherLanguage() bool {
	foreign, english := 0, 0
	for i := range a.doc.Tokens {
		t := &a.doc.Tokens[i]
		switch {
		case t.Class == text.Function:
			english++
		case t.Class == text.Number:
		case foreignWords[t.Norm] || !isASCII(t.Norm):
			foreign++
		}
	}
	return foreign > english && 5*foreign >= len(a.doc.Tokens)
}

// wordsOnly applies the limits to the words of a sentence, or of several.
func wordsOnly(words []text.Token) degree {
	n := len(words)
	if n < fewestWords {
		return 0
	}
	function, switches, run, longestSeen, odd := 0, 0, 0, 0, 0
	subject := false // somebody does something
	for k := range words {
		subject = subject || senses[words[k].Norm]&(self|you) != 0
		b := binds(&words[k])
		if b {
			function++
			run = 0
		} else {
			run++
			longestSeen = max(longestSeen, run)
		}
		if k > 0 {
			if b != binds(&words[k-1]) {
				switches++
			}
			if oddPair(words[k-1].Norm, words[k].Norm) && words[k].Start == words[k-1].End+1 {
				odd++
			}
		}
	}
	if role(words[n-1].Norm) == determiner {
		odd++
	}
	limit := longestRun
	if n > 25 {
		limit = longestRunLong
	}
	share := float64(n)
	switch {
	case float64(function) < fewFunctions*share,
		odd >= fewestOddPairs && float64(odd) >= oddPairs*share,
		distinct(words) < distinctPairs:
		return plain
	case float64(function) < functionShare*share,
		longestSeen >= limit && !subject,
		n >= 12 && float64(switches) > mostSwitches*share,
		n >= 12 && float64(switches) < fewestSwitches*share && 2*function < n:
		return terse
	}
	return 0
}

// structured reports whether a sentence is rather code, a formula or data: half
// of its words are numbers and single letters, or it has a sign of that kind
// for every six words or fewer.
func (a *Answer) structured(i int) bool {
	s := a.doc.Sentences[i]
	signs, symbols := 0, 0
	for _, t := range a.doc.Words(i) {
		if t.Class == text.Number || t.End-t.Start == 1 {
			symbols++
		}
	}
	if 2*symbols >= s.Last-s.First {
		return true
	}
	for _, r := range a.doc.Slice(s.Start, s.End) {
		if strings.ContainsRune("=<>{}()[]|\\:\"`→←↔≥≤_$", r) {
			signs++
		}
	}
	return 6*signs >= s.Last-s.First
}

// named reports whether nearly all words of a sentence of no great length are
// names and numbers: a list of tools says something.
func (a *Answer) named(words []text.Token) bool {
	if len(words) > longestList {
		return false
	}
	names, function := 0, 0
	for k := range words {
		if binds(&words[k]) {
			function++
			continue
		}
		r := a.runeAt(words[k].Start)
		if 'A' <= r && r <= 'Z' || words[k].Class == text.Number {
			names++
		}
	}
	return 5*names >= 4*(len(words)-function)
}

// distinct is the share of different pairs among the pairs of neighbours.
func distinct(words []text.Token) float64 {
	var held [64]uint64
	seen := held[:0]
	for k := 0; k+1 < len(words) && k < cap(held); k++ {
		h := text.RunHash(words[k : k+2])
		fresh := true
		for _, x := range seen {
			if x == h {
				fresh = false
				break
			}
		}
		if fresh {
			seen = append(seen, h)
		}
	}
	return float64(len(seen)) / float64(min(len(words)-1, cap(held)))
}

// repeated marks sentences of four words or more that were there before.
func (a *Answer) repeated(out []degree) {
	if len(out) < 2 {
		return
	}
	seen := make(map[uint64]bool, len(out))
	for i := range out {
		words := a.doc.Words(i)
		if len(words) < 4 {
			continue
		}
		h := text.RunHash(words)
		if seen[h] {
			out[i] = plain
		}
		seen[h] = true
	}
}

// wordRole is what a function word does, as far as some pairs are unlikely.
type wordRole uint8

const (
	determiner wordRole = iota + 1
	preposition
	auxiliary
	conjunction
)

var wordRoles = func() map[string]wordRole {
	m := map[string]wordRole{}
	for r, list := range map[wordRole]string{
		determiner:  "an the my your our their its every",
		preposition: "of at from into for with by",
		auxiliary:   "am is are was were be been have has had do does did could would should",
		conjunction: "and or but",
	} {
		for w := range words(list) {
			m[w] = r
		}
	}
	return m
}()

func role(norm string) wordRole { return wordRoles[norm] }

// oddPair reports whether two words hardly ever follow each other in English:
// "the of", "of is", "the and".
func oddPair(first, second string) bool {
	switch role(first) {
	case determiner:
		return role(second) != 0
	case preposition:
		r := role(second)
		return r == auxiliary || r == conjunction
	}
	return false
}
