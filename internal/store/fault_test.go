package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/store"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

// budget of the stores in these tests; a shared machine needs some slack.
const budget = 250 * time.Millisecond

// slowest is the longest that any one request may be held up by the store: a
// lookup and a write, each with its budget, and the delays of a busy machine.
// (A client with default settings takes five seconds and more.)
const slowest = 2*budget + 1500*time.Millisecond

// grades fetches n different grades one after another and returns the longest
// that one took.
func grades(t *testing.T, s *store.Store, name string, n int) time.Duration {
	t.Helper()
	var longest time.Duration
	for i := range n {
		begun := time.Now()
		fetch(t, s, key(fmt.Sprint(name, i)), makes(record(t, "made"), new(atomic.Int32)), "made", grading.Miss)
		longest = max(longest, time.Since(begun))
	}
	return longest
}

func TestGradingGoesOnWhileRedisIsDead(t *testing.T) {
	t.Parallel()
	server, prefix := storetest.Start(t), storetest.Prefix(t)
	s := open(t, store.Config{URL: server.URL(), Prefix: prefix, Budget: budget})
	fetch(t, s, key("kept"), makes(record(t, "kept"), new(atomic.Int32)), "kept", grading.Miss)
	server.Kill9()

	require.Less(t, grades(t, s, "dead", 20), slowest)
	fetch(t, s, key("kept"), unwanted(t), "kept", grading.Hit)
	fetch(t, s, key("dead1"), unwanted(t), "made", grading.Hit)
	await(t, func() bool { return s.Stats().Skipping }, "Redis is skipped")
	begun := time.Now()
	grades(t, s, "skipping", 100)
	require.Less(t, time.Since(begun), slowest, "a hundred grades, not slowed each")
	_, err := s.Get(t.Context(), key("unknown"))
	require.ErrorIs(t, err, store.ErrUnavailable, "not found cannot be said now")
	require.ErrorIs(t, s.Forget(t.Context(), key("kept")), store.ErrUnavailable)

	server.Restart(t)
	await(t, func() bool { return !s.Stats().Skipping && s.Live() }, "Redis is used again")
	other := open(t, store.Config{URL: server.URL(), Prefix: prefix})
	fetch(t, other, key("after"), makes(record(t, "after"), new(atomic.Int32)), "after", grading.Miss)
	fetch(t, s, key("after"), unwanted(t), "after", grading.Hit)
}

func TestWhatWasKeptSurvivesACrashOfRedis(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t, "--appendfsync", "always")
	s := open(t, store.Config{URL: server.URL(), MemoryBytes: 1, Budget: budget})
	grades(t, s, "kept", 50)
	secret, err := s.Secret(t.Context())
	require.NoError(t, err)
	server.Kill9()
	server.Restart(t)
	await(t, func() bool { return s.Health(t.Context()).Ready() && !s.Stats().Skipping }, "Redis is back")
	for i := range 50 {
		fetch(t, s, key(fmt.Sprint("kept", i)), unwanted(t), "made", grading.Hit)
	}
	again, err := s.Secret(t.Context())
	require.NoError(t, err)
	require.Equal(t, secret, again)
}

func TestGradingGoesOnWhileRedisHangs(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t)
	s := open(t, store.Config{URL: server.URL(), Budget: budget})
	fetch(t, s, key("kept"), makes(record(t, "kept"), new(atomic.Int32)), "kept", grading.Miss)
	server.Pause()
	begun := time.Now()
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			k := key(fmt.Sprint("crowd", i))
			_, source, err := s.Fetch(t.Context(), k, false, makes(record(t, "made"), new(atomic.Int32)))
			if err != nil || source != grading.Miss {
				t.Errorf("%v %v", source, err)
			}
		})
	}
	all.Wait()
	require.Less(t, time.Since(begun), slowest)
	require.Less(t, grades(t, s, "hangs", 20), slowest)
	require.True(t, s.Stats().Skipping)
	require.False(t, s.Health(t.Context()).Ready())
	fetch(t, s, key("kept"), unwanted(t), "kept", grading.Hit)

	server.Resume()
	await(t, func() bool { return !s.Stats().Skipping && s.Live() }, "Redis is used again")
	require.True(t, s.Health(t.Context()).Ready())
}

