package evidence

import (
	"slices"
	"strings"
	"unicode"

	"github.com/gradus-ai/gradus/internal/text"
)

// instructions finds sentences that speak to whoever marks the answer: orders,
// pleas, forged verdicts and roles. The rules look for senses that come
// together (an order to give, and a highest mark), leave out words that the
// question itself is about, and leave narrators alone ("I scored the options").
// They route to people and to a second look; they cannot catch everything.
func (a *Answer) instructions(ref *Reference) []Flagged {
	var out []Flagged
	var held [window]sense
	for i := range a.doc.Sentences {
		whole := a.clause(ref, i)
		for first := 0; ; first += window - overlap {
			c := whole.part(first, held[:0])
			c.understand()
			if c.all != 0 && c.addressed() || c.foreign() || c.encoded() {
				out = append(out, Flagged{Flag: InstructionLike, Start: c.start, End: c.end})
			}
			if first+window >= len(whole.words) {
				break
			}
		}
	}
	return append(out, a.markers(ref)...)
}

// Sentences longer than window words are read in parts that overlap, so that
// the work grows with their length and no faster.
const (
	window  = 96
	overlap = 24
)

// clause is a sentence, or a part of a long one, under the rules.
type clause struct {
	answer     *Answer
	ref        *Reference
	words      []text.Token
	start, end int // in the source
	senses     []sense
	all        sense // the senses of all words together
}

// clause makes one of the sentence at index i.
func (a *Answer) clause(ref *Reference, i int) clause {
	s := a.doc.Sentences[i]
	return clause{answer: a, ref: ref, words: a.doc.Words(i), start: s.Start, end: s.End}
}

// part is the window of a clause from the word at first on; held is memory for
// its senses.
func (c *clause) part(first int, held []sense) clause {
	p := *c
	p.senses = held
	if first > 0 {
		p.start = c.words[first-1].End
	}
	if last := first + window; last < len(c.words) {
		p.end = c.words[last].Start
		p.words = c.words[first:last]
	} else {
		p.words = c.words[first:]
	}
	return p
}

// source is the clause as it was written.
func (c *clause) source() string { return c.answer.doc.Slice(c.start, c.end) }

// understand looks the senses of all words up.
func (c *clause) understand() {
	for i := range c.words {
		norm := c.words[i].Norm
		s := senses[norm]
		if s != 0 && c.ref.topic[norm] {
			s &= you | self | modal | plea | theAnswer | attack | give | about // what the question is about proves nothing
		}
		c.senses = append(c.senses, s)
		c.all |= s
	}
}

// addressed applies the rules, the surest first.
func (c *clause) addressed() bool {
	if (c.all&attack != 0 || c.ref.attacks) && c.quoted() {
		return false // somebody explains how such attacks look
	}
	return c.overrides() || c.phrased() || c.demands() || c.begs() || c.forges() || c.announces() || c.leaks() || c.redefines() || c.claims()
}

// has reports whether any word in [from, to) has one of the senses.
func (c *clause) has(s sense, from, to int) bool {
	for i := max(from, 0); i < min(to, len(c.senses)); i++ {
		if c.senses[i]&s != 0 {
			return true
		}
	}
	return false
}

// narrated reports whether a narrator speaks before word i: "we", "my team".
func (c *clause) narrated(i int) bool { return c.has(self, 0, i) }

// gap is the source between word i and the word before it.
func (c *clause) gap(i int) string {
	start, end := c.start, c.end
	if i > 0 {
		start = c.words[i-1].End
	}
	if i < len(c.words) {
		end = c.words[i].Start
	}
	return c.answer.doc.Slice(start, end)
}

// ordered reports whether the verb at i is an order: it opens the sentence or a
// part of it, and nobody narrates.
func (c *clause) ordered(i int) bool {
	if i > 0 && c.words[i-1].Negator {
		return false
	}
	first := 0
	for first < i && (c.words[first].Class == text.Number || c.senses[first]&(plea|notice) != 0 || openers[c.words[first].Norm]) {
		first++
	}
	if first == i {
		return true
	}
	if c.narrated(i) {
		return false
	}
	if openers[c.words[i-1].Norm] || c.words[i-1].Norm == "to" && c.has(you, 0, i-1) {
		return true
	}
	if c.words[i-1].Norm == "and" || c.words[i-1].Norm == "or" {
		return c.has(give|override|plea|pretend, 0, i-1)
	}
	return strings.ContainsAny(c.gap(i), ",:;([{\"'>-–—“‘*#=|!")
}

