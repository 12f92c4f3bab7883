package access

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// pool is Quotas in memory: what several processes share.
type pool struct {
	mu     sync.Mutex
	down   bool
	calls  int
	window int64
	used   map[string]int
	slots  map[string]int // of one key, by process
	tokens map[string]int64
}

func newPool() *pool {
	return &pool{used: map[string]int{}, slots: map[string]int{}, tokens: map[string]int64{}}
}

func (p *pool) of(process string) Quotas { return &share{p, process} }

func (p *pool) change(fn func(*pool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn(p)
}

func (p *pool) called() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// share is the pool as one process sees it.
type share struct {
	*pool
	process string
}

func (s *share) LeaseRequests(_ context.Context, id string, limit, want int, window time.Duration) (Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.down {
		return Lease{}, errDown
	}
	now := time.Now().UnixNano()
	if n := now / int64(window); n != s.window {
		s.window, s.used = n, map[string]int{}
	}
	left := limit - s.used[id]
	got := max(0, min(want, left, max(1, (left+3)/4)))
	s.used[id] += got
	return Lease{got, left - got, window - time.Duration(now%int64(window))}, nil
}

func (s *share) HoldSlots(_ context.Context, _ string, limit, want int, _ time.Duration) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.down {
		return 0, errDown
	}
	others := 0
	for process, n := range s.slots {
		if process != s.process {
			others += n
		}
	}
	s.slots[s.process] = max(0, min(want, limit-others))
	return s.slots[s.process], nil
}

func (s *share) SpendTokens(_ context.Context, _, day string, tokens int64) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.down {
		return 0, errDown
	}
	s.tokens[day] += tokens
	return s.tokens[day], nil
}

// takeAll takes until the limit says no, and returns how many it got.
func takeAll(t require.TestingT, l *Limiter, key *Key) int {
	for n := 0; ; n++ {
		if _, err := l.Take(context.Background(), key); err != nil {
			var limit *LimitError
			require.ErrorAs(t, err, &limit)
			require.ErrorIs(t, err, ErrRate)
			require.Positive(t, limit.RetryAfter)
			require.LessOrEqual(t, limit.RetryAfter, window)
			return n
		}
	}
}

func TestAKeyGetsItsRateAndNoMore(t *testing.T) {
	t.Parallel()
	for name, quotas := range map[string]func() Quotas{"alone": func() Quotas { return nil }, "shared": func() Quotas { return newPool().of("one") }} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := NewLimiter(Limits{Rate: 600}, quotas(), nil)
				for range 3 {
					standing, err := l.Take(t.Context(), &Key{ID: "a"})
					require.NoError(t, err)
					require.Equal(t, Standing{Limit: 600, Left: 599, Resets: window}, standing)
					require.Equal(t, 599, takeAll(t, l, &Key{ID: "a"}))
					require.Equal(t, 7, takeAll(t, l, &Key{ID: "b", Limits: Limits{Rate: 7}}), "another key is another's")
					time.Sleep(window / 2)
					require.Zero(t, takeAll(t, l, &Key{ID: "a"}))
					time.Sleep(window / 2)
				}
			})
		})
	}
}

func TestAKeyWithoutALimitHasNone(t *testing.T) {
	t.Parallel()
	l := NewLimiter(Limits{}, nil, nil)
	for range 10_000 {
		standing, err := l.Take(t.Context(), &Key{ID: "a"})
		require.NoError(t, err)
		require.Zero(t, standing)
		require.NoError(t, l.Enter(t.Context(), &Key{ID: "a"}))
	}
}

// However many processes there are and however they take turns, together they
// let in what one would, and all of it can be used.
func TestProcessesTogetherKeepToTheRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.IntRange(1, 2000).Draw(rt, "limit")
		turns := rapid.SliceOfN(rapid.IntRange(0, 4), 10, 200).Draw(rt, "turns")
		synctest.Test(t, func(*testing.T) {
			shared, key := newPool(), &Key{ID: "a", Limits: Limits{Rate: limit}}
			var processes []*Limiter
			for _, name := range []string{"a", "b", "c", "d", "e"} {
				processes = append(processes, NewLimiter(Limits{}, shared.of(name), nil))
			}
			got := 0
			for _, at := range turns {
				if _, err := processes[at].Take(context.Background(), key); err == nil {
					got++
				}
			}
			for _, l := range processes {
				got += takeAll(rt, l, key)
			}
			require.Equal(rt, limit, got)
		})
	})
}

