package strict_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/strict"
)

// thing stands for whatever is read.
type thing struct {
	Name string `json:"name"`
	Size int    `json:"size,omitempty"`
}

var needName = strict.Need[thing]{Name: "name", Empty: func(v *thing) bool { return v.Name == "" }}

func TestFaultsAreNamedByTheTextTheyAreIn(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		malformed bool
		fault     api.Fault
	}{
		``:                       {true, api.Fault{Detail: "the line is empty"}},
		`{"name":`:               {true, api.Fault{Pointer: "/name", Detail: "the line ends in the middle of a value"}},
		`- x`:                    {true, api.Fault{Detail: "not JSON from byte 1 of the line on"}},
		`{"name":"a"} x`:         {true, api.Fault{Detail: "more data follows the JSON value, at byte 13 of the line"}},
		"{\"name\":\"\xff\"}":    {true, api.Fault{Pointer: "/name", Detail: "byte 9 of the line is not valid UTF-8"}},
		`{"name":"\ud83d"}`:      {true, api.Fault{Pointer: "/name", Detail: "byte 9 of the line begins a \\u escape that is not a code point"}},
		`{"name":"a","name":""}`: {true, api.Fault{Pointer: "/name", Detail: "this key is given twice"}},
		`[]`:                     {false, api.Fault{Detail: "the line must be a JSON object"}},
		`null`:                   {false, api.Fault{Detail: "the line must be a JSON object"}},
		`{"Name":"a"}`:           {false, api.Fault{Pointer: "/Name", Detail: "there is no such field; field names are lower case"}},
		`{"nam":"a"}`:            {false, api.Fault{Pointer: "/nam", Detail: "there is no such field"}},
		`{"name":1}`:             {false, api.Fault{Pointer: "/name", Detail: "expected a string"}},
		`{"size":1}`:             {false, api.Fault{Pointer: "/name", Detail: "this field is missing"}},
		`{"name":null}`:          {false, api.Fault{Pointer: "/name", Detail: "this field must not be null"}},
	} {
		var v thing
		err := strict.Decode([]byte(text), &v, strict.Line, needName)
		var found *strict.Error
		require.ErrorAs(t, err, &found, text)
		require.Equal(t, want.malformed, found.Malformed, text)
		require.Equal(t, []api.Fault{want.fault}, found.Faults, text)
		require.Contains(t, err.Error(), want.fault.Detail)
	}
	var v thing
	require.NoError(t, strict.Decode([]byte(` {"name":"","size":2} `), &v, strict.Line, needName))
	require.Equal(t, thing{Size: 2}, v)
}

func TestLongNamesAreNotRepeated(t *testing.T) {
	t.Parallel()
	var v thing
	err := strict.Decode([]byte(`{"`+strings.Repeat("x", 5000)+`":1}`), &v, strict.Body)
	require.EqualError(t, err, "there is no such field; its name is too long to repeat")
}
