package openai_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	api "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/app"
	"github.com/gradus-ai/gradus/internal/config"
	"github.com/gradus-ai/gradus/internal/grading"
)

// BenchmarkModelPath is the CPU of one grade by a model that takes no time, for
// three contenders that put the same prompt to the same server: go-openai alone
// (floor), a bare HTTP handler that calls go-openai (bare), and the whole
// service (gradus): its HTTP door with access log and metrics, key, cache,
// prompt, judge, second opinion without a model, check of every quote, tally,
// feedback. Every answer is another one, so nothing is a hit.
//
// It is here because go-openai is imported nowhere else. Each iteration is a
// round on each contender, so that all meet the same weather; the metrics are
// medians of rounds. The CPU is that of the process, with the little model
// server, and for the last two an HTTP client, in it.
func BenchmarkModelPath(b *testing.B) {
	for _, inFlight := range []int{1, 20} {
		b.Run(fmt.Sprintf("inflight=%d", inFlight), func(b *testing.B) {
			model := newFree(b)
			service := serveGradus(b, model.url)
			ask := goOpenAI(b, model.prompt(b, service), model.url, inFlight)
			contenders := []struct {
				name string
				do   func(context.Context, *bench) error
				cpu  []float64 // microseconds a grade, one entry a round
			}{
				{name: "floor", do: func(ctx context.Context, w *bench) error { return ask(ctx, w.next()) }},
				{name: "bare", do: overHTTP(bareDoor(b, ask))},
				{name: "gradus", do: overHTTP(service)},
			}
			const perRound = 600
			for i := range contenders { // connect, learn the endpoint, warm up
				round(b, contenders[i].do, inFlight, perRound/4)
			}
			for b.Loop() {
				for i := range contenders {
					c := &contenders[i]
					before := cpu()
					round(b, c.do, inFlight, perRound)
					c.cpu = append(c.cpu, float64((cpu()-before).Microseconds())/perRound)
				}
			}
			b.ReportMetric(0, "ns/op") // a round of three means nothing by itself
			floor, gradus := contenders[0].cpu, contenders[2].cpu
			for _, c := range contenders {
				b.ReportMetric(middle(c.cpu), c.name+"-cpu-us")
			}
			var added, ratio []float64
			for i := range floor {
				added = append(added, (gradus[i]-floor[i])/1000)
				ratio = append(ratio, gradus[i]/floor[i])
			}
			b.ReportMetric(middle(added), "added-ms")
			b.ReportMetric(middle(ratio), "x-floor")
		})
	}
}

// A question of five criteria and an answer of some 170 words that meets them.
// The model quotes a sentence for each.
const (
	rotaSet = `version: 1
id: rota
title: The rota
questions:
  - id: calm
    kind: technical
    question: The people on call are exhausted. What do you do in your first three months?
    intent: Whether the candidate measures a burden before spreading it, and removes causes before symptoms.
    guidance: A good answer begins with figures, cuts noise, makes what remains easy to handle, shares it fairly and shows that it got better.
    sample_answer: >-
      I start with the pages of the last quarter, sorted by service and by hour. Whatever nobody acted on goes. What stays gets a
      page of instructions with the owner on top. Then I look at who carries how many nights and even it out, and I report sleep
      lost each month until it is boring.
    criteria:
      - {id: figures, statement: Counts pages per person and hour before acting, weight: 20, partial: Mentions data without saying which, hint: Say which figures you would look at first., phrases: [measured how often people are woken]}
      - {id: noise, statement: Deletes alerts that nobody acts on, weight: 20, partial: Lowers priorities only, hint: Name what you would switch off., phrases: [removed noisy alerts]}
      - {id: runbooks, statement: Writes a runbook for every alert that stays, weight: 20, partial: Some runbooks, hint: Say how a tired person knows what to do., phrases: [instructions for each page]}
      - {id: fairness, statement: Spreads nights evenly across the team, weight: 20, partial: Adds people without a schedule, hint: Say who carries which nights., phrases: [rotated night shifts fairly]}
      - {id: proof, statement: Reports monthly whether sleep improved, weight: 20, partial: Checks once, hint: Say how you would know it worked., phrases: [tracked interrupted nights over time]}
`
	rotaAnswer = "In the first two weeks I would count pages per person and hour, because people who are tired remember the worst night and not the usual one. " +
		"With that list in hand I would delete alerts that nobody acts on, and I would do it together with the people who are woken, so that nobody fears a silent outage. " +
		"Next I would write a runbook for every alert that stays: what it means, what to look at, whom to call, when to go back to bed. " +
		"A colleague who joined last month should be able to follow it at three in the morning. " +
		"Then I would spread nights evenly across the team, publish the plan a quarter ahead and let people swap freely, with a day off after a broken night. " +
		"Finally I would report monthly whether sleep improved, with the same count as at the beginning, and say openly when it has not. " +
		"If a service keeps waking people in spite of all that, its owners stop shipping features until it does not. This is case number "
)