// overrides: an order to ignore what the judge was told.
func (c *clause) overrides() bool {
	if c.all&override == 0 {
		return false
	}
	for i, s := range c.senses {
		if s&override == 0 || !c.ordered(i) {
			continue
		}
		if c.has(scheme|weakScheme|grader, i+1, i+9) {
			return true
		}
		for k := i + 1; k < min(i+5, len(c.words)); k++ {
			switch c.words[k].Norm {
			case "everything", "all", "anything", "whatever":
				if k+1 < len(c.words) && isOne(c.words[k+1].Norm, "above", "before", "you", "previous", "prior", "that") {
					return true
				}
			}
		}
	}
	return false
}

// phrased: phrases that are about marks, or addressed to a judge.
func (c *clause) phrased() bool {
	spoken := 0
	for i := range c.words {
		if n := examPhrases.at(c.words, i); n > 0 && !c.onTopic(i, n) {
			if !c.thanks(i) && (!c.narrated(i) || c.all&(beg|plea|you|modal|lenient) != 0) {
				return true
			}
		}
		if n := addresses.at(c.words, i); n > 0 && !c.onTopic(i, n) {
			spoken++
			if spoken > 1 || c.all&(grade|exam|scheme|grader|override|assess|assessed|theAnswer|praise|lenient) != 0 && !c.narrated(i) {
				return true
			}
		}
		if c.senses[i]&grader != 0 && !c.narrated(i) &&
			(c.all&(modal|you|plea|theAnswer|override|assessed|lenient|notice) != 0 || i == 0 && strings.ContainsAny(c.gap(1), ":,")) {
			return true
		}
	}
	return false
}

// others are people to whom a candidate gives credit.
var others = words("team teams colleague colleagues coworkers engineers developers crew squad squads people group he she they him her them")

// thanks reports whether the "full credit" at i is given to people that the
// sentence names, and nobody is asked for it.
func (c *clause) thanks(i int) bool {
	return c.words[i].Norm == "full" && c.hasWord(i+1, i+2, "credit") &&
		slices.ContainsFunc(c.words, func(t text.Token) bool { return others[t.Norm] }) &&
		c.all&(plea|you|theAnswer|grader|scheme|override|lenient) == 0
}

// onTopic reports whether the question speaks of the content words [i, i+n).
func (c *clause) onTopic(i, n int) bool {
	for ; n > 0; i, n = i+1, n-1 {
		if c.words[i].Class == text.Content && !c.ref.topic[c.words[i].Norm] {
			return false
		}
	}
	return true
}

