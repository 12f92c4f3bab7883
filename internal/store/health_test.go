package store_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/store"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

func TestHealthSaysWhatARedisIsGoodFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args                     []string
		durable, degraded        bool
		warning                  string
		do                       []any
		ready                    bool
		appendOnly, knowsTheRest bool
	}{
		"append-only and never evicting": {ready: true, durable: true, appendOnly: true, knowsTheRest: true},
		"no append-only file": {args: []string{"--appendonly", "no"},
			ready: true, degraded: true, warning: "appendonly", knowsTheRest: true},
		"evicting": {args: []string{"--maxmemory-policy", "allkeys-lru"},
			ready: true, degraded: true, warning: "allkeys-lru", appendOnly: true, knowsTheRest: true},
		"policy changed later": {do: []any{"config", "set", "maxmemory-policy", "volatile-ttl"},
			ready: true, degraded: true, warning: "volatile-ttl", appendOnly: true, knowsTheRest: true},
		"INFO and CONFIG forbidden": {do: []any{"acl", "setuser", "default", "-info", "-config"},
			ready: true, durable: true, degraded: true, warning: "unknown"},
		"a replica":        {do: []any{"replicaof", "127.0.0.1", "1"}},
		"writes forbidden": {do: []any{"acl", "setuser", "default", "-set"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := storetest.Start(t, c.args...)
			s := open(t, store.Config{URL: server.URL()})
			if c.do != nil {
				require.NoError(t, server.Client(t).Do(t.Context(), c.do...).Err())
			}
			h := s.Health(t.Context())
			require.Equal(t, store.Redis, h.Mode)
			require.Equal(t, c.ready, h.Ready(), "%+v", h.Main)
			require.Equal(t, c.ready, h.Main.Reachable)
			require.Equal(t, !c.ready, h.Main.Fault != "")
			require.Equal(t, c.durable, h.Durable())
			require.Equal(t, c.degraded || !c.ready, h.Degraded(), "%+v", h.Main)
			require.Contains(t, strings.Join(h.Main.Warnings, "; "), c.warning)
			if c.knowsTheRest {
				require.NotEmpty(t, h.Main.Version)
				require.Equal(t, c.appendOnly, *h.Main.AppendOnly)
				require.NotZero(t, h.Main.UsedBytes)
				require.Less(t, h.Main.SkewSeconds, 1.)
			}
		})
	}
}

func TestHealthNoticesClocksThatDiffer(t *testing.T) {
	t.Parallel()
	cfg := onRedis(t)
	cfg.Now = func() time.Time { return time.Now().Add(-time.Minute) }
	h := open(t, cfg).Health(t.Context())
	require.InDelta(t, 60, h.Main.SkewSeconds, 1)
	require.Contains(t, h.Main.Warnings[0], "clock")
	require.True(t, h.Ready())
}

func TestHealthWarnsBeforeMemoryIsFull(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t)
	s := open(t, store.Config{URL: server.URL()})
	used := s.Health(t.Context()).Main.UsedBytes
	require.NoError(t, server.Client(t).ConfigSet(t.Context(), "maxmemory", jsonNumber(used*10/9)).Err())
	h := s.Health(t.Context())
	require.Contains(t, strings.Join(h.Main.Warnings, "; "), "full")
}

func jsonNumber(n int64) string {
	b, _ := json.Marshal(n)
	return string(b)
}

func TestALostCacheRedisOnlyDegrades(t *testing.T) {
	t.Parallel()
	cache := storetest.Start(t, "--appendonly", "no", "--maxmemory-policy", "allkeys-lfu")
	s := open(t, store.Config{URL: storetest.Shared(t).URL(), CacheURL: cache.URL()})
	h := s.Health(t.Context())
	require.True(t, h.Ready())
	require.False(t, h.Degraded(), "a cache may evict and forget: %+v", h.Cache)
	require.True(t, h.Durable())

	cache.Kill9()
	h = s.Health(t.Context())
	require.True(t, h.Ready())
	require.True(t, h.Degraded())
	require.False(t, h.Cache.Reachable)
	grades(t, s, "no cache", 5)
}