var rotaQuotes = []string{"count pages per person and hour", "delete alerts that nobody acts on", "write a runbook for every alert that stays", "spread nights evenly across the team", "report monthly whether sleep improved"}

// free is a model that answers at once.
type free struct {
	url   string
	calls atomic.Int64
	seen  chan []byte // the first request
}

func newFree(b *testing.B) *free {
	var rows []string
	for i, quote := range rotaQuotes {
		rows = append(rows, fmt.Sprintf(`{"id":"c%d","evidence":["%s"],"compare":"","verdict":"met","confidence":90}`, i+1, quote))
	}
	body, err := json.Marshal(map[string]any{
		"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
		"choices": []any{map[string]any{"index": 0, "finish_reason": "stop", "message": map[string]any{"role": "assistant", "content": `{"criteria":[` + strings.Join(rows, ",") + `]}`}}},
		"usage":   map[string]any{"prompt_tokens": 800, "completion_tokens": 180, "prompt_tokens_details": map[string]any{"cached_tokens": 512}},
	})
	require.NoError(b, err)
	f := &free{seen: make(chan []byte, 1)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.calls.Add(1) == 1 {
			raw, _ := io.ReadAll(r.Body) // a cut body fails the decoding below
			f.seen <- raw
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}))
	b.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	f.url = server.URL + "/v1"
	return f
}

// prompt is what the service sends for an answer: taken from its first request.
func (f *free) prompt(b *testing.B, service string) api.ChatCompletionRequest {
	b.Helper()
	w := &bench{}
	defer w.close()
	grade, err := w.post(service)
	require.NoError(b, err)
	require.Contains(b, string(grade), `"score":100,`, "the model is believed")
	var sent struct {
		Messages  []api.ChatCompletionMessage
		MaxTokens int `json:"max_completion_tokens"`
		Format    struct {
			Schema struct {
				Name   string
				Schema json.RawMessage
			} `json:"json_schema"`
		} `json:"response_format"`
	}
	require.NoError(b, json.Unmarshal(<-f.seen, &sent))
	require.NotEmpty(b, sent.Format.Schema.Schema)
	require.EqualValues(b, 1, f.calls.Load(), "one call a grade: no second looks")
	return api.ChatCompletionRequest{
		Model: "m", Messages: sent.Messages, MaxCompletionTokens: sent.MaxTokens, Temperature: 1e-45,
		ResponseFormat: &api.ChatCompletionResponseFormat{
			Type:       api.ChatCompletionResponseFormatTypeJSONSchema,
			JSONSchema: &api.ChatCompletionResponseFormatJSONSchema{Name: sent.Format.Schema.Name, Schema: sent.Format.Schema.Schema, Strict: true},
		},
	}
}

