package openai_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	api "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/llm/openai"
)

// typical is a request of the size that grading sends: some 800 prompt tokens.
func typical() llm.Request {
	return llm.Request{
		Messages: []llm.Message{
			{Role: llm.System, Text: strings.Repeat("One rule of how to judge an answer, in a sentence. ", 30)},
			{Role: llm.User, Text: strings.Repeat("A criterion, with what earns half and \"other\" words.\n", 30)},
			{Role: llm.User, Text: strings.Repeat("What the candidate said about the first ninety days. ", 20)},
		},
		Schema: json.RawMessage(`{"type":"object","additionalProperties":false,"required":["criteria"],"properties":{"criteria":{"type":"array","items":` +
			`{"type":"object","additionalProperties":false,"required":["id","evidence","compare","verdict","confidence"],"properties":{` +
			`"id":{"enum":["c1","c2","c3","c4","c5"]},"evidence":{"type":"array","items":{"type":"string"}},"compare":{"type":"string"},` +
			`"verdict":{"enum":["met","partial","missed","contradicted","cannot_assess"]},"confidence":{"type":"integer"}}}}}}`),
		SchemaName: "grade",
		MaxTokens:  1200,
	}
}

// reply is what a model says of five criteria: some 250 tokens.
func reply() []byte {
	row := `{"id":"c1","evidence":["named an incident commander","wrote down the timeline"],"compare":"does not say who decides","verdict":"partial","confidence":80}`
	text := `{"criteria":[` + strings.Repeat(row+",", 4) + row + `]}`
	raw, _ := json.Marshal(map[string]any{
		"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
		"choices": []any{map[string]any{"index": 0, "finish_reason": "stop", "message": map[string]any{"role": "assistant", "content": text}}},
		"usage":   map[string]any{"prompt_tokens": 800, "completion_tokens": 250, "prompt_tokens_details": map[string]any{"cached_tokens": 512}},
	})
	return raw
}

func benchServer(tb testing.TB) string {
	body := reply()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}))
	tb.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL + "/v1"
}

// floor asks with go-openai alone, over a transport that keeps its connections.
func floor(tb testing.TB, url string, inFlight int) func(context.Context) error {
	cfg := api.DefaultConfig("k")
	cfg.BaseURL = url
	transport := &http.Transport{MaxIdleConnsPerHost: inFlight}
	tb.Cleanup(transport.CloseIdleConnections)
	cfg.HTTPClient = &http.Client{Transport: transport}
	client := api.NewClientWithConfig(cfg)
	req := typical()
	return func(ctx context.Context) error {
		var messages []api.ChatCompletionMessage
		for _, m := range req.Messages {
			messages = append(messages, api.ChatCompletionMessage{Role: string(m.Role), Content: m.Text})
		}
		resp, err := client.CreateChatCompletion(ctx, api.ChatCompletionRequest{
			Model: "m", Messages: messages, MaxCompletionTokens: req.MaxTokens, Temperature: 1e-45,
			ResponseFormat: &api.ChatCompletionResponseFormat{
				Type:       api.ChatCompletionResponseFormatTypeJSONSchema,
				JSONSchema: &api.ChatCompletionResponseFormatJSONSchema{Name: "grade", Schema: req.Schema, Strict: true},
			},
		})
		if err == nil && len(resp.Choices) == 0 {
			return io.ErrUnexpectedEOF
		}
		return err
	}
}

// ours asks through the adapter and every wrapper around it.
func ours(tb testing.TB, url string, inFlight int, stacked bool) func(context.Context) error {
	transport := &http.Transport{MaxIdleConnsPerHost: inFlight}
	tb.Cleanup(transport.CloseIdleConnections)
	client, err := openai.New(openai.Config{BaseURL: url, APIKey: "k", Model: "m", MaxConcurrency: inFlight, Transport: transport})
	require.NoError(tb, err)
	var model llm.Completer = client
	if stacked {
		model = llm.Stack([]llm.Completer{client}, llm.StackConfig{MaxConcurrency: inFlight})
	}
	req := typical()
	return func(ctx context.Context) error {
		_, err := model.Complete(ctx, req)
		return err
	}
}

// BenchmarkCall puts go-openai alone (floor), the adapter, and the whole stack
// side by side. cpu-us/op is CPU of the process, the little server included in
// each alike; vs-floor is its ratio to the floor of the same run.
func BenchmarkCall(b *testing.B) {
	for _, inFlight := range []int{1, 20, 200} {
		var base float64
		for _, who := range []string{"floor", "adapter", "stack"} {
			b.Run(fmt.Sprintf("inflight=%d/%s", inFlight, who), func(b *testing.B) {
				url := benchServer(b)
				ask := floor(b, url, inFlight)
				if who != "floor" {
					ask = ours(b, url, inFlight, who == "stack")
				}
				b.ReportAllocs()
				b.SetParallelism(max(1, inFlight/2))
				before := cpu()
				b.ResetTimer()
				if inFlight == 1 {
					for b.Loop() {
						if err := ask(b.Context()); err != nil {
							b.Fatal(err)
						}
					}
				} else {
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							if err := ask(b.Context()); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				used := float64((cpu() - before).Microseconds()) / float64(b.N)
				b.ReportMetric(used, "cpu-us/op")
				if who == "floor" {
					base = used
				} else if base > 0 {
					b.ReportMetric(used/base, "vs-floor")
				}
			})
		}
	}
}

// cpu is what the process has used so far, user and system.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