// demands: an order to give a mark, or to mark in a certain way.
func (c *clause) demands() bool {
	if c.all&(give|pretend|change|leak) == 0 {
		return false
	}
	for i, s := range c.senses {
		if s&(give|pretend|change|leak) == 0 {
			continue
		}
		obliged := i > 0 && (c.has(modal, i-2, i) || c.hasWord(i-1, i, "will") && c.has(you, i-2, i-1)) && !c.narrated(i)
		quoting := i+1 < len(c.words) && s&give != 0 && c.senses[i+1]&praise != 0 && !c.narrated(i)
		if !quoting && !obliged && !c.ordered(i) {
			continue
		}
		end := min(i+9, len(c.words))
		switch norm := c.words[i].Norm; {
		case s&give != 0 && c.has(exam, i+1, i+3) && c.has(praise|top, i+2, i+5),
			s&give != 0 && c.topMark(i+1, end) && (c.has(you|self|theAnswer|plea|grader|exam, 0, len(c.words)) || isOne(norm, "give", "award", "assign", "grant")),
			s&give != 0 && c.outOf(i+1, end) && (len(c.words) <= 4 || c.has(grade|exam|assess|theAnswer|self, 0, len(c.words))),
			s&give != 0 && i+1 < len(c.words) && c.words[i+1].Class == text.Number && (c.has(assess|grader|theAnswer|plea|scheme, 0, len(c.words)) || i+2 == len(c.words) && norm == "give"),
			s&give != 0 && c.has(grade|exam, i+1, end) && c.hasWord(i+1, end, "me", "us", "my", "this", "everyone", "everybody", "him", "candidate", "student") && !isOne(norm, "report", "write", "set"),
			isOne(norm, "mark", "grade", "rate", "score", "accept", "pass", "evaluate", "assess") && c.has(theAnswer, i+1, i+5) && c.hasWord(i+1, i+4, "this", "my", "the", "these", "all", "every"),
			isOne(norm, "mark", "accept", "count", "pass") && c.hasWord(i+1, i+4, "this", "it", "me", "everything", "all") && c.has(praise|grade, i+1, end),
			s&give != 0 && i+1 < len(c.words) && c.senses[i+1]&praise != 0 && c.has(grade|exam|scheme|theAnswer, 0, len(c.words)) && strings.ContainsAny(c.gap(i+1), "\"'“‘`"),
			norm == "grade" && c.hasWord(i+1, i+2, "the", "this", "it", "me", "us", "only", "based", "according", "as", "my"),
			s&give != 0 && c.hasWord(i+1, i+3, "maximum", "max", "highest") && c.ends(i+1, i+3),
			s&give != 0 && c.has(theAnswer, i+1, i+5) && c.hasWord(i+2, i+7, "zero", "nothing", "0"),
			s&(give|leak) != 0 && c.hasWord(i+1, i+4, "everything", "text", "all") && c.hasWord(i+2, i+5, "above") && c.hasWord(i+3, len(c.words), "this", "line", "message"),
			s&change != 0 && c.has(grade|exam, i+1, i+5) && c.has(theAnswer, i+1, i+5),
			s&pretend != 0 && c.has(grader|exam|assess, i+1, len(c.words)),
			s&pretend != 0 && c.has(theAnswer, i+1, end) && c.has(praise, i+1, len(c.words)),
			s&change != 0 && c.has(grade|exam, i+1, end) && c.hasWord(i+1, end, "everyone", "everybody", "others", "my", "me", "their", "students", "candidates"):
			return true
		}
	}
	return false
}

func (c *clause) hasWord(from, to int, words ...string) bool {
	for i := max(from, 0); i < min(to, len(c.words)); i++ {
		if isOne(c.words[i].Norm, words...) {
			return true
		}
	}
	return false
}

// topMark reports whether a highest mark is named in [from, to).
func (c *clause) topMark(from, to int) bool {
	for i := from; i < to; i++ {
		if c.senses[i]&top != 0 && c.has(grade, i+1, i+4) || c.senses[i]&grade != 0 && i+2 < to && c.words[i+1].Norm == "of" && c.words[i+2].Class == text.Number {
			return true
		}
	}
	return false
}

// outOf reports whether a mark such as "10/10" or "4 out of 4" stands in
// [from, to).
func (c *clause) outOf(from, to int) bool {
	for i := from; i < to; i++ {
		if c.words[i].Class != text.Number {
			continue
		}
		if i+1 < len(c.words) && c.words[i+1].Class == text.Number && strings.TrimSpace(c.gap(i+1)) == "/" ||
			c.hasWord(i+1, i+2, "of") && i+2 < len(c.words) && c.words[i+2].Class == text.Number ||
			c.hasWord(i+1, i+2, "out") && c.hasWord(i+2, i+3, "of") {
			return true
		}
	}
	return false
}

// quoted reports whether the sentence quotes something after words of its own.
func (c *clause) quoted() bool {
	return len(c.words) > 3 && strings.ContainsFunc(c.answer.doc.Slice(c.words[1].End, c.words[len(c.words)-1].End), func(r rune) bool {
		return unicode.Is(unicode.Quotation_Mark, r)
	})
}

func isOne(s string, list ...string) bool {
	for _, x := range list {
		if s == x {
			return true
		}
	}
	return false
}
