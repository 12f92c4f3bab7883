package prompt

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Full-width forms of the signs that open a tag. NFKC folds them back, so that
// a quote copied from the neutralised text is still found in the original.
const (
	wideLess    = '＜'
	wideBracket = '［'
)

// inert is s as a model may see it. Text that imitates our tags or the control
// tokens of chat formats has its first sign widened, and characters that a
// person does not see but a model reads are left out. All else is unchanged.
func inert(s string) string {
	if plain(s) {
		return s
	}
	s = visible(s)
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i, r := range s {
		switch {
		case r == '<' && imitatesTag(s[i+1:]):
			r = wideLess
		case r == '[' && imitatesBracket(s[i+1:]):
			r = wideBracket
		}
		b.WriteRune(r)
	}
	return b.String()
}

// plain reports whether there is certainly nothing to change in s.
func plain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= utf8.RuneSelf, c == '<', c == '[', c < ' ' && c != '\n' && c != '\t' && c != '\r', c == 0x7f:
			return false
		}
	}
	return true
}

// controlWords are names of tags that chat formats, reasoning models or our
// own prompts give a meaning. Names that begin with "answer" are one, too.
var controlWords = map[string]bool{
	"s": true, "bos": true, "eos": true, "sys": true, "inst": true, "system": true, "developer": true, "user": true,
	"human": true, "assistant": true, "model": true, "tool": true, "tool_call": true, "tool_response": true,
	"function": true, "start_of_turn": true, "end_of_turn": true, "think": true, "thinking": true,
	"instructions": true, "question": true, "criteria": true, "criterion": true,
}

// lookAhead is how many signs may stand between the opening sign and the name
// of a tag that is still recognised.
const lookAhead = 8

// imitatesTag reports whether the text after a "<" makes it a control tag.
func imitatesTag(rest string) bool {
	if strings.HasPrefix(rest, "|") || strings.HasPrefix(rest, "｜") {
		return true
	}
	name := tagName(rest)
	return strings.HasPrefix(name, "answer") || controlWords[name]
}

// imitatesBracket reports whether the text after a "[" makes it a control
// token of the bracketed kind, such as [INST].
func imitatesBracket(rest string) bool {
	switch tagName(rest) {
	case "inst", "system_prompt", "available_tools", "tool_calls", "tool_results":
		return true
	}
	return false
}

// tagName is the first word of rest in lower case, past a few signs.
func tagName(rest string) string {
	var name strings.Builder
	signs := 0
	for _, r := range rest {
		switch {
		case unicode.IsLetter(r) || r == '_' && name.Len() > 0:
			if name.Len() > 24 {
				return name.String()
			}
			name.WriteRune(unicode.ToLower(r))
		case name.Len() > 0 || r == '\n' || signs == lookAhead:
			return name.String()
		default:
			signs++
		}
	}
	return name.String()
}

// visible is s without what shows nothing on a page and so has no business in
// front of a model: control characters, bidi controls, zero-width and tag
// characters. Joiners and variation selectors stay where scripts and emoji
// need them: between, or after, characters beyond ASCII.
func visible(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	last := rune(0) // the last rune kept
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		s = s[size:]
		switch {
		case hidden(r):
			continue
		case joins(r):
			next, _ := utf8.DecodeRuneInString(s)
			if s == "" || !carries(next) || !carries(last) && !selects(last) {
				continue
			}
		case selects(r):
			if !carries(last) {
				continue
			}
		}
		b.WriteRune(r)
		last = r
	}
	return b.String()
}

// hidden reports whether r never shows: controls (less line ends and tabs),
// soft hyphen, bidi and zero-width characters, tags.
func hidden(r rune) bool {
	switch {
	case r < ' ':
		return r != '\n' && r != '\t' && r != '\r'
	case 0x7f <= r && r <= 0x9f, r == 0xad, r == 0x61c, r == 0x180e, r == 0x200b, r == 0x200e, r == 0x200f,
		0x202a <= r && r <= 0x202e, 0x2060 <= r && r <= 0x206f, r == 0xfeff, 0xfff9 <= r && r <= 0xfffb,
		0xe0000 <= r && r <= 0xe0fff:
		return true
	}
	return false
}

// joins reports whether r joins its neighbours, or keeps them apart, unseen.
func joins(r rune) bool { return r == 0x200c || r == 0x200d }

// selects reports whether r picks a variant of the character before it.
func selects(r rune) bool { return 0xfe00 <= r && r <= 0xfe0f }

// carries reports whether r can have a joiner or selector beside it.
func carries(r rune) bool {
	return r >= utf8.RuneSelf && !hidden(r) && !joins(r) && !selects(r)
}

// oneLine is inert with every run of white space made one space: rubric text
// is laid out for its file, not for a prompt.
func oneLine(s string) string {
	return inert(strings.Join(strings.Fields(s), " "))
}

// clip is the first limit bytes of s, less a rune that would be cut in half.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
