package store_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/store"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

// garbage is everything that may stand where an entry should be. good is a
// proper entry of the same key.
var garbage = map[string]func(ctx context.Context, c *redis.Client, name string, good []byte) error{
	"empty": func(ctx context.Context, c *redis.Client, name string, _ []byte) error { return set(ctx, c, name, nil) },
	"words": func(ctx context.Context, c *redis.Client, name string, _ []byte) error {
		return set(ctx, c, name, []byte("hello"))
	},
	"bare JSON": func(ctx context.Context, c *redis.Client, name string, good []byte) error {
		return set(ctx, c, name, good[72:])
	},
	"half of it": func(ctx context.Context, c *redis.Client, name string, good []byte) error {
		return set(ctx, c, name, good[:len(good)/2])
	},
	"the header only": func(ctx context.Context, c *redis.Client, name string, good []byte) error {
		return set(ctx, c, name, good[:72])
	},
	"one bit flipped": func(ctx context.Context, c *redis.Client, name string, good []byte) error {
		good[len(good)-2] ^= 1
		return set(ctx, c, name, good)
	},
	"a flipped bit in the cost": func(ctx context.Context, c *redis.Client, name string, good []byte) error {
		good[50] ^= 1
		return set(ctx, c, name, good)
	},
	"a longer tail": func(ctx context.Context, c *redis.Client, name string, good []byte) error {
		return set(ctx, c, name, append(good, '}'))
	},
	"another schema": func(ctx context.Context, c *redis.Client, name string, good []byte) error {
		good[4]++
		return set(ctx, c, name, good)
	},
	"huge": func(ctx context.Context, c *redis.Client, name string, good []byte) error {
		return set(ctx, c, name, append(good, strings.Repeat("x", 32<<20)...))
	},
	"a list": func(ctx context.Context, c *redis.Client, name string, _ []byte) error {
		return replaced(ctx, c, name, func() error { return c.LPush(ctx, name, "x").Err() })
	},
	"a hash": func(ctx context.Context, c *redis.Client, name string, _ []byte) error {
		return replaced(ctx, c, name, func() error { return c.HSet(ctx, name, "x", "y").Err() })
	},
	"a stream": func(ctx context.Context, c *redis.Client, name string, _ []byte) error {
		return replaced(ctx, c, name, func() error {
			return c.XAdd(ctx, &redis.XAddArgs{Stream: name, Values: []string{"x", "y"}}).Err()
		})
	},
}

func set(ctx context.Context, c *redis.Client, name string, value []byte) error {
	return c.Set(ctx, name, value, 0).Err()
}

func replaced(ctx context.Context, c *redis.Client, name string, put func() error) error {
	if err := c.Del(ctx, name).Err(); err != nil {
		return err
	}
	return put()
}

// withoutMemory is a store that has to look into Redis every time.
func withoutMemory(t *testing.T) (*store.Store, *redis.Client, string) {
	t.Helper()
	server, prefix := storetest.Shared(t), storetest.Prefix(t)
	return open(t, store.Config{URL: server.URL(), Prefix: prefix, MemoryBytes: 1}), server.Client(t), prefix
}

func TestGarbageInTheCacheIsAMissAndGetsReplaced(t *testing.T) {
	t.Parallel()
	for name, spoil := range garbage {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c, prefix := withoutMemory(t)
			at := prefix + "grade:acme:gr_a"
			fetch(t, s, key("a"), makes(record(t, "good"), new(atomic.Int32)), "good", grading.Miss)
			good, err := c.Get(t.Context(), at).Bytes()
			require.NoError(t, err)
			require.NoError(t, spoil(t.Context(), c, at, []byte(string(good))))

			_, err = s.Get(t.Context(), key("a"))
			require.ErrorIs(t, err, grading.ErrNotFound)
			fetch(t, s, key("a"), makes(record(t, "again"), new(atomic.Int32)), "again", grading.Miss)
			fetch(t, s, key("a"), unwanted(t), "again", grading.Hit)
			if name != "empty" { // which Redis does not tell from nothing
				require.NotZero(t, s.Stats().Damaged)
			}
			require.Zero(t, s.Stats().Faults, "garbage is not an outage")
		})
	}
}

