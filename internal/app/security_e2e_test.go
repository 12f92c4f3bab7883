package app_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
)

// hostile is an answer that means something to a sheet, a terminal, a browser
// and a template, and all the same meets onCall.
func hostile(t *testing.T) string {
	return "=HYPERLINK(\"https://x\") <script>alert(1)</script> {{.Mark}} \x1b[2J\x07\u202e I would delete every alert that nobody acts on. " +
		answer(t)
}

// TestAnAnswerIsInertInSheets is ASVS 1.2.10: no cell of results is a formula,
// and the JSON of the same results holds the answer's words unchanged.
func TestAnAnswerIsInertInSheets(t *testing.T) {
	t.Parallel()
	r := serve(t, settings(nil, ""))
	made := r.must(r.do(t.Context(), http.MethodPost, "/v1/batches", api.BatchRequest{Items: []api.BatchItem{
		{ID: "one", Question: onCall(), Answer: "=1+1 and then I would delete every alert that nobody acts on " + answer(t)},
	}}))
	require.Equal(t, http.StatusAccepted, made.status, "%s", made.body)
	at := made.header.Get("Location") + "/results?wait=1"
	require.Contains(t, string(r.get(at).body), `"quote":"=1+1`, "the proof begins as a formula does")
	cells := 0
	rows, err := csv.NewReader(bytes.NewReader(r.get(at + "&format=csv").body)).ReadAll()
	require.NoError(t, err)
	for _, row := range rows {
		for _, cell := range row {
			if _, err := strconv.ParseFloat(cell, 64); cell == "" || err == nil {
				continue
			}
			require.NotContains(t, "=+-@\t\r\x00", cell[:1], cell)
			cells++
		}
	}
	require.Positive(t, cells)
}

// TestAnAnswerIsInertInLogsAndPrompts is ASVS 16.4.1 (log injection) and 1.3.7
// (template injection): control bytes of a caller break no line of the log, and
// braces of an answer reach the model as they stand.
func TestAnAnswerIsInertInLogsAndPrompts(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	shown := ""
	model := llmtest.New(t, llmtest.Always(func(r llmtest.Request) llmtest.Step {
		mu.Lock()
		defer mu.Unlock()
		shown += r.Last()
		return generous
	}))
	r := serve(t, settings(model, ""))
	r.post(asking(hostile(t))).graded(grading.Miss)
	r.get("/v1/grades/%0A%1b%5B2J%22forged").refused(api.UnknownGrade)
	mu.Lock()
	require.Contains(t, shown, "{{.Mark}}")
	mu.Unlock()
	for line := range bytes.Lines(r.log.bytes()) {
		require.True(t, json.Valid(line), "%q", line)
		require.False(t, bytes.ContainsAny(bytes.TrimSuffix(line, []byte("\n")), "\x00\x07\x1b\r\n"), "%q", line)
		require.NotContains(t, string(line), "forged")
	}
}

// TestASampleAnswerStaysWithTheRubric is P17, LLM08:2026 and API3:2023 (ASVS
// 15.3.1): what stands in the sample answer alone is in no grade, though a judge
// recite it.
func TestASampleAnswerStaysWithTheRubric(t *testing.T) {
	t.Parallel()
	const secret = "heliotrope"
	question := onCall()
	question.SampleAnswer = "The " + secret + " protocol of Wexcombe deletes every alert that nobody acts on, and writes a runbook for every alert that stays."
	reciting := llmtest.Reply(strings.ReplaceAll(verdicts(`"partial","confidence":60`, `"missed","confidence":90`),
		`"compare":""`, `"compare":"The `+secret+` protocol of Wexcombe deletes every alert"`))
	for name, model := range map[string]*llmtest.Server{"lexical": nil, "model": llmtest.New(t, always(reciting))} {
		t.Run(name, func(t *testing.T) {
			r := serve(t, settings(model, ""))
			for _, detail := range []api.Detail{api.DetailNudge, api.DetailHint, api.DetailFull} {
				got := r.post(api.GradeRequest{Question: question, Answer: hostile(t), Detail: detail})
				require.Equal(t, http.StatusOK, got.status, "%s", got.body)
				require.NotContains(t, strings.ToLower(string(got.body)), secret)
			}
			require.NotContains(t, string(r.log.bytes()), secret)
		})
	}
}

// TestWhatACallerMayNotSetIsRefused is API3:2023 (ASVS 15.3.3, mass assignment),
// and API4:2023 (ASVS 5.2.3): nothing compressed is inflated.
func TestWhatACallerMayNotSetIsRefused(t *testing.T) {
	t.Parallel()
	r := serve(t, settings(nil, ""))
	for _, member := range []string{"tenant", "band", "status", "id", "provenance", "review", "usage"} {
		body := map[string]any{"question": onCall(), "answer": "x", member: "mine"}
		r.must(r.do(t.Context(), http.MethodPost, "/v1/grades", body)).refused(api.InvalidRequest)
		item := map[string]any{"id": "one", "question": onCall(), "answer": "x"}
		if member != "id" {
			item[member] = "mine"
			refused := r.must(r.do(t.Context(), http.MethodPost, "/v1/batches", map[string]any{"items": []any{item}}))
			require.Equal(t, http.StatusUnprocessableEntity, refused.status, "%s", refused.body)
		}
	}
	for _, path := range []string{"/v1/grades", "/v1/batches"} {
		r.must(r.do(t.Context(), http.MethodPost, path, "x", "Content-Encoding", "gzip")).refused(api.UnsupportedMediaType)
	}
}
