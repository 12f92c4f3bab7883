package rubric_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gradus-ai/gradus/internal/rubric"
)

// thaws demands that a question comes back as it was.
func thaws(t require.TestingT, q *rubric.Question) {
	data, err := rubric.Freeze(q)
	require.NoError(t, err)
	back, err := rubric.Thaw(data)
	require.NoError(t, err)
	require.Equal(t, q.Ref, back.Ref)
	require.Equal(t, q.Digest(), back.Digest())
	if diff := cmp.Diff(q, back, cmpopts.IgnoreUnexported(rubric.Question{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the question has changed:\n%s", diff)
		t.FailNow()
	}
	again, err := rubric.Freeze(back)
	require.NoError(t, err)
	require.Equal(t, data, again)
}

func TestQuestionsOfASetSurviveTheFrost(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "valid", "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		set, err := rubric.Parse(file, data)
		require.NoError(t, err)
		for _, q := range set.Questions {
			thaws(t, q)
		}
	}
}

func TestInlineQuestionsSurviveTheFrost(t *testing.T) {
	t.Parallel()
	text := rapid.StringMatching(`[a-zé<&"\\\n\x{2028}\x{1F600}]{0,12}`)
	rapid.Check(t, func(t *rapid.T) {
		q := rubric.Question{Text: "t" + text.Draw(t, "text"), Intent: text.Draw(t, "intent"), Guidance: text.Draw(t, "guidance"), SampleAnswer: text.Draw(t, "sample")}
		if rapid.Bool().Draw(t, "named") {
			q.ID = "named"
		}
		for i := range rapid.IntRange(1, 6).Draw(t, "criteria") {
			q.Criteria = append(q.Criteria, rubric.Criterion{
				ID:        string(rune('a' + i)),
				Statement: "s" + text.Draw(t, "statement"),
				Weight:    rapid.Float64Range(0, 1000).Draw(t, "weight"),
				Partial:   text.Draw(t, "partial"),
				Hint:      text.Draw(t, "hint"),
				Phrases:   rapid.SliceOfN(rapid.Just("word"), 0, 2).Draw(t, "phrases"),
			})
		}
		loaded, err := rubric.Inline(q)
		if err != nil {
			t.Skip("not a question")
		}
		thaws(t, loaded)
	})
}

func TestWhatCannotBeThawedIsToldApart(t *testing.T) {
	t.Parallel()
	made := complete()
	_, err := rubric.Freeze(&made)
	require.ErrorContains(t, err, "has not been loaded")

	q, err := rubric.Inline(complete())
	require.NoError(t, err)
	data, err := rubric.Freeze(q)
	require.NoError(t, err)

	var fields map[string]any
	require.NoError(t, json.Unmarshal(data, &fields))
	fields["version"] = 2
	fields["question"] = "another shape"
	newer, err := json.Marshal(fields)
	require.NoError(t, err)
	_, err = rubric.Thaw(newer)
	require.ErrorIs(t, err, rubric.ErrOtherVersion)
	_, err = rubric.Thaw(bytes.Replace(data, []byte("blue"), []byte("red"), 1))
	require.ErrorIs(t, err, rubric.ErrOtherVersion)

	for _, broken := range [][]byte{nil, []byte("{"), []byte(`{"version":1}`), []byte(`{"version":1,"ref":"a/b","question":null}`), data[:len(data)/2]} {
		_, err = rubric.Thaw(broken)
		require.Error(t, err)
		require.NotErrorIs(t, err, rubric.ErrOtherVersion)
	}
}
