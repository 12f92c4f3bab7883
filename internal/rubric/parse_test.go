package rubric_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/rubric"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with a file, or rewrites the file under -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run the test with -update to make it")
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// fixtures lists the files of a folder of testdata.
func fixtures(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

func TestEachFixtureIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	for _, file := range fixtures(t, "invalid") {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			set, err := rubric.Parse(filepath.Base(file), read(t, file))
			require.Error(t, err)
			require.Nil(t, set)
			require.ErrorIs(t, err, rubric.ErrInvalid)

			var first *rubric.InvalidError
			require.ErrorAs(t, err, &first)
			require.Equal(t, filepath.Base(file), first.Path)
			require.NotEmpty(t, first.Reason)
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", err.Error()+"\n")
		})
	}
}

func TestEveryFaultIsToldWithItsLine(t *testing.T) {
	t.Parallel()
	_, err := rubric.Parse("x.yaml", read(t, "testdata/invalid/many-faults-at-once.yaml"))
	var faults rubric.Faults
	require.True(t, errors.As(err, &faults))
	type fault struct {
		Line    int
		Pointer string
	}
	var got []fault
	for _, f := range faults {
		got = append(got, fault{f.Line, f.Pointer})
	}
	want := []fault{
		{1, "/version"},
		{2, "/id"},
		{3, "/titel"},
		{6, "/questions/0/question"},
		{8, "/questions/0/criteria/0/id"},
		{11, "/questions/0/criteria/1/statement"},
		{12, "/questions/0/criteria/1/weight"},
		{13, "/questions/1/id"},
		{15, "/questions/1/kind"},
		{16, "/questions/1/criteria"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEachValidFixtureIsRead(t *testing.T) {
	t.Parallel()
	for _, file := range fixtures(t, "valid") {
		set, err := rubric.Parse(file, read(t, file))
		require.NoError(t, err)
		require.Equal(t, "baking", set.ID)
		require.Equal(t, "baking/bread", set.Questions[0].Ref)
		require.Regexp(t, `^sha256:[0-9a-f]{64}$`, set.Questions[0].Digest())
	}
}

func TestAllFieldsArrive(t *testing.T) {
	t.Parallel()
	set, err := rubric.Parse("x", read(t, "testdata/valid/everything-a-set-can-say.yaml"))
	require.NoError(t, err)
	require.Equal(t, "Baking: an introduction", set.Title)
	require.Len(t, set.Questions, 3)

	q := set.Questions[0]
	require.Equal(t, "How do you bake a loaf of bread?", q.Text)
	require.Equal(t, "Whether the candidate has baked before.", q.Intent)
	require.Equal(t, "Look for kneading and resting.", q.Guidance)
	require.Equal(t, "I knead for ten minutes.\n\nThen I let it rest.", q.SampleAnswer)
	want := []rubric.Criterion{
		{
			ID: "knead", Statement: "Says that the dough is kneaded.", Weight: 62.5, Partial: "Mentions mixing only.",
			Hint: "What happens to the dough by hand?", Kind: rubric.Core,
			Phrases: []string{"work the dough", "fold: and press", "it's stretched"},
		},
		{ID: "rise", Statement: "Says that the dough rests before baking.", Weight: 37.5, Kind: rubric.Core, Phrases: []string{"proving", "10 minutes"}},
		{ID: "scale", Statement: "Weighs the flour.", Weight: 5, Kind: rubric.Bonus, Signal: rubric.Quantified},
		{ID: "burnt", Statement: "Burns it.", Weight: -5, Kind: rubric.Pitfall},
	}
	if diff := cmp.Diff(want, q.Criteria); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	require.Equal(t, rubric.OwnActions, set.Questions[1].Criteria[0].Signal)
	require.Equal(t, rubric.Motivational, set.Question("why").Kind)
	require.Nil(t, set.Question("nobody"))
	require.Equal(t, rubric.Bonus, q.Criterion("scale").Kind)
	require.Nil(t, q.Criterion("nobody"))
}

func TestAFileThatIsTooLargeIsRefusedUnread(t *testing.T) {
	t.Parallel()
	_, err := rubric.Parse("big.yaml", make([]byte, rubric.MaxBytes+1))
	require.ErrorIs(t, err, rubric.ErrInvalid)
	require.ErrorContains(t, err, "big.yaml: larger than 1048576 bytes")
}

// hostileBytes is the size of the files of the next test: large enough to
// tell linear from quadratic, small enough for a test.
const hostileBytes = rubric.MaxBytes / 4

// Files made to exhaust the parser are refused quickly: it recurses once a
// level, unfolds aliases, and takes time quadratic in the width of a mapping.
// Unbounded, the widest of these takes seven seconds and the largest file 16
// times as long; bounded, the slowest takes a fifth of one.
func TestAHostileFileIsRefusedQuickly(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'z'; c++ {
		p := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+p+", ", 10) + "]\n"
	}
	fill := func(unit string) string { return strings.Repeat(unit, hostileBytes/len(unit)) }
	for name, text := range map[string]string{
		"alias bomb":        bomb,
		"open brackets":     fill("["),
		"open braces":       fill("{a: "),
		"bare braces":       fill("{"),
		"dashes":            fill("- "),
		"dashes down":       fill("- a\n"),
		"explicit keys":     fill("? "),
		"tags":              fill("!a "),
		"anchors":           fill("&a "),
		"one key":           fill("a:\n"),
		"one flow key":      "{" + fill("a: 1,")[:hostileBytes-8],
		"flow words":        "{" + fill("a,")[:hostileBytes-8],
		"quotes":            fill(`"`),
		"single quotes":     fill("'\n"),
		"documents":         fill("---\n"),
		"commas":            "[" + fill(",")[:hostileBytes-8],
		"colons":            fill(":"),
		"spaced colons":     fill(": "),
		"pipes":             fill("|\n"),
		"comments":          fill("#\n"),
		"one word":          fill("x"),
		"braces in a list":  fill("- {}\n"),
		"keys in a list":    fill("- a: b\n"),
		"steps to the left": steps(1400),
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, err := rubric.Parse("hostile.yaml", []byte(text))
			took := time.Since(began)
			require.ErrorIs(t, err, rubric.ErrInvalid)
			require.Less(t, len(err.Error()), 20_000)
			require.Less(t, took, 20*time.Second)
			t.Log(took)
		})
	}
}

// steps nests mappings one column deeper each.
func steps(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// One question in YAML is about two kilobytes; the largest file holds some 500.
func BenchmarkParse(b *testing.B) {
	var text strings.Builder
	text.WriteString("version: 1\nid: large\nquestions:\n")
	for i := 0; text.Len() < rubric.MaxBytes-3000; i++ {
		fmt.Fprintf(&text, "  - id: q%d\n    question: What?\n    sample_answer: >-\n      %s\n    criteria:\n", i, strings.Repeat("some words ", 60))
		for j := range 8 {
			fmt.Fprintf(&text, "      - id: c%d\n        statement: Says one thing or another\n        weight: 12.5\n        phrases: [one thing, another thing, the other way]\n", j)
		}
	}
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		if _, err := rubric.Parse("large.yaml", []byte(text.String())); err != nil {
			b.Fatal(err)
		}
	}
}
