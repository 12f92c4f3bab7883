package rubric

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// place is a position in a file: line and column count from 1, the column in
// code points.
type place struct{ line, column int }

// source is the text of one file, split into lines, for excerpts.
type source struct {
	path  string
	text  string
	lines []string
}

// newSource normalises line breaks as YAML does (so that a checkout with CRLF
// has the same digests), drops a byte order mark, and refuses what is not
// readable text. The source is returned even then, for its excerpts.
func newSource(path string, data []byte) (*source, Faults) {
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(data))
	s := &source{path: path, text: text, lines: strings.Split(text, "\n")}

	var faults Faults
	for i, line := range s.lines {
		column := 0
		for at, r := range line {
			column++
			reason := ""
			switch {
			case r == utf8.RuneError && !strings.HasPrefix(line[at:], string(utf8.RuneError)):
				reason = "this is not valid UTF-8; save the file as UTF-8"
			case r == '\t':
				// YAML allows tabs within a line, but the parser drops them from
				// plain text, and swallows what follows a quoted one.
				reason = "a tab; use spaces, or write \\t in double quotes"
			case isControl(r):
				reason = fmt.Sprintf("control character U+%04X; remove it", r)
			}
			if reason != "" {
				faults = append(faults, s.fault(place{i + 1, column}, reason))
				break // one a line tells enough
			}
		}
		if len(faults) >= faultsShown {
			break
		}
	}
	return s, faults
}

// isControl reports the C0 and C1 controls other than tab and line feed.
func isControl(r rune) bool {
	return r < 0x20 && r != '\t' && r != '\n' || r >= 0x7F && r < 0xA0
}

// fault makes a fault at a place, with its excerpt.
func (s *source) fault(at place, reason string) *InvalidError {
	e := s.at(at)
	e.Reason = reason
	return &e
}

// at is an InvalidError that knows only where it is.
func (s *source) at(p place) InvalidError {
	if p.line < 1 || p.line > len(s.lines) {
		return InvalidError{Path: s.path}
	}
	p.column = min(max(p.column, 1), utf8.RuneCountInString(s.lines[p.line-1])+1)
	return InvalidError{Path: s.path, Line: p.line, Column: p.column, Excerpt: s.excerpt(p)}
}

const (
	linesBefore  = 2
	excerptWidth = 96
)

// excerpt shows the line of p below the two before it, and a caret under the
// column. Long lines are cut to a window around the caret.
func (s *source) excerpt(p place) string {
	var b strings.Builder
	from := 0
	if p.column > excerptWidth*3/4 {
		from = p.column - excerptWidth/2
	}
	for n := max(1, p.line-linesBefore); n <= p.line; n++ {
		mark := " "
		start := 0
		if n == p.line {
			mark, start = ">", from
		}
		fmt.Fprintf(&b, "%s %4d | %s\n", mark, n, window(s.lines[n-1], start))
	}
	b.WriteString("       | ")
	if from > 0 {
		b.WriteString(" ") // under the ellipsis
	}
	line := []rune(s.lines[p.line-1])
	for _, r := range line[from : p.column-1] {
		if r == '\t' {
			b.WriteRune(r) // so that the caret moves with the tab above it
		} else {
			b.WriteByte(' ')
		}
	}
	b.WriteByte('^')
	return b.String()
}

// window is the part of a line that fits into an excerpt, without anything
// that a terminal would act on.
func window(line string, from int) string {
	runes := []rune(line)
	if from > 0 {
		runes = slices.Concat([]rune("…"), runes[min(from, len(runes)):])
	}
	if len(runes) > excerptWidth {
		runes = append(runes[:excerptWidth:excerptWidth], '…')
	}
	for i, r := range runes {
		if isControl(r) {
			runes[i] = utf8.RuneError
		}
	}
	return strings.TrimRight(string(runes), " ")
}
