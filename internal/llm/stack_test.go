package llm_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/llm"
)

func named(name string, reply *llm.Reply, err error) *model {
	return &model{name: name, do: func(context.Context, int) (*llm.Reply, error) {
		if err != nil {
			return nil, err
		}
		r := *reply
		r.Model = name
		return &r, nil
	}}
}

func TestWhenTheNextModelIsAsked(t *testing.T) {
	t.Parallel()
	answer := &llm.Reply{Text: "ok", Usage: llm.Usage{PromptTokens: 10, CompletionTokens: 5}}
	refusal := &llm.Reply{Refused: true, Usage: llm.Usage{PromptTokens: 7}}
	dead := func(kind error) error { return &llm.RefusedError{Kind: kind} }
	second := named("b", answer, nil)
	for _, c := range []struct {
		name   string
		first  *model
		second *model
		by     string // who answered; empty for an error
		kind   string
		why    string // told to the observer
		usage  llm.Usage
	}{
		{"the first answers", named("a", answer, nil), second, "a", "", "", answer.Usage},
		{"an outage", named("a", nil, down()), second, "b", "", "unavailable", answer.Usage},
		{"an open breaker", named("a", nil, &llm.OpenError{Cause: down()}), second, "b", "", "open", answer.Usage},
		{"a rate limit that could not be waited out", named("a", nil, limited(time.Hour)), second, "b", "", "rate_limit", answer.Usage},
		{"a timeout", named("a", nil, llm.ErrTimeout), second, "b", "", "timeout", answer.Usage},
		{"a used-up quota", named("a", nil, dead(llm.ErrQuota)), second, "b", "", "quota", answer.Usage},
		{"a dead key", named("a", nil, dead(llm.ErrUnauthorized)), second, "b", "", "dead_key", answer.Usage},
		{"too long for the first", named("a", nil, dead(llm.ErrTooLong)), second, "b", "", "too_long", answer.Usage},
		{"a refusal, with both paid for", named("a", refusal, nil), second, "b", "", "refused", llm.Usage{PromptTokens: 17, CompletionTokens: 5}},
		{"two refusals", named("a", refusal, nil), named("b", refusal, nil), "b", "", "refused", llm.Usage{PromptTokens: 14}},
		{"a refusal, and nobody else to ask", named("a", refusal, nil), named("b", nil, down()), "a", "", "refused", refusal.Usage},
		{"a request nobody takes", named("a", nil, dead(llm.ErrRejected)), second, "", "rejected", "", llm.Usage{}},
		{"a caller who left", named("a", nil, context.Canceled), second, "", "cancelled", "", llm.Usage{}},
		{"a deadline", named("a", nil, context.DeadlineExceeded), second, "", "deadline", "", llm.Usage{}},
		{"both down", named("a", nil, down()), named("b", nil, llm.ErrTimeout), "", "unavailable", "unavailable", llm.Usage{}},
		{"what may pass is told before what will not", named("a", nil, dead(llm.ErrQuota)), named("b", nil, down()), "", "unavailable", "quota", llm.Usage{}},
		{"the first of two that will not", named("a", nil, dead(llm.ErrQuota)), named("b", nil, dead(llm.ErrUnauthorized)), "", "quota", "quota", llm.Usage{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var why string
			f := llm.NewFallback(llm.Observer{Fallback: func(from, to, w string) {
				require.Equal(t, "a", from)
				require.Equal(t, "b", to)
				why = w
			}}, c.first, c.second)
			require.Equal(t, []string{"a", "b"}, f.Models())
			reply, err := f.Complete(t.Context(), llm.Request{})
			require.Equal(t, c.kind, llm.Kind(err))
			require.Equal(t, c.why, why)
			if c.by == "" {
				require.Nil(t, reply)
				return
			}
			require.Equal(t, c.by, reply.Model)
			require.Equal(t, c.usage, reply.Usage)
		})
	}
}

func TestNoFallbackAfterTheCallerHasLeft(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	first := &model{name: "a", do: func(context.Context, int) (*llm.Reply, error) {
		cancel()
		return nil, down()
	}}
	second := says()
	_, err := llm.NewFallback(llm.Observer{}, first, second).Complete(ctx, llm.Request{})
	require.Error(t, err)
	require.Zero(t, second.calls)
}

func TestMeterTellsOfEveryAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var heard []llm.Attempt
		m := &model{name: "m", do: func(_ context.Context, n int) (*llm.Reply, error) {
			elapse(2 * time.Second)
			if n == 1 {
				return nil, down()
			}
			return &llm.Reply{Text: "secret", Truncated: true, Usage: llm.Usage{PromptTokens: 3}}, nil
		}}
		stack := llm.Stack([]llm.Completer{m}, llm.StackConfig{Observer: llm.Observer{Attempt: func(a llm.Attempt) { heard = append(heard, a) }}})
		require.NoError(t, ask(t, stack))
		require.Equal(t, []llm.Attempt{
			{Model: "m", Took: 2 * time.Second, Kind: "unavailable"},
			{Model: "m", Took: 2 * time.Second, Truncated: true, Usage: llm.Usage{PromptTokens: 3}},
		}, heard)
	})
}

// Both providers are down for ten minutes. Nothing fails for good,
// hardly anything is asked meanwhile, and the return is a ramp, not a herd.
func TestBothProvidersDownForTenMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const workers, outage = 64, 10 * time.Minute
		began := time.Now()
		provider := func(name string) *model {
			return &model{name: name, do: func(ctx context.Context, _ int) (*llm.Reply, error) {
				if time.Since(began) < outage {
					return nil, down()
				}
				return answerAfter(ctx, time.Second)
			}}
		}
		a, b := provider("a"), provider("b")
		stack := llm.Stack([]llm.Completer{a, b}, llm.StackConfig{MaxConcurrency: workers})
		var mu sync.Mutex
		var resumed time.Duration
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for { // as a queue does: back in line for as long as it was told
					err := ask(t, stack)
					if err == nil {
						mu.Lock()
						resumed = max(resumed, time.Since(began)-outage)
						mu.Unlock()
						return
					}
					require.True(t, llm.Retryable(err), "%v", err)
					wait, said := llm.RetryAfter(err)
					if !said {
						wait = time.Second
					}
					elapse(wait)
				}
			})
		}
		wg.Wait()
		during := 0
		for _, at := range append(a.at, b.at...) {
			if at.Sub(began) < outage {
				during++
			}
		}
		// The first wave of both, then a probe every half minute or so.
		require.LessOrEqual(t, during, 2*(workers+50))
		require.Less(t, resumed, time.Minute, "work resumes within a minute of the return")
		for _, m := range []*model{a, b} {
			var first time.Time
			early := 0
			for _, at := range m.at {
				if at.Sub(began) < outage {
					continue
				}
				if first.IsZero() {
					first = at
				}
				if at.Sub(first) < time.Second {
					early++
				}
			}
			require.LessOrEqual(t, early, 2, "the first second meets a probe, not %d workers", workers)
		}
		t.Logf("%d calls during the outage, all answered %s after it", during, resumed)
	})
}

// A wait for a retry holds no slot: others are served meanwhile.
func TestWaitingHoldsNoSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := says(&llm.UnavailableError{RetryAfter: 10 * time.Second})
		stack := llm.Stack([]llm.Completer{m}, llm.StackConfig{MaxConcurrency: 1})
		began := time.Now()
		first := make(chan error)
		go func() { first <- ask(t, stack) }()
		synctest.Wait()
		require.NoError(t, ask(t, stack))
		require.Equal(t, began, time.Now())
		require.NoError(t, <-first)
		require.Equal(t, 10*time.Second, time.Since(began))
	})
}

// A probe that hangs does not make the callers behind it hang.
func TestCallersAreRefusedWhileAProbeHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &model{name: "m"}
		m.do = func(ctx context.Context, n int) (*llm.Reply, error) {
			if n <= 5 {
				return nil, down()
			}
			return answerAfter(ctx, time.Minute)
		}
		stack := llm.Stack([]llm.Completer{m}, llm.StackConfig{MaxConcurrency: 4, Retry: llm.RetryConfig{Max: -1}})
		for range 5 {
			_ = ask(t, stack)
		}
		require.Equal(t, "open", llm.Kind(ask(t, stack)))
		elapse(5 * time.Second)
		probe := make(chan error)
		go func() { probe <- ask(t, stack) }()
		synctest.Wait()
		before := time.Now()
		var open *llm.OpenError
		require.True(t, errors.As(ask(t, stack), &open))
		require.Equal(t, before, time.Now())
		require.NoError(t, <-probe)
	})
}
