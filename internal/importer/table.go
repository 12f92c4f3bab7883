package importer

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/gradus-ai/gradus/internal/rubric"
)

// columns of a table; the first is the one it must have.
var columns = []string{"question", "guidance", "sample_answer", "kind", "intent", "id"}

// called are other names that people give to columns.
var called = map[string]string{
	"questions": "question", "interview_question": "question", "question_text": "question", "prompt": "question",
	"tips": "guidance", "tip": "guidance", "advice": "guidance", "how_to_answer": "guidance", "what_to_cover": "guidance", "answer_guidance": "guidance",
	"answer": "sample_answer", "example_answer": "sample_answer", "answer_example": "sample_answer", "sample": "sample_answer", "example": "sample_answer",
	"model_answer": "sample_answer", "good_answer": "sample_answer", "suggested_answer": "sample_answer", "sample_response": "sample_answer",
	"why_employers_ask": "intent", "why_they_ask": "intent", "why_we_ask": "intent", "why_interviewers_ask": "intent", "purpose": "intent", "what_it_tests": "intent",
	"type": "kind", "question_id": "id",
}

// readTable reads CSV (RFC 4180). Rows without any text are skipped.
func readTable(name, decoded string) (*Page, Faults) {
	r := csv.NewReader(strings.NewReader(decoded))
	r.Comma = delimiter(decoded)
	names, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, Faults{{Path: name, Reason: "the table is empty"}}
	}
	if err != nil {
		return nil, Faults{csvFault(name, err)}
	}
	page, ids := &Page{}, make(map[string]bool)
	column, faults := page.header(name, names)
	if len(faults) > 0 {
		return nil, faults
	}
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			faults = append(faults, csvFault(name, err))
			if !errors.Is(err, csv.ErrFieldCount) {
				return nil, faults // where the next row begins is anybody's guess
			}
			continue
		}
		cell := func(of string) string {
			if at, ok := column[of]; ok {
				return tidy(cells[at])
			}
			return ""
		}
		at, _ := r.FieldPos(0)
		e := Entry{
			Line: at, ID: cell("id"), Kind: strings.ToLower(cell("kind")), Intent: cell("intent"),
			Question: cell("question"), Guidance: cell("guidance"), SampleAnswer: cell("sample_answer"),
		}
		switch {
		case e == (Entry{Line: at}):
			continue
		case e.Question == "":
			faults = append(faults, &Fault{name, at, "the row has no question"})
		case e.Kind != "" && !slices.Contains(rubric.Kinds, rubric.Kind(e.Kind)):
			faults = append(faults, &Fault{name, at, fmt.Sprintf("kind %q; choose technical, behavioural or motivational, or leave it empty", e.Kind)})
		case e.ID != "" && ids[e.ID]:
			faults = append(faults, &Fault{name, at, "two questions are called " + e.ID})
		case e.ID != "" && e.ID != slug(e.ID):
			faults = append(faults, &Fault{name, at, fmt.Sprintf("the id %q may only hold lower-case letters, digits and hyphens", e.ID)})
		}
		ids[e.ID] = true
		page.Entries = append(page.Entries, e)
	}
	if len(faults) == 0 && len(page.Entries) == 0 {
		faults = Faults{{name, 1, "no questions found: there are no rows below the header"}}
	}
	return page, faults
}

// tidy is a cell with its white space in order; paragraphs stay apart.
func tidy(cell string) string {
	var out []string
	for l := range strings.SplitSeq(cell, "\n") {
		if l = strings.Join(strings.Fields(l), " "); l != "" {
			out = append(out, l)
		}
	}
	return strings.Join(out, "\n")
}

// delimiter is what most often separates the names in the header row.
func delimiter(table string) rune {
	head, _, _ := strings.Cut(strings.TrimLeft(table, "\n"), "\n")
	best, most := ',', 0
	for _, d := range ",;\t" {
		if n := strings.Count(head, string(d)); n > most {
			best, most = d, n
		}
	}
	return best
}

// header finds the columns. Those that no question has are left out.
func (p *Page) header(name string, names []string) (map[string]int, Faults) {
	column := make(map[string]int)
	var faults Faults
	for i, given := range names {
		n := strings.Join(strings.FieldsFunc(strings.ToLower(given), func(r rune) bool { return !unicode.IsLetter(r) }), "_")
		if other, ok := called[n]; ok {
			n = other
		}
		if !slices.Contains(columns, n) {
			p.Skipped = append(p.Skipped, Skipped{Line: 1, Text: strings.Join(strings.Fields(given), " "), Why: "it is none of the columns " + strings.Join(columns, ", ")})
			continue
		}
		if _, again := column[n]; again {
			faults = append(faults, &Fault{name, 1, "the column " + n + " is there twice"})
		}
		column[n] = i
	}
	if _, ok := column[columns[0]]; !ok {
		faults = append(faults, &Fault{name, 1, "the column question is missing; the first row names the columns: " + strings.Join(columns, ", ")})
	}
	return column, faults
}

func csvFault(name string, err error) *Fault {
	f := &Fault{Path: name, Reason: "not valid CSV"}
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		f.Line = parse.StartLine
		switch {
		case errors.Is(err, csv.ErrFieldCount):
			f.Reason = "the row has not as many cells as the header"
		case errors.Is(err, csv.ErrBareQuote):
			f.Reason = "a quote inside a cell that does not begin with one: put the cell in quotes and double those inside"
		default:
			f.Reason = "a quoted cell has no end, or text behind its end: double the quotes inside a cell"
		}
	}
	return f
}
