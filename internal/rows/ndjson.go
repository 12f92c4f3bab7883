package rows

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/strict"
)

// itemNeeds is what api.BatchItem cannot say for itself: an answer may be empty
// but not missing, and an id may not be missing either.
var itemNeeds = []strict.Need[api.BatchItem]{
	{Name: "id", Empty: func(i *api.BatchItem) bool { return i.ID == "" }},
	{Name: "answer", Empty: func(i *api.BatchItem) bool { return i.Answer == "" }},
}

// decodeItem reads one item; faults are put in their place.
func decodeItem(text []byte, noun strict.Noun, at Place) (*Row, error) {
	row := &Row{Place: at}
	err := strict.Decode(text, &row.Item, noun, itemNeeds...)
	if err == nil {
		return row, nil
	}
	var found *strict.Error
	if !errors.As(err, &found) {
		return nil, err
	}
	out := &Error{Malformed: found.Malformed, Faults: make([]api.Fault, len(found.Faults))}
	for i, f := range found.Faults {
		out.Faults[i] = at.Fault(f.Pointer, f.Detail)
	}
	return row, out
}

// lineSource reads one object a line. Lines of white space are skipped.
type lineSource struct {
	in    *bufio.Reader
	meter *meter
	line  int
	long  []byte // a line that does not fit the reader's buffer
}

func (s *lineSource) next() (*Row, error) {
	s.meter.until = math.MaxInt64 // lines are measured here
	for {
		text, err := s.read()
		s.line++
		at := Place{Line: s.line}
		if errors.Is(err, errLong) {
			return nil, &Error{Malformed: true, Faults: []api.Fault{at.Fault("", longFault)}}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if text = bytes.TrimRight(text, "\r\n"); len(bytes.TrimSpace(text)) > 0 {
			return decodeItem(text, strict.Line, at)
		}
		if err != nil {
			return nil, io.EOF
		}
	}
}

// read returns the next line, io.EOF with the last, and errLong for one that is
// too long and has been passed over. The slice is good until the next call.
func (s *lineSource) read() ([]byte, error) {
	s.long = s.long[:0]
	tooLong := false
	for {
		piece, err := s.in.ReadSlice('\n')
		more := errors.Is(err, bufio.ErrBufferFull)
		if !more && !tooLong && len(s.long) == 0 && len(piece) <= MaxRow {
			return piece, err
		}
		if tooLong = tooLong || len(s.long)+len(piece) > MaxRow; !tooLong {
			s.long = append(s.long, piece...)
		}
		switch {
		case more:
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		case tooLong:
			return nil, errLong
		default:
			return s.long, err
		}
	}
}
