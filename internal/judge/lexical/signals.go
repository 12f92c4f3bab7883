package lexical

import (
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/text"
)

// sign is what a detector found: how strongly, 0..1, and in which sentence of
// the answer.
type sign struct {
	strength float64
	sentence int
}

// detect looks for a form in the kept sentences of an answer.
func detect(signal rubric.Signal, doc *text.Doc, rows []row) sign {
	switch signal {
	case rubric.Quantified:
		return bestSentence(doc, rows, quantity)
	case rubric.OwnActions:
		return ownActions(doc, rows)
	case rubric.PastEvent:
		return bestSentence(doc, rows, pastEvent)
	case rubric.Prioritised:
		return prioritised(doc, rows)
	}
	return sign{}
}

// sentences yields the sentences of rows.
func sentences(rows []row) iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, r := range rows {
			for i := r.first; i < r.last; i++ {
				if !yield(i) {
					return
				}
			}
		}
	}
}

func bestSentence(doc *text.Doc, rows []row, strength func(doc *text.Doc, sentence int) float64) sign {
	best := sign{}
	for i := range sentences(rows) {
		if s := strength(doc, i); s > best.strength {
			best = sign{s, i}
		}
	}
	return best
}

func wordSet(list string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}

// The cues of the detectors, as normalised words (evidence.md, section 2.4).
var (
	unitWords = wordSet(`percent percentage second seconds sec secs minute minutes min mins hour hours hr hrs day days
		week weeks month months quarter quarters year years times x fold ms s k m bn million thousand billion dollar
		dollars euro euros eur usd gbp pound pounds zloty users user customers customer requests request orders order
		errors incidents outages deploys deployments releases tickets pages alerts services service teams team squads
		engineers developers people gb tb mb nodes pods hosts servers clusters shops stores points`)
	outcomeWords = wordSet(`reduced reduce cut cuts improved improve restored saved save saves grew fell fallen dropped
		drop rose lowered lower shrank shrunk halved doubled tripled down less fewer faster quicker lost lasted cost
		costs recovered prevented increased increase decreased went gained earned signed served affected took takes
		brought kept peaked won avoided passed`)
	numberWords = wordSet(`two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty
		sixty seventy eighty ninety hundred hundreds thousand thousands million millions dozen half third quarter`)
	actionWords = wordSet(`led built wrote ran set made took began chose drew held found fixed gave got went put taught
		brought kept told sat cut dug did met spoke drove split`)
	pastWords  = wordSet(`was were had happened broke crashed failed went stopped ago last once year`)
	orderWords = wordSet(`first second third firstly secondly finally then next afterwards later before after last begin
		start phase priority postpone postponed defer deferred p0 p1 week month day quarter`)
	// cadence makes a rhythm of a number, not a result.
	cadence    = wordSet(`every each`)
	currencies = "$€£¥"
)

// quantity looks for a number that measures something: bound to a unit, a
// percentage, money, or "from X to Y", best beside a word of outcome.
func quantity(doc *text.Doc, sentence int) float64 {
	words := doc.Words(sentence)
	measured, outcome := false, false
	for i := range words {
		w := &words[i]
		outcome = outcome || outcomeWords[w.Norm]
		if !counts(doc, words, i) {
			continue
		}
		switch {
		case strings.HasSuffix(w.Norm, "%"):
			measured = true
		case i+1 < len(words) && unitWords[words[i+1].Norm], i+2 < len(words) && unitWords[words[i+2].Norm]:
			measured = true
		case w.Start > 0 && containsRune(currencies, doc.Slice(w.Start-1, w.Start)), containsRune(currencies, doc.Slice(w.End, w.End+1)):
			measured = true
		case i > 0 && words[i-1].Norm == "to" && fromBefore(words[:i]):
			measured = true
		}
	}
	switch {
	case measured && outcome:
		return 1
	case measured:
		return 0.6
	}
	return 0
}

// counts reports whether the word at i is a number that could measure: not a
// year, not the number of a list item, not a rhythm ("every ten minutes").
func counts(doc *text.Doc, words []text.Token, i int) bool {
	w := &words[i]
	switch {
	case w.Class != text.Number && !numberWords[w.Norm], isYear(w.Norm):
		return false
	case i == 0:
		return len(words) == 1 || !listIndex(doc, w)
	}
	return !cadence[words[i-1].Norm]
}

func containsRune(set, s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return s != "" && strings.ContainsRune(set, r)
}

func isYear(norm string) bool {
	return len(norm) == 4 && (strings.HasPrefix(norm, "19") || strings.HasPrefix(norm, "20")) && strings.Trim(norm, "0123456789") == ""
}

// listIndex reports whether a number at the start of a sentence numbers it.
func listIndex(doc *text.Doc, w *text.Token) bool {
	return containsRune(".)", doc.Slice(w.End, w.End+1))
}

func fromBefore(words []text.Token) bool {
	for i := len(words) - 1; i >= 0 && i >= len(words)-8; i-- {
		if words[i].Norm == "from" {
			return true
		}
	}
	return false
}

// ownActions looks for deeds told in the first person: two different ones are
// enough. Where most is hypothetical, half is the most.
func ownActions(doc *text.Doc, rows []row) sign {
	best := sign{}
	deeds := map[string]bool{}
	would := 0
	for sentence := range sentences(rows) {
		words := doc.Words(sentence)
		here := 0
		for i := range words {
			if words[i].Norm != "i" {
				continue
			}
			for j := i + 1; j < len(words) && j <= i+3; j++ {
				if words[j].Norm == "would" || words[j].Norm == "could" || words[j].Norm == "will" {
					would++
					break
				}
				if pastVerb(words[j].Norm) {
					deeds[words[j].Norm] = true
					here++
					break
				}
			}
		}
		if here > 0 && best.strength == 0 {
			best = sign{1, sentence}
		}
	}
	switch {
	case len(deeds) == 0:
		return sign{}
	case len(deeds) == 1 || would > len(deeds):
		best.strength = 0.5
	}
	return best
}

func pastVerb(norm string) bool {
	return actionWords[norm] || len(norm) > 4 && strings.HasSuffix(norm, "ed")
}

// pastEvent looks for one thing that happened: a time in the past and a verb
// in the past.
func pastEvent(doc *text.Doc, sentence int) float64 {
	words := doc.Words(sentence)
	past, when := false, false
	for i := range words {
		n := words[i].Norm
		switch {
		case n == "would" || n == "will":
			return 0
		case pastVerb(n) || n == "was" || n == "were" || n == "had":
			past = true
		}
		if isYear(n) || pastWords[n] && n != "was" && n != "were" && n != "had" {
			when = true
		}
	}
	switch {
	case past && when:
		return 1
	case past:
		return 0.5
	}
	return 0
}

// prioritised looks for words of order; two of them make a sequence.
func prioritised(doc *text.Doc, rows []row) sign {
	best := sign{}
	total, most := 0, 0
	for sentence := range sentences(rows) {
		here := 0
		words := doc.Words(sentence)
		for i := range words {
			if orderWords[words[i].Norm] {
				here++
			}
		}
		total += here
		if here > most {
			most, best.sentence = here, sentence
		}
	}
	best.strength = min(float64(total)/3, 1)
	return best
}
