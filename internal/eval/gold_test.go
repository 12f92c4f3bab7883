package eval_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/eval"
	"github.com/gradus-ai/gradus/internal/rubric"
)

func TestGoldThatCannotBeUsedNamesTheLine(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ lines, want string }{
		"no rows":                     {"\n\n", "it has no rows"},
		"not JSON":                    {"{\"answer\": ", "line 1: it is not a JSON object"},
		"no score":                    {`{"question":"Why?","answer":"x"}`, "line 1: human_score is missing"},
		"a score beyond the scale":    {`{"question":"Why?","answer":"x","human_score":3,"max_score":2}`, "human_score 3 is not in 0..2"},
		"a negative score":            {`{"question":"Why?","answer":"x","human_score":-1}`, "is not in 0..1"},
		"a negative scale":            {`{"question":"Why?","answer":"x","human_score":0,"max_score":-1}`, "max_score is not above 0"},
		"no question":                 {`{"answer":"x","human_score":1}`, "it names no question"},
		"a label beyond the scale":    {`{"question":"Why?","human_score":1,"criterion_labels":{"a":2}}`, "the label of criterion a, 2, is not in 0..1"},
		"a criterion without a text":  {`{"question":"Why?","human_score":1,"criteria":[{"id":"a"}]}`, "criterion 1 needs an id and a statement"},
		"a field of the wrong type":   {`{"question":7,"human_score":1}`, "question has the wrong type: number"},
		"an answer twice":             {"\n" + `{"answer_id":"a","question":"Why?","human_score":1}` + "\n" + `{"answer_id":"a","question":"Why?","human_score":1}`, `line 3: answer_id "a" stands on line 2 already`},
		"bytes that are not a string": {"{\"question\":\"\xff\",\"human_score\":1}", "it is not UTF-8 text"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := eval.ReadGold(strings.NewReader(tc.lines))
			require.ErrorIs(t, err, eval.ErrGold)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestFaultsDoNotRepeatAnswers(t *testing.T) {
	t.Parallel()
	_, err := eval.ReadGold(strings.NewReader(`{"answer":{"my secret":1},"human_score":1}` + "\n" + `my secret`))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
}

func TestRowsFillInWhatTheyMayLeaveOut(t *testing.T) {
	t.Parallel()
	gold := readGold(t,
		"\ufeff"+`{"question_no":3,"question":"Why?","answer":"x","human_score":0.5,"kind":"good","criteria":[{"id":"c1","text":"Says why","label":0.5}]}`,
		``,
		`{"question":"Why?","answer":"y","human_score":3,"max_score":4,"meta":{"any":1}}`,
		`{"question":"Why?","answer":"z","human_score":0}`,
		`{"question":"How?","answer":"z","human_score":0}`)
	require.Len(t, gold.Rows, 4)
	first := gold.Rows[0]
	require.Equal(t, "line-1", first.AnswerID)
	require.Equal(t, "question-3", first.QuestionID)
	require.Equal(t, "Says why", first.Criteria[0].Statement)
	require.Equal(t, map[string]float64{"c1": 0.5}, first.Labels)
	require.InDelta(t, 0.5, first.Human(), 0)
	require.InDelta(t, 0.75, gold.Rows[1].Human(), 0)
	require.Equal(t, "line-3", gold.Rows[1].AnswerID)
	require.Equal(t, gold.Rows[1].QuestionID, gold.Rows[2].QuestionID, "the same question")
	require.NotEqual(t, gold.Rows[1].QuestionID, gold.Rows[3].QuestionID)
	require.False(t, gold.TwoWay())
}

func TestAPartIsSpreadOverTheQuestions(t *testing.T) {
	t.Parallel()
	row := func(q, a string) string {
		return `{"question_id":"` + q + `","question":"?","answer_id":"` + a + `","human_score":1}`
	}
	gold := readGold(t, row("p", "p1"), row("p", "p2"), row("p", "p3"), row("q", "q1"), row("q", "q2"), row("r", "r1"))
	ids := func(g *eval.Gold) (out []string) {
		for _, r := range g.Rows {
			out = append(out, r.AnswerID)
		}
		return out
	}
	require.Equal(t, []string{"p1", "q1", "r1", "p2"}, ids(gold.Spread(4)))
	require.Equal(t, gold.Digest, gold.Spread(4).Digest)
	require.Len(t, gold.Spread(0).Rows, 6)
	require.Len(t, gold.Spread(99).Rows, 6)
	require.True(t, gold.TwoWay())
}

func TestAQuestionIsMadeOfARow(t *testing.T) {
	t.Parallel()
	var none eval.Questions
	asked := func(line string) *eval.Asked {
		q, err := none.For(&readGold(t, line).Rows[0])
		require.NoError(t, err)
		return q
	}

	q := asked(`{"question":"Why?","human_score":1,"rubric":"Be strict.","criteria":[{"id":"The first!","text":"Says why","weight":1},{"id":"2","statement":"Says how","weight":3}]}`)
	require.Equal(t, []string{"The first!", "2"}, q.Names)
	require.Equal(t, "Says why", q.Criteria[0].Statement)
	require.InDelta(t, 75, q.Criteria[1].Weight, 0)
	require.Equal(t, "Be strict.", q.Intent)
	require.Empty(t, q.Guidance, "answers are matched with guidance, and raters' notes quote right answers")

	q = asked(`{"question":"Why?","human_score":1,"reference_answers":["  ","Because it rains.","Since there is rain."]}`)
	require.Equal(t, []string{"c1"}, q.Names)
	require.Equal(t, "Because it rains.", q.Criteria[0].Statement)
	require.Equal(t, []string{"Since there is rain."}, q.Criteria[0].Phrases)
	require.Empty(t, q.SampleAnswer, "saying what the reference says is right, not copied")

	q = asked(`{"question":"Why?","human_score":1,"criteria":[{"id":"a","text":"Names rain"}],"reference_answers":["It rains.\n\nWater falls."]}`)
	require.Equal(t, []string{"It rains.", "Water falls."}, q.Criteria[0].Phrases)
	q = asked(`{"question":"Why?","human_score":1,"criteria":[{"id":"a","text":"Names rain"},{"id":"b","text":"Names clouds"}],"reference_answers":["It rains."]}`)
	require.Empty(t, q.Criteria[0].Phrases, "a reference speaks to all criteria")

	long := strings.Repeat("It rains a lot in the north of the country. ", 60)
	q = asked(`{"question":"Why?","human_score":1,"reference_answers":["` + long + `","` + long + `"]}`)
	require.LessOrEqual(t, len(q.Criteria[0].Statement), rubric.MaxStatement)
	require.True(t, strings.HasPrefix(long, q.Criteria[0].Statement+" "), "cut between words")
	require.Equal(t, "It rains a lot in the north of the country.", q.Criteria[0].Phrases[0])
}

func TestARowWithNothingToGradeByIsRefused(t *testing.T) {
	t.Parallel()
	gold := readGold(t, `{"question":"Why?","human_score":1}`, `{"question":"Why?","human_score":0}`)
	_, err := eval.Run(t.Context(), gold, options(t, &clerk{}))
	require.ErrorIs(t, err, eval.ErrGold)
	require.Equal(t, 1, strings.Count(err.Error(), "neither criteria nor reference answers"), "a question is named once")
}

func TestARowMayNameALoadedQuestion(t *testing.T) {
	t.Parallel()
	set, err := rubric.Parse("s.yaml", []byte(`
version: 1
id: s
title: S
questions:
  - id: one
    question: Why?
    criteria: [{id: because, statement: Says why, weight: 100}]
  - id: two
    question: How?
    criteria: [{id: how, statement: Says how, weight: 100}]
`))
	require.NoError(t, err)
	library, err := rubric.NewLibrary(set)
	require.NoError(t, err)

	byRef := eval.Questions{Library: library}
	q, err := byRef.For(&readGold(t, `{"question_id":"s/two","human_score":1}`).Rows[0])
	require.NoError(t, err)
	require.Equal(t, "s/two", q.Ref)
	require.Equal(t, []string{"how"}, q.Names)
	_, err = byRef.For(&readGold(t, `{"question_id":"s/three","human_score":1}`).Rows[0])
	require.ErrorIs(t, err, rubric.ErrNotFound)

	bySet := eval.Questions{Set: set}
	q, err = bySet.For(&readGold(t, `{"question_no":2,"question":"How?","human_score":1,"reference_answers":["so"]}`).Rows[0])
	require.NoError(t, err)
	require.Equal(t, "s/two", q.Ref)
	for _, no := range []string{"0", "3"} {
		_, err = bySet.For(&readGold(t, `{"question_no":`+no+`,"question":"How?","human_score":1}`).Rows[0])
		require.ErrorIs(t, err, eval.ErrGold)
	}
}

// FuzzReadGold claims that whatever is accepted can be compared: every row has
// an answer id of its own and a human score on its scale.
func FuzzReadGold(f *testing.F) {
	f.Add(`{"question":"Why?","answer":"x","human_score":1}` + "\n" + `{"question_no":2,"human_score":0.5,"max_score":2,"criteria":[{"id":"a","text":"b","label":1}]}`)
	f.Add("\ufeff{\"answer_id\":\"line-2\",\"question\":\"?\",\"human_score\":0}\n{\"question\":\"?\",\"human_score\":0}")
	f.Fuzz(func(t *testing.T, data string) {
		gold, err := eval.ReadGold(strings.NewReader(data))
		if err != nil {
			require.ErrorIs(t, err, eval.ErrGold)
			return
		}
		seen := make(map[string]bool)
		for i := range gold.Rows {
			r := &gold.Rows[i]
			require.NotEmpty(t, r.AnswerID)
			require.False(t, seen[r.AnswerID], r.AnswerID)
			seen[r.AnswerID] = true
			require.NotEmpty(t, r.QuestionID)
			require.GreaterOrEqual(t, r.Human(), 0.0)
			require.LessOrEqual(t, r.Human(), 1.0)
			for _, label := range r.Labels {
				require.GreaterOrEqual(t, label, 0.0)
				require.LessOrEqual(t, label, 1.0)
			}
		}
		require.Len(t, gold.Spread(1).Rows, 1)
	})
}
