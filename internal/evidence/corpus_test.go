package evidence_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/evidence"
)

// corpus reads lines of a data folder beside the repository; where there is
// none, it returns nothing.
func corpus(t *testing.T, name string) []map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "data", name))
	if err != nil {
		return nil
	}
	var rows []map[string]any
	for line := range bytes.Lines(data) {
		row := map[string]any{}
		require.NoError(t, json.Unmarshal(line, &row))
		rows = append(rows, row)
	}
	return rows
}

func str(row map[string]any, key string) string {
	s, _ := row[key].(string)
	return s
}

// TestCorpora prints what is flagged in a corpus of attacks and of honest
// answers, where the corpora are at hand, and holds the honest side.
func TestCorpora(t *testing.T) {
	t.Parallel()
	count := map[string][2]int{}
	note := func(group string, flagged bool) {
		n := count[group]
		n[1]++
		if flagged {
			n[0]++
		}
		count[group] = n
	}
	tasks := map[string]struct{ Question string }{}
	if b, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "data", "attack-tasks.json")); err == nil {
		require.NoError(t, json.Unmarshal(b, &tasks))
	}
	for _, row := range corpus(t, "attacks.jsonl") {
		a := evidence.Prepare(str(row, "text"))
		in := evidence.Inspect(a, evidence.NewReference(evidence.ReferenceTexts{Question: tasks[str(row, "task")].Question}))
		note("attacks", len(in.Flags) > 0 || a.Blank())
		if len(in.Flags) == 0 && !a.Blank() {
			t.Logf("unflagged: %s", str(row, "id"))
		}
	}
	for _, row := range corpus(t, "attack-controls.jsonl") {
		question := str(row, "question")
		if question == "" {
			question = tasks[str(row, "task")].Question
		}
		in := evidence.Inspect(evidence.Prepare(str(row, "text")), evidence.NewReference(evidence.ReferenceTexts{Question: question}))
		note("controls", len(in.Flags) > 0)
		if len(in.Flags) > 0 {
			t.Errorf("a control is flagged: %s %v", str(row, "id"), in.Flags)
		}
	}
	for _, row := range corpus(t, "seed-answers.jsonl") {
		in := evidence.Inspect(evidence.Prepare(str(row, "answer")), evidence.NewReference(evidence.ReferenceTexts{Question: str(row, "question")}))
		note("seed "+str(row, "kind"), len(in.Flags) > 0)
	}
	for _, name := range []string{"beetle", "khan_saq", "physics_partial", "saf_en", "scientsbank"} {
		for _, row := range corpus(t, "gold/"+name+".jsonl") {
			a := evidence.Prepare(str(row, "answer"))
			in := evidence.Inspect(a, evidence.NewReference(evidence.ReferenceTexts{Question: str(row, "question")}))
			note("gold "+name, len(in.Flags) > 0)
			if len(in.Flags) > 0 {
				t.Logf("%v %s", in.Flags, strings.ReplaceAll(a.Source(), "\n", "\\n"))
			}
		}
	}
	for group, n := range count {
		t.Logf("%-28s %4d of %4d flagged", group, n[0], n[1])
	}
}