func TestRedisThatHangsDuringAComputationDoesNotLoseTheGrade(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t)
	s := open(t, store.Config{URL: server.URL(), Budget: budget})
	var asked time.Time
	fetch(t, s, key("a"), func(context.Context) (*grading.Record, error) {
		server.Pause()
		asked = time.Now()
		return record(t, "made"), nil
	}, "made", grading.Miss)
	require.Less(t, time.Since(asked), slowest)
	fetch(t, s, key("a"), unwanted(t), "made", grading.Hit)
	server.Resume()
}

func TestAGradeMadeWhileRedisWasDownIsSharedOnceItIsBack(t *testing.T) {
	t.Parallel()
	server, prefix := storetest.Start(t), storetest.Prefix(t)
	s := open(t, store.Config{URL: server.URL(), Prefix: prefix, Budget: budget})
	server.Kill9()
	await(t, func() bool { return !s.Live() }, "it notices")
	fetch(t, s, key("a"), func(context.Context) (*grading.Record, error) {
		server.Restart(t)
		await(t, func() bool { return !s.Stats().Skipping && s.Live() }, "Redis is back")
		return record(t, "made"), nil
	}, "made", grading.Miss)
	fetch(t, open(t, store.Config{URL: server.URL(), Prefix: prefix}), key("a"), unwanted(t), "made", grading.Hit)
}

func TestAFollowerGoesOnAloneWhenRedisDies(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t)
	a, b := pair(t, server) // of the patient kind: the follower hears of the death by itself
	begun, finish := make(chan struct{}), make(chan struct{})
	var leader sync.WaitGroup
	leader.Go(func() {
		fetch(t, a, key("a"), func(context.Context) (*grading.Record, error) {
			close(begun)
			<-finish
			return record(t, "leader's"), nil
		}, "leader's", grading.Miss)
	})
	<-begun
	done := make(chan struct{})
	go func() {
		defer close(done)
		fetch(t, b, key("a"), makes(record(t, "follower's"), new(atomic.Int32)), "follower's", grading.Miss)
	}()
	await(t, func() bool { return b.Stats().Following == 1 }, "the follower waits")
	server.Kill9()
	<-done
	close(finish)
	leader.Wait()
}

func TestARedisThatRefusesWritesCostsOnlySharing(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t)
	s := open(t, store.Config{URL: server.URL(), Budget: budget})
	fetch(t, s, key("kept"), makes(record(t, "kept"), new(atomic.Int32)), "kept", grading.Miss)
	require.NoError(t, server.Client(t).ConfigSet(t.Context(), "maxmemory", "1").Err())
	grades(t, s, "full", 10)
	fetch(t, s, key("full1"), unwanted(t), "made", grading.Hit)
	require.False(t, s.Stats().Skipping, "it answers promptly: hits are still to be had")
	h := s.Health(t.Context())
	require.False(t, h.Ready())
	require.Contains(t, h.Main.Fault, "OOM")
}

// throughProxy is a store whose Redis is behind a proxy that can misbehave.
func throughProxy(t *testing.T, cfg store.Config) (*store.Store, *toxiproxy.Proxy) {
	t.Helper()
	server := storetest.Shared(t)
	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "redis", "127.0.0.1:0", server.Addr())
	require.NoError(t, proxy.Start())
	t.Cleanup(proxy.Stop)
	cfg.URL = strings.Replace(server.TCPURL(), server.Addr(), proxy.Listen, 1)
	return open(t, cfg), proxy
}

func toxic(t *testing.T, p *toxiproxy.Proxy, spec string) {
	t.Helper()
	_, err := p.Toxics.AddToxicJson(strings.NewReader(spec))
	require.NoError(t, err)
}

