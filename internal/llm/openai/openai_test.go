package openai_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

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

// The ladder goes down a rung for every 400 that names the format, and stays.
func TestFormatIsLearnedFromRefusals(t *testing.T) {
	t.Parallel()
	object := llmtest.Body(400, "application/json", `{"error":"'response_format.type' must be 'text'"}`)
	schema := llmtest.Failure(400, "invalid_request_error", "Invalid parameter: 'response_format' of type 'json_schema' is not supported")
	model := llmtest.New(t, schema, object, llmtest.Reply("{}").Times(2))
	c := client(t, model, "m")
	for range 2 {
		_, err := c.Complete(t.Context(), question())
		require.NoError(t, err)
	}
	var formats []string
	for _, r := range model.Requests() {
		formats = append(formats, r.Format)
	}
	require.Equal(t, []string{"json_schema", "json_object", "", ""}, formats)
	require.Contains(t, model.Requests()[1].Text(), "JSON", "json_object asks for the word in the prompt")
	require.Contains(t, model.Requests()[3].Text(), string(question().Schema), "the rules carry what response_format cannot")
	require.Equal(t, question().Messages[1].Text, model.Requests()[3].Last(), "the answer stays last and alone")

	other := llmtest.New(t, llmtest.Reply("{}"))
	_, err := client(t, other, "m").Complete(t.Context(), question())
	require.NoError(t, err)
	require.Equal(t, "json_schema", other.Requests()[0].Format, "what one endpoint lacks is not held against another")
}

func TestParametersAreLearnedFromRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		model  string
		refuse llmtest.Step
		gone   string
		instead,
		value string
	}{
		{"alias of a reasoning model, limit", "proxy-a", llmtest.Body(400, "application/json",
			`{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}`),
			"max_tokens", "max_completion_tokens", "300"},
		{"alias of a reasoning model, temperature", "proxy-a", llmtest.Body(400, "application/json",
			`{"error":{"message":"Unsupported value: 'temperature' does not support 0 with this model.","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}`),
			"temperature", "max_tokens", "300"},
		{"chat flavour without effort", "gpt-5-chat-latest", llmtest.Unsupported("reasoning_effort"), "reasoning_effort", "max_completion_tokens", "300"},
		{"FastAPI, by place", "m", llmtest.Body(422, "application/json",
			`{"detail":[{"loc":["body","temperature"],"msg":"extra fields not permitted","type":"value_error.extra","input":"`+secret+`"}]}`),
			"temperature", "max_tokens", "300"},
		{"plain text", "m", llmtest.Body(400, "text/plain", "unknown field max_tokens"), "max_tokens", "max_completion_tokens", "300"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			model := llmtest.New(t, c.refuse, llmtest.Reply("{}").Times(2))
			cl := client(t, model, c.model)
			for range 2 {
				_, err := cl.Complete(t.Context(), question())
				require.NoError(t, err)
			}
			require.True(t, model.Requests()[0].Has(c.gone))
			for _, r := range model.Requests()[1:] {
				require.False(t, r.Has(c.gone))
				require.Equal(t, c.value, r.Param(c.instead))
				require.Equal(t, "json_schema", r.Format)
			}
		})
	}
}

func TestSeveralLessonsInOneCall(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t,
		llmtest.Unsupported("max_tokens"), llmtest.Unsupported("max_completion_tokens"), llmtest.Unsupported("temperature"),
		llmtest.Unsupported("response_format"), llmtest.Failure(400, "", "System role not supported"),
		llmtest.Reply("{}"),
	)
	_, err := client(t, model, "m").Complete(t.Context(), question())
	require.NoError(t, err)
	last := model.Requests()[5]
	require.Equal(t, "json_object", last.Format)
	for _, gone := range []string{"max_tokens", "max_completion_tokens", "temperature"} {
		require.False(t, last.Has(gone), gone)
	}
	require.Len(t, last.Messages, 1)
	require.Equal(t, "user", last.Messages[0].Role)
	require.True(t, strings.HasPrefix(last.Last(), "Judge the answer."))
	require.True(t, strings.HasSuffix(last.Last(), question().Messages[1].Text))
}

