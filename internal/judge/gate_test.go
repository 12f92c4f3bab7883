package judge_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/judge"
)

// slow takes a second over each answer and notes them as they come.
type slow struct {
	mu            sync.Mutex
	answers       []string
	inside, worst int
}

func (s *slow) Name() string         { return "model" }
func (s *slow) Fingerprint() string  { return "f" }
func (s *slow) PromptDigest() string { return "p" }
func (s *slow) Estimate(_ judge.Task, warm bool) (judge.Usage, error) {
	return judge.Usage{Calls: 1, CachedTokens: map[bool]int{true: 10}[warm]}, nil
}

func (s *slow) Judge(ctx context.Context, task judge.Task) (*judge.Judgement, error) {
	s.mu.Lock()
	s.answers = append(s.answers, task.Answer)
	s.inside++
	s.worst = max(s.worst, s.inside)
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.inside--; s.mu.Unlock() }()
	if task.Answer == "panic" {
		panic("in the judge")
	}
	select {
	case <-time.After(time.Second):
		return &judge.Judgement{}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestAGateLetsInSoManyInTheirOrder(t *testing.T) {
	t.Parallel()
	order := []string{"a", "b", "c", "d", "e", "f"}
	for n, seconds := range map[int]int{1: 6, 2: 3, 4: 2} {
		synctest.Test(t, func(t *testing.T) {
			inner := &slow{}
			gate := judge.Gate(inner, n)
			began := time.Now()
			var wg sync.WaitGroup
			for _, answer := range order {
				wg.Go(func() {
					_, err := gate.Judge(t.Context(), judge.Task{Answer: answer})
					assert.NoError(t, err)
				})
				synctest.Wait() // it is inside or in the queue
			}
			wg.Wait()
			for i := 0; i < len(order); i += n { // those let in at the same moment are in any order
				require.ElementsMatch(t, order[i:min(i+n, len(order))], inner.answers[i:min(i+n, len(order))])
			}
			require.Equal(t, n, inner.worst)
			require.Equal(t, time.Duration(seconds)*time.Second, time.Since(began))
		})
	}
}

func TestWhoLeavesTheQueueTakesNoPlaceAlong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := &slow{}
		gate := judge.Gate(inner, 1)
		var wg sync.WaitGroup
		ask := func(ctx context.Context, answer string, want error) {
			wg.Go(func() {
				_, err := gate.Judge(ctx, judge.Task{Answer: answer})
				assert.ErrorIs(t, err, want)
			})
			synctest.Wait()
		}
		ask(t.Context(), "a", nil)
		// One leaves while waiting, one at the very moment of its turn.
		early, leave := context.WithCancel(t.Context())
		ask(early, "b", context.Canceled)
		late, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ask(late, "c", context.DeadlineExceeded)
		ask(t.Context(), "d", nil)
		leave()
		wg.Wait()
		require.NotContains(t, inner.answers, "b")
		require.Equal(t, "d", inner.answers[len(inner.answers)-1])
		require.Equal(t, 1, inner.worst)

		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := gate.Judge(gone, judge.Task{Answer: "e"})
		require.ErrorIs(t, err, context.Canceled)
		require.NotContains(t, inner.answers, "e")
		_, err = gate.Judge(t.Context(), judge.Task{Answer: "f"})
		require.NoError(t, err, "the place is free again")
	})
}

func TestAPanicInsideLeavesTheGateOpen(t *testing.T) {
	t.Parallel()
	gate := judge.Gate(&slow{}, 1)
	require.Panics(t, func() { _, _ = gate.Judge(t.Context(), judge.Task{Answer: "panic"}) })
	ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errors.New("inside"))
	defer cancel()
	_, err := gate.Judge(ctx, judge.Task{Answer: "next"})
	require.ErrorIs(t, err, context.DeadlineExceeded, "it got in and was cut off there")
}

// blind is a judge that cannot say what it would cost.
type blind struct{ j judge.Judge }

func (b blind) Name() string         { return b.j.Name() }
func (b blind) Fingerprint() string  { return b.j.Fingerprint() }
func (b blind) PromptDigest() string { return b.j.PromptDigest() }
func (b blind) Judge(ctx context.Context, task judge.Task) (*judge.Judgement, error) {
	return b.j.Judge(ctx, task)
}

func TestAGateIsOtherwiseItsJudge(t *testing.T) {
	t.Parallel()
	gate := judge.Gate(&slow{}, 1)
	require.Equal(t, []string{"model", "f", "p"}, []string{gate.Name(), gate.Fingerprint(), gate.PromptDigest()})
	usage, err := gate.(judge.Estimator).Estimate(judge.Task{}, true)
	require.NoError(t, err)
	require.Equal(t, judge.Usage{Calls: 1, CachedTokens: 10}, usage)
	usage, err = judge.Gate(blind{&slow{}}, 1).(judge.Estimator).Estimate(judge.Task{}, true)
	require.NoError(t, err)
	require.Zero(t, usage)
}