func TestAnEntryCopiedUnderAnotherKeyIsAMiss(t *testing.T) {
	t.Parallel()
	s, c, prefix := withoutMemory(t)
	fetch(t, s, key("a"), makes(record(t, "acme's"), new(atomic.Int32)), "acme's", grading.Miss)
	for _, to := range []grading.Key{{Tenant: "acme", ID: "gr_b"}, {Tenant: "rival", ID: "gr_a"}} {
		require.NoError(t, c.Copy(t.Context(), prefix+"grade:acme:gr_a", prefix+"grade:"+to.Tenant+":"+to.ID, 0, true).Err())
		_, err := s.Get(t.Context(), to)
		require.ErrorIs(t, err, grading.ErrNotFound)
		fetch(t, s, to, makes(record(t, "own"), new(atomic.Int32)), "own", grading.Miss)
	}
}

func TestGarbageInPlaceOfRepliesIsNoReplies(t *testing.T) {
	t.Parallel()
	s, c, prefix := withoutMemory(t)
	at := prefix + "replies:acme:gr_a"
	fetch(t, s, key("a"), makes(record(t, "good"), new(atomic.Int32)), "good", grading.Miss)
	good, err := c.Get(t.Context(), at).Bytes()
	require.NoError(t, err)
	for name, spoil := range map[string]func() error{
		"words": func() error { return set(t.Context(), c, at, []byte("hello")) },
		"a list": func() error {
			return replaced(t.Context(), c, at, func() error { return c.LPush(t.Context(), at, "x").Err() })
		},
		"flipped": func() error {
			good[40] ^= 1
			return replaced(t.Context(), c, at, func() error { return set(t.Context(), c, at, good) })
		},
		"nothing": func() error { return c.Del(t.Context(), at).Err() },
	} {
		require.NoError(t, spoil(), name)
		replies, err := s.Replies(t.Context(), key("a"))
		require.NoError(t, err, name)
		require.Empty(t, replies, name)
	}
}

func TestGarbageInPlaceOfTheLockHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(ctx context.Context, c *redis.Client, name string) error{
		"a value for ever": func(ctx context.Context, c *redis.Client, name string) error { return set(ctx, c, name, []byte("x")) },
		"a list":           func(ctx context.Context, c *redis.Client, name string) error { return c.LPush(ctx, name, "x").Err() },
		"an absurd lease": func(ctx context.Context, c *redis.Client, name string) error {
			return c.Set(ctx, name, "x", 24*3600e9).Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c, prefix := withoutMemory(t)
			require.NoError(t, put(t.Context(), c, prefix+"lock:acme:gr_a"))
			fetch(t, s, key("a"), makes(record(t, "made"), new(atomic.Int32)), "made", grading.Miss)
			fetch(t, s, key("a"), unwanted(t), "made", grading.Hit)
			require.Zero(t, c.Exists(t.Context(), prefix+"lock:acme:gr_a").Val())
		})
	}
}

func TestGarbageOnTheEventChannelIsIgnored(t *testing.T) {
	t.Parallel()
	s, c, prefix := withoutMemory(t)
	for _, payload := range []string{"", "x", "a\x00b", "a\x00b\x00c\x00d\x00e", strings.Repeat("\x00", 1000)} {
		require.NoError(t, c.Publish(t.Context(), prefix+"events", payload).Err())
	}
	fetch(t, s, key("a"), makes(record(t, "made"), new(atomic.Int32)), "made", grading.Miss)
	require.True(t, s.Live())
}

func TestEveryKeyExpiresButTheSecretAndTheLineage(t *testing.T) {
	t.Parallel()
	s, c, prefix := withoutMemory(t)
	fetch(t, s, key("a"), makes(record(t, "made"), new(atomic.Int32)), "made", grading.Miss)
	_, err := s.Secret(t.Context())
	require.NoError(t, err)
	s.Health(t.Context())
	names, err := c.Keys(t.Context(), prefix+"*").Result()
	require.NoError(t, err)
	require.Len(t, names, 5, "grade, replies, secret, lineage and probe: %v", names)
	for _, name := range names {
		lasts := strings.HasSuffix(name, "secret") || strings.HasSuffix(name, "lineage")
		require.Equal(t, lasts, c.TTL(t.Context(), name).Val() == -1, name)
	}
}

func TestAGradeTooLargeToShareIsKeptInMemory(t *testing.T) {
	t.Parallel()
	s := open(t, onRedis(t))
	big := strings.Repeat("x", 2<<20)
	fetch(t, s, key("a"), makes(record(t, big), new(atomic.Int32)), big, grading.Miss)
	fetch(t, s, key("a"), unwanted(t), big, grading.Hit)
}
