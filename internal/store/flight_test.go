package store_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/grading"
	"github.com/gradus-ai/gradus/internal/store"
)

// inBubble runs a test on a store in memory whose clock is the bubble's.
func inBubble(t *testing.T, cfg store.Config, test func(*testing.T, *store.Store)) {
	synctest.Test(t, func(t *testing.T) {
		cfg.MemoryOnly = true
		if cfg.Logger == nil {
			cfg.Logger = slog.New(slog.DiscardHandler)
		}
		s, err := store.Open(t.Context(), cfg)
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		test(t, s)
	})
}

func TestACancelledCallerReturnsAtOnceAndFailsNobodyElse(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, s *store.Store) {
		begun, finish := make(chan struct{}), make(chan struct{})
		compute := func(ctx context.Context) (*grading.Record, error) {
			close(begun)
			select {
			case <-finish:
				return record(t, "made"), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		impatient, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			_, _, err := s.Fetch(impatient, key("a"), false, compute)
			left <- err
		}()
		<-begun
		type result struct {
			r      *grading.Record
			source grading.Source
			err    error
		}
		stayed := make(chan result, 1)
		go func() {
			r, source, err := s.Fetch(t.Context(), key("a"), false, unwanted(t))
			stayed <- result{r, source, err}
		}()
		await(t, func() bool { return s.Waiters(key("a")) == 2 }, "both wait")
		leave()
		require.ErrorIs(t, <-left, context.Canceled, "while the computation goes on")
		close(finish)
		got := <-stayed
		require.NoError(t, got.err)
		require.Equal(t, "made", summary(t, got.r))
		require.Equal(t, grading.Miss, got.source, "the one who began it has gone: somebody must count the cost")
	})
}

func TestTheComputationEndsWhenTheLastCallerHasGone(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, s *store.Store) {
		ended := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		begun := make(chan struct{})
		var callers sync.WaitGroup
		for range 3 {
			callers.Go(func() {
				_, _, err := s.Fetch(ctx, key("a"), false, func(ctx context.Context) (*grading.Record, error) {
					close(begun)
					<-ctx.Done()
					ended <- ctx.Err()
					return nil, ctx.Err()
				})
				if !errors.Is(err, context.Canceled) {
					t.Errorf("a cancelled caller got %v", err)
				}
			})
		}
		<-begun
		cancel()
		callers.Wait()
		require.ErrorIs(t, <-ended, context.Canceled)
		// Whoever comes now does not join what is ending.
		fetch(t, s, key("a"), makes(record(t, "anew"), new(atomic.Int32)), "anew", grading.Miss)
	})
}

func TestTheComputationOutlivesTheDeadlineOfTheCallerThatBeganIt(t *testing.T) {
	t.Parallel()
	inBubble(t, store.Config{}, func(t *testing.T, s *store.Store) {
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		type id struct{}
		short = context.WithValue(short, id{}, "request-1")
		go func() {
			_, _, err := s.Fetch(short, key("a"), false, func(ctx context.Context) (*grading.Record, error) {
				if _, limited := ctx.Deadline(); limited || ctx.Value(id{}) != "request-1" {
					t.Error("want the first caller's values and not its deadline")
				}
				time.Sleep(time.Minute)
				return record(t, "slow"), ctx.Err()
			})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the first caller got %v", err)
			}
		}()
		synctest.Wait()
		begun := time.Now()
		fetch(t, s, key("a"), unwanted(t), "slow", grading.Miss)
		require.Equal(t, time.Minute, time.Since(begun))
	})
}

