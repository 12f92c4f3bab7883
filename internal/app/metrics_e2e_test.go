package app_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
)

// TestMetricsAnswerWhatAnOperatorAsks reads money, proof, items and problems off
// /metrics after a grade, a batch and a refusal.
func TestMetricsAnswerWhatAnOperatorAsks(t *testing.T) {
	t.Parallel()
	invented := llmtest.Reply(strings.Replace(verdicts(`"met","confidence":95`, `"met","confidence":90`),
		"write a runbook for every alert that stays", "hire a second team for the nights", 1)).Using(1000, 400, 100)
	cfg := settings(llmtest.New(t, always(invented)), "")
	cfg.Price = config.Price{Input: 1, Cached: .5, Output: 10, Known: true}
	r := serve(t, cfg)

	before := r.metric(`gradus_model_cost_usd_total{model="first-model"}`)
	require.Zero(t, before)
	g := r.post(asking(answer(t))).graded(grading.Miss)
	require.Equal(t, api.NeedsReview, g.Status, "a quote that is not there is no proof")
	calls := float64(g.Usage.Calls)
	require.InDelta(t, calls*(600*1+400*.5+100*10)/1e6, r.metric(`gradus_model_cost_usd_total{model="first-model"}`), 1e-9)
	require.InDelta(t, *g.Usage.CostUSD, r.metric(`gradus_model_cost_usd_total{model="first-model"}`), 1e-9, "the sum of what grades say they cost")
	require.InDelta(t, 1, r.metric(`gradus_quotes_total{judge="model",outcome="kept"}`), 0)
	require.InDelta(t, 1, r.metric(`gradus_quotes_total{judge="model",outcome="dropped"}`), 0)
	require.InDelta(t, 1, r.metric(`gradus_grades_total{judge="model",outcome="needs_review"}`), 0)

	made := r.must(r.do(t.Context(), http.MethodPost, "/v1/batches?judge=lexical", api.BatchRequest{Items: []api.BatchItem{
		{ID: "one", Question: onCall(), Answer: answer(t, "Of a batch.")}, {ID: "two", Question: onCall(), Answer: ""},
	}}))
	require.Equal(t, http.StatusAccepted, made.status, "%s", made.body)
	r.get(made.header.Get("Location") + "/results?wait=1")
	done := func() float64 {
		return r.metric(`gradus_batch_items_total{status="graded"}`) + r.metric(`gradus_batch_items_total{status="needs_review"}`)
	}
	until(t, "both items are counted", func() bool { return done() == 2 })

	r.get("/v1/grades/gr_none").refused(api.UnknownGrade)
	require.InDelta(t, 1, r.metric(`gradus_problems_total{problem="unknown-grade"}`), 0)
}
