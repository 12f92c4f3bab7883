package store

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

var errGone = errors.New("connection refused")

// inBreaker runs a test on a breaker over a store that answers probes once it is back.
func inBreaker(t *testing.T, test func(t *testing.T, b *breaker, back *atomic.Bool)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var back atomic.Bool
		test(t, &breaker{
			ping: func(context.Context) error {
				if back.Load() {
					return nil
				}
				return errGone
			},
			budget: time.Second,
			log:    slog.New(slog.DiscardHandler),
			ctx:    ctx,
			spawn:  func(run func()) { go run() },
		}, &back)
	})
}

func answers(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

func hangs(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestThreeFailuresInARowTripTheBreaker(t *testing.T) {
	inBreaker(t, func(t *testing.T, b *breaker, _ *atomic.Bool) {
		for range 10 {
			require.ErrorIs(t, b.do(t.Context(), answers(errGone)), errGone)
			require.ErrorIs(t, b.do(t.Context(), answers(errGone)), errGone)
			require.NoError(t, b.do(t.Context(), answers(nil)))
		}
		for range tripAfter {
			require.ErrorIs(t, b.do(t.Context(), answers(errGone)), errGone)
		}
		require.ErrorIs(t, b.do(t.Context(), answers(nil)), errSkipped)
		require.EqualValues(t, 1, b.trips.Load())
	})
}

func TestAHangingOperationEndsWithTheBudgetAndCounts(t *testing.T) {
	inBreaker(t, func(t *testing.T, b *breaker, _ *atomic.Bool) {
		begun := time.Now()
		for range tripAfter {
			require.ErrorIs(t, b.do(t.Context(), hangs), context.DeadlineExceeded)
		}
		require.Equal(t, tripAfter*b.budget, time.Since(begun))
		require.True(t, b.open.Load())
	})
}

func TestCallersThatGiveUpDoNotTripTheBreaker(t *testing.T) {
	inBreaker(t, func(t *testing.T, b *breaker, _ *atomic.Bool) {
		for range 10 * tripAfter {
			ctx, cancel := context.WithTimeout(t.Context(), b.budget/2)
			require.Error(t, b.do(ctx, hangs))
			cancel()
		}
		require.False(t, b.open.Load())
	})
}

func TestAnErrorReplyIsAnAnswer(t *testing.T) {
	inBreaker(t, func(t *testing.T, b *breaker, _ *atomic.Bool) {
		for range 10 * tripAfter {
			require.Error(t, b.do(t.Context(), answers(redis.Nil)))
		}
		require.False(t, b.open.Load())
	})
}

func TestAProbeHealsTheBreaker(t *testing.T) {
	inBreaker(t, func(t *testing.T, b *breaker, back *atomic.Bool) {
		for range tripAfter {
			_ = b.do(t.Context(), answers(errGone))
		}
		time.Sleep(time.Hour)
		require.ErrorIs(t, b.do(t.Context(), answers(nil)), errSkipped, "while it stays away")
		back.Store(true)
		time.Sleep(probeMost)
		synctest.Wait()
		require.NoError(t, b.do(t.Context(), answers(nil)))
		// And it takes three failures again.
		_ = b.do(t.Context(), answers(errGone))
		require.False(t, b.open.Load())
	})
}