// goOpenAI puts the prompt with another answer, over connections that are kept.
func goOpenAI(b *testing.B, prompt api.ChatCompletionRequest, url string, inFlight int) func(context.Context, string) error {
	cfg := api.DefaultConfig("k")
	cfg.BaseURL = url
	transport := &http.Transport{MaxIdleConnsPerHost: inFlight}
	b.Cleanup(transport.CloseIdleConnections)
	cfg.HTTPClient = &http.Client{Transport: transport}
	client := api.NewClientWithConfig(cfg)
	return func(ctx context.Context, number string) error {
		req := prompt
		req.Messages = slices.Clone(prompt.Messages)
		req.Messages[len(req.Messages)-1].Content += number
		resp, err := client.CreateChatCompletion(ctx, req)
		if err == nil && len(resp.Choices) == 0 {
			return io.ErrUnexpectedEOF
		}
		return err
	}
}

// bareDoor calls go-openai for every request, and no more.
func bareDoor(b *testing.B, ask func(context.Context, string) error) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Answer string }
		err := json.NewDecoder(r.Body).Decode(&body)
		if err == nil {
			err = ask(r.Context(), body.Answer[len(body.Answer)-10:])
		}
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, `{"score":100}`)
	}))
	b.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// serveGradus runs the program and returns its address.
func serveGradus(b *testing.B, url string) string {
	b.Helper()
	folder := b.TempDir()
	require.NoError(b, os.WriteFile(filepath.Join(folder, "rota.yaml"), []byte(rotaSet), 0o600))
	cfg := &config.Config{
		OpenAIBaseURL: url, OpenAIModels: []string{"m"}, Judge: grading.Auto, Concurrency: 256,
		GradeTimeout: time.Minute, Retention: time.Hour, Rubrics: folder,
	}
	a, err := app.New(b.Context(), cfg, app.Options{Logger: slog.New(slog.NewJSONHandler(io.Discard, nil))})
	require.NoError(b, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Serve(ctx, listener) }()
	b.Cleanup(func() {
		stop()
		require.NoError(b, <-ended)
	})
	return listener.Addr().String()
}

// bench is one worker: a connection that is kept, and a count of answers.
type bench struct {
	conn net.Conn
	in   *bufio.Reader
	body []byte
}

// answers numbers every answer of the program, so that none is a hit.
var answers atomic.Int64

func (w *bench) next() string { return fmt.Sprintf("%010d", answers.Add(1)) }

func (w *bench) close() {
	if w.conn != nil {
		_ = w.conn.Close() // nothing more is expected of it
	}
}

// overHTTP posts an answer, with as little client as there can be.
func overHTTP(addr string) func(context.Context, *bench) error {
	return func(_ context.Context, w *bench) error {
		_, err := w.post(addr)
		return err
	}
}

func (w *bench) post(addr string) ([]byte, error) {
	if w.conn == nil {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return nil, err
		}
		w.conn, w.in = conn, bufio.NewReaderSize(conn, 16<<10)
	}
	body := `{"question_id":"rota/calm","answer":"` + rotaAnswer + w.next() + `"}`
	if _, err := fmt.Fprintf(w.conn, "POST /v1/grades HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		return nil, err
	}
	length := 0
	for first := true; ; first = false {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
			return nil, fmt.Errorf("answered %s", line)
		}
		if len(line) == 2 {
			break
		}
		if n, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if _, err := fmt.Sscan(string(n), &length); err != nil {
				return nil, err
			}
		}
	}
	w.body = slices.Grow(w.body[:0], length)[:length]
	_, err := io.ReadFull(w.in, w.body)
	return w.body, err
}

// round has n grades made by so many workers.
func round(b *testing.B, do func(context.Context, *bench) error, inFlight, n int) {
	b.Helper()
	var wg sync.WaitGroup
	failed := make([]error, inFlight)
	for i := range inFlight {
		wg.Go(func() {
			w := &bench{}
			defer w.close()
			for range n / inFlight {
				if failed[i] = do(b.Context(), w); failed[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	require.NoError(b, errors.Join(failed...))
}

func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
