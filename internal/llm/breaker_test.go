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

// switchable answers with whatever err is set to.
func switchable() (*model, *error) {
	var err error
	return &model{name: "m", do: func(context.Context, int) (*llm.Reply, error) {
		if err != nil {
			return nil, err
		}
		return &llm.Reply{Text: "ok"}, nil
	}}, &err
}

func ask(t *testing.T, c llm.Completer) error {
	t.Helper()
	_, err := c.Complete(t.Context(), llm.Request{})
	return err
}

func TestWhatOpensTheBreaker(t *testing.T) {
	t.Parallel()
	many := func(err error, n int) []error {
		out := make([]error, n)
		for i := range out {
			out[i] = err
		}
		return out
	}
	var alternating []error
	for range 10 {
		alternating = append(alternating, down(), nil)
	}
	rejected := &llm.RefusedError{Kind: llm.ErrRejected}
	for _, c := range []struct {
		name string
		errs []error
		open bool
	}{
		{"five faults in a row", many(down(), 5), true},
		{"four are not enough", many(down(), 4), false},
		{"attempts that time out", many(llm.ErrTimeout, 5), true},
		{"half of twenty", append(alternating[:19:19], down()), true},
		{"half of nineteen", alternating[:19], false},
		{"429 is not a fault", many(limited(0), 30), false},
		{"nor is a request that is refused", many(rejected, 30), false},
		{"nor an answer that is too long", many(llm.ErrTooLong, 30), false},
		{"nor a caller who left", many(context.Canceled, 30), false},
		{"nor a caller in a hurry", many(context.DeadlineExceeded, 30), false},
		{"one 401", many(&llm.RefusedError{Kind: llm.ErrUnauthorized}, 1), true},
		{"one empty purse", many(&llm.RefusedError{Kind: llm.ErrQuota}, 1), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := says(c.errs...)
				b := llm.NewBreaker(m, llm.BreakerConfig{})
				for range c.errs {
					_ = ask(t, b)
				}
				require.Equal(t, len(c.errs), m.calls)
				err := ask(t, b)
				var open *llm.OpenError
				require.Equal(t, c.open, errors.As(err, &open))
				if c.open {
					require.Equal(t, len(c.errs), m.calls, "not asked")
					require.ErrorIs(t, err, c.errs[len(c.errs)-1], "says why")
				}
			})
		})
	}
}

func TestBreakerProbesAfterItsCoolDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, err := switchable()
		var changes []bool
		b := llm.NewBreaker(m, llm.BreakerConfig{Observer: llm.Observer{Breaker: func(_ string, open bool) { changes = append(changes, open) }}})
		*err = down()
		for range 5 {
			_ = ask(t, b)
		}
		// Cool-downs of 5, 10, 20, 30, 30 seconds, a probe after each.
		for _, wait := range []time.Duration{5, 10, 20, 30, 30} {
			before := m.calls
			after, said := llm.RetryAfter(ask(t, b))
			require.True(t, said)
			require.Equal(t, wait*time.Second, after)
			elapse(after - time.Nanosecond)
			require.Equal(t, "open", llm.Kind(ask(t, b)))
			require.Equal(t, before, m.calls)
			elapse(time.Nanosecond)
			require.Equal(t, "unavailable", llm.Kind(ask(t, b)), "the probe")
			require.Equal(t, before+1, m.calls)
		}
		elapse(30 * time.Second)
		*err = nil
		require.NoError(t, ask(t, b))
		require.NoError(t, ask(t, b))
		require.Equal(t, []bool{true, false}, changes)

		*err = down()
		for range 4 {
			require.Equal(t, "unavailable", llm.Kind(ask(t, b)))
		}
		*err = nil
		require.NoError(t, ask(t, b), "the count began again")
	})
}

func TestOneProbeAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &model{name: "m"}
		m.do = func(ctx context.Context, n int) (*llm.Reply, error) {
			if n <= 5 {
				return nil, down()
			}
			return answerAfter(ctx, 3*time.Second)
		}
		b := llm.NewBreaker(m, llm.BreakerConfig{})
		for range 5 {
			_ = ask(t, b)
		}
		elapse(5 * time.Second)
		done := make(chan error)
		for range 10 {
			go func() { done <- ask(t, b) }()
		}
		synctest.Wait()
		require.Equal(t, 6, m.calls)
		for range 9 {
			err := <-done
			require.Equal(t, "open", llm.Kind(err))
			wait, _ := llm.RetryAfter(err)
			require.Positive(t, wait)
		}
		require.NoError(t, <-done)
	})
}

func TestProbeThatIsAbandonedLeavesRoomForAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, err := switchable()
		b := llm.NewBreaker(m, llm.BreakerConfig{})
		*err = down()
		for range 5 {
			_ = ask(t, b)
		}
		elapse(5 * time.Second)
		*err = context.Canceled
		require.ErrorIs(t, ask(t, b), context.Canceled)
		*err = limited(0)
		require.Equal(t, "rate_limit", llm.Kind(ask(t, b)))
		*err = nil
		require.NoError(t, ask(t, b), "an endpoint that counts its requests is up again")
	})
}

// Answers to questions from before the outage do not end it.
func TestLateNewsIsNoNews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &model{name: "m"}
		m.do = func(ctx context.Context, n int) (*llm.Reply, error) {
			if n == 1 {
				return answerAfter(ctx, time.Second)
			}
			return nil, down()
		}
		b := llm.NewBreaker(m, llm.BreakerConfig{})
		slow := make(chan error)
		go func() { slow <- ask(t, b) }()
		synctest.Wait()
		for range 5 {
			_ = ask(t, b)
		}
		require.NoError(t, <-slow)
		require.Equal(t, "open", llm.Kind(ask(t, b)))
	})
}

func TestHangingEndpointOpensEvenWhenCallersGiveUpFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := llm.NewBreaker(takes(time.Hour), llm.BreakerConfig{})
		for range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
			_, err := b.Complete(ctx, llm.Request{})
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		require.Equal(t, "open", llm.Kind(ask(t, b)))
	})
}

func TestPanicDoesNotKeepTheProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &model{name: "m"}
		m.do = func(_ context.Context, n int) (*llm.Reply, error) {
			switch {
			case n <= 5:
				return nil, down()
			case n == 6:
				panic("boom")
			}
			return &llm.Reply{}, nil
		}
		b := llm.NewBreaker(m, llm.BreakerConfig{})
		for range 5 {
			_ = ask(t, b)
		}
		elapse(5 * time.Second)
		require.Panics(t, func() { _ = ask(t, b) })
		require.NoError(t, ask(t, b))
	})
}

// Faults are quick and answers slow: a wave of 200 calls with one fault in
// twenty begins with nothing but faults, and is no outage.
func TestQuickFaultsAmongSlowAnswersAreNoOutage(t *testing.T) {
	t.Parallel()
	for faulty, opens := range map[int]bool{10: false, 80: false, 200: true} {
		synctest.Test(t, func(t *testing.T) {
			m := &model{name: "m"}
			m.do = func(ctx context.Context, n int) (*llm.Reply, error) {
				if n <= faulty {
					elapse(time.Millisecond)
					return nil, down()
				}
				return answerAfter(ctx, 2*time.Second)
			}
			opened := false
			b := llm.NewBreaker(m, llm.BreakerConfig{Observer: llm.Observer{Breaker: func(string, bool) { opened = true }}})
			var wg sync.WaitGroup
			for range 200 {
				wg.Go(func() { _ = ask(t, b) })
			}
			wg.Wait()
			require.Equal(t, opens, opened, "%d of 200 fail at once", faulty)
		})
	}
}
