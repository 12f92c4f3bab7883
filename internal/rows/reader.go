package rows

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/gradus-ai/gradus/internal/api"
)

// MaxHeld bounds, in bytes, the answers of a JSON upload that wait for options
// that may stand behind them.
const MaxHeld = 16 << 20

// Reader reads the answers of an upload.
type Reader struct {
	in     *bufio.Reader
	meter  *meter
	format Format
	source source

	// question is that of the items that name none.
	question string
	// seen is where every id came first: a line, or an index in JSON.
	seen  map[string]int
	count int

	// held is what was read before the options of a JSON upload were settled.
	held []outcome
	over bool
}

// source reads rows in one format. Its errors are *Error, io.EOF, errLong and
// those of the reader; it is asked again only after an *Error of a row.
type source interface {
	// next returns a row, or its place with an error.
	next() (*Row, error)
}

// outcome is what comes of reading one row.
type outcome struct {
	row *Row
	err error
}

// NewReader makes a Reader of an upload. question is the SET/QUESTION of items
// that name none; a question_id in the options of a JSON upload comes first.
func NewReader(r io.Reader, format Format, question string) *Reader {
	m := &meter{r: r, until: MaxRow}
	return &Reader{
		in: bufio.NewReaderSize(m, bufferSize), meter: m, format: format,
		question: question, seen: make(map[string]int),
	}
}

const bufferSize = 64 << 10

// Options are what a JSON upload says beside its items, and nil for other
// formats. They are settled once Next has returned for the first time: up to
// MaxHeld bytes of items are read ahead to see what stands behind them, and an
// option behind more than that is a fault of the upload.
func (r *Reader) Options() *api.BatchOptions {
	if j, ok := r.source.(*jsonSource); ok {
		return &j.options
	}
	return nil
}

// Next returns the next answer, and io.EOF when there are no more. An *Error is
// about the row in its place, and Next can be called again; or about the upload,
// which then has no more rows. ErrTooMany and the errors of the underlying reader
// end the upload too.
//
// Every answer returned has an id that is valid and that no other has, valid
// UTF-8 of at most api.MaxAnswer code points, and a question or the name of one.
func (r *Reader) Next() (*Row, error) {
	if r.source == nil && !r.over {
		var err error
		if r.source, err = r.begin(); err != nil {
			r.over = true
			return nil, err
		}
		r.settle()
	}
	if len(r.held) > 0 {
		next := r.held[0]
		r.held[0], r.held = outcome{}, r.held[1:]
		return r.ask(next.row, next.err)
	}
	if r.over {
		return nil, io.EOF
	}
	return r.ask(r.read())
}

// settle reads a JSON upload until its options are known: to the end where it is
// small.
func (r *Reader) settle() {
	j, ok := r.source.(*jsonSource)
	if !ok {
		return
	}
	for held := 0; !r.over && held <= MaxHeld; held += j.span + rowOverhead {
		row, err := r.read()
		if !errors.Is(err, io.EOF) {
			r.held = append(r.held, outcome{row, err})
		}
	}
	j.settled = true
	if n := len(r.held); n > 0 && r.over && r.held[n-1].err != nil {
		// No row of this upload will be taken: all that counts is what is wrong.
		var fault *Error
		if last := r.held[n-1].err; !errors.As(last, &fault) || fault.Whole {
			r.held = slices.DeleteFunc(r.held, func(o outcome) bool { return o.err == nil })
		}
	}
}

// rowOverhead is what a row takes in memory beside its text, in bytes.
const rowOverhead = 256

// read is the next row as far as it can be checked where it stands, and io.EOF
// once after the last.
func (r *Reader) read() (*Row, error) {
	row, err := r.source.next()
	var fault *Error
	switch {
	case errors.Is(err, io.EOF):
		r.over = true
		if r.count == 0 {
			return nil, whole(false, api.Fault{Pointer: r.itemsPointer(), Detail: "there are no answers"})
		}
		return nil, io.EOF
	case errors.Is(err, errLong):
		r.over = true
		return nil, whole(true, row.Fault("", longFault))
	case err != nil && (!errors.As(err, &fault) || fault.Whole):
		r.over = true
		return nil, err
	}
	if r.count == api.MaxBatchItems {
		r.over = true
		return nil, ErrTooMany
	}
	r.count++
	if err != nil {
		return nil, err
	}
	faults := check(&row.Item, row.Place)
	if first, again := r.seen[row.Item.ID]; again {
		faults = append(faults, row.Fault("/id", r.usedAt(first)))
	} else if ValidID(row.Item.ID) {
		// A copy: the id may be a piece of a whole line.
		r.seen[strings.Clone(row.Item.ID)] = r.here(row)
	}
	if faults != nil {
		return nil, &Error{Faults: faults}
	}
	return row, nil
}

func (r *Reader) itemsPointer() string {
	if r.format == JSON {
		return "/items"
	}
	return ""
}

func (r *Reader) here(row *Row) int {
	if r.format == JSON {
		return r.count - 1
	}
	return row.Line
}

func (r *Reader) usedAt(first int) string {
	if r.format == JSON {
		return "/items/" + strconv.Itoa(first) + " has this id already"
	}
	return "line " + strconv.Itoa(first) + " has this id already"
}

// ask gives a row the question of the batch where it has none of its own.
func (r *Reader) ask(row *Row, err error) (*Row, error) {
	if err != nil || row.Item.QuestionID != "" || row.Item.Question != nil {
		return row, err
	}
	row.Item.QuestionID = r.question
	if o := r.Options(); o != nil && o.QuestionID != "" {
		row.Item.QuestionID = o.QuestionID
	}
	if row.Item.QuestionID == "" {
		return nil, &Error{Faults: []api.Fault{row.Fault("/question_id", "give question_id or question, here or question_id for the whole batch")}}
	}
	return row, nil
}

// begin looks at the first bytes and makes the source.
func (r *Reader) begin() (source, error) {
	head, _ := r.in.Peek(3) // an error will come again
	if bytes.HasPrefix(head, []byte{0xFF, 0xFE}) || bytes.HasPrefix(head, []byte{0xFE, 0xFF}) {
		return nil, whole(true, api.Fault{Detail: "the text is UTF-16; save or send it as UTF-8", Line: r.firstLine()})
	}
	skipped := 0
	if bytes.HasPrefix(head, []byte("\ufeff")) {
		skipped, _ = r.in.Discard(3) // they have been peeked at
	}
	switch r.format {
	case JSON:
		return newJSONSource(r.in, r.meter, skipped), nil
	case NDJSON:
		return &lineSource{in: r.in, meter: r.meter}, nil
	default:
		return newCSVSource(r.in, r.meter, skipped)
	}
}

func (r *Reader) firstLine() int {
	if r.format == JSON {
		return 0
	}
	return 1
}

// meter bounds how far ahead of a row's beginning is read, so that a row without
// an end does not fill the memory.
type meter struct {
	r io.Reader
	// given counts the bytes read; until is how many may be.
	given, until int64
	// err is what ended the reading, unless it was the end.
	err error
}

func (m *meter) Read(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	var one [1]byte
	full := m.given >= m.until
	if full {
		p = one[:] // to tell a row that ends here from one that goes on
	} else if room := m.until - m.given; int64(len(p)) > room {
		p = p[:room]
	}
	n, err := m.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		m.err = err
	}
	if full && n > 0 {
		m.err = errLong
		return 0, errLong
	}
	m.given += int64(n)
	return n, err
}
