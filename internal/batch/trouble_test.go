package batch_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/grading"
)

// Fault 21: Retry-After is honoured: a short one inside the worker, a long one
// by the queue.
func TestRetryAfterIsHonoured(t *testing.T) {
	for name, c := range map[string]struct {
		after        time.Duration
		given, calls int
	}{
		"a second":     {time.Second, 1, 4},
		"ninety of it": {90 * time.Second, 2, 4},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(h *house) {
				free := time.Now().Add(c.after)
				h.grader.play = func(context.Context, string) error {
					if wait := time.Until(free); wait > 0 {
						return limited(wait)
					}
					return nil
				}
				stop := h.serve(1, h.worker())
				defer stop()
				began := time.Now()
				b := h.submit(batch.Options{Judge: grading.Model}, answers(3)...)
				b = h.wait(b.Key, 5*time.Minute)
				require.Equal(h, 3, b.Graded)
				require.GreaterOrEqual(h, time.Since(began), c.after)
				require.Less(h, time.Since(began), c.after+200*time.Millisecond)
				require.Equal(h, c.calls, h.grader.calls(), "only one had to find out")
				require.Len(h, h.queue.Given(), c.given)
			})
		})
	}
}

// Faults 24 and 41, promise P9: an outage fails nothing, and work goes on
// within a minute of its end.
func TestAnOutageFailsNothing(t *testing.T) {
	bubble(t, func(h *house) {
		const outage = 24 * time.Hour
		up := time.Now().Add(outage)
		h.grader.play = func(context.Context, string) error {
			if time.Now().Before(up) {
				return errOutage
			}
			return nil
		}
		stop := h.serve(4, h.worker())
		defer stop()
		b := h.submit(batch.Options{Judge: grading.Model}, answers(40)...)
		pass(outage)
		require.Equal(h, 40, h.get(b.Key).Pending())
		down := h.grader.calls()
		require.Less(h, down, int(outage/time.Minute)*3*5, "a chunk asks some few times a minute")
		h.until(b.Key, time.Minute, func(b *batch.Batch) bool { return b.Graded > 0 })
		b = h.wait(b.Key, time.Minute)
		require.Equal(h, 40, b.Graded)
		require.Equal(h, 40, h.grader.calls()-down)
	})
}

// An outage that begins when a question is warm is met by one answer at a time
// as well.
func TestAnOutageInTheMiddleIsMetByFew(t *testing.T) {
	bubble(t, func(h *house) {
		down, up := time.Now().Add(5*time.Second), time.Now().Add(time.Hour)
		h.grader.play = func(ctx context.Context, a string) error {
			if now := time.Now(); now.After(down) && now.Before(up) {
				return errOutage
			}
			return takes(time.Second)(ctx, a)
		}
		stop := h.serve(1, h.worker())
		defer stop()
		b := h.submit(batch.Options{Judge: grading.Model}, answers(320)...)
		pass(10 * time.Minute)
		before := h.grader.calls()
		pass(40 * time.Minute)
		require.Less(h, h.grader.calls()-before, 40*4*60/6, "never more than one of them asks")
		require.Equal(h, 320, h.wait(b.Key, 15*time.Minute).Graded)
	})
}

// A model that hangs answers nobody: no item is to blame.
func TestAModelThatHangsUsesUpNoTries(t *testing.T) {
	bubble(t, func(h *house) {
		up := time.Now().Add(12 * time.Hour)
		h.grader.play = func(ctx context.Context, a string) error {
			if time.Now().Before(up) {
				_ = takes(2*time.Minute)(ctx, a)
				return errSlow
			}
			return nil
		}
		stop := h.serve(4, h.worker())
		defer stop()
		b := h.submit(batch.Options{Judge: grading.Model}, answers(5)...)
		pass(12 * time.Hour)
		require.Equal(h, 5, h.get(b.Key).Pending())
		require.Equal(h, 5, h.wait(b.Key, 5*time.Minute).Graded)
	})
}

func TestAnItemThatAloneCannotBeJudgedFailsInTheEnd(t *testing.T) {
	bubble(t, func(h *house) {
		h.grader.play = func(ctx context.Context, a string) error {
			if a == "answer 3" {
				_ = takes(time.Minute)(ctx, a)
				return errSlow
			}
			return takes(30*time.Second)(ctx, a)
		}
		stop := h.serve(2, h.worker())
		defer stop()
		b := h.submit(batch.Options{Judge: grading.Model}, answers(1600)...)
		b = h.wait(b.Key, 5*time.Hour)
		require.Equal(h, []int{1599, 1}, []int{b.Graded, b.Failed})
		require.Equal(h, "model-timeout", h.results(b.Key)[3].Reason)
		require.Equal(h, batch.MaxTries, h.grader.callsFor("answer 3"))
	})
}

