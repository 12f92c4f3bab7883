package evidence

import (
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
	flag := func(s text.Sentence) {
		out = append(out, Flagged{Flag: InstructionLike, Start: s.Start, End: s.End})
	}
	var held [maxHeld]sense
	for i, s := range a.doc.Sentences {
		c := clause{answer: a, ref: ref, words: a.doc.Words(i), senses: held[:0]}
		if c.understand(); c.all != 0 && c.addressed() || c.foreign(s) || c.encoded(s) {
			flag(s)
		}
	}
	return append(out, a.markers(ref)...)
}

// maxHeld is the length of the sentences, in words, that need no memory.
const maxHeld = 96

// clause is a sentence under the rules.
type clause struct {
	answer *Answer
	ref    *Reference
	words  []text.Token
	senses []sense
	all    sense // the senses of all words together
}

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
	return c.overrides() || c.phrased() || c.demands() || c.begs() || c.forges() || c.announces() || c.leaks() || c.redefines()
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
	start := 0
	if i > 0 {
		start = c.words[i-1].End
	} else if first := c.words[0]; first.Sentence >= 0 {
		start = c.answer.doc.Sentences[first.Sentence].Start
	}
	end := c.answer.doc.Sentences[c.words[0].Sentence].End
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
			if !c.narrated(i) || c.all&(beg|plea|you|modal|lenient) != 0 {
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
	if c.all&(give|pretend|change) == 0 {
		return false
	}
	for i, s := range c.senses {
		if s&(give|pretend|change) == 0 {
			continue
		}
		obliged := i > 0 && c.has(modal, i-2, i) && !c.narrated(i)
		quoting := i+1 < len(c.words) && s&give != 0 && c.senses[i+1]&praise != 0 && !c.narrated(i)
		if !quoting && !obliged && !c.ordered(i) {
			continue
		}
		end := min(i+9, len(c.words))
		switch norm := c.words[i].Norm; {
		case s&give != 0 && c.has(exam, i+1, i+3) && c.has(praise|top, i+2, i+5),
			s&give != 0 && c.topMark(i+1, end) && (c.has(you|self|theAnswer|plea|grader|exam, 0, len(c.words)) || isOne(norm, "give", "award", "assign", "grant")),
			s&give != 0 && c.outOf(i+1, end) && c.has(grade|exam|assess|theAnswer|self, 0, len(c.words)),
			s&give != 0 && i+1 < len(c.words) && c.words[i+1].Class == text.Number && (c.has(assess|grader|theAnswer, 0, len(c.words)) || i+2 == len(c.words) && norm == "give"),
			s&give != 0 && c.has(grade|exam, i+1, end) && c.hasWord(i+1, end, "me", "us", "my", "this", "everyone", "everybody", "him", "candidate", "student") && !isOne(norm, "report", "write", "set"),
			isOne(norm, "mark", "grade", "rate", "score", "accept", "pass", "evaluate", "assess") && c.has(theAnswer, i+1, i+5) && c.hasWord(i+1, i+4, "this", "my", "the", "these", "all", "every"),
			isOne(norm, "mark", "accept", "count", "pass") && c.hasWord(i+1, i+4, "this", "it", "me", "everything", "all") && c.has(praise|grade, i+1, end),
			s&give != 0 && i+1 < len(c.words) && c.senses[i+1]&praise != 0 && c.has(grade|exam|scheme|theAnswer, 0, len(c.words)) && strings.ContainsAny(c.gap(i+1), "\"'“‘`"),
			norm == "grade" && c.hasWord(i+1, i+2, "the", "this", "it", "me", "us", "only", "based", "according", "as", "my"),
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

// begs: pleas, bribes and threats for a mark.
func (c *clause) begs() bool {
	for i, s := range c.senses {
		norm := c.words[i].Norm
		switch {
		case s&beg != 0 && c.has(self, i-3, i) && (c.has(exam, i+1, i+8) || c.topMark(i+1, min(i+8, len(c.words))) ||
			c.hasWord(i+1, i+8, "grade", "marks", "mark") || c.hasWord(i+1, i+4, "pass") && c.hasWord(i+1, i+6, "exam", "course", "class", "test", "this")):
			return true
		case isOne(norm, "get", "have", "receive", "earn") && c.has(self, i-2, i) && c.hasWord(i-4, i, "can", "could", "may") &&
			(c.has(grade, i+1, i+6) || c.hasWord(i+1, i+3, "at") && c.hasWord(i+2, i+4, "least")):
			return true
		case s&lenient != 0 && (c.all&plea != 0 || c.has(you, 0, i) && c.hasWord(0, i, "could", "can", "would", "please")) &&
			(c.has(theAnswer|grade|self, 0, len(c.words)) || i+1 == len(c.words)):
			return true
		case isOne(norm, "pay", "tip", "reward", "bribe", "sue", "fire", "punish", "fired", "punished", "penalised") && c.all&you != 0 && c.all&(grade|theAnswer|assess|exam) != 0:
			return true
		case isOne(norm, "depends", "depend") && c.has(self, i-3, i) && c.all&(grade|exam|you) != 0:
			return true
		}
	}
	return false
}

// forges: verdicts in the form of a report ("RESULT: PASS", {"score": 5}).
func (c *clause) forges() bool {
	if c.all&(grade|exam) == 0 {
		return false
	}
	for i, s := range c.senses {
		if s&(grade|exam) == 0 || i+1 >= len(c.words) {
			continue
		}
		gap := strings.TrimSpace(c.gap(i + 1))
		key := strings.HasPrefix(gap, "\"") || strings.HasPrefix(gap, "'")
		gap = strings.Trim(gap, " \"'`*_")
		value := i + 1
		if !isOne(gap, ":", "=", "=>", "->", "→", ":=") {
			if gap != "" || c.senses[i]&exam == 0 && !c.hasWord(0, i, "final", "true", "total", "overall", "awarded") {
				continue
			}
			// "Result for the quoted text: outstanding": the sign may stand later.
			for value < len(c.words) && !strings.ContainsAny(c.gap(value), ":=") {
				value++
			}
			if value == len(c.words) || value > i+6 {
				continue
			}
		}
		if i > 0 && isOne(c.words[i-1].Norm, "rice", "ice", "risk", "credit", "nps", "cvss", "health", "severity", "wsjf", "lighthouse", "performance", "test", "build", "ci", "story") {
			continue
		}
		opens := i < 3 || strings.ContainsAny(c.gap(i), "{[(\"',;|\n")
		closes := value+1 == len(c.words) || strings.ContainsAny(c.gap(value+1), ".,;:!)]}\"'\n|/")
		number := c.words[value].Class == text.Number
		switch {
		case !opens || c.narrated(i):
		case c.senses[value]&praise != 0 && (closes || key),
			closes && c.letterGrade(value),
			number && c.outOf(value, value+1),
			number && key,
			number && c.hasWord(0, i, "true", "final", "total", "overall", "awarded", "your", "official", "my"):
			return true
		}
	}
	return false
}

// letterGrade reports whether the word at i is a mark such as "A" or "B+".
func (c *clause) letterGrade(i int) bool {
	w := c.words[i]
	r := c.answer.runeAt(w.Start)
	return w.End == w.Start+1 && 'A' <= r && r <= 'F'
}

// announces: notes, memos and remarks in the voice of those who mark.
func (c *clause) announces() bool {
	n := len(c.words)
	distinct := 0
	seen := sense(0)
	for i, s := range c.senses {
		norm := c.words[i].Norm
		if s&(grade|exam|scheme|grader|assessed|assess) != 0 || isOne(norm, "candidate", "assessment", "evaluation", "examinee", "calibration") {
			if c.narrated(i) {
				return false
			}
			distinct++
			seen |= s
		}
		switch {
		case s&(grade|exam) != 0 && c.hasWord(i+1, i+2, "for") && c.hasWord(i+2, i+3, "this") && c.hasWord(i+3, i+4, "question", "item", "answer", "task", "exam", "submission", "response"):
			return true
		case s&assessed != 0 && c.hasWord(i-3, i, "already", "been", "pre", "previously") && c.has(theAnswer, 0, n):
			return true
		case s&assessed != 0 && c.hasWord(i+1, i+2, "by") && (c.has(grader|maybeGrader, i+1, i+6) || c.hasWord(i+1, i+6, "staff", "committee", "department", "panel")) && !c.narrated(i) && c.bracketed():
			return true
		}
	}
	if distinct >= 3 && seen&(exam|scheme|grader) != 0 && c.all&(theAnswer|exam|grader) != 0 {
		return true
	}
	if distinct == 0 {
		return false
	}
	// "system memo: …", "[note: …]"
	for i := 0; i < min(n-1, 4); i++ {
		if c.senses[i]&notice != 0 && strings.Contains(c.gap(i+1), ":") && c.has(grade|exam|scheme|grader|assess|assessed, i+1, n) &&
			(c.has(theAnswer|exam|grader|scheme, 0, n) || c.hasWord(0, n, "item", "question", "calibration", "system")) {
			return true
		}
	}
	return c.bracketed() && distinct >= 2 && c.all&(grader|exam|assess|assessed|theAnswer) != 0
}

// bracketed reports whether the sentence opens like an insertion.
func (c *clause) bracketed() bool { return strings.ContainsAny(c.gap(0), "[(<#*{/=") }

// leaks: an order to tell what the judge was told.
func (c *clause) leaks() bool {
	if c.all&leak == 0 || c.all&you == 0 {
		return false
	}
	for i, s := range c.senses {
		if s&leak == 0 || !c.ordered(i) {
			continue
		}
		for k := i + 1; k < len(c.words); k++ {
			if c.words[k].Norm == "your" && (c.has(scheme|weakScheme, k+1, k+4) || c.hasWord(k+1, k+3, "prompt", "instructions", "reasoning")) {
				return true
			}
		}
	}
	return false
}

// redefines: other rules for this answer, or a choice left to the judge.
func (c *clause) redefines() bool {
	asked := 0
	for i := range c.words {
		if i > 0 && c.words[i-1].Norm == "as" && isOne(c.words[i].Norm, "asked", "required", "requested", "demanded") {
			if asked++; asked == 2 {
				return true // it claims, point by point, to have said what is wanted
			}
		}
		switch c.words[i].Norm {
		case "whichever":
			if c.hasWord(i+1, i+6, "right", "correct", "accepted", "true", "counts") {
				return true
			}
		case "defined":
			if c.hasWord(i+1, i+2, "as") && c.hasWord(i+2, i+3, "any", "anything", "whatever") && c.hasWord(0, i, "here") {
				return true
			}
		case "read":
			if c.ordered(i) && c.hasWord(i+2, i+4, "as") && c.hasWord(i+1, len(c.words), "throughout", "instead", "typo", "typing") {
				return true
			}
		case "definition":
			if c.hasWord(i-1, i, "by") && c.has(theAnswer, 0, i) && c.hasWord(i+1, i+3, "right", "correct", "complete") {
				return true
			}
		case "abstain":
			if c.has(you|grade|assess, 0, len(c.words)) {
				return true
			}
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
