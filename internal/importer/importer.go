// Package importer makes a draft question set of a page of interview questions:
// question, guidance, sample answer in; criteria with weights, hints and
// phrases out, for a person to read and to put right.
//
// Read takes a page apart, in the forms people paste such pages in. Compose
// splits the guidance of each question into claims that an answer can be held
// against, by rule and always in the same way; a Proposer may take the rules'
// place. Draft.File writes the set down with a comment at everything that a
// person has to decide.
//
// The package knows no disk, no model and no judge. It does not know either
// whether what a page says is any good.
package importer

import (
	"errors"
	"fmt"
	"strings"
)

// Format is the form of a page.
type Format string

// Text is prose: plain, Markdown or HTML. CSV has a header row that names the
// columns question, guidance and sample_answer and, where there are any, kind,
// intent and id, or calls them something that is usual ("Example Answer"); cells
// are separated by commas, semicolons or tabs.
const (
	Text Format = "text"
	CSV  Format = "csv"
)

// Formats is the menu.
var Formats = []Format{Text, CSV}

// What is read at most. The texts of a question are bounded as in package
// rubric.
const (
	MaxBytes     = 1 << 20
	MaxQuestions = 200
)

// ErrPage matches, by errors.Is, every fault of a page.
var ErrPage = errors.New("cannot import the page")

// Fault is what keeps a page from being read.
type Fault struct {
	// Path is the name the page was read under.
	Path string
	// Line counts from 1; it is 0 for a fault of the page as a whole.
	Line int
	// Reason says what is wrong and, where that is not plain, what to do.
	Reason string
}

// Error is "path:line: reason".
func (f *Fault) Error() string {
	if f.Line == 0 {
		return f.Path + ": " + f.Reason
	}
	return fmt.Sprintf("%s:%d: %s", f.Path, f.Line, f.Reason)
}

// Is makes every fault match ErrPage.
func (f *Fault) Is(target error) bool { return target == ErrPage }

// Faults is every fault found, in the order of the page. It is never empty when
// returned as an error.
type Faults []*Fault

// Error lists the faults, one a line, at most twenty.
func (f Faults) Error() string {
	const shown = 20
	var b strings.Builder
	for i, fault := range f {
		if i == shown {
			fmt.Fprintf(&b, "\nand %d more", len(f)-i)
			break
		}
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(fault.Error())
	}
	return b.String()
}

// Unwrap lets errors.Is and errors.As see each fault.
func (f Faults) Unwrap() []error {
	errs := make([]error, len(f))
	for i, fault := range f {
		errs[i] = fault
	}
	return errs
}

// Page is what was found on a page.
type Page struct {
	// Title is the page's own, or empty.
	Title   string
	Entries []Entry
	// Skipped are lines that look like questions and have nothing below them, and
	// columns of a table that no question has.
	Skipped []Skipped
}

// Entry is one question as it stands on the page. Paragraphs of a text are
// separated by line breaks.
type Entry struct {
	// Line is where it begins, counted from 1.
	Line int
	// ID, Kind and Intent are empty unless the page gives them.
	ID, Kind, Intent string
	Question         string
	Guidance         string
	SampleAnswer     string
}

// Skipped is a line or a column that was left out.
type Skipped struct {
	Line int
	Text string
	// Why completes "left out, for …".
	Why string
}