func TestACallerThatIsAlreadyGoneStartsNothing(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, s *store.Store) {
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err := s.Fetch(gone, key("a"), false, unwanted(t))
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestErrorsAndUnkeptGradesAreSharedWithThoseWhoWait(t *testing.T) {
	t.Parallel()
	outage := errors.New("outage")
	eachBackend(t, func(t *testing.T, s *store.Store) {
		for _, c := range []struct {
			name string
			give func() (*grading.Record, error)
			want func(*testing.T, *grading.Record, error)
		}{
			{"an error", func() (*grading.Record, error) { return nil, outage },
				func(t *testing.T, _ *grading.Record, err error) { require.ErrorIs(t, err, outage) }},
			{"an unkept grade", func() (*grading.Record, error) { return passing(t, "degraded"), nil },
				func(t *testing.T, r *grading.Record, err error) {
					require.NoError(t, err)
					require.Equal(t, "degraded", summary(t, r))
				}},
		} {
			k, finish := key(c.name), make(chan struct{})
			var count atomic.Int32
			compute := func(context.Context) (*grading.Record, error) {
				count.Add(1)
				<-finish
				return c.give()
			}
			var all sync.WaitGroup
			for range 10 {
				all.Go(func() {
					r, _, err := s.Fetch(t.Context(), k, false, compute)
					c.want(t, r, err)
				})
			}
			await(t, func() bool { return s.Waiters(k) == 10 }, "all wait")
			close(finish)
			all.Wait()
			require.EqualValues(t, 1, count.Load(), c.name)
			fetch(t, s, k, makes(record(t, "later"), new(atomic.Int32)), "later", grading.Miss)
		}
	})
}

func TestAPanicIsAnErrorForAllWhoWaitAndItsWordsStayInside(t *testing.T) {
	t.Parallel()
	for name, blowUp := range map[string]func(){
		"panic":            func() { panic("words of the answer") },
		"panic with error": func() { panic(errors.New("words of the answer")) },
		"runtime error":    func() { _ = []int{}[len(name())] },
		"goexit":           runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			var mu sync.Mutex
			s := open(t, store.Config{MemoryOnly: true, Logger: slog.New(slog.NewTextHandler(locked{&mu, &log}, nil))})
			finish := make(chan struct{})
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() {
					_, _, err := s.Fetch(t.Context(), key("a"), false, func(context.Context) (*grading.Record, error) {
						<-finish
						blowUp()
						return nil, nil
					})
					if err == nil || bytes.Contains([]byte(err.Error()), []byte("words")) {
						t.Errorf("got %v", err)
					}
				})
			}
			await(t, func() bool { return s.Waiters(key("a")) == 5 }, "all wait")
			close(finish)
			all.Wait()
			mu.Lock()
			require.NotContains(t, log.String(), "words of the answer")
			mu.Unlock()
			fetch(t, s, key("a"), makes(record(t, "later"), new(atomic.Int32)), "later", grading.Miss)
		})
	}
}

func name() string { return "abc" }

type locked struct {
	mu  *sync.Mutex
	out *bytes.Buffer
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(b)
}

func TestAnAbsentGradeIsAnError(t *testing.T) {
	t.Parallel()
	s := open(t, store.Config{MemoryOnly: true})
	_, _, err := s.Fetch(t.Context(), key("a"), false, func(context.Context) (*grading.Record, error) { return nil, nil })
	require.Error(t, err)
}

func TestAnOrdinaryRequestSharesARefreshWhereNothingIsKept(t *testing.T) {
	t.Parallel()
	inBubble(t, store.Config{}, func(t *testing.T, s *store.Store) {
		go func() {
			_, _, err := s.Fetch(t.Context(), key("a"), true, func(context.Context) (*grading.Record, error) {
				time.Sleep(time.Second)
				return record(t, "refreshed"), nil
			})
			if err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		_, _, err := s.Fetch(t.Context(), key("a"), false, unwanted(t))
		require.NoError(t, err)
	})
}

func TestGradesExpireWithTheRetention(t *testing.T) {
	t.Parallel()
	inBubble(t, store.Config{Retention: time.Hour}, func(t *testing.T, s *store.Store) {
		fetch(t, s, key("a"), makes(record(t, "old"), new(atomic.Int32)), "old", grading.Miss)
		time.Sleep(time.Hour - time.Second)
		fetch(t, s, key("a"), unwanted(t), "old", grading.Hit)
		time.Sleep(time.Second)
		_, err := s.Get(t.Context(), key("a"))
		require.ErrorIs(t, err, grading.ErrNotFound)
		fetch(t, s, key("a"), makes(record(t, "new"), new(atomic.Int32)), "new", grading.Miss)
	})
}

func TestClosingEndsWhatIsInFlight(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, s *store.Store) {
		begun, failed := make(chan struct{}), make(chan error, 1)
		go func() {
			_, _, err := s.Fetch(t.Context(), key("a"), false, func(ctx context.Context) (*grading.Record, error) {
				close(begun)
				<-ctx.Done()
				return nil, ctx.Err()
			})
			failed <- err
		}()
		<-begun
		require.NoError(t, s.Close())
		require.ErrorIs(t, <-failed, store.ErrUnavailable)
		_, _, err := s.Fetch(t.Context(), key("b"), false, unwanted(t))
		require.ErrorIs(t, err, store.ErrUnavailable)
		require.NoError(t, s.Close(), "closing again does nothing")
	})
}