func TestLimitAboveTheModelsOwnIsDroppedForThatRequestOnly(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t,
		llmtest.Failure(400, "invalid_value", "max_tokens is too large: 300. This model supports at most 200 completion tokens."),
		llmtest.Truncated("{"), llmtest.Reply("{}"))
	c := client(t, model, "m")
	reply, err := c.Complete(t.Context(), question())
	require.NoError(t, err)
	require.True(t, reply.Truncated)
	small := question()
	small.MaxTokens = 50
	_, err = c.Complete(t.Context(), small)
	require.NoError(t, err)
	require.False(t, model.Requests()[1].Has("max_tokens"))
	require.Equal(t, "50", model.Requests()[2].Param("max_tokens"))
}

// A 400 that names nothing is met with a poorer format, but that is kept only
// if it helps, and tried only where a schema has never worked.
func TestNamelessRefusal(t *testing.T) {
	t.Parallel()
	nameless := llmtest.Body(400, "application/json", `{"error":{"message":"bad request","code":400}}`)

	helped := llmtest.New(t, nameless, llmtest.Reply("{}").Times(2))
	c := client(t, helped, "m")
	for range 2 {
		_, err := c.Complete(t.Context(), question())
		require.NoError(t, err)
	}
	require.Equal(t, "json_object", helped.Requests()[2].Format)

	inVain := llmtest.New(t, nameless.Times(3), llmtest.Reply("{}"), nameless)
	c = client(t, inVain, "m")
	_, err := c.Complete(t.Context(), question())
	require.ErrorIs(t, err, llm.ErrRejected)
	_, err = c.Complete(t.Context(), question())
	require.NoError(t, err)
	require.Equal(t, "json_schema", inVain.Requests()[3].Format, "a guess that did not help is forgotten")
	_, err = c.Complete(t.Context(), question())
	require.ErrorIs(t, err, llm.ErrRejected, "a schema has worked, so the 400 is about something else")
	require.Equal(t, 5, inVain.Calls())
}

