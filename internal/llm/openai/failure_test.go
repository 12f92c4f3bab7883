package openai_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
	"github.com/gradus-ai/gradus/internal/llm/openai"
)

func TestWhatGivesNothingToJudgeByIsAReply(t *testing.T) {
	t.Parallel()
	azure := llmtest.Body(400, "application/json", `{"error":{"message":"filtered","code":"content_filter","param":"prompt",
		"innererror":{"code":"ResponsibleAIPolicyViolation"}}}`)
	for _, c := range []struct {
		name               string
		step               llmtest.Step
		refused, truncated bool
		text               string
	}{
		{"refusal field", llmtest.Refusal(), true, false, ""},
		{"content filter", llmtest.Filtered(), true, false, ""},
		{"content filter on the prompt", azure, true, false, ""},
		{"cut at the limit", llmtest.Truncated(`{"alp`), false, true, `{"alp`},
		{"answer among the thoughts", llmtest.Body(200, "", `{"choices":[{"message":{"content":"","reasoning_content":" {\"a\":1}"}}]}`), false, false, `{"a":1}`},
		{"content type is ignored", llmtest.Body(200, "text/html", `{"choices":[{"message":{"content":"x"}}]}`), false, false, "x"},
		{"bytes that are no text", llmtest.Body(200, "", "{\"choices\":[{\"message\":{\"content\":\"a\xffb\"}}]}"), false, false, "a\uFFFDb"},
		{"an error member of null", llmtest.Body(200, "", `{"error":null,"choices":[{"message":{"content":"x"}}]}`), false, false, "x"},
		{"an answer that talks of an error", llmtest.Reply(`{"error":{"code":500}}`), false, false, `{"error":{"code":500}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			model := llmtest.New(t, c.step)
			reply, err := client(t, model, "m").Complete(t.Context(), question())
			require.NoError(t, err)
			require.Equal(t, c.refused, reply.Refused)
			require.Equal(t, c.truncated, reply.Truncated)
			require.Equal(t, c.text, reply.Text)
			require.Equal(t, "m", reply.Model)
		})
	}
}

// Every HTTP status, over real HTTP: its error is the one of package llm, the
// body is in no error, and go-openai's types do not show.
func TestEveryStatusOverHTTP(t *testing.T) {
	t.Parallel()
	page := "<html>" + strings.Repeat(secret, 50_000) + "</html>" // over 1 MB
	bodies := []string{
		page, "", `{"error":"` + secret + `"}`, `{"detail":"` + secret + `"}`, `{"error":{"message":"` + secret + `"}}`,
		`{"error":{"message":"` + secret + `","code":"` + secret + `","type":7}}`, `[{"error":{"message":"` + secret + `"}}]`, `{"error":`,
	}
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, err := strconv.Atoi(strings.Split(r.URL.Path, "/")[1])
		if err != nil {
			panic(err)
		}
		w.WriteHeader(status)
		if status >= 400 {
			_, _ = io.WriteString(w, body)
		}
	}))
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	for status := 300; status <= 599; status++ {
		if status == 304 {
			continue // has no body by definition; never said to a POST
		}
		c, err := openai.New(openai.Config{
			BaseURL: server.URL + "/" + strconv.Itoa(status), Model: "m", Transport: transport,
		})
		require.NoError(t, err)
		body = bodies[status%len(bodies)]
		req := question()
		req.Schema = nil
		_, err = c.Complete(t.Context(), req)
		want := llm.Failure{Status: status}.Err()
		require.Equal(t, llm.Kind(want), llm.Kind(err), "status %d: %v", status, err)
		require.Equal(t, llm.Retryable(want), llm.Retryable(err), "status %d", status)
		require.NotContains(t, err.Error(), "candidate", "status %d", status)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	answer := `{"choices":[{"message":{"content":"x"}}]}`
	for _, c := range []struct {
		name  string
		step  llmtest.Step
		kind  string
		wait  time.Duration
		retry bool
		text  string
	}{
		{"429 with seconds", llmtest.Status(429, "2"), "rate_limit", 2 * time.Second, true, ""},
		{"429 without a header", llmtest.Status(429, ""), "rate_limit", 0, true, ""},
		{"quota", llmtest.Failure(429, "insufficient_quota", secret), "quota", 0, false, "code insufficient_quota"},
		{"402", llmtest.Status(402, "2"), "quota", 0, false, ""},
		{"500", llmtest.Status(500, ""), "unavailable", 0, true, "status 500"},
		{"503 asks for a pause", llmtest.Status(503, "3"), "unavailable", 3 * time.Second, true, ""},
		{"529", llmtest.Status(529, ""), "unavailable", 0, true, "status 529"},
		{"2 MB of HTML", llmtest.Body(502, "text/html", strings.Repeat(secret, 100_000)), "unavailable", 0, true, "status 502"},
		{"no choices", llmtest.NoChoices(), "unavailable", 0, true, "no choices"},
		{"choices of null", llmtest.Body(200, "", `{"choices":null}`), "unavailable", 0, true, "no choices"},
		{"error in a 200", llmtest.Body(200, "", `{"error":{"message":"`+secret+`","code":"overloaded"}}`), "unavailable", 0, true, "error in reply"},
		{"rate limit in a 200", llmtest.Body(200, "", `{"error":{"message":"x","code":429}}`).Headers("Retry-After", "4"), "rate_limit", 4 * time.Second, true, ""},
		{"401", llmtest.Failure(401, "invalid_api_key", secret), "dead_key", 0, false, "code invalid_api_key, request req_401"},
		{"403", llmtest.Status(403, ""), "dead_key", 0, false, ""},
		{"too long, by code", llmtest.Failure(400, "context_length_exceeded", secret), "too_long", 0, false, ""},
		{"too long, in words", llmtest.Body(400, "", `{"object":"error","message":"This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"}`), "too_long", 0, false, ""},
		{"too long, llama.cpp", llmtest.Body(400, "", `{"error":{"code":400,"message":"the request exceeds the available context size. try increasing it","type":"exceed_context_size_error"}}`), "too_long", 0, false, ""},
		{"connection reset", llmtest.Reset(), "unavailable", 0, true, ""},
		{"cut in mid-body", llmtest.Cut(), "unavailable", 0, true, "cut reply"},
		{"reply over the limit", llmtest.GzipBomb(8 << 20), "unavailable", 0, true, "oversized reply"},
		{"redirect to metadata", llmtest.Redirect("http://169.254.169.254/latest"), "rejected", 0, false, "status 302, code redirected"},
		{"unknown model", llmtest.Failure(404, "model_not_found", secret), "rejected", 0, false, "code model_not_found"},
		{"422 with a detail", llmtest.Body(422, "", `{"detail":[{"loc":["body","model"],"msg":"`+secret+`"}]}`), "rejected", 0, false, "status 422"},
		{"200 with HTML", llmtest.Body(200, "application/json", "<html>"+secret), "unavailable", 0, true, "unreadable reply"},
		{"200 with nothing", llmtest.Body(200, "application/json", ""), "unavailable", 0, true, "unreadable reply"},
		{"204", llmtest.Body(204, "", ""), "unavailable", 0, true, "unreadable reply"},
		{"200 with cut JSON", llmtest.Body(200, "application/json", answer[:30]), "unavailable", 0, true, "unreadable reply"},
		{"200 with two objects", llmtest.Body(200, "application/json", answer+answer), "unavailable", 0, true, "unreadable reply"},
		{"200 with another shape", llmtest.Body(200, "application/json", `{"choices":"`+secret+`"}`), "unavailable", 0, true, "unreadable reply"},
		{"200 with a list", llmtest.Body(200, "application/json", `[1]`), "unavailable", 0, true, "unreadable reply"},
		{"a gateway's broken stream", llmtest.Body(200, "", `{"choices":[{"finish_reason":"error","message":{"content":""}}]}`), "unavailable", 0, true, "unfinished reply"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			model := llmtest.New(t, c.step)
			reply, err := client(t, model, "m").Complete(t.Context(), question())
			require.Nil(t, reply)
			require.Equal(t, c.kind, llm.Kind(err), "%v", err)
			require.Equal(t, c.retry, llm.Retryable(err))
			wait, _ := llm.RetryAfter(err)
			require.Equal(t, c.wait, wait)
			require.Contains(t, err.Error(), c.text)
			require.NotContains(t, err.Error(), "candidate")
			require.Equal(t, 1, model.Calls(), "the adapter does not retry")
		})
	}
}

// Not parallel: it measures the memory of the process.
func TestGzipBombLeavesMemoryFlat(t *testing.T) {
	model := llmtest.New(t, llmtest.GzipBomb(300<<20))
	c := client(t, model, "m")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := c.Complete(t.Context(), question())
	runtime.ReadMemStats(&after)
	require.Equal(t, "unavailable", llm.Kind(err))
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(40<<20), "bytes allocated in all while 300 MB inflate")
}
