package app_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
)

// A model that hangs leaves the fallback enough of a short time limit.
func TestAFallbackHasItsTurnAfterAModelThatHangs(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, llmtest.Hang(), generous.As("second-model"))
	cfg := settings(model, "")
	cfg.OpenAIModels = []string{"first-model", "second-model"}
	cfg.GradeTimeout = 12 * time.Second // of which the fallback has four, on a busy machine too
	s := serve(t, cfg)
	got, err := s.do(t.Context(), http.MethodPost, "/v1/grades", asking(answer(t)))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, got.status, string(got.body))
	require.Contains(t, string(got.body), `"model":"second-model"`)
}

// Without one the grade ends in time, and the fault is the model's.
func TestAModelThatHangsIsATimeout(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, llmtest.Hang())
	cfg := settings(model, "")
	cfg.GradeTimeout = 12 * time.Second // leaves the attempt room to end before the grade does, on a busy machine too
	s := serve(t, cfg)
	began := time.Now()
	got, err := s.do(t.Context(), http.MethodPost, "/v1/grades", asking(answer(t)))
	require.NoError(t, err)
	require.Equal(t, http.StatusGatewayTimeout, got.status, string(got.body))
	require.Contains(t, string(got.body), api.ModelTimeout.Type)
	require.Less(t, time.Since(began), within)
	metrics, err := s.do(t.Context(), http.MethodGet, "/metrics", nil)
	require.NoError(t, err)
	require.Contains(t, string(metrics.body), `gradus_model_attempt_duration_seconds_count{model="first-model",outcome="timeout"} 1`)
}
