package rows

import (
	"bufio"
	"errors"
	"io"
	"reflect"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/strict"
)

// jsonSource reads {"items":[…], options…}, whose members may come in any order.
type jsonSource struct {
	dec     *jsontext.Decoder
	meter   *meter
	ahead   int64 // bytes before what dec counts
	options api.BatchOptions
	// named are the members there were.
	named []string
	stage stage
	index int
	span  int // length of the last item, in bytes
	// settled is true once items have been handed on by the options so far.
	settled bool
}

// stage is where in the upload the decoder stands.
type stage int

const (
	atStart stage = iota
	inObject
	inItems
	atEnd
)

func newJSONSource(in *bufio.Reader, m *meter, skipped int) *jsonSource {
	// Items are decoded strictly one by one, where a fault is a fault of a row;
	// what is looked at here is only where each begins and ends.
	dec := jsontext.NewDecoder(in, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return &jsonSource{dec: dec, meter: m, ahead: int64(skipped)}
}

func (s *jsonSource) next() (*Row, error) {
	for {
		row, err := s.step()
		if row != nil || err != nil {
			return row, err
		}
	}
}

// step reads one value and returns a row if it was one.
func (s *jsonSource) step() (*Row, error) {
	before := s.dec.InputOffset()
	s.meter.until = s.ahead + before + MaxRow
	switch s.stage {
	case atStart:
		token, err := s.dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil, whole(true, api.Fault{Detail: "the body is empty"})
		}
		if err != nil {
			return s.broken(err)
		}
		if token.Kind() != '{' {
			return nil, whole(false, api.Fault{Detail: "the body must be a JSON object"})
		}
		s.stage = inObject
		return nil, nil
	case inObject:
		return s.member()
	case inItems:
		if s.dec.PeekKind() == ']' {
			_, err := s.dec.ReadToken()
			s.stage = inObject
			return nil, err
		}
		at := Place{Pointer: "/items/" + strconv.Itoa(s.index)}
		text, err := s.dec.ReadValue()
		if err != nil {
			return s.broken(err)
		}
		s.index++
		if s.span = int(s.dec.InputOffset() - before); s.span > MaxRow {
			return &Row{Place: at}, errLong
		}
		return decodeItem(text, strict.Item, at)
	default:
		offset := s.dec.InputOffset()
		_, err := s.dec.ReadToken()
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		if s.meter.err != nil {
			return s.broken(err)
		}
		return nil, whole(true, api.Fault{Detail: "more data follows the JSON value, after byte " + strconv.FormatInt(offset, 10)})
	}
}

// member reads the name of a member, and its value where it is an option.
func (s *jsonSource) member() (*Row, error) {
	token, err := s.dec.ReadToken()
	if err != nil {
		return s.broken(err)
	}
	if token.Kind() == '}' {
		s.stage = atEnd
		if !slices.Contains(s.named, "items") {
			return nil, whole(false, api.Fault{Pointer: "/items", Detail: "this field is missing"})
		}
		return nil, nil
	}
	name := token.String()
	if slices.Contains(s.named, name) {
		return nil, whole(true, api.Fault{Pointer: "/" + name, Detail: "this key is given twice"})
	}
	if name != "items" {
		return s.option(name)
	}
	s.named = append(s.named, name)
	switch s.dec.PeekKind() {
	case '[':
		_, err := s.dec.ReadToken()
		s.stage = inItems
		return nil, err
	case 'n':
		return nil, whole(false, api.Fault{Pointer: "/items", Detail: "this field must not be null"})
	case 0:
		_, err := s.dec.ReadToken()
		return s.broken(err)
	default:
		return nil, whole(false, api.Fault{Pointer: "/items", Detail: "expected an array"})
	}
}

// option reads the value of an option as if it were an object's only member, so
// that its faults read like any other's.
func (s *jsonSource) option(name string) (*Row, error) {
	value, err := s.dec.ReadValue()
	if err != nil {
		return s.broken(err)
	}
	text, err := jsontext.AppendQuote([]byte{'{'}, name)
	if err != nil { // the name is not UTF-8
		return nil, whole(true, api.Fault{Detail: "the name of a field is not valid UTF-8"})
	}
	text = append(append(append(text, ':'), value...), '}')
	before := s.options
	if err := strict.Decode(text, &s.options, strict.Body); err != nil {
		var found *strict.Error
		if !errors.As(err, &found) {
			return nil, err
		}
		return nil, &Error{Malformed: found.Malformed, Whole: true, Faults: unplaced(found)}
	}
	s.named = append(s.named, name)
	if s.settled && !reflect.DeepEqual(s.options, before) {
		return nil, whole(false, api.Fault{Pointer: "/" + name,
			Detail: "too many items come before it: put options before items, or into the query"})
	}
	return nil, nil
}

// unplaced is the faults of an option without offsets of the text made of it.
func unplaced(found *strict.Error) []api.Fault {
	if found.Malformed {
		for i := range found.Faults {
			found.Faults[i].Detail = "the value is not valid JSON in UTF-8"
		}
	}
	return found.Faults
}

// broken is the error for what the decoder could not read.
func (s *jsonSource) broken(err error) (*Row, error) {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, errLong):
		at := Place{Pointer: string(s.dec.StackPointer())}
		if s.stage == inItems {
			at.Pointer = "/items/" + strconv.Itoa(s.index)
		}
		return &Row{Place: at}, errLong
	case s.meter.err != nil:
		// Not the decoder's word for it: that would be a fault of the sender.
		return nil, s.meter.err
	case errors.As(err, &syntax):
		return nil, &Error{Malformed: true, Whole: true, Faults: strict.Stream(syntax).Faults}
	default:
		return nil, err
	}
}
