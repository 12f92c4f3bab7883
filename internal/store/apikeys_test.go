package store_test

import (
	"encoding/hex"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/access"
	"github.com/gradus-ai/gradus/internal/store"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

var made = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// newKey is a key with everything there is to know of one.
func newKey(tenant string) (string, access.Key) {
	clear, key := access.New()
	key.Tenant, key.Name, key.Scopes, key.Created = tenant, "ci", access.DefaultScopes, made
	key.Limits = access.Limits{Rate: 60, InFlight: 4, DailyTokens: 1 << 40}
	key.Expires = made.Add(24 * time.Hour)
	return clear, key
}

func TestAKeyIsFoundByEveryProcessUntilItIsRevoked(t *testing.T) {
	t.Parallel()
	now := made.Add(time.Hour)
	cfg := store.Config{URL: storetest.Shared(t).URL(), Prefix: storetest.Prefix(t), Now: func() time.Time { return now }}
	one, other := open(t, cfg), open(t, cfg)
	guarded, err := other.AnyKey(t.Context())
	require.NoError(t, err)
	require.False(t, guarded)

	_, key := newKey("acme")
	require.NoError(t, one.CreateKey(t.Context(), key))
	guarded, err = other.AnyKey(t.Context())
	require.NoError(t, err)
	require.True(t, guarded)
	found, err := other.FindKey(t.Context(), key.ID)
	require.NoError(t, err)
	require.Equal(t, key, found)
	_, err = other.FindKey(t.Context(), "key_aaaaaaaaaaaaaaaaaaaa")
	require.ErrorIs(t, err, access.ErrUnknown)

	first, err := one.RevokeKey(t.Context(), key.ID)
	require.NoError(t, err)
	require.True(t, first)
	now = now.Add(time.Hour)
	first, err = other.RevokeKey(t.Context(), key.ID)
	require.NoError(t, err)
	require.False(t, first)
	found, err = other.FindKey(t.Context(), key.ID)
	require.NoError(t, err)
	require.Equal(t, made.Add(time.Hour), found.Revoked, "when it was revoked first")
	_, err = other.RevokeKey(t.Context(), "key_aaaaaaaaaaaaaaaaaaaa")
	require.ErrorIs(t, err, access.ErrUnknown)
	guarded, err = other.AnyKey(t.Context())
	require.NoError(t, err)
	require.True(t, guarded, "revoking the last key does not open the door")
}

func TestKeysAreListedByAgeAndKnowWhenTheyWereUsed(t *testing.T) {
	t.Parallel()
	s := open(t, onRedis(t))
	empty, err := s.Keys(t.Context())
	require.NoError(t, err)
	require.Empty(t, empty)
	var want []string
	for i, tenant := range []string{"third", "first", "second"} {
		_, key := newKey(tenant)
		key.Created = made.Add(time.Duration(2*i%3) * time.Minute)
		require.NoError(t, s.CreateKey(t.Context(), key))
	}
	keys, err := s.Keys(t.Context())
	require.NoError(t, err)
	for _, key := range keys {
		want = append(want, key.Tenant)
	}
	require.Equal(t, []string{"third", "second", "first"}, want)

	at := made.Add(time.Minute)
	id := keys[0].ID
	require.NoError(t, s.TouchKeys(t.Context(), map[string]time.Time{id: at, "key_erased": at}))
	require.NoError(t, s.TouchKeys(t.Context(), map[string]time.Time{id: at.Add(-time.Second)}), "told late by a slower process")
	_, err = s.RevokeKey(t.Context(), id)
	require.NoError(t, err)
	require.NoError(t, s.TouchKeys(t.Context(), map[string]time.Time{id: at.Add(time.Second)}))
	found, err := s.FindKey(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, at.Add(time.Second), found.LastUsed)
	require.ErrorIs(t, found.Valid(made), access.ErrRevoked, "noting a use cannot undo a revocation")
	_, err = s.FindKey(t.Context(), "key_erased")
	require.ErrorIs(t, err, access.ErrUnknown, "noting a use makes no key")
}

// API2:2023 (ASVS 16.3.1): what lies in Redis lets nobody in.
func TestRedisHoldsOnlyTheDigestOfAKey(t *testing.T) {
	t.Parallel()
	redis, prefix := storetest.Shared(t), storetest.Prefix(t)
	s := open(t, store.Config{URL: redis.URL(), Prefix: prefix})
	clear, key := newKey("acme")
	require.NoError(t, s.CreateKey(t.Context(), key))
	client := redis.Client(t)
	names, err := client.Keys(t.Context(), prefix+"*").Result()
	require.NoError(t, err)
	require.Len(t, names, 2)
	fields, err := client.HGetAll(t.Context(), prefix+"apikey:"+key.ID).Result()
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(key.Digest[:]), fields["digest"])
	require.NotContains(t, strings.Join(names, " ")+fields["key"], clear[len(key.Prefix):])
	ttl, err := client.TTL(t.Context(), prefix+"apikey:"+key.ID).Result()
	require.NoError(t, err)
	require.Equal(t, time.Duration(-1), ttl, "kept for good")
}

func TestADamagedKeyOpensNothing(t *testing.T) {
	t.Parallel()
	redis, prefix := storetest.Shared(t), storetest.Prefix(t)
	s := open(t, store.Config{URL: redis.URL(), Prefix: prefix})
	client := redis.Client(t)
	for name, spoil := range map[string]func(string){
		"no record":            func(k string) { client.HDel(t.Context(), k, "key") },
		"no digest":            func(k string) { client.HDel(t.Context(), k, "digest") },
		"half a digest":        func(k string) { client.HSet(t.Context(), k, "digest", "abcd") },
		"not JSON":             func(k string) { client.HSet(t.Context(), k, "key", "{") },
		"another key's record": func(k string) { client.HSet(t.Context(), k, "key", `{"id":"key_other","tenant":"rich"}`) },
		"revoked, but when?":   func(k string) { client.HSet(t.Context(), k, "revoked", "yesterday") },
		"of another type":      func(k string) { client.Del(t.Context(), k); client.Set(t.Context(), k, "x", 0) },
	} {
		_, key := newKey("acme")
		require.NoError(t, s.CreateKey(t.Context(), key), name)
		spoil(prefix + "apikey:" + key.ID)
		_, err := s.FindKey(t.Context(), key.ID)
		require.ErrorIs(t, err, store.ErrUnavailable, name)
	}
}

func TestKeysNeedARedisThatAnswers(t *testing.T) {
	t.Parallel()
	_, key := newKey("acme")
	for _, cfg := range []store.Config{{}, {MemoryOnly: true}} {
		s := open(t, cfg)
		require.ErrorIs(t, s.CreateKey(t.Context(), key), store.ErrNoRedis)
		_, err := s.FindKey(t.Context(), key.ID)
		require.ErrorIs(t, err, access.ErrUnknown)
	}
	redis := storetest.Start(t)
	cfg := store.Config{URL: redis.URL(), Prefix: storetest.Prefix(t), Budget: 100 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)}
	s := open(t, cfg)
	redis.Kill9()
	require.ErrorIs(t, s.CreateKey(t.Context(), key), store.ErrUnavailable)
	_, err := s.FindKey(t.Context(), key.ID)
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.NotErrorIs(t, err, access.ErrUnknown, "that nobody answers is no reason to deny a key")
	_, err = s.AnyKey(t.Context())
	require.ErrorIs(t, err, store.ErrUnavailable)
	_, err = s.RevokeKey(t.Context(), key.ID)
	require.ErrorIs(t, err, store.ErrUnavailable)
}
