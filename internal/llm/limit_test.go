package llm_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/llm"
)

func TestNoMoreInFlightThanAllowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := takes(time.Second)
		l := llm.NewLimit(m, llm.LimitConfig{Max: 4})
		var wg sync.WaitGroup
		began := time.Now()
		for range 20 {
			wg.Go(func() { require.NoError(t, ask(t, l)) })
		}
		wg.Wait()
		require.Equal(t, 4, m.most)
		require.Equal(t, 5*time.Second, time.Since(began), "every slot is full until the end")
	})
}

func TestFirstComeFirstServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := llm.NewLimit(takes(time.Second), llm.LimitConfig{Max: 1})
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				require.NoError(t, ask(t, l))
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
			})
			synctest.Wait()
		}
		wg.Wait()
		require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7}, order)
	})
}

func TestLeavingTheLineFreesThePlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := takes(time.Minute)
		l := llm.NewLimit(m, llm.LimitConfig{Max: 1})
		var wg sync.WaitGroup
		wg.Go(func() { require.NoError(t, ask(t, l)) })
		synctest.Wait()
		for range 5 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := l.Complete(ctx, llm.Request{})
				require.ErrorIs(t, err, context.DeadlineExceeded)
			})
		}
		wg.Wait()
		require.Equal(t, 1, m.calls, "who left the line was never asked for")
		require.NoError(t, ask(t, l))
	})
}

// A 429 holds the whole line for as long as the endpoint asked.
func TestRateLimitHoldsTheLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := says(limited(3 * time.Second))
		l := llm.NewLimit(m, llm.LimitConfig{Max: 8})
		began := time.Now()
		require.Equal(t, "rate_limit", llm.Kind(ask(t, l)))

		hurried, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := l.Complete(hurried, llm.Request{})
		wait, _ := llm.RetryAfter(err)
		require.Equal(t, 3*time.Second, wait, "who cannot wait so long learns it at once")
		require.Equal(t, began, time.Now())

		require.NoError(t, ask(t, l))
		require.Equal(t, 3*time.Second, time.Since(began))
		require.Equal(t, 2, m.calls)
	})
}

// The calls that meet a rate limit together take slots away once.
func TestRateLimitTakesSlotsAwayOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &model{name: "m", do: func(_ context.Context, n int) (*llm.Reply, error) {
			time.Sleep(time.Second)
			if n <= 12 {
				return nil, limited(0)
			}
			return &llm.Reply{}, nil
		}}
		var slots []int
		l := llm.NewLimit(m, llm.LimitConfig{Max: 12, Observer: llm.Observer{Slots: func(_ string, n int) { slots = append(slots, n) }}})
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() { _ = ask(t, l) })
		}
		wg.Wait()
		require.Equal(t, []int{8}, slots)

		for range 12 * 40 { // full use brings the slots back
			wg.Go(func() { require.NoError(t, ask(t, l)) })
		}
		wg.Wait()
		require.Equal(t, 12, slots[len(slots)-1])
	})
}

// bucket is an endpoint that takes rate calls a second, no more than burst at
// once, answers after latency and tells exactly how long to wait.
func bucket(rate float64, burst int, latency time.Duration) *model {
	tokens, last := float64(burst), time.Now()
	var mu sync.Mutex
	return &model{name: "m", do: func(ctx context.Context, _ int) (*llm.Reply, error) {
		mu.Lock()
		now := time.Now()
		tokens = min(tokens+rate*now.Sub(last).Seconds(), float64(burst))
		last = now
		if tokens < 1 {
			wait := time.Duration((1 - tokens) / rate * float64(time.Second))
			mu.Unlock()
			return nil, limited(max(wait, time.Millisecond))
		}
		tokens--
		mu.Unlock()
		return answerAfter(ctx, latency)
	}}
}

// A provider's limit of 50 a second, met by 200 workers: the limit is found,
// nearly all of it is used, and few calls are refused.
func TestProvidersLimitIsFoundAndUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const answers, workers, rate = 3000, 200, 50
		m := bucket(rate, 10, 200*time.Millisecond)
		var refused int
		var mu sync.Mutex
		stack := llm.Stack([]llm.Completer{m}, llm.StackConfig{MaxConcurrency: workers, Observer: llm.Observer{
			Attempt: func(a llm.Attempt) {
				mu.Lock()
				defer mu.Unlock()
				if a.Kind == "rate_limit" {
					refused++
				}
			},
		}})
		jobs := make(chan struct{}, answers)
		for range answers {
			jobs <- struct{}{}
		}
		close(jobs)
		began := time.Now()
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for range jobs {
					for llm.Retryable(ask(t, stack)) { // as a queue does
					}
				}
			})
		}
		wg.Wait()
		ideal := time.Duration(float64(answers)/rate*float64(time.Second)) + 200*time.Millisecond
		ratio := float64(time.Since(began)) / float64(ideal)
		share := float64(refused) / float64(m.calls)
		t.Logf("makespan %.3f of ideal, %.1f %% of %d calls refused", ratio, 100*share, m.calls)
		require.Less(t, ratio, 1.05)
		require.Less(t, share, 0.07, "most of them in the first instant, when the limit is not known")
	})
}
