package rows_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/rows"
)

func some[T any](v T) *T { return &v }

// results are a grade with everything, one without a score, and two without a
// grade. Texts begin as formulas do.
func results() []api.ResultRow {
	grade := &api.Grade{
		ID: some("gr_a"), Status: api.Graded, QuestionID: "s/q", Score: some(72.5), Band: some(api.Solid),
		Criteria: []api.CriterionGrade{
			{ID: "a", Kind: "core", Verdict: api.Met}, {ID: "b", Kind: "bonus", Verdict: api.Met},
			{ID: "c", Kind: "core", Verdict: api.Partial}, {ID: "d", Kind: "core", Verdict: api.Missed},
			{ID: "e", Kind: "core", Verdict: api.Contradicted}, {ID: "f", Kind: "core", Verdict: api.CannotAssess},
			{ID: "g", Kind: "pitfall", Verdict: api.Met}, {ID: "h", Kind: "pitfall", Verdict: api.Missed},
			{ID: "i", Kind: "bonus", Verdict: api.Missed},
		},
		Feedback: api.Feedback{Summary: "=HYPERLINK(\"x\")", Strengths: []api.Strength{}, Improvements: []api.Improvement{
			{CriterionID: "d", Text: "@SUM, \"then\"\nmore", Points: 12.25}, {CriterionID: "c", Text: "second"},
		}},
		Integrity:  api.Integrity{Flags: []string{"instruction_like", "question_echo"}, Spans: []api.Span{}},
		Review:     api.Review{Needed: true, Reasons: []string{"flagged"}},
		Provenance: api.Provenance{Judge: "model", Model: "-m"},
		Usage:      api.Usage{CostUSD: some(0.00012)},
	}
	bare := &api.Grade{QuestionID: "s/q", Status: api.NeedsReview}
	return []api.ResultRow{
		{Index: 0, ID: "one", Status: api.RowGraded, Grade: grade},
		{Index: 1, ID: "two", Status: api.RowNeedsReview, Grade: bare},
		{Index: 2, ID: "three", Status: api.RowFailed, Error: &api.Problem{Type: "/problems/item-expired", Title: "t", Status: 503, Detail: "+late"}},
		{Index: 3, ID: "four", Status: api.RowCancelled, Error: &api.Problem{Type: "/problems/item-cancelled", Detail: "gone"}},
	}
}

// raw is a row with its grade as JSON.
func raw(t *testing.T, row api.ResultRow) *rows.Result {
	t.Helper()
	out := &rows.Result{Index: row.Index, ID: row.ID, Status: row.Status, Error: row.Error}
	if row.Grade != nil {
		var err error
		out.Grade, err = json.Marshal(row.Grade)
		require.NoError(t, err)
	}
	return out
}

// written is the results in a format.
func written(t *testing.T, format rows.Format, list []api.ResultRow) string {
	t.Helper()
	var out bytes.Buffer
	w := rows.NewWriter(&out, format)
	for _, row := range list {
		require.NoError(t, w.Write(raw(t, row)))
		require.NoError(t, w.Flush())
	}
	require.NoError(t, w.Close())
	return out.String()
}

func TestResultsAsJSON(t *testing.T) {
	t.Parallel()
	want := results()
	var got []api.ResultRow
	require.NoError(t, json.Unmarshal([]byte(written(t, rows.JSON, want)), &got))
	require.Equal(t, want, got)

	text := written(t, rows.NDJSON, want)
	require.Equal(t, len(want), strings.Count(text, "\n"))
	got = nil
	for line := range strings.Lines(text) {
		var row api.ResultRow
		require.NoError(t, json.Unmarshal([]byte(line), &row))
		got = append(got, row)
	}
	require.Equal(t, want, got)
	require.Contains(t, text, `"grade":null,"error":{"type":"/problems/item-expired"`)
	whole, err := json.Marshal(want[0])
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(text, string(whole)+"\n"), "as if the row were encoded with its grade")

	require.JSONEq(t, "[]", written(t, rows.JSON, nil))
	require.Empty(t, written(t, rows.NDJSON, nil))
}

func TestResultsAsCSV(t *testing.T) {
	t.Parallel()
	got, err := csv.NewReader(strings.NewReader(written(t, rows.CSV, results()))).ReadAll()
	require.NoError(t, err)
	require.Equal(t, [][]string{
		rows.Columns,
		{"0", "one", "s/q", "graded", "72.5", "solid", "a b", "c", "d e", "g", "f", "instruction_like question_echo", "flagged",
			"'=HYPERLINK(\"x\")", "'@SUM, \"then\"\nmore", "12.2", "model", "'-m", "0.00012", "gr_a", "", ""},
		{"1", "two", "s/q", "needs_review", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", ""},
		{"2", "three", "", "failed", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "item-expired", "'+late"},
		{"3", "four", "", "cancelled", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "item-cancelled", "gone"},
	}, got)
	require.Equal(t, strings.Join(rows.Columns, ",")+"\n", written(t, rows.CSV, nil), "a header, so that the file says what it is")
}

func TestResumedResultsHaveOneHeader(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	for i, row := range results() {
		w := rows.NewWriter(&out, rows.CSV)
		if i > 0 {
			w = rows.Resume(&out, rows.CSV)
		}
		require.NoError(t, w.Write(raw(t, row)))
		require.NoError(t, w.Close())
	}
	require.Equal(t, written(t, rows.CSV, results()), out.String())
}

// FuzzCells claims that no cell can be read as a formula, and that taking the
// quote off gives back what was there.
func FuzzCells(f *testing.F) {
	for _, seed := range []string{"", "plain", "=1+1", "+1", "-1", "@x", "\tx", "\rx", "\x00x", "＝1", "'", "'=1", "a\nb\"c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		row := api.ResultRow{ID: "a", Grade: &api.Grade{Feedback: api.Feedback{Summary: text}}}
		var out bytes.Buffer
		w := rows.NewWriter(&out, rows.CSV)
		require.NoError(t, w.Write(raw(t, row)))
		require.NoError(t, w.Close())
		table, err := csv.NewReader(&out).ReadAll()
		require.NoError(t, err)
		cell := table[1][13]
		require.False(t, cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r\x00"), "%q", cell)
		want := strings.ReplaceAll(text, "\r\n", "\n") // a reader of CSV does that
		require.Contains(t, []string{want, "'" + want}, cell)
	})
}
