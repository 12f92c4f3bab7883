// Package strict reads JSON the way this service takes it: unknown members,
// names in the wrong case or given twice, invalid UTF-8, half surrogate pairs
// and trailing data are refused, with a pointer and a reason.
//
// It is where the words for faults in JSON are kept. No error repeats what was
// sent, except the names of members in a pointer. The package knows neither
// HTTP nor what is being read.
package strict

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gradus-ai/gradus/internal/api"
)

// Noun is what a JSON text is called in a fault.
type Noun string

// The JSON texts that are read: the body of a request, a line of many, one item
// of an array.
const (
	Body Noun = "body"
	Line Noun = "line"
	Item Noun = "item"
)

// Error says why a JSON text is refused.
type Error struct {
	// Malformed texts are not one JSON value; others are, but not the one that
	// is wanted.
	Malformed bool
	// Faults is never empty. Pointers are into the text.
	Faults []api.Fault
}

// Error is the first fault.
func (e *Error) Error() string {
	if e.Faults[0].Pointer == "" {
		return e.Faults[0].Detail
	}
	return e.Faults[0].Pointer + ": " + e.Faults[0].Detail
}

// Need is a member that must be there although its zero value is allowed. Empty
// says whether it might be missing, so that the usual text is read once.
type Need[T any] struct {
	Name  string
	Empty func(*T) bool
}

// members refuses unknown ones. Names that differ in case, names that come
// twice, invalid UTF-8, half surrogate pairs and trailing data are refused by
// this JSON package unless told otherwise.
var members = json.RejectUnknownMembers(true)

// Decode reads a text as one JSON object of type T. A member that is null counts
// as not given, except where it is needed. Every error is an *Error.
func Decode[T any](text []byte, into *T, noun Noun, needs ...Need[T]) error {
	if err := json.Unmarshal(text, into, members); err != nil {
		return explain(text, noun, err, reflect.TypeFor[T]())
	}
	if jsontext.Value(text).Kind() == 'n' {
		return invalid(api.Fault{Detail: "the " + string(noun) + " must be a JSON object"})
	}
	var faults []api.Fault
	for _, n := range needs {
		if !n.Empty(into) {
			continue
		}
		switch member(text, n.Name) {
		case 0:
			faults = append(faults, api.Fault{Pointer: "/" + n.Name, Detail: "this field is missing"})
		case 'n':
			faults = append(faults, api.Fault{Pointer: "/" + n.Name, Detail: "this field must not be null"})
		}
	}
	if faults != nil {
		return invalid(faults...)
	}
	return nil
}

func invalid(faults ...api.Fault) *Error { return &Error{Faults: faults} }

// member is the kind of a top-level member, 0 where there is none. It is the
// slow path: the text is known to be valid, and is read once more.
func member(text []byte, name string) jsontext.Kind {
	dec := jsontext.NewDecoder(bytes.NewReader(text))
	if token, err := dec.ReadToken(); err != nil || token.Kind() != '{' {
		return 0
	}
	for dec.PeekKind() == '"' {
		token, err := dec.ReadToken()
		if err != nil {
			return 0
		}
		if token.String() == name {
			return dec.PeekKind()
		}
		if dec.SkipValue() != nil {
			return 0
		}
	}
	return 0
}

// explain turns an error of the JSON package into ours. The package's own
// messages are not passed on: they quote what was sent.
func explain(text []byte, noun Noun, err error, t reflect.Type) *Error {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return malformed(text, noun, syntax)
	}
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) {
		return malformed(text, noun, &jsontext.SyntacticError{ByteOffset: int64(len(text)), Err: io.ErrUnexpectedEOF})
	}
	fault := api.Fault{Pointer: pointer(semantic.JSONPointer)}
	switch {
	case errors.Is(semantic.Err, json.ErrUnknownName):
		fault.Detail = "there is no such field"
		if known := fieldNames(t); slices.Contains(known, strings.ToLower(semantic.JSONPointer.LastToken())) {
			fault.Detail = "there is no such field; field names are lower case"
		} else if fault.Pointer == "" {
			fault.Detail = "there is no such field; its name is too long to repeat"
		}
	case semantic.JSONPointer == "":
		fault.Detail = "the " + string(noun) + " must be a JSON object"
	case semantic.GoType != nil && fits(semantic.JSONKind, semantic.GoType.Kind()):
		fault.Detail = "the number is out of range"
	case semantic.GoType != nil:
		fault.Detail = "expected " + inWords(semantic.GoType.Kind())
	default:
		fault.Detail = "the value is of the wrong type"
	}
	return invalid(fault)
}

