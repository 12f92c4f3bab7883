package importer

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gradus-ai/gradus/internal/rubric"
)

// Mark opens every comment about something that a person has to decide.
const Mark = "# draft: "

// Note is something that a person has to decide, and the line of the YAML
// that says so.
type Note struct {
	Line int
	// Question and Criterion are local ids; Criterion is empty for a note about
	// the whole question.
	Question, Criterion string
	Text                string
}

// width is where prose wraps, in columns.
const width = 88

// File is a draft written down.
type File struct {
	YAML []byte
	// Notes are in the order of the file.
	Notes []Note
	// Lines says where each question begins, by its local id.
	Lines map[string]int
}

// writer writes YAML and counts its lines.
type writer struct {
	b    strings.Builder
	line int
	file *File
}

func (w *writer) put(format string, args ...any) {
	fmt.Fprintf(&w.b, format+"\n", args...)
	w.line++
}

// File writes the draft as YAML, with a comment at each thing to decide.
func (d *Draft) File() *File {
	w := &writer{file: &File{Lines: make(map[string]int)}}
	w.put("# A draft made by gradus import%s: no more than what a page says, split into claims.", of(d.Source))
	w.put("# Read every line before it grades anybody. Comments that begin with \"draft:\" say what is")
	w.put("# yours to decide; remove them as you go, and ask gradus lint --probe how far you are.")
	w.put("version: %d", d.Set.Version)
	w.put("id: %s", scalar(d.Set.ID))
	if d.Set.Title != "" {
		w.put("title: %s", scalar(d.Set.Title))
	}
	w.put("questions:")
	for i, q := range d.Set.Questions {
		if i > 0 {
			w.put("")
		}
		d.comments(w, "  ", q.ID, "")
		w.put("  - id: %s", scalar(q.ID))
		w.file.Lines[q.ID] = w.line
		w.put("    kind: %s", scalar(string(q.Kind)))
		w.folded("question", q.Text)
		w.folded("intent", q.Intent)
		w.folded("guidance", q.Guidance)
		w.folded("sample_answer", q.SampleAnswer)
		w.put("    criteria:")
		for _, c := range q.Criteria {
			d.comments(w, "      ", q.ID, c.ID)
			w.criterion(c)
		}
	}
	w.file.YAML = []byte(w.b.String())
	return w.file
}

func of(source string) string {
	if source == "" || source == "-" {
		return ""
	}
	return " of " + strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, source)
}

func (d *Draft) comments(w *writer, indent, question, criterion string) {
	at := question
	if criterion != "" {
		at += "/" + criterion
	}
	for _, n := range d.notes[at] {
		w.file.Notes = append(w.file.Notes, Note{w.line + 1, question, criterion, n})
		mark := Mark
		for _, l := range wrapped(n, width-len(indent)-len(Mark)) {
			w.put("%s%s%s", indent, mark, l)
			mark = "#   "
		}
	}
}

func (w *writer) criterion(c rubric.Criterion) {
	w.put("      - id: %s", scalar(c.ID))
	if c.Kind != rubric.Core && c.Kind != "" {
		w.put("        kind: %s", scalar(string(c.Kind)))
	}
	w.put("        statement: %s", scalar(c.Statement))
	w.put("        weight: %s", strconv.FormatFloat(c.Weight, 'f', -1, 64))
	if c.Partial != "" {
		w.put("        partial: %s", scalar(c.Partial))
	}
	if c.Hint != "" {
		w.put("        hint: %s", scalar(c.Hint))
	}
	if c.Signal != "" {
		w.put("        signal: %s", scalar(string(c.Signal)))
	}
	if len(c.Phrases) > 0 {
		w.put("        phrases:")
		for _, p := range c.Phrases {
			w.put("          - %s", scalar(p))
		}
	}
}

// folded writes prose of a question as a folded block: white space within a paragraph is one
// space, paragraphs are separated by one line break.
func (w *writer) folded(key, prose string) {
	const indent = "    "
	if prose == "" {
		return
	}
	w.put("%s%s: >-", indent, key)
	for i, paragraph := range strings.Split(prose, "\n") {
		if i > 0 {
			w.put("")
		}
		for _, l := range wrapped(paragraph, width-len(indent)-2) {
			w.put("%s  %s", indent, l)
		}
	}
}

// wrapped is a paragraph in lines of at most so many columns; a longer word
// has a line to itself.
func wrapped(paragraph string, columns int) []string {
	var out []string
	line, length := "", 0
	for _, word := range strings.Fields(paragraph) {
		n := utf8.RuneCountInString(word)
		if length > 0 && length+1+n > columns {
			out = append(out, line)
			line, length = "", 0
		}
		if length > 0 {
			line += " "
			length++
		}
		line += word
		length += n
	}
	return append(out, line)
}

var (
	// plainScalar needs no quotes: it begins with a letter and holds nothing
	// that means something to YAML.
	plainScalar = regexp.MustCompile(`^\pL[\pL\pN_ '’“”().,;!?/%+&–—-]*$`)
	// words that YAML, of one version or another, takes for something else.
	notText = regexp.MustCompile(`(?i)^(?:y|n|yes|no|on|off|true|false|null|nan|inf)$`)
)

// scalar is a text of one line as a YAML value.
func scalar(s string) string {
	if plainScalar.MatchString(s) && !notText.MatchString(s) && !strings.HasSuffix(s, " ") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}
