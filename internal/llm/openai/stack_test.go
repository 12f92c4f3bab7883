package openai_test

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/llm"
	"github.com/gradus-ai/gradus/internal/llm/llmtest"
	"github.com/gradus-ai/gradus/internal/llm/openai"
)

// The adapter and every layer above it, over real HTTP.

func TestRetryAfterIsHonouredOverHTTP(t *testing.T) {
	t.Parallel()
	const asked = 60 * time.Millisecond
	model := llmtest.New(t, llmtest.Status(429, "9").Headers("Retry-After-Ms", "60"), llmtest.Reply("{}"))
	stack := llm.Stack([]llm.Completer{client(t, model, "m")}, llm.StackConfig{})
	began := time.Now()
	_, err := stack.Complete(t.Context(), question())
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(began), asked)
	require.Less(t, time.Since(began), 9*time.Second)
}

func TestSecondModelOfTheSameEndpoint(t *testing.T) {
	t.Parallel()
	model := llmtest.New(t, llmtest.Refusal().Using(10, 0, 1), llmtest.Reply("{}").Using(20, 0, 2))
	first := client(t, model, "first")
	stack := llm.Stack([]llm.Completer{first, first.For("second")}, llm.StackConfig{})
	require.Equal(t, []string{"first", "second"}, stack.Models())
	reply, err := stack.Complete(t.Context(), question())
	require.NoError(t, err)
	require.Equal(t, "second", reply.Model)
	require.Equal(t, llm.Usage{PromptTokens: 30, CompletionTokens: 3}, reply.Usage)
}

// One request in five fails on the way, in four different manners: all are
// answered, and about as many calls are made as it takes.
func TestMixedFaultsAreAllAnswered(t *testing.T) {
	t.Parallel()
	const answers, workers = 400, 20
	faults := []llmtest.Step{
		llmtest.Status(500, ""), llmtest.Cut(), llmtest.Body(502, "text/html", strings.Repeat("<p>", 1000)),
		llmtest.Status(429, "").Headers("Retry-After-Ms", "2"),
	}
	model := llmtest.New(t, llmtest.Always(func(r llmtest.Request) llmtest.Step {
		// Drawn, not counted: every fifth call can be the same one's retry.
		if draw := rand.New(rand.NewPCG(uint64(r.Number), 5)); draw.IntN(5) == 0 {
			return faults[draw.IntN(len(faults))]
		}
		return llmtest.Reply("{}")
	}))
	c := client(t, model, "m", func(cfg *openai.Config) { cfg.Transport = &http.Transport{MaxIdleConnsPerHost: workers} })
	t.Cleanup(c.Close)
	stack := llm.Stack([]llm.Completer{c}, llm.StackConfig{
		MaxConcurrency: workers, Retry: llm.RetryConfig{Base: time.Millisecond, Max: 8, Budget: llm.NewBudget(1, 100)},
	})
	jobs := make(chan struct{}, answers)
	for range answers {
		jobs <- struct{}{}
	}
	close(jobs)
	failed := make(chan error, answers)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range jobs {
				if _, err := stack.Complete(t.Context(), question()); err != nil {
					failed <- err
				}
			}
		})
	}
	wg.Wait()
	close(failed)
	require.Zero(t, len(failed), "the first: %v", <-failed)
	require.LessOrEqual(t, float64(model.Calls()), 1.05*answers/(1-0.2))
}