func TestManyLearnAtOnce(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, llmtest.Always(func(r llmtest.Request) llmtest.Step {
		switch {
		case r.Has("temperature"):
			return llmtest.Unsupported("temperature")
		case r.Format == "json_schema":
			return llmtest.Unsupported("response_format")
		}
		return llmtest.Reply("{}")
	}))
	c := client(t, model, "m")
	errs := make(chan error)
	const callers = 20
	for range callers {
		go func() {
			_, err := c.Complete(t.Context(), question())
			errs <- err
		}()
	}
	for range callers {
		require.NoError(t, <-errs)
	}
	require.LessOrEqual(t, model.Calls(), 3*callers)
	before := model.Calls()
	_, err := c.Complete(t.Context(), question())
	require.NoError(t, err)
	require.Equal(t, before+1, model.Calls(), "what was learned is remembered")
}

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
		{"fault 30: refusal field", llmtest.Refusal(), true, false, ""},
		{"fault 30: content filter", llmtest.Filtered(), true, false, ""},
		{"fault 30: content filter on the prompt", azure, true, false, ""},
		{"fault 29: cut at the limit", llmtest.Truncated(`{"alp`), false, true, `{"alp`},
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
		var status int
		require.NoError(t, json.Unmarshal([]byte(r.Header.Get("OpenAI-Organization")), &status))
		w.WriteHeader(status)
		if status >= 400 {
			_, _ = w.Write([]byte(body))
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
			BaseURL: server.URL, Model: "m", Transport: transport, Organization: jsonNumber(status),
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

func jsonNumber(n int) string {
	raw, _ := json.Marshal(n)
	return string(raw)
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
		{"fault 21: 429 with seconds", llmtest.Status(429, "2"), "rate_limit", 2 * time.Second, true, ""},
		{"fault 22: 429 without a header", llmtest.Status(429, ""), "rate_limit", 0, true, ""},
		{"fault 23: quota", llmtest.Failure(429, "insufficient_quota", secret), "quota", 0, false, "code insufficient_quota"},
		{"fault 23: 402", llmtest.Status(402, "2"), "quota", 0, false, ""},
		{"fault 24: 500", llmtest.Status(500, ""), "unavailable", 0, true, "status 500"},
		{"fault 24: 503 asks for a pause", llmtest.Status(503, "3"), "unavailable", 3 * time.Second, true, ""},
		{"fault 24: 529", llmtest.Status(529, ""), "unavailable", 0, true, "status 529"},
		{"fault 25: 2 MB of HTML", llmtest.Body(502, "text/html", strings.Repeat(secret, 100_000)), "unavailable", 0, true, "status 502"},
		{"fault 34: no choices", llmtest.NoChoices(), "unavailable", 0, true, "no choices"},
		{"fault 34: choices of null", llmtest.Body(200, "", `{"choices":null}`), "unavailable", 0, true, "no choices"},
		{"fault 34: error in a 200", llmtest.Body(200, "", `{"error":{"message":"`+secret+`","code":"overloaded"}}`), "unavailable", 0, true, "error in reply"},
		{"fault 34: rate limit in a 200", llmtest.Body(200, "", `{"error":{"message":"x","code":429}}`).Headers("Retry-After", "4"), "rate_limit", 4 * time.Second, true, ""},
		{"fault 35: 401", llmtest.Failure(401, "invalid_api_key", secret), "unauthorized", 0, false, "code invalid_api_key, request req_401"},
		{"fault 35: 403", llmtest.Status(403, ""), "unauthorized", 0, false, ""},
		{"fault 36: too long, by code", llmtest.Failure(400, "context_length_exceeded", secret), "too_long", 0, false, ""},
		{"fault 36: too long, in words", llmtest.Body(400, "", `{"object":"error","message":"This model's maximum context length is 4096 tokens. However, you requested 5000 tokens"}`), "too_long", 0, false, ""},
		{"fault 36: too long, llama.cpp", llmtest.Body(400, "", `{"error":{"code":400,"message":"the request exceeds the available context size. try increasing it","type":"exceed_context_size_error"}}`), "too_long", 0, false, ""},
		{"fault 38: connection reset", llmtest.Reset(), "unavailable", 0, true, ""},
		{"fault 38: cut in mid-body", llmtest.Cut(), "unavailable", 0, true, "cut reply"},
		{"fault 39: reply over the limit", llmtest.GzipBomb(8 << 20), "unavailable", 0, true, "oversized reply"},
		{"fault 40: redirect to metadata", llmtest.Redirect("http://169.254.169.254/latest"), "rejected", 0, false, "status 302, code redirected"},
		{"unknown model", llmtest.Failure(404, "model_not_found", secret), "rejected", 0, false, "code model_not_found"},
		{"422 with a detail", llmtest.Body(422, "", `{"detail":[{"loc":["body","model"],"msg":"`+secret+`"}]}`), "rejected", 0, false, "status 422"},
		{"200 with HTML", llmtest.Body(200, "application/json", "<html>"+secret), "unavailable", 0, true, "unreadable reply"},
		{"200 with nothing", llmtest.Body(200, "application/json", ""), "unavailable", 0, true, "unreadable reply"},
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

func TestAttemptHasAnEnd(t *testing.T) {
	t.Parallel()
	short := func(cfg *openai.Config) { cfg.AttemptTimeout = 50 * time.Millisecond }
	for _, c := range []struct {
		name string
		step llmtest.Step
	}{
		{"fault 26: no headers", llmtest.Hang()},
		{"fault 27: a byte at a time", llmtest.Drip(20 * time.Millisecond)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			model := llmtest.New(t, c.step)
			_, err := client(t, model, "m", short).Complete(t.Context(), question())
			require.ErrorIs(t, err, llm.ErrTimeout)
			require.NotErrorIs(t, err, context.DeadlineExceeded)
			require.True(t, llm.Retryable(err))
		})
	}
	t.Run("header timeout of the transport", func(t *testing.T) {
		t.Parallel()
		model := llmtest.New(t, llmtest.Hang())
		_, err := client(t, model, "m", func(cfg *openai.Config) {
			cfg.Transport, cfg.HeaderTimeout = nil, 50*time.Millisecond
		}).Complete(t.Context(), question())
		require.ErrorIs(t, err, llm.ErrTimeout)
	})
}

func TestCallersEndIsTheContexts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		step llmtest.Step
	}{
		{"before headers", llmtest.Hang()},
		{"within the body", llmtest.Drip(time.Millisecond)},
	} {
		t.Run("fault 42: cancelled "+c.name, func(t *testing.T) {
			t.Parallel()
			model := llmtest.New(t, c.step)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() {
				_, err := client(t, model, "m").Complete(ctx, question())
				done <- err
			}()
			model.Arrived(1)
			cancel()
			err := <-done
			require.ErrorIs(t, err, context.Canceled)
			require.False(t, llm.Retryable(err))
		})
	}
	t.Run("deadline", func(t *testing.T) {
		t.Parallel()
		model := llmtest.New(t, llmtest.Hang())
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		_, err := client(t, model, "m").Complete(ctx, question())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, llm.ErrTimeout)
	})
}