func TestARateIsLeasedInBlocks(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{600, 100_000} {
		synctest.Test(t, func(t *testing.T) {
			shared := newPool()
			l := NewLimiter(Limits{Rate: limit}, shared.of("one"), nil)
			for range limit * 9 / 10 {
				_, err := l.Take(t.Context(), &Key{ID: "a"})
				require.NoError(t, err)
			}
			synctest.Wait()
			require.Less(t, shared.called(), 25)
		})
	}
}

func TestWhileQuotasAreAwayEachProcessHoldsItsOwnRequestsToTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared, key := newPool(), &Key{ID: "a"}
		l := NewLimiter(Limits{Rate: 100}, shared.of("one"), nil)
		for range 40 {
			_, err := l.Take(t.Context(), key)
			require.NoError(t, err)
		}
		shared.change(func(p *pool) { p.down = true })
		require.Equal(t, 60, takeAll(t, l, key), "what came before counts")
		time.Sleep(window)
		before := shared.called()
		require.Equal(t, 100, takeAll(t, l, key))
		require.LessOrEqual(t, shared.called(), before+1, "nobody waits for it again and again")

		shared.change(func(p *pool) { p.down = false })
		time.Sleep(window)
		require.Equal(t, 100, takeAll(t, l, key))
		require.Equal(t, 100, shared.used["a"], "shared again")
	})
}

func TestWhoeverLeavesDoesNotWaitForALease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := newPool()
		l := NewLimiter(Limits{Rate: 10}, shared.of("one"), nil)
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		shared.mu.Lock() // a Redis that hangs
		go func() {
			_, err := l.Take(ctx, &Key{ID: "a"})
			left <- err
		}()
		cancel()
		require.ErrorIs(t, <-left, context.Canceled)
		shared.mu.Unlock()
		synctest.Wait()
	})
}

func TestRequestsInFlightAreBounded(t *testing.T) {
	t.Parallel()
	for name, quotas := range map[string]Quotas{"alone": nil, "shared": newPool().of("one")} {
		l, key := NewLimiter(Limits{InFlight: 32}, quotas, nil), &Key{ID: "a"}
		for range 3 {
			for range 32 {
				require.NoError(t, l.Enter(t.Context(), key), name)
			}
			err := l.Enter(t.Context(), key)
			require.ErrorIs(t, err, ErrInFlight)
			var limit *LimitError
			require.ErrorAs(t, err, &limit)
			require.Equal(t, time.Second, limit.RetryAfter)
			require.NoError(t, l.Enter(t.Context(), &Key{ID: "b", Limits: Limits{InFlight: 1}}))
			require.ErrorIs(t, l.Enter(t.Context(), &Key{ID: "b", Limits: Limits{InFlight: 1}}), ErrInFlight)
			l.Leave(&Key{ID: "b"})
			for range 32 {
				l.Leave(key)
			}
		}
	}
}

// Two processes may exceed the limit by the slots that one of them need not ask
// for, and one that has nothing to do leaves the other everything.
func TestProcessesTogetherKeepToTheLimitInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared, key := newPool(), &Key{ID: "a"}
		one := NewLimiter(Limits{InFlight: 32}, shared.of("one"), nil)
		two := NewLimiter(Limits{InFlight: 32}, shared.of("two"), nil)
		ctx, stop := context.WithCancel(t.Context())
		go one.Watch(ctx)
		go two.Watch(ctx)
		enter := func(l *Limiter) (n int) {
			for l.Enter(t.Context(), key) == nil {
				n++
			}
			return n
		}
		leave := func(l *Limiter, n int) {
			for range n {
				l.Leave(key)
			}
		}
		require.Equal(t, 32, enter(one))
		require.Equal(t, 4, enter(two), "an eighth is free")
		leave(one, 32)
		time.Sleep(3 * beat)
		require.Equal(t, 28, enter(two), "what the other gave back")
		require.Equal(t, 4, enter(one))
		leave(two, 32)
		leave(one, 4)
		stop()
		synctest.Wait()
		require.Equal(t, map[string]int{"one": 0, "two": 0}, shared.slots, "given back at the end")
	})
}

