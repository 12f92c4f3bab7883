package rubric_test

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/rubric"
)

// complete is a question with something in every field.
func complete() rubric.Question {
	return rubric.Question{
		ID: "sky", Kind: rubric.Technical, Text: "Why is the sky blue?", Intent: "i", Guidance: "g", SampleAnswer: "s",
		Criteria: []rubric.Criterion{
			{ID: "a", Statement: "st", Weight: 60, Partial: "p", Hint: "h", Phrases: []string{"one", "two"}, Kind: rubric.Core, Signal: rubric.Quantified},
			{ID: "b", Statement: "tt", Weight: 40, Kind: rubric.Core},
		},
	}
}

// Every exported field but Ref must change the digest. The fields are found by
// reflection, so that a new one cannot be forgotten.
func TestTheDigestCoversEveryField(t *testing.T) {
	t.Parallel()
	base := complete()
	seen := map[string]string{base.Digest(): "nothing"}
	check := func(name string, q rubric.Question) {
		d := q.Digest()
		if other, again := seen[d]; again {
			t.Errorf("changing %s has the digest of changing %s", name, other)
		}
		seen[d] = name
	}
	// change alters one field of a struct and names it.
	change := func(v reflect.Value, i int) {
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString(f.String() + "x")
		case reflect.Float64:
			f.SetFloat(f.Float() + 0.5)
		case reflect.Slice:
			f.Set(f.Slice(0, f.Len()-1))
		default:
			t.Fatalf("no way to change a field of kind %s", f.Kind())
		}
	}
	for i := range reflect.TypeFor[rubric.Question]().NumField() {
		field := reflect.TypeFor[rubric.Question]().Field(i)
		if !field.IsExported() || field.Name == "Ref" {
			continue
		}
		q := complete()
		change(reflect.ValueOf(&q).Elem(), i)
		check(field.Name, q)
	}
	for i := range reflect.TypeFor[rubric.Criterion]().NumField() {
		q := complete()
		change(reflect.ValueOf(&q.Criteria[0]).Elem(), i)
		check("Criterion."+reflect.TypeFor[rubric.Criterion]().Field(i).Name, q)
	}
	q := complete()
	q.Criteria[0], q.Criteria[1] = q.Criteria[1], q.Criteria[0]
	check("the order of criteria", q)
	q = complete()
	q.Intent, q.Guidance = "", "ig"
	check("the border between two texts", q)
	q = complete()
	q.Criteria[0].Phrases = []string{"onetwo"}
	check("the border between two phrases", q)
}

func TestTheDigestIgnoresWhereAQuestionComesFrom(t *testing.T) {
	t.Parallel()
	a, b := complete(), complete()
	b.Ref = "other/sky"
	require.Equal(t, a.Digest(), b.Digest())

	unix, err := rubric.Parse("a.yaml", read(t, "testdata/valid/the-least-a-set-needs.yaml"))
	require.NoError(t, err)
	windows, err := rubric.Parse("b.yaml", read(t, "testdata/valid/windows-line-ends-and-a-byte-order-mark.yaml"))
	require.NoError(t, err)
	require.Equal(t, unix.Questions[0].Digest(), windows.Questions[0].Digest())
	require.NotEqual(t, unix.Digest(), windows.Digest(), "their titles differ")
}

// The encoding is part of the address of every cached grade: a change of this
// value throws all of them away, so it must be meant.
func TestTheDigestIsStable(t *testing.T) {
	t.Parallel()
	q := complete()
	require.Equal(t, "sha256:9886d2f5b451e8a7ac2fcd186c01fa3ebab743fe896b0b646f7af57baa3d2a0c", q.Digest())
}
