package store_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/store"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

// someDay is longer than any test: nothing of it ends in the middle.
const someDay = 1000 * 24 * time.Hour

func TestProcessesLeaseFromOneLimit(t *testing.T) {
	t.Parallel()
	cfg := store.Config{URL: storetest.Shared(t).URL(), Prefix: storetest.Prefix(t)}
	var granted atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		s := open(t, cfg)
		all.Go(func() {
			for {
				lease, err := s.LeaseRequests(t.Context(), "key_a", 600, 50, someDay)
				if err != nil || lease.Granted == 0 {
					require.NoError(t, err)
					require.Zero(t, lease.Left)
					return
				}
				require.LessOrEqual(t, lease.Granted, 50)
				require.LessOrEqual(t, lease.Ends, someDay)
				granted.Add(int64(lease.Granted))
			}
		})
	}
	all.Wait()
	require.Equal(t, int64(600), granted.Load(), "all of it, and no more")
	lease, err := open(t, cfg).LeaseRequests(t.Context(), "key_b", 3, 50, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}, []int{lease.Granted, lease.Left}, "another key; a quarter of what is left, but one at least")
	require.Positive(t, lease.Ends)
	require.LessOrEqual(t, lease.Ends, time.Minute)
}

func TestALeaseBelongsToItsWindow(t *testing.T) {
	t.Parallel()
	s := open(t, onRedis(t))
	const short = 30 * time.Millisecond
	took := 0
	await(t, func() bool { // a window may end between two leases
		for {
			lease, err := s.LeaseRequests(t.Context(), "key_a", 4, 4, short)
			require.NoError(t, err)
			require.LessOrEqual(t, lease.Ends, short)
			took += lease.Granted
			if lease.Granted == 0 {
				return true
			}
		}
	}, "a window should be used up")
	await(t, func() bool {
		lease, err := s.LeaseRequests(t.Context(), "key_a", 4, 4, short)
		require.NoError(t, err)
		return lease.Granted > 0
	}, "the next window should have some")
}

func TestProcessesHoldSlotsOfOneLimit(t *testing.T) {
	t.Parallel()
	redis, prefix := storetest.Shared(t), storetest.Prefix(t)
	cfg := store.Config{URL: redis.URL(), Prefix: prefix}
	one, two := open(t, cfg), open(t, cfg)
	hold := func(s *store.Store, want int, ttl time.Duration) int {
		held, err := s.HoldSlots(t.Context(), "key_a", 32, want, ttl)
		require.NoError(t, err)
		return held
	}
	require.Equal(t, 20, hold(one, 20, someDay))
	require.Equal(t, 12, hold(two, 20, someDay))
	require.Equal(t, 20, hold(one, 32, someDay))
	require.Equal(t, 8, hold(one, 8, someDay))
	require.Equal(t, 24, hold(two, 32, someDay))
	require.Equal(t, 0, hold(one, 0, someDay))
	require.Equal(t, 32, hold(two, 32, time.Millisecond))
	await(t, func() bool { return hold(one, 32, someDay) == 32 }, "the slots of a process that died should come free")

	require.NoError(t, redis.Client(t).HSet(t.Context(), prefix+"slots:key_a", "garbage", "many").Err())
	require.Equal(t, 32, hold(one, 32, someDay))
}

func TestTokensOfADayAreAddedUp(t *testing.T) {
	t.Parallel()
	redis, prefix := storetest.Shared(t), storetest.Prefix(t)
	cfg := store.Config{URL: redis.URL(), Prefix: prefix}
	one, two := open(t, cfg), open(t, cfg)
	spend := func(s *store.Store, day string, n int64) int64 {
		sum, err := s.SpendTokens(t.Context(), "key_a", day, n)
		require.NoError(t, err)
		return sum
	}
	require.Equal(t, int64(0), spend(one, "2026-11-24", 0))
	require.Equal(t, int64(5_000_000_000), spend(one, "2026-11-24", 5_000_000_000))
	require.Equal(t, int64(5_000_000_007), spend(two, "2026-11-24", 7))
	require.Equal(t, int64(7), spend(two, "2026-11-25", 7))
	ttl, err := redis.Client(t).TTL(t.Context(), prefix+"tokens:key_a:2026-11-24").Result()
	require.NoError(t, err)
	require.Greater(t, ttl, 47*time.Hour)
}

func TestLimitsThatCannotBeSharedSaySo(t *testing.T) {
	t.Parallel()
	redis := storetest.Start(t)
	s := open(t, store.Config{URL: redis.URL(), Prefix: storetest.Prefix(t), Budget: 100 * time.Millisecond})
	redis.Pause()
	t.Cleanup(redis.Resume)
	began := time.Now()
	_, err := s.LeaseRequests(t.Context(), "key_a", 600, 50, time.Minute)
	require.ErrorIs(t, err, store.ErrUnavailable)
	_, err = s.HoldSlots(t.Context(), "key_a", 32, 8, time.Minute)
	require.ErrorIs(t, err, store.ErrUnavailable)
	_, err = s.SpendTokens(t.Context(), "key_a", "2026-11-24", 1)
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.Less(t, time.Since(began), 5*time.Second, "a few budgets")
}
