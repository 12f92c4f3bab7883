package server

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/gradus-ai/gradus/internal/api"
)

// bodies holds read buffers. Decoding copies strings out, so that a buffer can
// be used again as soon as it is decoded.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// pooledBody is the largest buffer worth keeping, in bytes.
const pooledBody = 64 << 10

// need is a member that must be there although its zero value is allowed. empty
// says whether it might be missing, so that the usual request is read once.
type need[T any] struct {
	name  string
	empty func(*T) bool
}

// decodeBody reads the body of a request as one JSON value of type T, strictly.
// Every error is a failure that says where the fault is and never what was sent.
func decodeBody[T any](c *gin.Context, into *T, needs ...need[T]) error {
	if err := jsonOnly(c.Request.Header); err != nil {
		return err
	}
	buf := bodies.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= pooledBody {
			buf.Reset()
			bodies.Put(buf)
		}
	}()
	if err := readBody(c, buf); err != nil {
		return err
	}
	return decode(buf.Bytes(), into, needs...)
}

// jsonOnly refuses bodies that do not say they are JSON in UTF-8.
func jsonOnly(h http.Header) error {
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return fail(api.UnsupportedMediaType, "Compressed bodies are not accepted.")
	}
	switch sent := h.Get("Content-Type"); sent {
	case "application/json", "application/json; charset=utf-8": // spare the parser
		return nil
	case "":
		return fail(api.UnsupportedMediaType, "The Content-Type header is missing; it must be application/json.")
	default:
		media, params, err := mime.ParseMediaType(sent)
		if err != nil || media != "application/json" {
			return fail(api.UnsupportedMediaType, "The Content-Type must be application/json.")
		}
		if charset, given := params["charset"]; given && !strings.EqualFold(charset, "utf-8") {
			return fail(api.UnsupportedMediaType, "The charset must be utf-8.")
		}
		return nil
	}
}

// readBody reads at most api.MaxBody bytes. A body that announces more is
// refused unread; one that announces nothing is counted as it arrives.
func readBody(c *gin.Context, into *bytes.Buffer) error {
	if c.Request.ContentLength > api.MaxBody {
		// Not draining it means that the connection cannot be used again.
		c.Header("Connection", "close")
		return tooLarge()
	}
	if n := c.Request.ContentLength; n > 0 {
		into.Grow(int(n) + bytes.MinRead)
	}
	_, err := into.ReadFrom(http.MaxBytesReader(c.Writer, c.Request.Body, api.MaxBody))
	var limit *http.MaxBytesError
	var network net.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &limit):
		// MaxBytesReader would say so itself if gin's writer let it.
		c.Header("Connection", "close")
		return tooLarge()
	case errors.As(err, &network) && network.Timeout():
		c.Header("Connection", "close")
		return fail(api.BodyTimeout, "The body did not arrive in time.")
	default:
		return fail(api.MalformedBody, "The body ended before it was complete.", api.Fault{Detail: "the body is cut short"})
	}
}

func tooLarge() error {
	return fail(api.BodyTooLarge, "The body has more than "+strconv.Itoa(api.MaxBody)+" bytes.")
}

// strict refuses unknown members. Names that differ in case, names that come
// twice, invalid UTF-8, half surrogate pairs and trailing data are refused by
// this JSON package unless told otherwise.
var strict = json.RejectUnknownMembers(true)

// decode reads one JSON object of type T. A member that is null counts as not
// given, except where it is needed.
func decode[T any](body []byte, into *T, needs ...need[T]) error {
	if err := json.Unmarshal(body, into, strict); err != nil {
		return explain(body, err, reflect.TypeFor[T]())
	}
	if jsontext.Value(body).Kind() == 'n' {
		return invalid(api.Fault{Detail: "the body must be a JSON object"})
	}
	var faults []api.Fault
	for _, n := range needs {
		if !n.empty(into) {
			continue
		}
		switch member(body, n.name) {
		case 0:
			faults = append(faults, api.Fault{Pointer: "/" + n.name, Detail: "this field is missing"})
		case 'n':
			faults = append(faults, api.Fault{Pointer: "/" + n.name, Detail: "this field must not be null"})
		}
	}
	if faults != nil {
		return invalid(faults...)
	}
	return nil
}

// member is the kind of a top-level member, 0 where there is none. It is the
// slow path: the body is known to be valid, and is read once more.
func member(body []byte, name string) jsontext.Kind {
	dec := jsontext.NewDecoder(bytes.NewReader(body))
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

// explain turns an error of the JSON package into a failure. The package's own
// messages are not passed on: they quote what was sent.
func explain(body []byte, err error, t reflect.Type) error {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return malformed(body, syntax)
	}
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) {
		return malformed(body, &jsontext.SyntacticError{ByteOffset: int64(len(body)), Err: io.ErrUnexpectedEOF})
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
		fault.Detail = "the body must be a JSON object"
	case semantic.GoType != nil && fits(semantic.JSONKind, semantic.GoType.Kind()):
		fault.Detail = "the number is out of range"
	case semantic.GoType != nil:
		fault.Detail = "expected " + inWords(semantic.GoType.Kind())
	default:
		fault.Detail = "the value is of the wrong type"
	}
	return invalid(fault)
}

// malformed says why a body is not one JSON value.
func malformed(body []byte, syntax *jsontext.SyntacticError) error {
	at := min(max(syntax.ByteOffset, 0), int64(len(body)))
	fault := api.Fault{Pointer: pointer(syntax.JSONPointer)}
	rest := bytes.TrimLeft(body[at:], " \t\r\n")
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		fault.Detail = "the body is empty"
	case errors.Is(syntax, jsontext.ErrDuplicateName):
		fault.Detail = "this key is given twice"
	case strings.Count(string(syntax.JSONPointer), "/") > deepest:
		fault.Detail = "values are nested too deeply"
	case errors.Is(syntax, io.ErrUnexpectedEOF):
		fault.Detail = "the body ends in the middle of a value"
	case firstInvalid(body) >= 0:
		fault.Detail = "byte " + strconv.Itoa(firstInvalid(body)) + " is not valid UTF-8"
	case bytes.HasPrefix(rest, []byte(`\u`)) || bytes.HasPrefix(rest, []byte(`\U`)):
		fault.Detail = "byte " + strconv.FormatInt(at, 10) + " begins a \\u escape that is not a code point"
	case startsWithValue(body) && fault.Pointer == "":
		fault.Detail = "more data follows the JSON value, at byte " + strconv.FormatInt(at, 10)
	default:
		fault.Detail = "not JSON from byte " + strconv.FormatInt(at, 10) + " on"
	}
	return fail(api.MalformedBody, sentence(fault), fault)
}

// deepest is far beyond any request; the JSON package gives up at ten thousand.
const deepest = 1000

// startsWithValue reports whether the body begins with one whole JSON value.
func startsWithValue(body []byte) bool {
	_, err := jsontext.NewDecoder(bytes.NewReader(body)).ReadValue()
	return err == nil
}

// firstInvalid is the offset of the first byte that is not UTF-8, or -1.
func firstInvalid(body []byte) int {
	for i := 0; i < len(body); {
		r, size := utf8.DecodeRune(body[i:])
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