func TestALostRedisIsNotReadyThoughItsCacheIsThere(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t)
	s := open(t, store.Config{URL: server.URL(), CacheURL: storetest.Shared(t).URL()})
	server.Kill9()
	h := s.Health(t.Context())
	require.False(t, h.Ready())
	require.True(t, h.Cache.Reachable)
}

func TestStoresWithoutARedisAreReadyAndNotDurable(t *testing.T) {
	t.Parallel()
	for mode, cfg := range map[store.Mode]store.Config{store.Embedded: {}, store.Memory: {MemoryOnly: true}} {
		h := open(t, cfg).Health(t.Context())
		require.Equal(t, mode, h.Mode)
		require.True(t, h.Ready())
		require.False(t, h.Degraded())
		require.False(t, h.Durable())
	}
}

func TestHealthAndErrorsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t)
	cfg := store.Config{
		URL:      strings.Replace(server.TCPURL(), server.Password(), "hush-hush", 1) + "/0?client_name=hush-name",
		CacheURL: server.URL(),
		Logger:   slog.New(slog.DiscardHandler),
	}
	s := open(t, cfg)
	text, err := json.Marshal(s.Health(t.Context()))
	require.NoError(t, err)
	require.Contains(t, string(text), server.Addr())
	require.Contains(t, string(text), "password")
	_, err = s.Secret(t.Context())
	require.Error(t, err)
	for _, said := range []string{string(text), err.Error()} {
		require.NotContains(t, said, "hush")
		require.NotContains(t, said, server.Password())
	}
	for _, url := range []string{
		"redis://user:hush@host:port/", "redis://user:hush%zz@host", "hush", "http://user:hush@host", "redis://user:hush@host/nodb",
		"redis://user:hush@host?unknown=1", "://hush",
	} {
		_, err := store.Open(t.Context(), store.Config{URL: url})
		require.Error(t, err, url)
		require.NotContains(t, err.Error(), "hush")
		_, err = store.Open(t.Context(), store.Config{CacheURL: url})
		require.Error(t, err, url)
	}
}

func TestProcessesAgreeOnOneSecret(t *testing.T) {
	t.Parallel()
	prefix := storetest.Prefix(t)
	secrets := make(chan []byte, 8)
	for range cap(secrets) {
		s := open(t, store.Config{URL: storetest.Shared(t).URL(), Prefix: prefix})
		go func() {
			secret, err := s.Secret(t.Context())
			if err != nil {
				t.Error(err)
			}
			secrets <- secret
		}()
	}
	first := <-secrets
	require.Len(t, first, 32)
	for range cap(secrets) - 1 {
		require.Equal(t, first, <-secrets)
	}
}

func TestAnEmbeddedSecretIsMadeUpAnewAndStaysTheSame(t *testing.T) {
	t.Parallel()
	for _, cfg := range []store.Config{{}, {MemoryOnly: true}} {
		a, b := open(t, cfg), open(t, cfg)
		one, err := a.Secret(t.Context())
		require.NoError(t, err)
		again, err := a.Secret(t.Context())
		require.NoError(t, err)
		other, err := b.Secret(t.Context())
		require.NoError(t, err)
		require.Equal(t, one, again)
		require.NotEqual(t, one, other)
	}
}

func TestAShortSecretIsRefused(t *testing.T) {
	t.Parallel()
	prefix := storetest.Prefix(t)
	s := open(t, store.Config{URL: storetest.Shared(t).URL(), Prefix: prefix})
	require.NoError(t, storetest.Shared(t).Client(t).Set(t.Context(), prefix+"secret", "short", 0).Err())
	_, err := s.Secret(t.Context())
	require.ErrorIs(t, err, store.ErrUnavailable)
	require.NotContains(t, err.Error(), "short")
}
