package model

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/prompt"
)

const (
	// longestQuote is the longest passage taken as a quote, in code points. The
	// rules ask for a dozen words; whoever quotes a whole answer shows nothing.
	longestQuote = 400
	// longestComment is where a comparison is cut, in code points: somewhat more
	// than the 25 words asked for.
	longestComment = 240
)

// reading is what a reply says of one criterion, with nothing checked yet but
// its form.
type reading struct {
	verdict    judge.Verdict
	quotes     []string // at most prompt.MaxQuotes, none blank or longer than longestQuote
	compare    string   // one line, at most longestComment
	confidence int      // 0..100
}

// fault says what is wrong with a reply, in words that can be shown to the
// model. It never contains anything of the reply, for that may be the answer's
// words.
type fault string

func (f fault) Error() string { return string(f) }

const (
	noObject   fault = "there is no JSON object in it"
	notJSON    fault = "it is not valid JSON"
	notFormat  fault = "its JSON is not of the form asked for"
	twiceNamed fault = "it names a member twice"
	notAMember fault = "it has a member that the form does not have"
	ambiguous  fault = "it holds more than one such object"
	parroted   fault = "it repeats what the answer dictates instead of judging it"
	unfilled   fault = "it repeats the form instead of filling it in"
)

// read turns a reply about n criteria into one reading for each, in order.
//
// The whole reply is tried first, strictly: exact names, none twice, none
// unknown, none null. Failing that, reasoning blocks, code fences, prose and
// trailing commas around a single object are tolerated; nothing is ever picked
// out of broken JSON, and of several objects none is chosen. Accepted means:
// every criterion exactly once, verdicts from the menu, confidence a whole
// number from 0 to 100, and more than the form's own ellipses where a criterion
// has texts at all: a small model copies the form and would judge every answer
// alike. answer is what was judged: a reply that stands in it
// word for word is the author's and not the judge's.
//
// The error is a fault.
func read(text string, n int, answer string) ([]reading, error) {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	readings, err := decode(text, n)
	object := text
	if err != nil {
		object, readings, err = search(text, n)
	}
	if err == nil && dictated(object, answer) {
		return nil, parroted
	}
	return readings, err
}

// part is a reading out of a reply that is still being written.
type part struct {
	index int
	reading
}

// begun lists the readings that stand whole in the beginning of a reply about n
// criteria. They are to be shown and not to be counted: the reply may yet turn
// out not to be one.
func begun(text string, n int) []part {
	if at := strings.LastIndex(text, "</think>"); at >= 0 {
		text = text[at:]
	} else if strings.Contains(text, "<think>") {
		return nil
	}
	from := strings.IndexByte(text, '{')
	if from < 0 {
		return nil
	}
	in := jsontext.NewDecoder(strings.NewReader(text[from:]))
	for _, want := range []string{"{", "criteria", "["} {
		if token, err := in.ReadToken(); err != nil || token.String() != want {
			return nil
		}
	}
	var out []part
	for {
		value, err := in.ReadValue()
		if err != nil {
			return out
		}
		var entry wireEntry
		if json.Unmarshal(value, &entry, json.RejectUnknownMembers(true)) != nil || entry.ID == nil {
			return out
		}
		index := indexOf(*entry.ID, n)
		if index < 0 || slices.ContainsFunc(out, func(p part) bool { return p.index == index }) {
			return out
		}
		r, err := entry.reading(*entry.ID)
		if err != nil {
			return out
		}
		out = append(out, part{index, r})
	}
}

// search finds the one object in text that is a reply.
func search(text string, n int) (string, []reading, error) {
	objects, err := objectsIn(text)
	if err != nil {
		return "", nil, err
	}
	var found string
	var readings []reading
	err = noObject
	for _, object := range objects {
		object = withoutTrailingCommas(object)
		if !valid(object) {
			// What follows broken JSON cannot be told from what is inside it.
			return "", nil, notJSON
		}
		got, fault := decode(object, n)
		switch {
		case fault != nil:
			if readings == nil {
				err = fault
			}
		case readings != nil && !slices.EqualFunc(readings, got, same):
			return "", nil, ambiguous
		default: // the first, or one that says the same once more
			found, readings, err = object, got, nil
		}
	}
	return found, readings, err
}

func same(a, b reading) bool {
	return a.verdict == b.verdict && a.compare == b.compare && a.confidence == b.confidence && slices.Equal(a.quotes, b.quotes)
}

// objectsIn lists the outermost {…} of text. What a reasoning block holds is
// thinking, not a reply. An object that never ends is a fault: its inside must
// not be taken for a reply.
func objectsIn(text string) ([]string, error) {
	const opening, closing = "<think>", "</think>"
	var objects []string
	for i := 0; i < len(text); {
		switch {
		case text[i] == '{':
			end := objectEnd(text[i:])
			if end < 0 {
				return nil, notJSON
			}
			objects = append(objects, text[i:i+end])
			i += end
		case strings.HasPrefix(text[i:], opening):
			end := strings.Index(text[i:], closing)
			if end < 0 {
				return nil, noObject
			}
			i += end
		case strings.HasPrefix(text[i:], closing): // some endpoints swallow the opening one
			objects = nil
			i += len(closing)
		default:
			i++
		}
	}
	return objects, nil
}

