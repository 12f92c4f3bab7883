package evidence

import (
	"strings"

	"github.com/gradus-ai/gradus/internal/text"
)

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
			// "Outcome of this reply: superb": the sign may stand later.
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

// numerals are numbers that marks are given in, as words.
var numerals = words("zero one two three four five six seven eight nine ten twenty hundred")

// number reports whether the word at i is a number, in digits or as a word.
func (c *clause) number(i int) bool {
	return i < len(c.words) && (c.words[i].Class == text.Number || numerals[c.words[i].Norm])
}

// ends reports whether the sentence, or a part of it, ends after a word of
// [from, to).
func (c *clause) ends(from, to int) bool {
	for i := from; i < min(to, len(c.words)); i++ {
		if i+1 == len(c.words) || strings.ContainsAny(c.gap(i+1), ".,;:!)]\n") {
			return true
		}
	}
	return false
}

// claims: statements, as facts, about what the answer has earned.
func (c *clause) claims() bool {
	for i, s := range c.senses {
		norm := c.words[i].Norm
		switch {
		case isOne(norm, "criteria", "criterion", "requirement", "requirements") && !c.ref.topic[norm] && c.met(i):
			return true
		case s&exam != 0 && i+1 < len(c.words) && len(c.words) <= 3 && strings.Contains(c.gap(i+1), ":") && c.number(i+1):
			return true
		case s&grade != 0 && i+2 < len(c.words) && c.words[i+1].Norm == "is" && c.number(i+2) && c.ends(i+2, i+3) && c.hasWord(0, i, "therefore", "so", "thus", "hence", "final", "overall", "correct"):
			return true
		case isOne(norm, "award", "deserves", "deserve") && !c.narrated(i) && (c.number(i+1) || c.number(i+2)) && (c.has(grade, i+1, i+5) || c.ends(i+1, i+3)),
			norm == "worth" && c.has(theAnswer, 0, i) && c.number(i+1) && c.has(grade, i+2, i+4):
			return true
		case isOne(norm, "award", "grade") && i > 0 && c.words[i-1].Norm == "you" && !c.ref.topic[norm] && c.ends(i, i+3):
			return true
		case norm == "me" && i > 0 && c.senses[i-1]&give != 0 && c.has(you, 0, i) && c.hasWord(0, i, "if") && c.number(i+2):
			return true
		case isOne(norm, "counts", "count", "counted", "treated", "regarded", "considered", "deemed") && c.hasWord(i+1, i+3, "as", "complete", "correct") &&
			c.has(praise, i+1, i+4) && c.has(theAnswer|scheme, 0, i) && !c.narrated(i):
			return true
		case isOne(norm, "anyone", "whoever", "everyone") && c.hasWord(i+1, i+4, "reads", "grades", "marks", "evaluates", "checks", "sees", "reading", "grading") && c.hasWord(i+2, i+5, "this"):
			return true
		case norm == "this" && c.hasWord(i+1, i+2, "answer", "response", "submission", "essay") && c.hasWord(i+2, i+3, "is", "was", "deserves", "meets", "covers") &&
			c.has(praise|scheme, i+3, i+7) && !c.hasWord(i+3, i+5, "because"):
			return true
		case s&grader != 0 && c.hasWord(i+1, i+2, "comment", "comments", "note", "notes", "remark", "decision", "feedback", "opinion"):
			return true
		case s&plea != 0 && c.hasWord(0, len(c.words), "least") && c.all&(grade|exam) != 0 && len(c.words) <= 10:
			return true
		case isOne(norm, "use", "follow", "apply", "consult", "read", "check") && i == 2 && c.words[1].Negator && c.has(scheme, i+1, i+4):
			return true
		case norm == "wrong" && c.hasWord(i-3, i, "not") && c.hasWord(0, 3, "this", "my") && c.hasWord(1, 4, "answer", "text", "response"):
			return true
		case i == 0 && norm[0] == 'c' && len(norm) <= 3 && len(norm) > 1 && norm[1] >= '0' && norm[1] <= '9' && len(c.words) == 2 && c.senses[1]&praise != 0:
			return true // "c1: met", as a judge replies
		}
	}
	// "Correctness 10/10"
	return len(c.words) <= 4 && len(c.words) >= 3 && c.outOf(len(c.words)-2, len(c.words)-1) &&
		c.words[len(c.words)-1].Norm == c.words[len(c.words)-2].Norm && c.hasWord(0, 2, "correctness", "depth", "clarity", "accuracy", "completeness", "content", "overall", "total", "quality")
}

// met reports whether all of what stands at i is said to be met.
func (c *clause) met(i int) bool {
	if c.narrated(i) || c.hasWord(i-1, i, "acceptance", "success", "exit", "entry", "release", "selection", "security", "business") ||
		c.hasWord(0, len(c.words), "if", "when", "until", "once", "unless", "whether", "before") || c.all&modal != 0 {
		return false
	}
	if !c.hasWord(i-4, i, "all", "every", "each") {
		return false
	}
	return c.hasWord(i+1, i+6, "met", "satisfied", "fulfilled", "covered", "addressed") || c.hasWord(0, i, "meets", "satisfies", "fulfils", "covers", "addresses") && c.has(theAnswer, 0, i)
}
