// Package rows reads the answers of a batch and writes its results, one row at
// a time: JSON, NDJSON and CSV, from any reader and to any writer, so that the
// HTTP door and the command line take and give the same.
//
// What is read is held only as long as the caller holds it: 50,000 answers pass
// through a few hundred kilobytes. Nothing at fault is mended or guessed at. A
// fault has the line or the pointer it is at and says what is wrong with it; it
// never repeats an answer. The package knows which questions there are as
// little as what an answer is worth.
package rows

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/gradus-ai/gradus/internal/api"
)

// Format is a way to write rows down.
type Format string

// JSON is one object {"items":[…], options…} on the way in and one array on the
// way out. NDJSON is one object a line. CSV has a header row.
const (
	JSON   Format = "json"
	NDJSON Format = "ndjson"
	CSV    Format = "csv"
)

// MaxRow is the longest row that is read, in bytes: an answer of api.MaxAnswer
// code points however it is escaped, with an inline question.
const MaxRow = api.MaxBody

// ErrTooMany is returned for the first row beyond api.MaxBatchItems.
var ErrTooMany = fmt.Errorf("a batch has at most %d answers", api.MaxBatchItems)

// Place is where a row stands in an upload.
type Place struct {
	// Line is where an NDJSON or CSV row begins, counted from 1; 0 in JSON.
	Line int
	// Pointer is the row's JSON pointer; empty in NDJSON and CSV.
	Pointer string
}

// Fault is a fault of a field of the row here: "/answer", or "" for the row as
// a whole. In CSV the field is a column.
func (p Place) Fault(field, detail string) api.Fault {
	return api.Fault{Pointer: p.Pointer + field, Line: p.Line, Detail: detail}
}

// Row is one answer of an upload, checked as far as can be without knowing the
// questions.
type Row struct {
	Place
	// Item names a question or brings one.
	Item api.BatchItem
}

// Error says what is wrong with one row, or with the upload.
type Error struct {
	// Malformed is true when it cannot be read at all, and false when it can but
	// makes no sense.
	Malformed bool
	// Whole is true when it is not one row that is wrong, so that no row may be
	// taken even by a caller who would go on without those at fault.
	Whole bool
	// Faults is never empty.
	Faults []api.Fault
}

// Error is the first fault with its place.
func (e *Error) Error() string {
	f := e.Faults[0]
	text := f.Detail
	if f.Pointer != "" {
		text = f.Pointer + ": " + text
	}
	if f.Line > 0 {
		text = "line " + strconv.Itoa(f.Line) + ": " + text
	}
	return text
}

func whole(malformed bool, fault api.Fault) *Error {
	return &Error{Malformed: malformed, Whole: true, Faults: []api.Fault{fault}}
}

// Faults gathers the faults of an upload: the first api.MaxFaults of them, and
// how many there are. The zero value is empty.
type Faults struct {
	// Rows is how many rows are at fault; Malformed and Whole are as in Error,
	// of any.
	Rows             int
	Malformed, Whole bool

	listed []api.Fault
	more   int
}

// Add takes the faults of a row, or of the upload.
func (f *Faults) Add(e *Error) {
	f.Malformed = f.Malformed || e.Malformed
	f.Whole = f.Whole || e.Whole
	if !e.Whole {
		f.Rows++
	}
	room := min(len(e.Faults), api.MaxFaults-len(f.listed))
	f.listed = append(f.listed, e.Faults[:room]...)
	f.more += len(e.Faults) - room
}

// Any reports whether there is a fault.
func (f *Faults) Any() bool { return len(f.listed) > 0 }

// List is the faults in the order of the upload. A last one says how many more
// there are.
func (f *Faults) List() []api.Fault {
	if f.more == 0 {
		return f.listed
	}
	return append(f.listed[:len(f.listed):len(f.listed)], api.Fault{Detail: strconv.Itoa(f.more) + " more faults are not listed"})
}

// Count is how many faults there are, listed or not.
func (f *Faults) Count() int { return len(f.listed) + f.more }

// maxID is the length of an item's id, in bytes.
const maxID = 128

// ValidID reports whether an item may go by this id.
func ValidID(id string) bool {
	if id == "" || len(id) > maxID {
		return false
	}
	for i := 0; i < len(id); i++ {
		switch b := id[i]; {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9':
		case i > 0 && (b == '_' || b == '.' || b == ':' || b == '@' || b == '/' || b == '-'):
		default:
			return false
		}
	}
	return true
}

const idFault = "an id is 1 to 128 letters, digits and _ . : @ / - and begins with a letter or digit"

// check lists the faults of an item that can be seen without the others.
func check(item *api.BatchItem, at Place) []api.Fault {
	var faults []api.Fault
	if !ValidID(item.ID) {
		faults = append(faults, at.Fault("/id", idFault))
	}
	if len(item.Answer) > api.MaxAnswer { // bytes: never fewer than code points
		if n := utf8.RuneCountInString(item.Answer); n > api.MaxAnswer {
			faults = append(faults, at.Fault("/answer", fmt.Sprintf("the answer has %d characters; at most %d are graded", n, api.MaxAnswer)))
		}
	}
	if item.Question != nil && item.QuestionID != "" {
		faults = append(faults, at.Fault("/question", "question and question_id exclude each other"))
	}
	return faults
}

// errLong says that a row goes on beyond MaxRow.
var errLong = errors.New("a row is too long")

var longFault = fmt.Sprintf("the row has more than %d bytes", MaxRow)
