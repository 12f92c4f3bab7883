package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// hostile is what a terminal acts on: it clears the screen, sets the title,
// rings, goes back over what it wrote and turns the direction of writing.
const hostile = "\x1b[2J\x1b]0;owned\x07\u202e\u009b31m\b\r"

// TestWhatStrangersWroteIsInertOnATerminal is ASVS 16.4.1 and 1.2 for the
// command line: an answer, a page and a question set come from people whom the
// reader of the terminal does not know.
func TestWhatStrangersWroteIsInertOnATerminal(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	answer := write("answer.txt", "I would "+hostile+" interview every team in the first week and read past incidents.")
	rows := write("rows.jsonl", `{"id":"a","question_id":"lead-platform-engineer/`+strings.ReplaceAll(hostile, "\x1b", `\u001b`)+`","answer":"x"}`+"\n")
	page := write("page.txt", "How do you"+hostile+" bake?\nEmployers ask this to see if you bake. "+hostile+" Weather is nice. Describe the dough.\nAnswer Example: \"I weigh.\"\n1. Why "+hostile+"?\n")
	set := write("set.yaml", "version: 1\nid: \"a\\e[31mb\"\ntitle: T\nquestions:\n  - id: a\n    kind: \"\\e[2Jodd\"\n    # "+hostile+"\n    question: Q\n    criteria: []\n")
	const question = "lead-platform-engineer/first-90-days"
	for name, args := range map[string][]string{
		"grade":            {"grade", "-q", question, answer},
		"unknown question": {"grade", "-q", "lead-platform-engineer/" + hostile, answer},
		"unknown verb":     {"frobnicate" + hostile},
		"missing file":     {"grade", "-q", question, filepath.Join(folder, hostile)},
		"batch":            {"batch", rows, "-o", filepath.Join(folder, "out.jsonl")},
		"import":           {"import", page, "-o", filepath.Join(folder, "draft.yaml")},
		"lint":             {"lint", set},
		"questions":        {"questions", hostile},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			run(t.Context(), args, strings.NewReader(""), &out, &errs)
			require.NotEmpty(t, out.String()+errs.String())
			for _, r := range out.String() + errs.String() {
				require.True(t, r == '\n' || r == '\t' || !unicode.IsControl(r) && !unicode.Is(unicode.Cf, r), "%q in %q", r, out.String()+errs.String())
			}
		})
	}
}
