package evidence

import (
	"strings"
	"unicode/utf8"

	"github.com/gradus-ai/gradus/internal/text"
)

// markers finds forged structure: control tokens of chat formats, tags that
// close what surrounds an answer, turns of a conversation, "end of answer".
func (a *Answer) markers(ref *Reference) []Flagged {
	var out []Flagged
	s := a.source
	if strings.ContainsAny(s, "<＜[") {
		out = append(out, a.tags(ref)...)
	}
	out = append(out, a.turns(ref)...)
	return append(out, a.ends()...)
}

// lines makes passages of lines, front to back.
type lines struct {
	source     string
	start, end int // the current line, in bytes
	from, to   int // and in code points
}

// at makes a passage of the line that holds byte i, which is not before the
// one asked for last.
func (l *lines) at(i int) Flagged {
	for i >= l.end && l.end < len(l.source) || l.end == 0 {
		l.start, l.from = l.end, l.to
		l.end = len(l.source)
		if n := strings.IndexByte(l.source[l.start:], '\n'); n >= 0 {
			l.end = l.start + n + 1
		}
		l.to = l.from + utf8.RuneCountInString(l.source[l.start:l.end])
	}
	to := l.to
	if l.end > l.start && l.source[l.end-1] == '\n' {
		to--
	}
	return Flagged{Flag: InstructionLike, Start: l.from, End: to}
}

// Names of tags: those that stand for nothing but the surroundings of an
// answer, and those that are forged only when they close what they never
// opened.
var (
	forgedTags  = words("grading grade score verdict rubric criteria examiner grader evaluation assessment user_input student_answer candidate_answer system_prompt system assistant instructions im_start im_end start_of_turn end_of_turn tool_response tool_call eot_id")
	closingTags = words("answer essay submission student candidate user input response document text question context data content prompt instruction policy human reply transcript")
)

func (a *Answer) tags(ref *Reference) []Flagged {
	var out []Flagged
	s := a.source
	opened := map[string]bool{}
	line := lines{source: s}
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '<':
			if strings.HasPrefix(s[i:], "<|") && strings.Contains(s[i:min(i+40, len(s))], "|>") || strings.HasPrefix(s[i:], "<<SYS>>") {
				out = append(out, line.at(i))
				continue
			}
			rest := s[i+1:]
			closing := strings.HasPrefix(rest, "/")
			rest = strings.TrimPrefix(rest, "/")
			n := 0
			for n < len(rest) && n < 32 && (isNameByte(rest[n])) {
				n++
			}
			name := strings.ReplaceAll(strings.ToLower(rest[:n]), "-", "_")
			if n == 0 || n == len(rest) || !strings.ContainsRune("> /\t", rune(rest[n])) || ref.topic[name] || ref.topic["xml"] || ref.topic["html"] {
				continue
			}
			if forgedTags[name] || strings.HasPrefix(name, "answer_") || closing && outer(name) && !opened[name] {
				out = append(out, line.at(i))
			}
			opened[name] = opened[name] || !closing
		case '[':
			if strings.HasPrefix(s[i:], "[INST]") || strings.HasPrefix(s[i:], "[/INST]") {
				out = append(out, line.at(i))
			}
		}
	}
	return out
}

// outer reports whether a tag of this name could surround an answer.
func outer(name string) bool {
	for part := range strings.SplitSeq(name, "_") {
		if closingTags[part] {
			return true
		}
	}
	return false
}

func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

// Speakers in a forged conversation, as they open a line.
var (
	asking    = words("user human student candidate me q")
	answering = words("assistant ai model grader examiner evaluator bot gpt chatgpt teacher marker judge")
	above     = words("system developer admin administrator")
)

// turns finds lines that put words into the mouth of the judge: "assistant: …"
// after "user: …", or any speaker of that side who talks about marks.
func (a *Answer) turns(ref *Reference) []Flagged {
	type turn struct {
		line Flagged
		told bool
	}
	var turns []turn
	asked, answered := false, false
	for i, s := range a.doc.Sentences {
		words := a.doc.Words(i)
		name := words[0].Norm
		speaker := asking[name] || answering[name] || above[name]
		if !speaker || ref.topic[name] || len(words) < 2 {
			continue
		}
		if gap := strings.TrimLeft(a.doc.Slice(words[0].End, words[1].Start), " *_]>)"); !strings.HasPrefix(gap, ":") {
			continue
		}
		c := a.clause(ref, i)
		c.understand()
		told := c.all&(grade|exam|scheme|override|assess|assessed|theAnswer|praise|top) != 0 && !asking[name]
		asked = asked || asking[name]
		answered = answered || answering[name] && name != "judge" && name != "teacher"
		turns = append(turns, turn{Flagged{Flag: InstructionLike, Start: s.Start, End: s.End}, told})
	}
	var out []Flagged
	for _, t := range turns {
		if t.told || asked && answered {
			out = append(out, t.line)
		}
	}
	return out
}

// ends finds lines and insertions that declare the answer over:
// "(end of quoted text)", "### END OF SUBMISSION ###".
func (a *Answer) ends() []Flagged {
	var out []Flagged
	tokens := a.doc.Tokens
	for i := range tokens {
		if tokens[i].Norm != "end" || i+2 >= len(tokens) || tokens[i+1].Norm != "of" {
			continue
		}
		k := i + 2
		for k < len(tokens) && k < i+5 && !overNouns[tokens[k].Norm] {
			k++
		}
		if k == len(tokens) || !overNouns[tokens[k].Norm] || tokens[k].Sentence != tokens[i].Sentence {
			continue
		}
		s := a.doc.Sentences[tokens[i].Sentence]
		from, to := s.Start, s.End
		if i > s.First {
			from = tokens[i-1].End
		}
		if k+1 < s.Last {
			to = tokens[k+1].Start
		}
		before, after := a.doc.Slice(from, tokens[i].Start), a.doc.Slice(tokens[k].End, to)
		framed := strings.ContainsAny(before, "([{<=-#*~") && strings.ContainsAny(after, ")]}>=-#*~")
		alone := i == s.First && k+1 == s.Last && text.Parse(before).Len() <= 1
		if framed || alone && !strings.ContainsAny(after, ",") && before == "" && k > i+2 {
			out = append(out, Flagged{Flag: InstructionLike, Start: tokens[i].Start, End: tokens[k].End})
		}
	}
	return out
}

var overNouns = words("text answer essay submission report input response transcript document message reply exam prompt instructions data")