func TestASlowNetworkSlowsOnlyWithinTheBudget(t *testing.T) {
	t.Parallel()
	s, proxy := throughProxy(t, store.Config{})
	toxic(t, proxy, `{"type":"latency","attributes":{"latency":100}}`)
	fetch(t, s, key("slow"), makes(record(t, "made"), new(atomic.Int32)), "made", grading.Miss)
	require.Zero(t, s.Stats().Faults, "slow, and within the budget")
}

func TestAVerySlowNetworkIsSkipped(t *testing.T) {
	t.Parallel()
	s, proxy := throughProxy(t, store.Config{Budget: budget})
	toxic(t, proxy, `{"type":"latency","attributes":{"latency":2000}}`)
	require.Less(t, grades(t, s, "very slow", 10), slowest)
	require.True(t, s.Stats().Skipping)
	require.NoError(t, proxy.Toxics.RemoveToxic(t.Context(), "latency_downstream"))
	await(t, func() bool { return !s.Stats().Skipping }, "Redis is used again")
}

func TestABlackHoleIsSkipped(t *testing.T) {
	t.Parallel()
	s, proxy := throughProxy(t, store.Config{Budget: budget})
	toxic(t, proxy, `{"type":"timeout","attributes":{"timeout":0}}`)
	require.Less(t, grades(t, s, "hole", 10), slowest)
	require.True(t, s.Stats().Skipping)
}

func TestConnectionsResetMidReplyDoNotFailGrading(t *testing.T) {
	t.Parallel()
	s, proxy := throughProxy(t, store.Config{Budget: budget})
	fetch(t, s, key("kept"), makes(record(t, "kept"), new(atomic.Int32)), "kept", grading.Miss)
	toxic(t, proxy, `{"type":"limit_data","attributes":{"bytes":40}}`)
	require.Less(t, grades(t, s, "reset", 10), slowest)
}

func TestAStoreOpensWhileRedisIsDown(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t)
	server.Kill9()
	s, err := store.Open(t.Context(), store.Config{URL: server.URL(), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	grades(t, s, "down", 5)
	require.False(t, s.Health(t.Context()).Ready())
	_, err = s.Secret(t.Context())
	require.ErrorIs(t, err, store.ErrUnavailable)
	server.Restart(t)
	await(t, func() bool { return s.Live() && !s.Stats().Skipping }, "Redis is found")
	require.True(t, s.Health(t.Context()).Ready())
	_, err = s.Secret(t.Context())
	require.NoError(t, err)
}

func TestAStoreClosesWhileRedisHangs(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t)
	s, err := store.Open(t.Context(), store.Config{URL: server.URL(), Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	await(t, s.Live, "it hears events")
	server.Pause()
	defer server.Resume()
	grades(t, s, "hangs", 5)
	begun := time.Now()
	require.NoError(t, s.Close())
	require.Less(t, time.Since(begun), 3*time.Second)
}

func TestWhatWasForgottenWhileCutOffIsForgottenOnReturn(t *testing.T) {
	t.Parallel()
	prefix := storetest.Prefix(t)
	far, proxy := throughProxy(t, store.Config{Prefix: prefix, Budget: budget})
	near := open(t, store.Config{URL: storetest.Shared(t).URL(), Prefix: prefix})
	fetch(t, far, key("a"), makes(record(t, "secret"), new(atomic.Int32)), "secret", grading.Miss)
	proxy.Stop()
	await(t, func() bool { return !far.Live() }, "it notices")
	require.NoError(t, near.Forget(t.Context(), key("a")))
	fetch(t, far, key("a"), unwanted(t), "secret", grading.Hit)
	require.NoError(t, proxy.Start())
	await(t, far.Live, "it hears events again")
	_, err := far.Get(t.Context(), key("a"))
	require.ErrorIs(t, err, grading.ErrNotFound)
}
