package rubric_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gradus-ai/gradus/internal/rubric"
)

// text draws texts with everything that means something to YAML.
func text() *rapid.Generator[string] {
	r := rapid.OneOf(
		rapid.RuneFrom([]rune(`:#-?,[]{}&*!|>'"%@`+"`~=<\\/ \n")),
		rapid.RuneFrom([]rune("ab0.é日😀\u00a0\u2028\ufeff")),
	)
	return rapid.StringOfN(r, 0, 30, -1)
}

// Every text arrives as it was written, in double quotes and as a block. The
// parser that does this is not ours, and has lost text before.
func TestTextsArriveAsWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := "x" + text().Draw(t, "text") + "x"
		quoted, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		check := func(style, value, want string) {
			yaml := "version: 1\nid: a\nquestions:\n  - id: b\n    question: " + value +
				"\n    intent: after\n    criteria: [{id: c, statement: Says it, weight: 100}]\n"
			set, err := rubric.Parse("text.yaml", []byte(yaml))
			if err != nil {
				t.Fatalf("%s: %v", style, err)
			}
			if got := set.Questions[0]; got.Text != want || got.Intent != "after" {
				t.Fatalf("%s: %q arrives as %q, then %q", style, want, got.Text, got.Intent)
			}
		}
		check("double quotes", string(quoted), want)
		line := strings.ReplaceAll(want, "\n", " ")
		check("single quotes", "'"+strings.ReplaceAll(line, "'", "''")+"'", line)
		check("a literal block", "|-\n      "+strings.ReplaceAll(want, "\n", "\n      "), want)
	})
}

func TestAFoldedBlockJoinsItsLines(t *testing.T) {
	t.Parallel()
	set, err := rubric.Parse("x", []byte("version: 1\nid: a\nquestions:\n  - id: b\n    question: >-\n      one\n      two\n\n      three: 3\n    criteria: [{id: c, statement: Says it, weight: 100}]\n"))
	require.NoError(t, err)
	require.Equal(t, "one two\nthree: 3", set.Questions[0].Text)
}
