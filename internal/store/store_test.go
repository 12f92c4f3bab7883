package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/judge"
	"github.com/gradus-ai/gradus/internal/store"
	"github.com/gradus-ai/gradus/internal/store/storetest"
)

// backends are the ways a store can be set up; all keep the same promises.
var backends = map[string]func(testing.TB) store.Config{
	"memory only":                func(testing.TB) store.Config { return store.Config{MemoryOnly: true} },
	"embedded":                   func(testing.TB) store.Config { return store.Config{} },
	"redis over a socket":        onRedis,
	"redis over TCP":             func(t testing.TB) store.Config { return store.Config{URL: storetest.Shared(t).TCPURL()} },
	"embedded and a cache redis": func(t testing.TB) store.Config { return store.Config{CacheURL: storetest.Shared(t).URL()} },
	"redis, memory turned away": func(t testing.TB) store.Config {
		return store.Config{URL: storetest.Shared(t).URL(), MemoryBytes: 1}
	},
}

func onRedis(t testing.TB) store.Config { return store.Config{URL: storetest.Shared(t).URL()} }

// eachBackend runs a test against every backend.
func eachBackend(t *testing.T, test func(*testing.T, *store.Store)) {
	for name, config := range backends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t, config(t)))
		})
	}
}

// patient is the budget where a busy machine must not pass for a fault.
const patient = 20 * time.Second

// open opens a store with a key prefix of its own, and waits until it is ready
// to believe its memory.
func open(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	if cfg.Prefix == "" {
		cfg.Prefix = storetest.Prefix(t)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Budget == 0 {
		cfg.Budget = patient
	}
	s, err := store.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	await(t, s.Live, "the store should hear events")
	return s
}

// await waits for something that happens in the background.
func await(t testing.TB, happened func() bool, what string) {
	t.Helper()
	require.Eventually(t, happened, 10*time.Second, time.Millisecond, what)
}

// tester is a test of package testing or of rapid.
type tester interface {
	require.TestingT
	Helper()
}

func key(id string) grading.Key { return grading.Key{Tenant: "acme", ID: "gr_" + id} }

// record is a grade that can be told from others by its summary.
func record(t tester, summary string) *grading.Record {
	t.Helper()
	score, price := 72.5, .0015
	r, err := grading.NewRecord(grading.Grade{
		Score:    &score,
		Feedback: grading.Feedback{Summary: summary},
		Usage:    judge.Usage{Calls: 2, PromptTokens: 700, CachedTokens: 500, CompletionTokens: 90, CostUSD: &price},
	}, true, []string{"reply to " + summary})
	require.NoError(t, err)
	return r
}

// passing is a grade that must not be kept.
func passing(t tester, summary string) *grading.Record {
	t.Helper()
	r, err := grading.NewRecord(grading.Grade{Feedback: grading.Feedback{Summary: summary}}, false, nil)
	require.NoError(t, err)
	return r
}

func summary(t tester, r *grading.Record) string {
	t.Helper()
	require.NotNil(t, r)
	g, err := r.Grade()
	require.NoError(t, err)
	return g.Feedback.Summary
}

// makes is a computation that gives r and counts how often it ran.
func makes(r *grading.Record, count *atomic.Int32) func(context.Context) (*grading.Record, error) {
	return func(context.Context) (*grading.Record, error) {
		count.Add(1)
		return r, nil
	}
}

func fails(err error) func(context.Context) (*grading.Record, error) {
	return func(context.Context) (*grading.Record, error) { return nil, err }
}

func unwanted(t testing.TB) func(context.Context) (*grading.Record, error) {
	return func(context.Context) (*grading.Record, error) {
		t.Error("computed what was kept")
		return nil, errors.New("unwanted")
	}
}

// fetch fetches and expects a summary and a source.
func fetch(t testing.TB, s *store.Store, k grading.Key, compute func(context.Context) (*grading.Record, error), want string, source grading.Source) *grading.Record {
	t.Helper()
	r, got, err := s.Fetch(t.Context(), k, false, compute)
	require.NoError(t, err)
	require.Equal(t, want, summary(t, r))
	require.Equal(t, source, got)
	return r
}

func TestAGradeIsComputedOnceAndThenAHit(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, s *store.Store) {
		var count atomic.Int32
		made := record(t, "first")
		fetch(t, s, key("a"), makes(made, &count), "first", grading.Miss)
		hit := fetch(t, s, key("a"), unwanted(t), "first", grading.Hit)
		require.True(t, bytes.Equal(made.JSON(), hit.JSON()), "a hit is answered with the very bytes")
		require.Equal(t, made.Spent, hit.Spent)
		require.True(t, hit.Keep)
		got, err := s.Get(t.Context(), key("a"))
		require.NoError(t, err)
		require.Equal(t, made.JSON(), got.JSON())
		require.EqualValues(t, 1, count.Load())

		replies, err := s.Replies(t.Context(), key("a"))
		require.NoError(t, err)
		require.Equal(t, []string{"reply to first"}, replies)
	})
}

func TestWhatIsNotKeptIsNotFound(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, s *store.Store) {
		_, err := s.Get(t.Context(), key("nothing"))
		require.ErrorIs(t, err, grading.ErrNotFound)
		_, err = s.Replies(t.Context(), key("nothing"))
		require.ErrorIs(t, err, grading.ErrNotFound)
		require.NoError(t, s.Forget(t.Context(), key("nothing")))
	})
}

