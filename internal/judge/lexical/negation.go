package lexical

import (
	"strings"

	"github.com/gradus-ai/gradus/internal/text"
)

// scopeWords is how many content words a negation reaches at most.
const scopeWords = 5

// contrasts end the reach of a negation.
var contrasts = map[string]bool{"but": true, "however": true, "although": true, "though": true, "because": true, "since": true, "so": true, "yet": true, "until": true, "unless": true, "which": true}

// rejecters are stems of verbs that deny what they govern.
var rejecters = map[string]bool{"skip": true, "avoid": true, "omit": true, "refus": true, "lack": true, "disabl": true, "forbid": true, "ignor": true}

// negations marks the tokens of doc that a negation reaches; where all is denied
// it reaches over its sentence. The slice is reused.
func negations(marks []bool, doc *text.Doc, all bool) []bool {
	if cap(marks) < len(doc.Tokens) {
		marks = make([]bool, len(doc.Tokens), len(doc.Tokens)*2)
	}
	marks = marks[:len(doc.Tokens)]
	clear(marks)
	for i := range doc.Tokens {
		if reach := denies(doc, i); reach > 0 {
			if content := markFrom(marks, doc, i+reach); content == 0 || content == 1 && (fronted(doc, i) || reach == 1 && passive(doc, i)) {
				markBefore(marks, doc, i)
			}
		}
	}
	for i := range doc.Sentences {
		if all && denial(doc, i) {
			markSentence(marks, doc, i)
		}
		if i > 0 && takesBack(doc, i) {
			markSentence(marks, doc, i-1)
		}
	}
	return marks
}

// markSentence marks a sentence as denied.
func markSentence(marks []bool, doc *text.Doc, i int) {
	for t := doc.Sentences[i].First; t < doc.Sentences[i].Last; t++ {
		marks[t] = true
	}
}

// denying reports whether an answer denies nearly all that it names. Lists, and
// what stands before the verb, are then out of a negation's usual reach.
func denying(doc *text.Doc) bool {
	said, denied := 0, 0
	for i := range doc.Sentences {
		if len(doc.Words(i)) < leastSentence {
			continue
		}
		said++
		if denial(doc, i) {
			denied++
		}
	}
	return denied >= fewestDenials && float64(denied) >= denyingShare*float64(said)
}

// denial reports whether a sentence denies something.
func denial(doc *text.Doc, i int) bool {
	for t := doc.Sentences[i].First; t < doc.Sentences[i].Last; t++ {
		if denies(doc, t) > 0 {
			return true
		}
	}
	return false
}

// denies returns how many tokens the negation at token i takes; 0 if there is
// none.
func denies(doc *text.Doc, i int) int {
	t := &doc.Tokens[i]
	next := ""
	if i+1 < len(doc.Tokens) && doc.Tokens[i+1].Sentence == t.Sentence {
		next = doc.Tokens[i+1].Norm
	}
	switch {
	case t.Negator:
		switch next {
		case "only", "just", "merely", "matter", "sure", "one":
			return 0 // "not only", "no matter how", "no one"
		case "longer": // "no longer than" compares, "no longer" denies
			if i+2 < len(doc.Tokens) && doc.Tokens[i+2].Norm == "than" {
				return 0
			}
			return 2
		}
		return 1
	case rejecters[t.Stem]:
		return 1
	case t.Norm == "instead" && next == "of", t.Norm == "rather" && next == "than":
		return 2
	}
	return 0
}

// markFrom marks what a negation reaches: to the next sign or contrast, at
// most scopeWords content words.
func markFrom(marks []bool, doc *text.Doc, from int) (content int) {
	for i := from; i < len(doc.Tokens); i++ {
		t := &doc.Tokens[i]
		if t.Sentence != doc.Tokens[from-1].Sentence || contrasts[t.Norm] {
			return content
		}
		if strings.ContainsAny(doc.Slice(doc.Tokens[i-1].End, t.Start), ",;:()–—") {
			return content
		}
		if t.Class != text.Function {
			if content++; content > scopeWords {
				return content
			}
		}
		marks[i] = true
	}
	return content
}

// fronted reports whether a pronoun stands shortly before a negation, as where
// its object comes first: "surveys I don't trust".
func fronted(doc *text.Doc, i int) bool {
	for j := i - 1; j >= max(i-3, doc.Sentences[doc.Tokens[i].Sentence].First); j-- {
		switch doc.Tokens[j].Norm {
		case "i", "we", "they", "you", "he", "she":
			return true
		}
	}
	return false
}

// passive reports whether a negation denies what was done to the subject: "the
// image was never kept".
func passive(doc *text.Doc, i int) bool {
	if i == doc.Sentences[doc.Tokens[i].Sentence].First {
		return false
	}
	switch doc.Tokens[i-1].Norm {
	case "is", "are", "was", "were", "be", "been":
		return true
	}
	return false
}

// markBefore marks what a negation denies that stands before it, for want of
// anything behind: "surveys I don't trust", "scanning I'd leave out", "told
// customers nothing".
func markBefore(marks []bool, doc *text.Doc, from int) {
	content := 0
	for i := from - 1; i >= doc.Sentences[doc.Tokens[from].Sentence].First; i-- {
		t := &doc.Tokens[i]
		if contrasts[t.Norm] {
			return
		}
		if t.Class != text.Function && !t.Negator {
			if content++; content > scopeWords {
				return
			}
			marks[i] = true
		}
		if t.Norm == "and" || i > 0 && strings.ContainsAny(doc.Slice(doc.Tokens[i-1].End, t.Start), ";:()–—") {
			return
		}
	}
}

// takesBack reports whether sentence i denies the one before it as a whole:
// "I would touch none of it", "We never had any of these".
func takesBack(doc *text.Doc, i int) bool {
	words := doc.Words(i)
	if len(words) > 14 {
		return false
	}
	denied := false
	for j := range words {
		denied = denied || words[j].Negator
		if denied && words[j].Norm == "of" && j+1 < len(words) {
			switch words[j+1].Norm {
			case "that", "this", "these", "those", "it", "them":
				return true
			}
		}
	}
	return false
}
