package store_test

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/store"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

// TestAStoreIsAMap drives a store with random operations and holds it against
// a plain map. On Redis two stores take turns, as two processes would: what one
// was told, the other has to know, once the event had its moment to arrive.
func TestAStoreIsAMap(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stores int
		config func(testing.TB) store.Config
	}{
		"memory only":        {1, func(testing.TB) store.Config { return store.Config{MemoryOnly: true} }},
		"embedded":           {1, func(testing.TB) store.Config { return store.Config{} }},
		"redis":              {1, onRedis},
		"redis, no memory":   {1, func(t testing.TB) store.Config { return store.Config{URL: onRedis(t).URL, MemoryBytes: 1} }},
		"two on one redis":   {2, func(t testing.TB) store.Config { return store.Config{URL: onRedis(t).URL, MemoryBytes: 1} }},
		"two with a memory":  {2, onRedis},
		"three, cache redis": {3, func(t testing.TB) store.Config { return store.Config{CacheURL: onRedis(t).URL} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := c.config(t)
			cfg.Prefix, cfg.Logger = storetest.Prefix(t), slog.New(slog.DiscardHandler)
			var stores []*store.Store
			for range c.stores {
				stores = append(stores, open(t, cfg))
			}
			var round atomic.Int64
			rapid.Check(t, func(rt *rapid.T) { compareWithMap(rt, stores, round.Add(1)) })
		})
	}
}

func compareWithMap(rt *rapid.T, stores []*store.Store, round int64) {
	ctx := rt.Context()
	model := map[grading.Key]string{}
	keys := rapid.Custom(func(rt *rapid.T) grading.Key {
		return grading.Key{
			Tenant: rapid.SampledFrom([]string{"", "a", "a:b"}).Draw(rt, "tenant"),
			ID:     fmt.Sprint(round, rapid.SampledFrom([]string{"", "x", ":y"}).Draw(rt, "id")),
		}
	})
	outage := errors.New("outage")
	made := 0
	for range rapid.IntRange(1, 25).Draw(rt, "operations") {
		s := stores[rapid.IntRange(0, len(stores)-1).Draw(rt, "store")]
		k := keys.Draw(rt, "key")
		want, kept := model[k]
		made++
		fresh := fmt.Sprint("grade ", made)
		switch rapid.SampledFrom([]string{"fetch", "fetch", "refresh", "get", "forget", "fail", "pass"}).Draw(rt, "operation") {
		case "fetch":
			r, source, err := s.Fetch(ctx, k, false, makes(record(rt, fresh), new(atomic.Int32)))
			require.NoError(rt, err)
			if kept {
				require.Equal(rt, want, summary(rt, r))
				require.Equal(rt, grading.Hit, source)
			} else {
				require.Equal(rt, fresh, summary(rt, r))
				require.Equal(rt, grading.Miss, source)
				model[k] = fresh
			}
		case "refresh":
			r, source, err := s.Fetch(ctx, k, true, makes(record(rt, fresh), new(atomic.Int32)))
			require.NoError(rt, err)
			require.Equal(rt, fresh, summary(rt, r))
			require.Equal(rt, grading.Miss, source)
			model[k] = fresh
			settle(rt, stores, k, fresh, true)
		case "get":
			r, err := s.Get(ctx, k)
			if kept {
				require.NoError(rt, err)
				require.Equal(rt, want, summary(rt, r))
			} else {
				require.ErrorIs(rt, err, grading.ErrNotFound)
			}
		case "forget":
			require.NoError(rt, s.Forget(ctx, k))
			delete(model, k)
			settle(rt, stores, k, "", false)
		case "fail":
			if !kept {
				_, _, err := s.Fetch(ctx, k, false, fails(outage))
				require.ErrorIs(rt, err, outage)
			}
		case "pass":
			if !kept {
				_, source, err := s.Fetch(ctx, k, false, makes(passing(rt, fresh), new(atomic.Int32)))
				require.NoError(rt, err)
				require.Equal(rt, grading.Miss, source)
			}
		}
	}
}

// settle waits until the news of a key has reached every store.
func settle(rt *rapid.T, stores []*store.Store, k grading.Key, want string, kept bool) {
	for _, s := range stores {
		require.Eventually(rt, func() bool {
			r, err := s.Get(rt.Context(), k)
			if !kept {
				return errors.Is(err, grading.ErrNotFound)
			}
			return err == nil && summary(rt, r) == want
		}, 5*time.Second, 200*time.Microsecond)
	}
}
