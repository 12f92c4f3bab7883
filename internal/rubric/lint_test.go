package rubric_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/rubric"
)

// wellWritten is a set without findings, after replacing parts of its text.
// It returns the lines of the text as well.
func wellWritten(t *testing.T, replace ...string) (*rubric.Set, []string) {
	t.Helper()
	data, err := os.ReadFile("testdata/valid/well-written.yaml")
	require.NoError(t, err)
	text := string(data)
	for i := 0; i < len(replace); i += 2 {
		require.Contains(t, text, replace[i])
		text = strings.Replace(text, replace[i], replace[i+1], 1)
	}
	set, err := rubric.Parse("well-written.yaml", []byte(text))
	require.NoError(t, err)
	return set, strings.Split(text, "\n")
}

func TestAWellWrittenSetHasNoFindings(t *testing.T) {
	t.Parallel()
	set, _ := wellWritten(t)
	require.Empty(t, rubric.Lint(set))
}

// Each line breaks one rule in one place.
func TestEachRuleFindsItsFault(t *testing.T) {
	t.Parallel()
	type finding struct {
		Where, Rule string
		Field       string // the field that stands on the line of the finding
	}
	tests := []struct {
		name    string
		replace []string
		want    []finding
	}{
		{"no title", []string{"title: Baking\n", ""}, []finding{{"", "title-missing", "version"}}},
		{"no intent", []string{"    intent: Whether the candidate has a method and can say why it works.\n", ""}, []finding{{"bread", "intent-missing", "id"}}},
		{"no guidance", []string{"    guidance: Go through the steps in order and give a reason for the slow ones.\n", ""}, []finding{{"bread", "guidance-missing", "id"}}},
		{
			"a sample of 29 words",
			[]string{"three tiers and covered the seam with fruit. All ninety guests got a slice\n      and forty asked for the recipe. Since then I bake the base a day earlier.", ""},
			[]finding{{"failed-cake", "sample-short", "sample_answer"}},
		},
		{
			"four criteria",
			[]string{"weight: 25\n        partial: Threw", "weight: 21\n        partial: Threw", "weight: 20\n        partial: Speaks of failures", "weight: 21\n        partial: Speaks of failures",
				"      - id: count\n        statement: Gives a number of guests, slices or minutes\n        weight: 20\n        partial: Says many.\n        hint: How many people got a piece?\n        signal: quantified\n", "",
				"        weight: 20\n        partial: Speaks of the team", "        weight: 23\n        partial: Speaks of the team",
				"        weight: 15\n        partial: Promises to do", "        weight: 25\n        signal: quantified\n        partial: Promises to do",
				"        weight: 21\n        partial: Speaks of fail", "        weight: 31\n        partial: Speaks of fail"},
			[]finding{{"failed-cake", "criteria-count", "criteria"}, {"failed-cake/event", "core-weight", "weight"}},
		},
		{"a core weight of 26", []string{"weight: 25", "weight: 26", "weight: 20", "weight: 19"}, []finding{{"bread/gluten", "core-weight", "weight"}}},
		{"a bonus of 6", []string{"weight: 5", "weight: 6"}, []finding{{"bread", "bonus-total", "criteria"}}},
		{"a pitfall of 4", []string{"weight: -5", "weight: -4"}, []finding{{"bread/shop", "pitfall-weight", "weight"}}},
		{"a pitfall of 11", []string{"weight: -5", "weight: -11"}, []finding{{"bread/shop", "pitfall-weight", "weight"}}},
		{"no partial", []string{"        partial: Counts cups.\n", ""}, []finding{{"bread/scale", "partial-missing", "id"}}},
		{"no hint for a pitfall", []string{"        hint: Describe the baking, not the shopping.\n", ""}, []finding{{"bread/shop", "hint-missing", "id"}}},
		{"a hint with six words of the sample", []string{"What makes the dough elastic?", "Try it “worked by hand, until it STRETCHES …”"}, []finding{{"bread/gluten", "hint-leaks", "hint"}}},
		{"a hint with five words of the sample is chance", []string{"What makes the dough elastic?", "Is it worked by hand until soft?"}, nil},
		{"two phrases", []string{"phrases: [hot stone, preheated oven, cast-iron pot]", "phrases: [hot stone, preheated oven]"}, []finding{{"bread/heat", "few-phrases", "phrases"}}},
		{"no phrases beside a signal", []string{"        signal: past_event\n", "        signal: past_event\n        phrases: []\n"}, nil},
		{"a phrase of another criterion", []string{"core temperature", "Hot Stone"}, []finding{{"bread/doneness", "shared-phrase", "phrases"}}},
		{"two verbs in the present", []string{"Names a sign that baking is finished", "Names a sign and explains it"}, []finding{{"bread/doneness", "one-claim", "statement"}}},
		{"two verbs in the past", []string{"Repaired the damage in time", "Repaired the damage and told the guests"}, []finding{{"failed-cake/rescue", "one-claim", "statement"}}},
		{"an enumeration", []string{"Weighs the ingredients", "Weighs the flour, salt and water"}, []finding{{"bread/scale", "one-claim", "statement"}}},
		{"examples are not an enumeration", []string{"Weighs the ingredients", "Weighs ingredients such as flour, salt and water"}, nil},
		{"both and", []string{"Weighs the ingredients", "Weighs both flour and water"}, []finding{{"bread/scale", "one-claim", "statement"}}},
		{"alternatives are one claim", []string{"Weighs the ingredients", "Weighs flour, water or salt"}, nil},
		{"a reward for detail", []string{"Names a sign that", "Names in detail when"}, []finding{{"bread/doneness", "rewards-length", "statement"}}},
		{"a reward for counting", []string{"Names a sign that", "Names at least three signs that"}, []finding{{"bread/doneness", "rewards-length", "statement"}}},
		{"a quality of the person", []string{"Names a sign that baking is finished", "Shows leadership qualities at the oven"}, []finding{{"bread/doneness", "construct", "statement"}}},
		{"much the same as another", []string{"Cools the bread before anyone slices it", "Lets the yeast in it rest for some hours"}, []finding{{"bread/cooling", "implied", "statement"}}},
		{
			"no numbers in a behavioural question", []string{"Gives a number of guests, slices or minutes", "Tells who was there", "        signal: quantified\n", "        phrases: [guests, aunts, uncles]\n"},
			[]finding{{"failed-cake", "behavioural-result", "criteria"}},
		},
		{
			"no deed in a behavioural question",
			[]string{"        signal: own_actions\n", "        phrases: [mine, me, myself]\n", "Repaired the damage in time", "Tells of a repair", "Changed a habit", "Has a habit"},
			[]finding{{"failed-cake", "behavioural-own-action", "criteria"}},
		},
		{"a story asked of a technical question", []string{"        phrases: [hot stone, preheated oven, cast-iron pot]", "        signal: past_event"}, []finding{{"bread/heat", "technical-signal", "signal"}}},
		{"an order asked of a technical question", []string{"        phrases: [hot stone, preheated oven, cast-iron pot]", "        signal: prioritised"}, nil},
	}
	severity := make(map[string]rubric.Severity)
	for _, r := range rubric.Rules() {
		severity[r.ID] = r.Severity
	}
	tested := make(map[string]bool)
	for _, tt := range tests {
		for _, f := range tt.want {
			tested[f.Rule] = true
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []finding
			set, lines := wellWritten(t, tt.replace...)
			for _, f := range rubric.Lint(set) {
				require.Equal(t, "well-written.yaml", f.Path)
				require.Equal(t, severity[f.Rule], f.Severity)
				require.NotEmpty(t, f.Message)
				where := f.Question
				if f.Criterion != "" {
					where += "/" + f.Criterion
				}
				field, _, _ := strings.Cut(strings.TrimLeft(lines[f.Line-1], " -"), ":")
				got = append(got, finding{where, f.Rule, field})
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for _, r := range rubric.Rules() {
		require.True(t, tested[r.ID], "no case breaks rule %s", r.ID)
		require.NotEmpty(t, r.Meaning)
	}
}

func TestAFindingIsOneReadableLine(t *testing.T) {
	t.Parallel()
	set, _ := wellWritten(t, "weight: -5", "weight: -4")
	findings := rubric.Lint(set)
	require.Len(t, findings, 1)
	require.Equal(t, "well-written.yaml:58: error: bread/shop: weight -4; a pitfall costs 5 to 10 points [pitfall-weight]", findings[0].String())
}
