package openai_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
	"github.com/gradus-ai/gradus/internal/llm/openai"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "the candidate wrote this"

func question() llm.Request {
	return llm.Request{
		Messages: []llm.Message{
			{Role: llm.System, Text: "Judge the answer."},
			{Role: llm.User, Text: secret + ` "temperature":1e-45`},
		},
		Schema:     json.RawMessage(`{"type":"object","properties":{"zeta":{"type":"string"},"alpha":{"type":"number"}}}`),
		SchemaName: "grade",
		MaxTokens:  300,
	}
}

// client is a client for a scripted model; change adjusts its settings.
func client(t *testing.T, model *llmtest.Server, name string, change ...func(*openai.Config)) *openai.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	cfg := openai.Config{BaseURL: model.URL, APIKey: "sk-test", Model: name, Transport: transport}
	for _, c := range change {
		c(&cfg)
	}
	c, err := openai.New(cfg)
	require.NoError(t, err)
	return c
}

func TestReplyIsReadAsItStands(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, llmtest.Reply(`{"alpha":1}`).As("small-2026-01-01").Using(700, 512, 40))
	reply, err := client(t, model, "small").Complete(t.Context(), question())
	require.NoError(t, err)
	require.Equal(t, &llm.Reply{
		Text: `{"alpha":1}`, Model: "small-2026-01-01",
		Usage: llm.Usage{PromptTokens: 700, CachedTokens: 512, CompletionTokens: 40},
	}, reply)
	require.Equal(t, []string{"small"}, client(t, model, "small").Models())
}

func TestRequestOnTheWire(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		model                      string
		temperature, limit, effort string
		limitName                  string
	}{
		{"gpt-4.1-mini", "0", "300", "", "max_tokens"},
		{"qwen3:8b", "0", "300", "", "max_tokens"},
		{"openai/gpt-4.1", "0", "300", "", "max_tokens"},
		{"o3", "", "300", `"low"`, "max_completion_tokens"},
		{"o4-mini", "", "300", `"low"`, "max_completion_tokens"},
		{"gpt-5.4-mini", "", "300", `"low"`, "max_completion_tokens"},
		{"gpt-6-luna", "", "300", `"low"`, "max_completion_tokens"},
		{"openai/gpt-5-nano", "", "300", `"low"`, "max_completion_tokens"},
	} {
		t.Run(c.model, func(t *testing.T) {
			t.Parallel()
			model := llmtest.New(t, llmtest.Reply("{}"))
			_, err := client(t, model, c.model).Complete(t.Context(), question())
			require.NoError(t, err)
			got := model.Requests()[0]
			require.Equal(t, c.temperature, got.Param("temperature"))
			require.Equal(t, c.effort, got.Param("reasoning_effort"))
			require.Equal(t, c.limit, got.Param(c.limitName))
			require.False(t, got.Has("max_tokens") && got.Has("max_completion_tokens"))
			require.Equal(t, "json_schema", got.Format)
			require.True(t, got.Strict)
			require.Equal(t, "grade", got.SchemaName)
			require.Equal(t, string(question().Schema), string(got.Schema), "key order is kept")
			require.Equal(t, question().Messages[1].Text, got.Last(), "the text of a message is never touched")
			require.Equal(t, "Bearer sk-test", got.Header.Get("Authorization"))
		})
	}
}

func TestTextNeedsNoSchemaAndNoLimit(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, llmtest.Reply("hello"))
	_, err := client(t, model, "m").Complete(t.Context(), llm.Request{Messages: []llm.Message{{Role: llm.User, Text: "hi"}}})
	require.NoError(t, err)
	got := model.Requests()[0]
	require.Empty(t, got.Format)
	require.False(t, got.Has("max_tokens"))
}

func TestModelsOfTheEndpoint(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, llmtest.Reply("{}"))
	model.SetModels("llama3.2:3b", "qwen3:8b")
	c := client(t, model, "")
	names, err := c.ListModels(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"llama3.2:3b", "qwen3:8b"}, names)

	_, err = c.Complete(t.Context(), question())
	require.ErrorIs(t, err, llm.ErrRejected, "no model is chosen yet")
	_, err = c.For(names[0]).Complete(t.Context(), question())
	require.NoError(t, err)
	require.Equal(t, "llama3.2:3b", model.Requests()[0].Model)

	locked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	t.Cleanup(locked.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err = openai.New(openai.Config{BaseURL: locked.URL, Transport: transport})
	require.NoError(t, err)
	_, err = c.ListModels(t.Context())
	require.ErrorIs(t, err, llm.ErrUnauthorized)
}

func TestAzureDeploymentURL(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, llmtest.Reply("{}"))
	_, err := client(t, model, "dep", func(cfg *openai.Config) {
		cfg.BaseURL = strings.TrimSuffix(model.URL, "/v1") + "/openai/deployments/dep/?api-version=2026-01-01"
	}).Complete(t.Context(), question())
	require.NoError(t, err)
	require.Equal(t, "/openai/deployments/dep/chat/completions?api-version=2026-01-01", model.Requests()[0].Path)
}

func TestSettingsThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"localhost:11434/v1", "ftp://h/v1", "https://", "http://h/v1#x", "http://user:hunter2@h:%zz"} {
		_, err := openai.New(openai.Config{BaseURL: base, Model: "m"})
		require.Error(t, err, base)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestMessagesThatCouldNotArriveAsMeant(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t)
	for _, text := range []string{"", "a\xffb"} {
		_, err := client(t, model, "m").Complete(t.Context(), llm.Request{Messages: []llm.Message{{Role: llm.User, Text: text}}})
		require.ErrorIs(t, err, llm.ErrRejected)
	}
	_, err := client(t, model, "m").Complete(t.Context(), llm.Request{})
	require.ErrorIs(t, err, llm.ErrRejected)

	broken := question()
	broken.Schema = json.RawMessage(`{"type":`)
	_, err = client(t, model, "m").Complete(t.Context(), broken)
	require.ErrorIs(t, err, llm.ErrRejected)
	_, err = client(t, model, "text-davinci-003").Complete(t.Context(), question())
	require.ErrorIs(t, err, llm.ErrRejected, "go-openai keeps this model from the chat API")
}
