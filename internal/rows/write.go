package rows

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/gradus-ai/gradus/internal/api"
)

// Result is an api.ResultRow whose grade is JSON already, so that who keeps
// grades as JSON need not decode them to pass them on.
type Result struct {
	Index  int             `json:"index"`
	ID     string          `json:"id"`
	Status api.RowStatus   `json:"status"`
	Grade  json.RawMessage `json:"grade"`
	Error  *api.Problem    `json:"error"`
}

// Writer writes results. Its methods must not be called concurrently.
type Writer struct {
	out    *bufio.Writer
	format Format
	cells  *csv.Writer
	begun  bool
}

// NewWriter makes a Writer of a format. What is written is buffered until Flush
// or Close.
func NewWriter(w io.Writer, format Format) *Writer {
	out := bufio.NewWriterSize(w, bufferSize)
	return &Writer{out: out, format: format, cells: csv.NewWriter(out)}
}

// Resume makes a Writer that goes on behind rows written before: CSV then gets
// no second header. JSON cannot be resumed.
func Resume(w io.Writer, format Format) *Writer {
	writer := NewWriter(w, format)
	writer.begun = true
	return writer
}

// Write writes a result.
func (w *Writer) Write(row *Result) error {
	if w.format != CSV {
		return w.splice(row)
	}
	out := api.ResultRow{Index: row.Index, ID: row.ID, Status: row.Status, Error: row.Error}
	if len(row.Grade) > 0 {
		if err := json.Unmarshal(row.Grade, &out.Grade); err != nil {
			return fmt.Errorf("decode the grade of item %d: %w", row.Index, err)
		}
	}
	return w.writeCells(&out)
}

// splice writes a row as one line of JSON, with its grade as it is: to encode
// that once more takes longer than all the rest.
func (w *Writer) splice(row *Result) error {
	bare := *row
	bare.Grade = nil
	text, err := json.Marshal(&bare)
	if err != nil {
		return fmt.Errorf("encode result: %w", err)
	}
	if len(row.Grade) > 0 {
		text = bytes.Replace(text, noGrade, append(slices.Clip(gradeName), row.Grade...), 1)
	}
	return w.line(text)
}

// gradeName is followed by a grade. No id holds a quotation mark, so that the
// first place where the bytes of noGrade stand is the member itself.
var (
	gradeName = []byte(`,"grade":`)
	noGrade   = []byte(`,"grade":null`)
)

// line writes a row that is encoded.
func (w *Writer) line(text []byte) error {
	if w.format == JSON {
		separator := ",\n"
		if !w.begun {
			separator = "[\n"
		}
		if _, err := w.out.WriteString(separator); err != nil {
			return err
		}
	}
	w.begun = true
	if _, err := w.out.Write(text); err != nil {
		return err
	}
	if w.format == NDJSON {
		return w.out.WriteByte('\n')
	}
	return nil
}

// writeCells writes a row of cells, behind a header where it is the first.
func (w *Writer) writeCells(row *api.ResultRow) error {
	if err := w.header(); err != nil {
		return err
	}
	return w.cells.Write(cellsOf(row))
}

func (w *Writer) header() error {
	if w.begun {
		return nil
	}
	w.begun = true
	return w.cells.Write(Columns)
}

// Flush passes on what is buffered.
func (w *Writer) Flush() error {
	w.cells.Flush()
	if err := w.cells.Error(); err != nil {
		return err
	}
	return w.out.Flush()
}

// Close ends the results and flushes them. It does not close what is written to.
func (w *Writer) Close() error {
	switch {
	case w.format == CSV:
		if err := w.header(); err != nil {
			return err
		}
	case w.format == JSON && w.begun:
		if _, err := w.out.WriteString("\n]\n"); err != nil {
			return err
		}
	case w.format == JSON:
		if _, err := w.out.WriteString("[]\n"); err != nil {
			return err
		}
	}
	return w.Flush()
}
