package server

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/rubric"
)

// TestWireTypesHaveTheShapeOfOurs walks both types of each pair: package api
// imports nothing of ours and states the same JSON a second time.
func TestWireTypesHaveTheShapeOfOurs(t *testing.T) {
	t.Parallel()
	for name, pair := range map[string][2]reflect.Type{
		"grade":    {reflect.TypeFor[grading.Grade](), reflect.TypeFor[api.Grade]()},
		"question": {reflect.TypeFor[rubric.Question](), reflect.TypeFor[api.Question]()},
	} {
		ours, wire := shape(pair[0]), shape(pair[1])
		if name == "question" {
			// A set file must name its questions; a request need not.
			ours = strings.Replace(ours, "id string,", "id? string,", 1)
		}
		require.Equal(t, ours, wire, name)
	}
}

func TestShapeSeesWhatMatters(t *testing.T) {
	t.Parallel()
	type a struct {
		X *string `json:"x"`
	}
	type b struct {
		X string `json:"x"`
	}
	type c struct {
		X []int `json:"x,omitempty"`
		y int
		Z float64 `json:"-"`
		W *int    `json:"w,omitempty"`
	}
	require.Equal(t, "{x string|null}", shape(reflect.TypeFor[a]()))
	require.Equal(t, "{x string}", shape(reflect.TypeFor[b]()))
	require.Equal(t, "{x? [number], w? number}", shape(reflect.TypeFor[c]()))
	_ = c{y: 1}.y
}

// shape is the JSON that a type is written as: names in order, kinds, what may
// be null and what may be left out.
func shape(t reflect.Type) string {
	if t == reflect.TypeFor[time.Time]() {
		return "time"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return shape(t.Elem()) + "|null"
	case reflect.Slice:
		return "[" + shape(t.Elem()) + "]"
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	case reflect.Int, reflect.Float64:
		return "number"
	case reflect.Struct:
		var fields []string
		for i := range t.NumField() {
			f := t.Field(i)
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "-" || !f.IsExported() {
				continue
			}
			is := shape(f.Type)
			if options != "" {
				name += "?"
				is = strings.TrimSuffix(is, "|null") // it is left out instead
			}
			fields = append(fields, name+" "+is)
		}
		return "{" + strings.Join(fields, ", ") + "}"
	default:
		panic(fmt.Sprintf("%s has no shape", t))
	}
}