// objectEnd is the length of the object that text begins with, or -1.
func objectEnd(text string) int {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// withoutTrailingCommas drops commas right before a closing bracket.
func withoutTrailingCommas(object string) string {
	var b strings.Builder
	quoted, from := false, 0
	for i := 0; i < len(object); i++ {
		switch c := object[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			rest := strings.TrimLeft(object[i+1:], " \t\r\n")
			if rest != "" && (rest[0] == '}' || rest[0] == ']') {
				b.WriteString(object[from:i])
				from = i + 1
			}
		}
	}
	if from == 0 {
		return object
	}
	b.WriteString(object[from:])
	return b.String()
}

// The reply as it is written. Pointers tell what is absent or null from what
// is empty. Comparison and evidence may be absent: nothing is lost by that,
// for a verdict that needs evidence is not believed without.
type wireReply struct {
	Criteria []wireEntry `json:"criteria"`
}

type wireEntry struct {
	ID         *string        `json:"id"`
	Evidence   []*string      `json:"evidence"`
	Compare    *string        `json:"compare"`
	Verdict    *string        `json:"verdict"`
	Confidence jsontext.Value `json:"confidence"`
}

// decode reads one object strictly.
func decode(object string, n int) ([]reading, error) {
	var reply wireReply
	err := json.Unmarshal([]byte(object), &reply, json.RejectUnknownMembers(true))
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return nil, twiceNamed
	case errors.Is(err, json.ErrUnknownName):
		return nil, notAMember
	case err != nil:
		if valid(object) {
			return nil, notFormat
		}
		return nil, notJSON
	}
	readings := make([]reading, n)
	seen := make([]bool, n)
	for _, entry := range reply.Criteria {
		index := -1
		if entry.ID != nil {
			index = indexOf(*entry.ID, n)
		}
		switch {
		case index < 0:
			return nil, fault(fmt.Sprintf("an id in it is not one of c1 to c%d", n))
		case seen[index]:
			return nil, fault(fmt.Sprintf("criterion c%d stands in it twice", index+1))
		}
		seen[index] = true
		if readings[index], err = entry.reading(*entry.ID); err != nil {
			return nil, err
		}
	}
	if index := slices.Index(seen, false); index >= 0 {
		return nil, fault(fmt.Sprintf("criterion c%d is missing", index+1))
	}
	return readings, nil
}

// valid reports whether object is JSON at all; that it names a member twice is
// told apart.
func valid(object string) bool {
	return jsontext.Value(object).IsValid(jsontext.AllowDuplicateNames(true))
}

// indexOf is the index of the criterion that is called id, or -1.
func indexOf(id string, n int) int {
	number, err := strconv.Atoi(strings.TrimPrefix(id, "c"))
	if err != nil || number < 1 || number > n || id != prompt.CriterionName(number-1) {
		return -1
	}
	return number - 1
}

func (e wireEntry) reading(name string) (reading, error) {
	if e.Verdict == nil || !judge.Verdict(*e.Verdict).Valid() {
		return reading{}, fault("the verdict of " + name + " is not on the menu")
	}
	confidence, err := strconv.ParseFloat(string(e.Confidence), 64)
	if err != nil || e.Confidence.Kind() != '0' || confidence < 0 || confidence > 100 || confidence != math.Trunc(confidence) {
		return reading{}, fault("the confidence of " + name + " is not a whole number from 0 to 100")
	}
	r := reading{verdict: judge.Verdict(*e.Verdict), confidence: int(confidence)}
	blanks := 0
	for _, quote := range e.Evidence {
		switch {
		case quote == nil:
			return reading{}, fault("the evidence of " + name + " is not a list of texts")
		case blank(*quote):
			blanks++
		case len(r.quotes) < prompt.MaxQuotes && strings.TrimSpace(*quote) != "" && utf8.RuneCountInString(*quote) <= longestQuote:
			r.quotes = append(r.quotes, *quote)
		}
	}
	if e.Compare != nil && blank(*e.Compare) {
		blanks++
	} else if e.Compare != nil {
		r.compare = comment(*e.Compare)
	}
	if blanks > 0 && len(r.quotes) == 0 && r.compare == "" {
		return reading{}, unfilled
	}
	return r, nil
}

// blank reports whether a text is what stands in the form where a text is
// missing: an ellipsis.
func blank(s string) bool {
	s = strings.TrimSpace(s)
	return strings.Trim(s, ".…") == "" && (strings.Contains(s, "…") || strings.Contains(s, "..."))
}

// comment is a model's remark as one line of bounded length.
func comment(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) <= longestComment {
		return s
	}
	s = string([]rune(s)[:longestComment])
	if cut := strings.LastIndexByte(s, ' '); cut > 0 {
		s = s[:cut]
	}
	return s + "…"
}

// dictated reports whether the answer itself contains the object, white space
// aside: an author's own verdicts, copied out.
func dictated(object, answer string) bool {
	if !strings.Contains(answer, "{") {
		return false
	}
	squeeze := func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsSpace(r) {
				return -1
			}
			return r
		}, s)
	}
	return strings.Contains(squeeze(answer), squeeze(object))
}
