package store_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/store"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

func TestAChangeByAnotherProcessIsHeardOfAtOnce(t *testing.T) {
	t.Parallel()
	cfg := onRedis(t)
	cfg.Prefix = storetest.Prefix(t)
	mine, other := open(t, cfg).Batches(), open(t, cfg).Batches()
	rec := submit(t, mine, "acme", "ba_1", 1)
	var asked atomic.Int32
	mine.AddHook(counting{&asked})
	const watchers = 200
	heard := make(chan time.Time, watchers)
	version := int64(1)
	for range watchers {
		go func() {
			for seen := version; ; {
				got, err := mine.Changed(context.WithoutCancel(t.Context()), rec.Key, seen)
				if err != nil || got.Status == batch.Cancelled {
					assert.NoError(t, err)
					heard <- time.Now()
					return
				}
				seen = got.Version
			}
		}()
	}
	await(t, func() bool { return mine.Watching(rec.Key) == watchers }, "all watch")
	asked.Store(0)
	begun := time.Now()
	for range 3 {
		require.NoError(t, other.Pause(t.Context(), rec.Key, "x"))
		require.NoError(t, other.Resume(t.Context(), rec.Key))
	}
	_, err := other.Cancel(t.Context(), rec.Key)
	require.NoError(t, err)
	changed := time.Now()
	var last time.Time
	for range watchers {
		last = <-heard
	}
	require.Less(t, last.Sub(changed), 300*time.Millisecond+slack)
	rounds := time.Since(begun)/(100*time.Millisecond) + 10
	require.LessOrEqual(t, int(asked.Load()), 2*int(rounds)+7, "many who watch ask no more often")
	await(t, func() bool { return mine.Watching(rec.Key) == 0 }, "nobody watches")
	_, err = mine.Changed(t.Context(), batch.Key{Tenant: "acme", ID: "ba_none"}, 0)
	require.ErrorIs(t, err, batch.ErrNotFound)
}

// slack is what a busy machine may add to a delay.
const slack = time.Second

// counting counts round trips.
type counting struct{ n *atomic.Int32 }

func (h counting) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h counting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { h.n.Add(1); return next(ctx, cmd) }
}

func (h counting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { h.n.Add(1); return next(ctx, cmds) }
}

func TestWatchingEndsWithTheStore(t *testing.T) {
	t.Parallel()
	s := open(t, store.Config{})
	rec := submit(t, s.Batches(), "acme", "ba_1", 1)
	ended := make(chan error, 1)
	go func() {
		_, err := s.Batches().Changed(context.WithoutCancel(t.Context()), rec.Key, 1)
		ended <- err
	}()
	await(t, func() bool { return s.Batches().Watching(rec.Key) == 1 }, "it watches")
	require.NoError(t, s.Close())
	require.ErrorIs(t, <-ended, store.ErrUnavailable)
}
