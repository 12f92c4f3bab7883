package openai

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/llm"
)

// A file of replies comes from outside like any reply: what cannot be read is
// counted and never taken for an answer.
func TestReadingAFileOfReplies(t *testing.T) {
	t.Parallel()
	const whole = `{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"fine"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}`
	line := func(id string, status int, body string) string {
		return fmt.Sprintf(`{"custom_id":%q,"response":{"status_code":%d,"body":%s},"error":null}`, id, status, body)
	}
	content := strings.Join([]string{
		line("good", 200, whole),
		"",
		line("cut", 200, strings.Replace(whole, `"stop"`, `"length"`, 1)),
		line("empty", 200, `{"choices":[]}`),
		line("refused", 400, `{"error":{"code":"context_length_exceeded","message":"text of an answer"}}`),
		line("down", 503, `{}`),
		`{"custom_id":"late","response":null,"error":{"code":"batch_expired","message":"late"}}`,
		line("", 200, whole),
		`{"custom_id":"torn","response":{"status_code":200,"bo`,
	}, "\n")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/files/file-1/content" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(content))
	}))
	t.Cleanup(server.Close)
	client, err := New(Config{BaseURL: server.URL + "/v1", Model: "m"})
	require.NoError(t, err)
	got := map[string]*llm.Reply{}
	without, err := client.BatchReplies(t.Context(), &BatchState{files: []string{"file-1"}}, func(digest string, reply *llm.Reply) { got[digest] = reply })
	require.NoError(t, err)
	require.Equal(t, map[string]*llm.Reply{
		"good": {Text: "fine", Model: "m", Usage: llm.Usage{PromptTokens: 7, CompletionTokens: 3}, Discount: BatchDiscount},
		"cut":  {Text: "fine", Truncated: true, Model: "m", Usage: llm.Usage{PromptTokens: 7, CompletionTokens: 3}, Discount: BatchDiscount},
	}, got)
	require.Equal(t, map[string]int{"unreadable_reply": 3, "context_length_exceeded": 1, "status_503": 1, "batch_expired": 1}, without)

	_, err = client.BatchReplies(t.Context(), &BatchState{files: []string{"file-2"}}, nil)
	require.ErrorIs(t, err, llm.ErrRejected)
}

func TestALineOfRepliesHasALimit(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(strings.Repeat("x", 4096)))
	}))
	t.Cleanup(server.Close)
	client, err := New(Config{BaseURL: server.URL + "/v1", Model: "m", ReplyLimit: 1024})
	require.NoError(t, err)
	_, err = client.BatchReplies(t.Context(), &BatchState{files: []string{"f"}}, nil)
	var unavailable *llm.UnavailableError
	require.ErrorAs(t, err, &unavailable)
	require.Equal(t, "oversized_reply", unavailable.Reason)
}
