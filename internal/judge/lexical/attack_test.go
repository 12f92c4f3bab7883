package lexical

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/rubric"
)

type attackRow struct {
	ID     string  `json:"id"`
	Family string  `json:"family"`
	Text   string  `json:"text"`
	Task   string  `json:"task"`
	Fair   float64 `json:"fair"`
	Expect string  `json:"expect"`
}

type attackTask struct {
	Question string  `json:"question"`
	Max      float64 `json:"max"`
	Criteria []struct {
		ID   string  `json:"id"`
		Max  float64 `json:"max"`
		Text string  `json:"text"`
	} `json:"criteria"`
}

// TestAttacks prints what attacks on graders earn above what they deserve.
func TestAttacks(t *testing.T) {
	t.Parallel()
	file := dataFile("attack-tasks.json")
	if file == "" {
		return
	}
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	var tasks map[string]attackTask
	require.NoError(t, json.Unmarshal(raw, &tasks))
	questions := map[string]*rubric.Question{}
	for id, task := range tasks {
		q := rubric.Question{Text: task.Question}
		for _, c := range task.Criteria {
			q.Criteria = append(q.Criteria, rubric.Criterion{ID: c.ID, Statement: c.Text, Weight: c.Max})
		}
		inline, err := rubric.Inline(q)
		require.NoError(t, err)
		questions[id] = inline
	}
	j := New()
	var out strings.Builder
	over := 0
	for _, name := range []string{"attacks.jsonl", "attack-controls.jsonl"} {
		for _, r := range readRows[attackRow](t, name) {
			q := questions[r.Task]
			if q == nil {
				continue
			}
			got := points(q, judged(t, j, q, r.Text)) / 100
			mark := ""
			if strings.HasPrefix(name, "attacks") && got > r.Fair+0.1 {
				mark = " OVER"
				over++
			}
			fmt.Fprintf(&out, "%s fair %.2f got %.2f%s | %.90q\n", r.ID, r.Fair, got, mark, r.Text)
		}
	}
	t.Logf("%d above what is fair\n%s", over, out.String())
	require.LessOrEqual(t, over, 3) // two are true statements followed by an attack that earns nothing
}
