package llm_test

import (
	"context"
	"math/rand/v2"
	"slices"
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

// Rate limits with no answer between them hold the whole line for as long as
// the endpoint asked.
func TestRateLimitHoldsTheLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := says(limited(time.Minute), nil, limited(time.Second), limited(3*time.Second))
		l := llm.NewLimit(m, llm.LimitConfig{Max: 8})
		began := time.Now()
		require.Equal(t, "rate_limit", llm.Kind(ask(t, l)))
		require.NoError(t, ask(t, l), "one alone holds nobody else")
		require.Equal(t, "rate_limit", llm.Kind(ask(t, l)))
		require.Equal(t, "rate_limit", llm.Kind(ask(t, l)))
		require.Equal(t, began, time.Now())

		hurried, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := l.Complete(hurried, llm.Request{})
		wait, _ := llm.RetryAfter(err)
		require.Equal(t, 3*time.Second, wait, "who cannot wait so long learns it at once")
		require.Equal(t, began, time.Now())

		require.NoError(t, ask(t, l))
		require.Equal(t, 3*time.Second, time.Since(began))
		require.Equal(t, 5, m.calls)
	})
}

// Of a wave that is mostly refused, what is still under way is what the
// endpoint bears; full use brings the slots back.
func TestRateLimitTakesSlotsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &model{name: "m", do: func(ctx context.Context, n int) (*llm.Reply, error) {
			if n <= 8 {
				elapse(time.Millisecond)
				return nil, limited(0)
			}
			return answerAfter(ctx, time.Second)
		}}
		var slots []int
		l := llm.NewLimit(m, llm.LimitConfig{Max: 12, Observer: llm.Observer{Slots: func(_ string, n int) { slots = append(slots, n) }}})
		var wg sync.WaitGroup
		for range 12 {
			wg.Go(func() { _ = ask(t, l) })
		}
		wg.Wait()
		require.Equal(t, 10, slots[0], "a few less at the first refusal")
		require.Equal(t, 4, slices.Min(slots))

		for range 12 * 40 {
			wg.Go(func() { require.NoError(t, ask(t, l)) })
		}
		wg.Wait()
		require.Equal(t, 12, slots[len(slots)-1])
		require.Equal(t, 12, m.most)
	})
}

// bucket is an endpoint that takes rate calls a second, no more than burst at
// once, answers after latency and tells exactly how long to wait. After lifted
// it takes any number.
func bucket(rate float64, burst int, latency, lifted time.Duration) *model {
	began := time.Now()
	tokens, last := float64(burst), time.Now()
	var mu sync.Mutex
	return &model{name: "m", do: func(ctx context.Context, _ int) (*llm.Reply, error) {
		mu.Lock()
		now := time.Now()
		tokens = min(tokens+rate*now.Sub(last).Seconds(), float64(burst))
		last = now
		if tokens < 1 && now.Sub(began) < lifted {
			wait := time.Duration((1 - tokens) / rate * float64(time.Second))
			mu.Unlock()
			elapse(2 * time.Millisecond) // a refusal is quick, not instant
			return nil, limited(max(wait, time.Millisecond))
		}
		tokens--
		mu.Unlock()
		return answerAfter(ctx, latency)
	}}
}

// work has workers put n questions, each until it is answered, as a queue does.
func work(t *testing.T, c llm.Completer, workers, n int) (took time.Duration) {
	t.Helper()
	jobs := make(chan struct{}, n)
	for range n {
		jobs <- struct{}{}
	}
	close(jobs)
	began := time.Now()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range jobs {
				for llm.Retryable(ask(t, c)) {
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

// A provider's limit of 50 a second, met by 20 and by 200 workers: the limit
// is found, all of it is used, and few calls are refused.
func TestProvidersLimitIsFoundAndUsed(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{20, 200} {
		synctest.Test(t, func(t *testing.T) {
			const answers, rate = 3000, 50
			m := bucket(rate, 10, 200*time.Millisecond, time.Hour)
			var mu sync.Mutex
			var refused int
			stack := llm.Stack([]llm.Completer{m}, llm.StackConfig{MaxConcurrency: workers, Observer: llm.Observer{
				Attempt: func(a llm.Attempt) {
					mu.Lock()
					defer mu.Unlock()
					if a.Kind == "rate_limit" {
						refused++
					}
				},
			}})
			took := work(t, stack, workers, answers)
			ratio := took.Seconds() / (float64(answers)/rate + 0.2)
			first := workers - 10 // the wave that goes out before anything is known
			share := float64(refused-first) / float64(m.calls)
			t.Logf("%d workers: %.3f of ideal; beyond the first wave %.1f %% of %d calls refused", workers, ratio, 100*share, m.calls)
			require.Less(t, ratio, 1.05)
			require.Less(t, share, 0.03)
		})
	}
}

func TestLimitThatIsLiftedIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const workers = 40
		m := bucket(50, 10, 200*time.Millisecond, 30*time.Second)
		stack := llm.Stack([]llm.Completer{m}, llm.StackConfig{MaxConcurrency: workers})
		work(t, stack, workers, 1500)
		work(t, stack, workers, 3000) // while the pace grows
		ideal := 2000.0 / workers * 0.2
		require.Less(t, work(t, stack, workers, 2000).Seconds(), 1.05*ideal)
	})
}

// One call in twenty is told to wait a second, whatever the pace: the others
// do not wait with it, and slowing down is kept within bounds.
func TestScatteredRefusalsDoNotStallTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const workers, answers = 20, 2000
		m := &model{name: "m"}
		m.do = func(ctx context.Context, n int) (*llm.Reply, error) {
			if rand.New(rand.NewPCG(uint64(n), 3)).IntN(20) == 0 {
				elapse(2 * time.Millisecond)
				return nil, limited(time.Second)
			}
			return answerAfter(ctx, 200*time.Millisecond)
		}
		stack := llm.Stack([]llm.Completer{m}, llm.StackConfig{MaxConcurrency: workers})
		took := work(t, stack, workers, answers)
		ratio := took.Seconds() / (answers * 0.2 / workers)
		t.Logf("%.2f of the time without refusals", ratio)
		require.Less(t, ratio, 2.5, "1.3 of it is the second that each refused call waits")
		require.Less(t, float64(m.calls), 1.05*answers/0.95)
	})
}
