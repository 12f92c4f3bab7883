package rubric_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/rubrics"
)

// beyondSchema is what the parser refuses and a JSON Schema cannot, each with
// the reason. Every other fixture both must refuse.
var beyondSchema = map[string]string{
	"two-criteria-share-an-id":            "uniqueness of one field",
	"core-weights-add-up-to-ninety":       "sums",
	"a-field-is-given-twice":              "the data model has no duplicates",
	"a-merge-key":                         "gone once the YAML is read",
	"an-anchor-and-an-alias":              "gone once the YAML is read",
	"a-tag":                               "gone once the YAML is read",
	"a-directive":                         "gone once the YAML is read",
	"an-explicit-key":                     "gone once the YAML is read",
	"a-document-after-an-empty-one":       "gone once the YAML is read",
	"text-after-the-end-of-the-document":  "gone once the YAML is read",
	"a-second-document":                   "gone once the YAML is read",
	"a-weight-is-octal":                   "gone once the YAML is read",
	"a-weight-is-infinite":                "JSON has no such number",
	"a-control-character":                 "of the bytes, not of the data",
	"an-escape-makes-a-control-character": "patterns for it would drown the others",
	"invalid-utf-8":                       "of the bytes, not of the data",
	"a-syntax-error":                      "not data at all",
	"a-list-is-not-closed":                "not data at all",
	"a-tab-indents":                       "not data at all",
	"text-follows-a-closing-quote":        "not data at all",
	"a-tab-stands-in-a-text":              "of the bytes, not of the data",
	"a-long-line-is-cut":                  "not data at all",
	"the-file-is-empty":                   "an editor shows nothing for nothing",
}

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := rubrics.FS.ReadFile("rubric.schema.json")
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("rubric.schema.json", doc))
	s, err := c.Compile("rubric.schema.json")
	require.NoError(t, err)
	return s
}

// validate holds YAML against the schema as an editor would.
func validate(s *jsonschema.Schema, data []byte) error {
	// Editors take a byte order mark off.
	asJSON, err := yaml.YAMLToJSON(bytes.TrimPrefix(data, []byte("\uFEFF")))
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

func TestSchemaAndParserAgreeOnEveryFixture(t *testing.T) {
	t.Parallel()
	s := schema(t)
	for _, file := range fixtures(t, "valid") {
		require.NoError(t, validate(s, read(t, file)), file)
	}
	unused := make(map[string]bool)
	for name := range beyondSchema {
		unused[name] = true
	}
	for _, file := range fixtures(t, "invalid") {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		if unused[name] {
			delete(unused, name)
			continue
		}
		require.Error(t, validate(s, read(t, file)), "the parser refuses %s, the schema does not", name)
	}
	require.Empty(t, unused, "fixtures that are gone")
}

// An editor must not complain about what ships.
func TestTheShippedSetsKeepToTheSchemaAndTheFormRules(t *testing.T) {
	t.Parallel()
	s := schema(t)
	sets, err := rubric.LoadFS(rubrics.FS)
	require.NoError(t, err)
	for _, set := range sets {
		data, err := rubrics.FS.ReadFile(set.Path())
		require.NoError(t, err)
		require.NoError(t, validate(s, data), set.Path())
		require.True(t, bytes.HasPrefix(data, []byte("# yaml-language-server: $schema=rubric.schema.json\n")), set.Path())
		require.Equal(t, set.ID+".yaml", set.Path(), "a set is called like its file")
		require.Empty(t, rubric.Lint(set), "the shipped sets show how it is done")
	}
}

// Every field of the Go types, every menu and every limit stands in the
// schema, each field with a description.
func TestTheSchemaNamesEveryFieldMenuAndLimit(t *testing.T) {
	t.Parallel()
	data, err := rubrics.FS.ReadFile("rubric.schema.json")
	require.NoError(t, err)
	type property struct {
		Description string
		Enum        []string
		MaxLength   int
		MaxItems    int
		Items       struct{ MaxLength int }
	}
	type object struct{ Properties map[string]property }
	var doc struct {
		object
		Defs map[string]object `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(data, &doc))
	question, criterion := doc.Defs["question"].Properties, doc.Defs["criterion"].Properties

	for _, c := range []struct {
		properties map[string]property
		of         reflect.Type
	}{
		{doc.Properties, reflect.TypeFor[rubric.Set]()},
		{question, reflect.TypeFor[rubric.Question]()},
		{criterion, reflect.TypeFor[rubric.Criterion]()},
	} {
		fields := 0
		for i := range c.of.NumField() {
			name, ok := c.of.Field(i).Tag.Lookup("yaml")
			if !ok || name == "-" {
				continue
			}
			fields++
			require.Greater(t, len(c.properties[name].Description), 20, "%s.%s is not described", c.of, name)
		}
		require.Len(t, c.properties, fields)
	}

	require.Equal(t, texts(rubric.Kinds), question["kind"].Enum)
	require.Equal(t, texts(rubric.CriterionKinds), criterion["kind"].Enum)
	require.Equal(t, texts(rubric.Signals), criterion["signal"].Enum)
	require.Equal(t, rubric.MaxTitle, doc.Properties["title"].MaxLength)
	require.Equal(t, rubric.MaxQuestion, question["question"].MaxLength)
	require.Equal(t, rubric.MaxIntent, question["intent"].MaxLength)
	require.Equal(t, rubric.MaxGuidance, question["guidance"].MaxLength)
	require.Equal(t, rubric.MaxSampleAnswer, question["sample_answer"].MaxLength)
	require.Equal(t, rubric.MaxCriteria, question["criteria"].MaxItems)
	require.Equal(t, rubric.MaxStatement, criterion["statement"].MaxLength)
	require.Equal(t, rubric.MaxPartial, criterion["partial"].MaxLength)
	require.Equal(t, rubric.MaxHint, criterion["hint"].MaxLength)
	require.Equal(t, rubric.MaxPhrases, criterion["phrases"].MaxItems)
	require.Equal(t, rubric.MaxPhrase, criterion["phrases"].Items.MaxLength)
}

func texts[T ~string](menu []T) []string {
	var s []string
	for _, m := range menu {
		s = append(s, string(m))
	}
	return slices.Clip(s)
}