// malformed says why a text is not one JSON value.
func malformed(text []byte, noun Noun, syntax *jsontext.SyntacticError) *Error {
	at := min(max(syntax.ByteOffset, 0), int64(len(text)))
	fault := api.Fault{Pointer: pointer(syntax.JSONPointer)}
	rest := bytes.TrimLeft(text[at:], " \t\r\n")
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		fault.Detail = "the " + string(noun) + " is empty"
	case errors.Is(syntax, jsontext.ErrDuplicateName):
		fault.Detail = "this key is given twice"
	case strings.Count(string(syntax.JSONPointer), "/") > deepest:
		fault.Detail = "values are nested too deeply"
	case errors.Is(syntax, io.ErrUnexpectedEOF):
		fault.Detail = "the " + string(noun) + " ends in the middle of a value"
	case firstInvalid(text) >= 0:
		fault.Detail = noun.at(int64(firstInvalid(text))) + " is not valid UTF-8"
	case bytes.HasPrefix(rest, []byte(`\u`)) || bytes.HasPrefix(rest, []byte(`\U`)):
		fault.Detail = noun.at(at) + " begins a \\u escape that is not a code point"
	case startsWithValue(text) && fault.Pointer == "":
		fault.Detail = "more data follows the JSON value, at " + noun.at(at)
	default:
		fault.Detail = "not JSON from " + noun.at(at) + " on"
	}
	return &Error{Malformed: true, Faults: []api.Fault{fault}}
}

// Stream is the error for a body that is read piece by piece and cannot be read
// on.
func Stream(syntax *jsontext.SyntacticError) *Error {
	fault := api.Fault{Pointer: pointer(syntax.JSONPointer)}
	switch {
	case strings.Count(string(syntax.JSONPointer), "/") > deepest:
		fault.Detail = "values are nested too deeply"
	case errors.Is(syntax, io.ErrUnexpectedEOF):
		fault.Detail = "the body ends in the middle of a value"
	default:
		fault.Detail = "not JSON from " + Body.at(syntax.ByteOffset) + " on"
	}
	return &Error{Malformed: true, Faults: []api.Fault{fault}}
}

// at names a byte. Where there are many texts it says which one it counts in.
func (n Noun) at(offset int64) string {
	where := "byte " + strconv.FormatInt(offset, 10)
	if n == Body {
		return where
	}
	return where + " of the " + string(n)
}

// deepest is far beyond any request; the JSON package gives up at ten thousand.
const deepest = 1000

// startsWithValue reports whether the text begins with one whole JSON value.
func startsWithValue(text []byte) bool {
	_, err := jsontext.NewDecoder(bytes.NewReader(text)).ReadValue()
	return err == nil
}

// firstInvalid is the offset of the first byte that is not UTF-8, or -1.
func firstInvalid(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// longestPointer bounds a pointer in a problem, in bytes: the names in it are
// the caller's.
const longestPointer = 200

func pointer(p jsontext.Pointer) string {
	if len(p) > longestPointer {
		return ""
	}
	return string(p)
}

// fits reports whether a JSON kind is the right one for a Go kind, so that only
// the value can be wrong.
func fits(kind jsontext.Kind, t reflect.Kind) bool {
	switch t {
	case reflect.Float64, reflect.Int:
		return kind == '0'
	case reflect.String:
		return kind == '"'
	default:
		return false
	}
}

// inWords names the JSON type that a Go kind is read from.
func inWords(t reflect.Kind) string {
	switch t {
	case reflect.String:
		return "a string"
	case reflect.Float64, reflect.Int:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "an array"
	default:
		return "an object"
	}
}

// fieldNames is every member name of T, at any depth.
func fieldNames(t reflect.Type) []string {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return fieldNames(t.Elem())
	case reflect.Struct:
		var names []string
		for _, f := range reflect.VisibleFields(t) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			names = append(append(names, name), fieldNames(f.Type)...)
		}
		return names
	default:
		return nil
	}
}