// Fault 36.
func TestAnItemThatCanNeverBeJudgedFailsAtOnce(t *testing.T) {
	bubble(t, func(h *house) {
		h.grader.play = func(_ context.Context, a string) error {
			if a == "long" {
				return errTooLong
			}
			return nil
		}
		stop := h.serve(2, h.worker())
		defer stop()
		b := h.submit(batch.Options{Judge: grading.Model}, "a", "long", "b", "long")
		b = h.wait(b.Key, time.Minute)
		require.Equal(h, []int{2, 2}, []int{b.Graded, b.Failed})
		require.Equal(h, batch.ReasonAnswerTooLong, h.results(b.Key)[1].Reason)
		require.Equal(h, 1, h.grader.callsFor("long"))
	})
}

// Faults 23 and 35: a spent quota or a dead key pauses the batch; nothing fails.
func TestABatchIsPausedAndGoesOn(t *testing.T) {
	bubble(t, func(h *house) {
		var paid atomic.Bool
		h.grader.play = func(context.Context, string) error {
			if !paid.Load() {
				return errQuota
			}
			return nil
		}
		stop := h.serve(4, h.worker())
		defer stop()
		b := h.submit(batch.Options{Judge: grading.Model}, answers(100)...)
		b = h.until(b.Key, time.Minute, func(b *batch.Batch) bool { return b.Status == batch.Paused })
		require.Equal(h, batch.PausedModelQuota, b.PausedReason)
		pass(10 * time.Second)
		before := h.grader.calls()
		pass(10 * time.Minute)
		require.LessOrEqual(h, h.grader.calls()-before, 12, "one probe a minute")
		require.GreaterOrEqual(h, h.grader.calls()-before, 9)
		require.Equal(h, 100, h.get(b.Key).Pending())
		paid.Store(true)
		b = h.wait(b.Key, 2*time.Minute)
		require.Equal(h, 100, b.Graded)
	})
}

func TestAPausedBatchIsTriedWhenAProcessStarts(t *testing.T) {
	bubble(t, func(h *house) {
		h.grader.play = func(context.Context, string) error { return errQuota }
		stop := h.serve(4, h.worker())
		b := h.submit(batch.Options{Judge: grading.Model}, answers(40)...)
		h.until(b.Key, time.Minute, func(b *batch.Batch) bool { return b.Status == batch.Paused })
		pass(time.Second)
		stop()
		h.grader.become(nil)
		stop = h.serve(4, h.worker())
		defer stop()
		h.wait(b.Key, 15*time.Second)
	})
}

// Faults 3 and 35: who was resuming a batch dies over it, and none of the others
// ever saw it paused.
func TestABatchThatIsResumedOutlivesItsKeeper(t *testing.T) {
	bubble(t, func(h *house) {
		h.grader.play = func(context.Context, string) error { return errQuota }
		stop := h.serve(4, h.worker())
		b := h.submit(batch.Options{Judge: grading.Model}, answers(400)...)
		h.until(b.Key, time.Minute, func(b *batch.Batch) bool { return b.Status == batch.Paused })
		pass(time.Minute) // the queue has nothing left
		stop()
		require.NoError(h, h.store.Resume(h.Context(), b.Key))
		h.grader.become(nil)
		stop = h.serve(4, h.worker())
		defer stop()
		require.Equal(h, 400, h.wait(b.Key, 20*time.Second).Graded)
	})
}

// Fault 71.
func TestAPanicFailsOneItem(t *testing.T) {
	bubble(t, func(h *house) {
		h.grader.play = func(_ context.Context, a string) error {
			if a == "answer 5" {
				panic("over " + a)
			}
			return nil
		}
		stop := h.serve(2, h.worker())
		defer stop()
		b := h.submit(batch.Options{Judge: grading.Model}, answers(20)...)
		b = h.wait(b.Key, time.Minute)
		require.Equal(h, []int{19, 1}, []int{b.Graded, b.Failed})
		require.Equal(h, batch.ReasonInternal, h.results(b.Key)[5].Reason)
	})
}
