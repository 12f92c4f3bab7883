package rows

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/gradus-ai/gradus/internal/api"
)

// columns are those of an upload; question_id may be left out.
var columns = []string{"id", "question_id", "answer"}

// csvSource reads CSV (RFC 4180) with a header row. Cells may be separated by
// commas, semicolons or tabs, which the header tells. Rows without any text are
// skipped; line ends inside a cell become \n.
type csvSource struct {
	in     *csv.Reader
	meter  *meter
	before int64 // bytes ahead of what in counts
	// column is where each of columns stands, or -1.
	column [3]int
	names  int // how many columns the header names
	line   int // where the latest row begins
}

func newCSVSource(in *bufio.Reader, m *meter, skipped int) (*csvSource, error) {
	head, _ := in.Peek(headBytes) // an error will come again
	r := csv.NewReader(in)
	r.Comma = delimiter(head)
	r.ReuseRecord = true
	s := &csvSource{in: r, meter: m, before: int64(skipped)}
	names, err := s.record()
	var parse *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return nil, whole(false, api.Fault{Detail: "there are no answers"})
	case errors.As(err, &parse):
		return nil, whole(true, api.Fault{Line: s.line, Detail: "the header row is not valid CSV"})
	case errors.Is(err, errLong):
		return nil, whole(true, api.Fault{Line: s.line, Detail: longFault})
	case err != nil:
		return nil, err
	}
	if fault := s.header(names); fault != "" {
		return nil, whole(false, api.Fault{Line: s.line, Detail: fault})
	}
	return s, nil
}

// headBytes is how much of the header is looked at for the delimiter.
const headBytes = 1024

// delimiter is what most often separates the names in a header row.
func delimiter(head []byte) rune {
	line, _, _ := bytes.Cut(bytes.TrimLeft(head, "\r\n"), []byte("\n"))
	best, most := ',', 0
	for _, d := range ",;\t" {
		if n := bytes.Count(line, []byte(string(d))); n > most {
			best, most = d, n
		}
	}
	return best
}

// header finds the columns and says what is wrong with the names. What stands
// there is not repeated: a file without a header begins with an answer.
func (s *csvSource) header(names []string) string {
	s.names = len(names)
	s.column = [3]int{-1, -1, -1}
	const want = "; the first row names the columns: id, question_id, answer"
	for i, name := range names {
		name = strings.TrimSpace(name)
		known := -1
		for c, column := range columns {
			if name == column {
				known = c
			} else if strings.EqualFold(name, column) {
				return fmt.Sprintf("column %d must be called %s, in lower case", i+1, column)
			}
		}
		switch {
		case known < 0:
			return fmt.Sprintf("column %d is none of ours%s", i+1, want)
		case s.column[known] >= 0:
			return fmt.Sprintf("the column %s is there twice", columns[known])
		}
		s.column[known] = i
	}
	for _, c := range []int{0, 2} {
		if s.column[c] < 0 {
			return "the column " + columns[c] + " is missing" + want
		}
	}
	return ""
}

// record reads a row of cells and notes where it begins.
func (s *csvSource) record() ([]string, error) {
	before := s.in.InputOffset()
	s.meter.until = s.before + before + MaxRow
	cells, err := s.in.Read()
	var parse *csv.ParseError
	switch {
	case errors.As(err, &parse):
		s.line = parse.StartLine
	case err == nil:
		s.line, _ = s.in.FieldPos(0)
	case errors.Is(err, errLong):
		s.line++ // where it ends nobody knows
	}
	if err == nil && s.in.InputOffset()-before > MaxRow {
		return nil, errLong
	}
	return cells, err
}

func (s *csvSource) next() (*Row, error) {
	for {
		cells, err := s.record()
		at := Place{Line: s.line}
		var parse *csv.ParseError
		switch {
		case errors.As(err, &parse) && errors.Is(parse.Err, csv.ErrFieldCount):
			return nil, &Error{Malformed: true, Faults: []api.Fault{at.Fault("",
				fmt.Sprintf("the row has %d cells and the header %d", len(cells), s.names))}}
		case errors.As(err, &parse) && errors.Is(parse.Err, csv.ErrBareQuote):
			return nil, &Error{Malformed: true, Faults: []api.Fault{at.Fault("",
				"a quote stands inside a cell that does not begin with one: put the cell in quotes and double those inside")}}
		case errors.As(err, &parse):
			// Where the next row begins is anybody's guess.
			return nil, whole(true, at.Fault("",
				"a quoted cell has no end, or text behind its end: double the quotes inside a cell; nothing after this was read"))
		case err != nil:
			return &Row{Place: at}, err
		}
		if blank(cells) {
			continue
		}
		if err := s.encoding(cells); err != nil {
			return nil, err
		}
		row := &Row{Place: at}
		// The cells of a row are pieces of one string: who keeps the id must not
		// keep the answer with it.
		row.Item.ID, row.Item.Answer = strings.Clone(cells[s.column[0]]), cells[s.column[2]]
		if c := s.column[1]; c >= 0 {
			row.Item.QuestionID = cells[c]
		}
		return row, nil
	}
}

func blank(cells []string) bool {
	for _, cell := range cells {
		if cell != "" {
			return false
		}
	}
	return true
}

// encoding finds the first byte that is not UTF-8. A file has one encoding, so
// that the rest of it is not worth reading.
func (s *csvSource) encoding(cells []string) error {
	for i, cell := range cells {
		if utf8.ValidString(cell) {
			continue
		}
		offset := 0
		for r, size := utf8.DecodeRuneInString(cell); r != utf8.RuneError || size > 1; r, size = utf8.DecodeRuneInString(cell[offset:]) {
			offset += size
		}
		line, _ := s.in.FieldPos(i)
		return whole(true, api.Fault{
			Line:   line + strings.Count(cell[:offset], "\n"),
			Detail: fmt.Sprintf("byte %d of cell %d is not valid UTF-8; save the file as UTF-8", offset, i+1),
		})
	}
	return nil
}
