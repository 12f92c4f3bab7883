package eval

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gradus-ai/gradus/internal/evidence"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/rubric"
	"github.com/gradus-ai/gradus/internal/text"
)

func seeded() *rand.Rand { return rand.New(rand.NewPCG(1, 1)) }

// without is an empty string where a change does not apply.
func without(s string, ok bool) string {
	if !ok {
		return ""
	}
	return s
}

func TestWritingChangesAndMeaningDoesNot(t *testing.T) {
	t.Parallel()
	const two = "It rains a lot. Ice floats on water"
	for name, want := range map[string][2]string{ // of two sentences, of one
		"case":           {"IT RAINS A LOT. ICE FLOATS ON WATER", "IT RAINS."},
		"sentence order": {"Ice floats on water. It rains a lot.", ""},
		"bullets":        {"- It rains a lot.\n- Ice floats on water.", ""},
		"politeness":     {"Thank you for this question. " + two + "\nThank you very much for your time.", "Thank you for this question. It rains.\nThank you very much for your time."},
	} {
		for _, v := range invariances {
			if v.name == name {
				require.Equal(t, want[0], without(v.change(text.Parse(two), seeded())), name)
				require.Equal(t, want[1], without(v.change(text.Parse("It rains."), seeded())), name)
			}
		}
	}
}

func TestTyposSwapLettersInsideLongWords(t *testing.T) {
	t.Parallel()
	require.Empty(t, without(typos(text.Parse("it is so 12345 now"), seeded())), "no word is long enough")
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`([a-z]{1,9}[ .,]){1,40}`).Draw(t, "answer")
		doc := text.Parse(s)
		got, ok := typos(doc, seeded())
		if !ok {
			return
		}
		split := func(s string) []string {
			return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '.' || r == ',' })
		}
		before, after := split(s), split(got)
		require.Len(t, after, len(before))
		require.Len(t, got, len(s))
		changed := 0
		for i := range before {
			if before[i] != after[i] {
				changed++
				require.Equal(t, before[i][0], after[i][0], "the first letter stays")
			}
		}
		require.Positive(t, changed)
		require.LessOrEqual(t, changed, 1+len(before)/typoEvery)
	})
}

// earned is the grade of a criterion whose quote is a part of the answer.
func earned(t *testing.T, answer, quote string) *grading.CriterionGrade {
	before, _, found := strings.Cut(answer, quote)
	require.True(t, found)
	start := len([]rune(before))
	return &grading.CriterionGrade{ID: "c1", Kind: rubric.Core, Weight: 100, Credit: 1,
		Evidence: []evidence.Quote{{Text: quote, Start: start, End: start + len([]rune(quote))}}}
}

func TestBreakingWhatEarnedMost(t *testing.T) {
	t.Parallel()
	criterion := &rubric.Criterion{Statement: "Ice floats at 4 degrees", Phrases: []string{"after 30 minutes"}}
	for _, tc := range []struct {
		name, answer, quote               string
		removed, negated, withOtherFigure string
	}{
		{
			"a sentence among others", "Well, naïve me. Ice is less dense, at 4 degrees. The rest is 7 words.", "less dense",
			"Well, naïve me. The rest is 7 words.",
			"Well, naïve me. Ice is not less dense, at 4 degrees. The rest is 7 words.",
			"Well, naïve me. Ice is less dense, at 31 degrees. The rest is 7 words.",
		},
		{"the only sentence", "Ice floats on water", "Ice floats", "", "It is not true that Ice floats on water.", ""},
		{"a denial", "Ice does not sink. So there.", "not sink", "So there.", "", ""},
	} {
		doc, key := text.Parse(tc.answer), earned(t, tc.answer, tc.quote)
		require.Equal(t, tc.removed, without(removed(doc, key, criterion)), tc.name)
		require.Equal(t, tc.negated, without(negated(doc, key, criterion)), tc.name)
		require.Equal(t, tc.withOtherFigure, without(wrongNumber(doc, key, criterion)), tc.name)
	}
}

func TestTheKeyCriterionEarnedMost(t *testing.T) {
	t.Parallel()
	quote := []evidence.Quote{{Text: "x"}}
	g := &grading.Grade{Criteria: []grading.CriterionGrade{
		{ID: "light", Kind: rubric.Core, Weight: 10, Credit: 1, Evidence: quote},
		{ID: "heavy", Kind: rubric.Core, Weight: 60, Credit: 0.5, Evidence: quote},
		{ID: "unproven", Kind: rubric.Core, Weight: 30, Credit: 1},
		{ID: "extra", Kind: rubric.Bonus, Weight: 99, Credit: 1, Evidence: quote},
	}}
	require.Equal(t, "heavy", keyCriterion(g).ID)
	require.Nil(t, keyCriterion(&grading.Grade{}))
}

func TestStuffingHasEveryWordOfTheRubricOnce(t *testing.T) {
	t.Parallel()
	q := &rubric.Question{Criteria: []rubric.Criterion{
		{Statement: "The ice floats on water"}, {Statement: "Water is dense"}, {Statement: "Blames the ocean", Kind: rubric.Pitfall},
	}}
	require.ElementsMatch(t, []string{"ice", "floats", "water", "dense"}, strings.Split(stuffed(q, seeded()), ", "))
	require.ElementsMatch(t, strings.Fields("the ice floats on water is dense"), strings.Fields(strings.TrimSuffix(shuffled(q, seeded()), ".")))
	require.NotContains(t, stuffed(q, seeded()), "ocean", "a pitfall earns nothing")
}

func TestPaddingIsTwiceAsLongAtLeast(t *testing.T) {
	t.Parallel()
	require.Greater(t, len(padded("short")), 2*len("short"))
	long := strings.Repeat("a word ", 200)
	require.InDelta(t, 3*len(long), len(padded(long)), float64(2*len(filler)))
	require.True(t, strings.HasPrefix(padded(long), long))
}

func TestTurningKeepsEveryCriterion(t *testing.T) {
	t.Parallel()
	q, err := rubric.Inline(rubric.Question{Text: "Why?", Criteria: []rubric.Criterion{
		{ID: "a", Statement: "A", Weight: 1}, {ID: "b", Statement: "B", Weight: 2}, {ID: "c", Statement: "C", Kind: rubric.Pitfall},
	}})
	require.NoError(t, err)
	other, ok, err := turned(q)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "c", other.Criteria[0].ID)
	for _, c := range q.Criteria {
		require.Equal(t, c, *other.Criterion(c.ID))
	}
	require.Equal(t, "a", q.Criteria[0].ID, "the question itself is not turned")
}