func TestFewRequestsInFlightCostNoLook(t *testing.T) {
	t.Parallel()
	shared, key := newPool(), &Key{ID: "a"}
	l := NewLimiter(Limits{InFlight: 32}, shared.of("one"), nil)
	for range 1000 {
		for range 4 {
			require.NoError(t, l.Enter(t.Context(), key))
		}
		for range 4 {
			l.Leave(key)
		}
	}
	require.Zero(t, shared.called())
}

func TestWhileQuotasAreAwayEachProcessHasAllSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared, key := newPool(), &Key{ID: "a"}
		shared.down = true
		l := NewLimiter(Limits{InFlight: 32}, shared.of("one"), nil)
		for range 32 {
			require.NoError(t, l.Enter(t.Context(), key))
		}
		require.ErrorIs(t, l.Enter(t.Context(), key), ErrInFlight)
		require.Equal(t, 1, shared.called())
		time.Sleep(backOff)
		shared.change(func(p *pool) { p.down = false })
		require.ErrorIs(t, l.Enter(t.Context(), key), ErrInFlight)
	})
}

func TestTheTokensOfADayAreABudgetOfAllProcesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared, key := newPool(), &Key{ID: "a", Limits: Limits{DailyTokens: 1000}}
		one, two := NewLimiter(Limits{}, shared.of("one"), nil), NewLimiter(Limits{}, shared.of("two"), nil)
		ctx, stop := context.WithCancel(t.Context())
		go one.Watch(ctx)
		go two.Watch(ctx)
		enter := func(l *Limiter) error {
			err := l.Enter(t.Context(), key)
			if err == nil {
				l.Leave(key)
			}
			return err
		}
		require.NoError(t, enter(one))
		one.Spent(key, 600)
		require.NoError(t, enter(one))
		two.Spent(key, 400)
		time.Sleep(tokensFor + beat)
		for _, l := range []*Limiter{one, two} {
			err := enter(l)
			require.ErrorIs(t, err, ErrTokens)
			var limit *LimitError
			require.ErrorAs(t, err, &limit)
			midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
			require.Equal(t, time.Until(midnight), limit.RetryAfter)
			require.ErrorIs(t, enter(NewLimiter(Limits{}, shared.of("three"), nil)), ErrTokens, "one that has just started")
		}
		time.Sleep(24 * time.Hour)
		require.NoError(t, enter(one), "a new day")

		one.Spent(key, 5000)
		require.ErrorIs(t, enter(one), ErrTokens, "what was spent here counts at once")
		stop()
		synctest.Wait()
		require.Equal(t, int64(5000), shared.tokens[time.Now().UTC().Format(time.DateOnly)], "nothing is forgotten at the end")
	})
}

func TestTokensAreNotChargedTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared, key := newPool(), &Key{ID: "a", Limits: Limits{DailyTokens: 100}}
		l := NewLimiter(Limits{}, shared.of("one"), nil)
		ctx, stop := context.WithCancel(t.Context())
		go l.Watch(ctx)
		shared.change(func(p *pool) { p.down = true })
		l.Spent(key, 60)
		time.Sleep(5 * beat)
		require.NoError(t, l.Enter(t.Context(), key))
		l.Spent(key, 60)
		require.ErrorIs(t, l.Enter(t.Context(), key), ErrTokens, "a process on its own keeps its own sum")
		stop()
		synctest.Wait()
		require.Empty(t, shared.tokens)
	})
}

// What a request pays for a stored key and for its limits.
func BenchmarkAdmission(b *testing.B) {
	clear, key := New()
	r := NewRing(RingConfig{Store: newShelf(key)})
	l := NewLimiter(Limits{Rate: 1 << 30, InFlight: 32, DailyTokens: 1 << 50}, newPool().of("one"), nil)
	b.ReportAllocs()
	for b.Loop() {
		found, err := r.Find(b.Context(), clear)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := l.Take(b.Context(), found); err != nil {
			b.Fatal(err)
		}
		if err := l.Enter(b.Context(), found); err != nil {
			b.Fatal(err)
		}
		l.Leave(found)
	}
}