func TestUnreachableEndpoint(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := listener.Addr().String()
	require.NoError(t, listener.Close())
	c, err := openai.New(openai.Config{BaseURL: "http://user:hunter2@" + addr + "/v1", Model: "m"})
	require.NoError(t, err)
	_, err = c.Complete(t.Context(), question())
	require.EqualError(t, err, "model is unavailable: refused connection")
	require.True(t, llm.Retryable(err))
}

// Fault 37: an endpoint that cannot prove who it is gets nothing.
func TestCertificates(t *testing.T) {
	t.Parallel()
	asked := false
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	ask := func(cfg openai.Config) error {
		cfg.Model = "m"
		c, err := openai.New(cfg)
		require.NoError(t, err)
		_, err = c.Complete(t.Context(), question())
		return err
	}
	err := ask(openai.Config{BaseURL: server.URL})
	require.EqualError(t, err, "model is unavailable: certificate of unknown authority")

	trusting := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trusting.ServerName = "elsewhere.invalid"
	err = ask(openai.Config{BaseURL: server.URL, TLS: trusting})
	require.EqualError(t, err, "model is unavailable: certificate of another host")

	late := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	late.Time = func() time.Time { return time.Now().AddDate(200, 0, 0) }
	err = ask(openai.Config{BaseURL: server.URL, TLS: late})
	require.EqualError(t, err, "model is unavailable: certificate expired")
	require.True(t, llm.Retryable(err), "renewed certificates do come")
	require.False(t, asked)

	err = ask(openai.Config{BaseURL: strings.Replace(server.URL, "https", "http", 1)})
	require.Error(t, err, "plain http to a TLS port")
}

func TestPlainHTTPNeverGoesToAProxy(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, llmtest.Reply("{}"))
	errProxy := errors.New("went to the proxy")
	settings := openai.Config{BaseURL: model.URL, Model: "m", Proxy: func(*http.Request) (*url.URL, error) { return nil, errProxy }}
	c, err := openai.New(settings)
	require.NoError(t, err)
	_, err = c.Complete(t.Context(), question())
	require.NoError(t, err)

	settings.BaseURL = "https://model.invalid/v1"
	c, err = openai.New(settings)
	require.NoError(t, err)
	_, err = c.Complete(t.Context(), question())
	require.EqualError(t, err, "model is unavailable: broken connection", "https asks for its proxy")
}

func TestConnectionsAreKeptForAllCallsInFlight(t *testing.T) {
	t.Parallel()
	const inFlight, rounds = 12, 5
	opened := make(chan struct{}, inFlight*rounds)
	gate := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		gate <- struct{}{}
		_, _ = w.Write([]byte(`{"choices":[{"message":{"content":"x"}}]}`))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened <- struct{}{}
		}
	}
	server.Start()
	c, err := openai.New(openai.Config{BaseURL: server.URL, Model: "m", MaxConcurrency: inFlight})
	require.NoError(t, err)
	for range rounds {
		done := make(chan error)
		for range inFlight {
			go func() {
				_, err := c.Complete(t.Context(), question())
				done <- err
			}()
		}
		for range inFlight {
			<-gate
		}
		for range inFlight {
			require.NoError(t, <-done)
		}
	}
	server.CloseClientConnections()
	server.Close()
	// A call may find the last one's connection not yet put back, so a few
	// more than inFlight are fair; net/http's default makes about fifty.
	require.LessOrEqual(t, len(opened), 2*inFlight)
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

	locked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }))
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