func TestAFreshGradeReplacesTheKeptOne(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, s *store.Store) {
		var count atomic.Int32
		fetch(t, s, key("a"), makes(record(t, "old"), &count), "old", grading.Miss)
		r, source, err := s.Fetch(t.Context(), key("a"), true, makes(record(t, "new"), &count))
		require.NoError(t, err)
		require.Equal(t, grading.Miss, source)
		require.Equal(t, "new", summary(t, r))
		fetch(t, s, key("a"), unwanted(t), "new", grading.Hit)
		require.EqualValues(t, 2, count.Load())
	})
}

func TestAFailedRefreshLeavesTheKeptGrade(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, s *store.Store) {
		fetch(t, s, key("a"), makes(record(t, "old"), new(atomic.Int32)), "old", grading.Miss)
		_, _, err := s.Fetch(t.Context(), key("a"), true, fails(errors.New("outage")))
		require.ErrorContains(t, err, "outage")
		fetch(t, s, key("a"), unwanted(t), "old", grading.Hit)
	})
}

func TestAForgottenGradeIsComputedAgain(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, s *store.Store) {
		fetch(t, s, key("a"), makes(record(t, "old"), new(atomic.Int32)), "old", grading.Miss)
		require.NoError(t, s.Forget(t.Context(), key("a")))
		_, err := s.Get(t.Context(), key("a"))
		require.ErrorIs(t, err, grading.ErrNotFound)
		fetch(t, s, key("a"), makes(record(t, "new"), new(atomic.Int32)), "new", grading.Miss)
	})
}

func TestAGradeForgottenWhileItIsMadeIsNotKept(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, s *store.Store) {
		r, _, err := s.Fetch(t.Context(), key("a"), false, func(ctx context.Context) (*grading.Record, error) {
			return record(t, "forgotten"), s.Forget(ctx, key("a"))
		})
		require.NoError(t, err)
		require.Equal(t, "forgotten", summary(t, r), "the one who asked still gets it")
		_, err = s.Get(t.Context(), key("a"))
		require.ErrorIs(t, err, grading.ErrNotFound)
	})
}

func TestErrorsAreNotKept(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, s *store.Store) {
		outage := errors.New("outage")
		_, _, err := s.Fetch(t.Context(), key("a"), false, fails(outage))
		require.ErrorIs(t, err, outage)
		fetch(t, s, key("a"), makes(record(t, "works"), new(atomic.Int32)), "works", grading.Miss)
	})
}

func TestWhatMustNotBeKeptIsNot(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, s *store.Store) {
		fetch(t, s, key("a"), makes(passing(t, "degraded"), new(atomic.Int32)), "degraded", grading.Miss)
		_, err := s.Get(t.Context(), key("a"))
		require.ErrorIs(t, err, grading.ErrNotFound)
		fetch(t, s, key("a"), makes(record(t, "proper"), new(atomic.Int32)), "proper", grading.Miss)
	})
}

func TestTenantsDoNotShareGrades(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, s *store.Store) {
		// Pairs that a name made by plain joining would confuse.
		keys := []grading.Key{
			{Tenant: "a", ID: "gr_x"}, {Tenant: "b", ID: "gr_x"}, {Tenant: "", ID: "gr_x"},
			{Tenant: "a:b", ID: "c"}, {Tenant: "a", ID: "b:c"}, {Tenant: "a%3Ab", ID: "c"},
		}
		for i, k := range keys {
			name := fmt.Sprint("grade ", i)
			fetch(t, s, k, makes(record(t, name), new(atomic.Int32)), name, grading.Miss)
		}
		require.NoError(t, s.Forget(t.Context(), keys[4]))
		for i, k := range keys {
			if i != 4 {
				fetch(t, s, k, unwanted(t), fmt.Sprint("grade ", i), grading.Hit)
			}
		}
	})
}

func TestTwoHundredAtOnceShareOneComputation(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, s *store.Store) {
		const callers = 200
		var count, arrived atomic.Int32
		sources := make(chan grading.Source, callers)
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				arrived.Add(1)
				r, source, err := s.Fetch(t.Context(), key("a"), false, func(context.Context) (*grading.Record, error) {
					count.Add(1)
					await(t, func() bool { return arrived.Load() == callers }, "all callers are there")
					return record(t, "one"), nil
				})
				if err == nil && strings.Contains(string(r.JSON()), "one") {
					sources <- source
				}
			})
		}
		all.Wait()
		close(sources)
		tally := map[grading.Source]int{}
		for source := range sources {
			tally[source]++
		}
		require.EqualValues(t, 1, count.Load())
		require.Equal(t, 1, tally[grading.Miss], "the cost is counted once")
		require.Equal(t, callers-1, tally[grading.Shared]+tally[grading.Hit])
	})
}

func TestManyShortRacesComputeEachGradeOnce(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, s *store.Store) {
		r := record(t, "one")
		for round := range 300 {
			k := key(fmt.Sprint("round ", round))
			var count, misses atomic.Int32
			start := make(chan struct{})
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					<-start
					_, source, err := s.Fetch(t.Context(), k, false, makes(r, &count))
					if err != nil {
						t.Error(err)
					}
					if source == grading.Miss {
						misses.Add(1)
					}
				})
			}
			close(start)
			all.Wait()
			require.EqualValues(t, 1, count.Load())
			require.EqualValues(t, 1, misses.Load())
		}
	})
}
