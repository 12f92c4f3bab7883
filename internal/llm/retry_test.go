package llm_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/llm"
)

// The pauses, with a random number of always one half.
func TestPausesBetweenAttempts(t *testing.T) {
	t.Parallel()
	dead := &llm.RefusedError{Kind: llm.ErrUnauthorized}
	shabby := &llm.UnavailableError{Reason: llm.CertificateFault + "_expired"}
	for _, c := range []struct {
		name     string
		failures []error
		deadline time.Duration // 0 for none
		calls    int
		waited   time.Duration
		want     error // nil for a reply
	}{
		{"answered at once", nil, 0, 1, 0, nil},
		{"back-off doubles", []error{down(), down(), down()}, 0, 4, 250*time.Millisecond + 500*time.Millisecond + time.Second, nil},
		{"at most three retries", []error{down(), down(), down(), down()}, 0, 4, 1750 * time.Millisecond, &llm.UnavailableError{}},
		{"exactly as long as asked", []error{limited(7 * time.Second)}, 0, 2, 7 * time.Second, nil},
		{"an outage may ask too", []error{&llm.UnavailableError{RetryAfter: 3 * time.Second}}, 0, 2, 3 * time.Second, nil},
		{"what does not fit the deadline is not waited for", []error{limited(90 * time.Second)}, time.Minute, 1, 0, &llm.RateLimitError{}},
		{"what does is", []error{limited(50 * time.Second)}, time.Minute, 2, 50 * time.Second, nil},
		{"without a deadline there is patience", []error{limited(2 * time.Minute)}, 0, 1, 0, &llm.RateLimitError{}},
		{"no header, longer base", []error{limited(0), limited(0)}, 0, 3, time.Second + 2*time.Second, nil},
		{"back-off must fit as well", []error{down(), down(), down()}, 600 * time.Millisecond, 2, 250 * time.Millisecond, &llm.UnavailableError{}},
		{"a dead key is not tried again", []error{dead}, 0, 1, 0, llm.ErrUnauthorized},
		{"too long stays too long", []error{llm.ErrTooLong}, 0, 1, 0, llm.ErrTooLong},
		{"an open breaker is not waited for", []error{&llm.OpenError{RetryAfter: time.Millisecond, Cause: down()}}, 0, 1, 0, &llm.OpenError{}},
		{"what took too long gets one more chance", []error{llm.ErrTimeout, llm.ErrTimeout}, 0, 2, 250 * time.Millisecond, llm.ErrTimeout},
		{"a bad certificate is tried three times in all", []error{shabby, shabby, shabby}, 0, 3, 750 * time.Millisecond, shabby},
		{"a caller's deadline is the end", []error{context.DeadlineExceeded}, 0, 1, 0, context.DeadlineExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if c.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.deadline)
					defer cancel()
				}
				m := says(c.failures...)
				var told time.Duration
				retry := llm.NewRetry(m, llm.RetryConfig{
					Rand:     func() float64 { return 0.5 },
					Observer: llm.Observer{Waiting: func(w llm.Waiting) { told += w.Wait }},
				})
				began := time.Now()
				reply, err := retry.Complete(ctx, llm.Request{})
				require.Equal(t, c.waited, time.Since(began))
				require.Equal(t, c.waited, told)
				require.Equal(t, c.calls, m.calls)
				if c.want == nil {
					require.NoError(t, err)
					require.Equal(t, "ok", reply.Text)
				} else {
					require.Equal(t, llm.Kind(c.want), llm.Kind(err))
					require.Nil(t, reply)
				}
			})
		})
	}
}

func TestPausesStayUnderTheirCap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var waits []time.Duration
		retry := llm.NewRetry(says(down(), down(), down(), down(), down(), down(), down(), down()), llm.RetryConfig{
			Max: 8, Rand: func() float64 { return 0.999999 },
			Observer: llm.Observer{Waiting: func(w llm.Waiting) { waits = append(waits, w.Wait.Round(time.Millisecond)) }},
		})
		_, err := retry.Complete(t.Context(), llm.Request{})
		require.NoError(t, err)
		require.Equal(t, []time.Duration{
			500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second,
			8 * time.Second, 16 * time.Second, 20 * time.Second, 20 * time.Second,
		}, waits)
	})
}

func TestTimeoutIsRetriedOnlyWhereTimeIsLeft(t *testing.T) {
	t.Parallel()
	for deadline, calls := range map[time.Duration]int{50 * time.Second: 1, 90 * time.Second: 2} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			m := &model{name: "m", do: func(context.Context, int) (*llm.Reply, error) {
				elapse(30 * time.Second)
				return nil, llm.ErrTimeout
			}}
			_, err := llm.NewRetry(m, llm.RetryConfig{}).Complete(ctx, llm.Request{})
			require.ErrorIs(t, err, llm.ErrTimeout)
			require.Equal(t, calls, m.calls)
		})
	}
}

// Nobody waits for a caller that has left.
func TestWaitEndsWithTheCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(2*time.Second, cancel)
		m := says(limited(10 * time.Second))
		began := time.Now()
		_, err := llm.NewRetry(m, llm.RetryConfig{}).Complete(ctx, llm.Request{})
		require.ErrorIs(t, err, context.Canceled)
		require.False(t, llm.Retryable(err))
		require.Equal(t, 2*time.Second, time.Since(began))
		require.Equal(t, 1, m.calls)
	})
}

// An outage is not met with four times the load: over a second of 1,000 calls
// the budget has 100 to begin with, 10 for the second and a fifth of the calls
// as they come, at most 100 at once.
func TestBudgetBoundsRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const calls = 1000
		m := &model{name: "m", do: func(context.Context, int) (*llm.Reply, error) { return nil, down() }}
		retry := llm.NewRetry(m, llm.RetryConfig{Budget: llm.NewBudget(0.2, 10), Rand: func() float64 { return 0 }})
		var spent int
		for range calls {
			_, err := retry.Complete(t.Context(), llm.Request{})
			require.Equal(t, "unavailable", llm.Kind(err))
			require.True(t, llm.Retryable(err))
			if errors.Is(err, llm.ErrBudget) {
				spent++
			}
			elapse(time.Millisecond)
		}
		require.LessOrEqual(t, m.calls, calls+calls/5+100+10)
		require.Greater(t, m.calls, calls+calls/5)
		require.Greater(t, spent, calls/2)
	})
}

func TestNoRetriesWhereNoneAreWanted(t *testing.T) {
	t.Parallel()
	m := says(down())
	_, err := llm.NewRetry(m, llm.RetryConfig{Max: -1}).Complete(t.Context(), llm.Request{})
	require.Error(t, err)
	require.Equal(t, 1, m.calls)
	require.Equal(t, []string{"m"}, llm.NewRetry(m, llm.RetryConfig{}).Models())
}
