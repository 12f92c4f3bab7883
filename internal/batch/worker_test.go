package batch_test

import (
	"context"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gradus-ai/gradus/internal/batch"
	"github.com/gradus-ai/gradus/internal/grading"
)

// bubble runs a test where time passes by itself.
func bubble(t *testing.T, test func(h *house)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { test(newHouse(t)) })
}

func TestABatchIsGraded(t *testing.T) {
	for _, name := range []string{grading.Model, grading.Lexical} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(h *house) {
				stop := h.serve(4, h.worker())
				defer stop()
				b := h.submit(batch.Options{Judge: name}, answers(100)...)
				require.True(h, b.Durable)
				b = h.wait(b.Key, time.Minute)
				require.Equal(h, batch.Completed, b.Status)
				require.Equal(h, 100, b.Graded)
				require.False(h, b.Mixed)
				require.Equal(h, 100, h.grader.calls())
				results := h.results(b.Key)
				require.Len(h, results, 100)
				for i, r := range results {
					require.Equal(h, itemID(i), r.ID)
					require.NotEmpty(h, r.GradeID)
				}
				if name == grading.Model {
					require.Equal(h, 100, b.Spent.Calls)
					require.InDelta(h, 12.5, *b.Spent.CostUSD, 1e-9)
					require.Contains(h, string(results[0].Grade), `"calls":1`, "a result shows its own usage")
				}
			})
		})
	}
}

func TestEqualAnswersOfAChunkAreJudgedOnce(t *testing.T) {
	bubble(t, func(h *house) {
		stop := h.serve(1, h.worker())
		defer stop()
		b := h.submit(batch.Options{Judge: grading.Model}, "a", "b", "a", "a")
		b = h.wait(b.Key, time.Minute)
		require.Equal(h, 2, h.grader.calls())
		require.Equal(h, []int{4, 2, 2, 2}, []int{b.Graded, b.Cached, b.Spent.Calls, b.Saved.Calls})
		results := h.results(b.Key)
		require.Equal(h, results[0].GradeID, results[3].GradeID)
		require.Contains(h, string(results[0].Grade), `"calls":1`)
		require.Contains(h, string(results[3].Grade), `"calls":0`)
	})
}

func TestEqualAnswersOfABatchAreJudgedOnce(t *testing.T) {
	// Fifty answers, over and over, in chunks of which some meet and some come
	// long after the first.
	again := make([]string, 400)
	for i := range again {
		again[i] = "answer " + strconv.Itoa(i%50)
	}
	for name, c := range map[string]struct {
		fresh, unkept bool
	}{"what cannot be judged": {unkept: true}, "what is to be fresh": {fresh: true}, "both": {true, true}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(h *house) {
				h.grader.unkept = c.unkept
				h.grader.play = takes(time.Second)
				stop := h.serve(2, h.worker())
				defer stop()
				b := h.submit(batch.Options{Judge: grading.Model, Fresh: c.fresh}, again...)
				b = h.wait(b.Key, 10*time.Minute)
				require.Equal(h, []int{400, 350, 50, 350}, []int{b.Graded, b.Cached, b.Spent.Calls, b.Saved.Calls})
				require.Equal(h, 50, h.grader.finished())
			})
		})
	}
}

func TestAnAnswerIsRememberedBetweenTheChunksOfABatch(t *testing.T) {
	bubble(t, func(h *house) {
		h.grader.unkept = true
		h.grader.play = takes(time.Second)
		w := h.worker()
		b := h.submit(batch.Options{Judge: grading.Model}, slices.Repeat([]string{"a"}, 160)...)
		// One chunk after another: there are moments when none is worked on.
		ctx, cancel := context.WithCancel(h.Context())
		served := make(chan struct{})
		go func() {
			defer close(served)
			h.queue.Serve(ctx, 1, func(ctx context.Context, ref batch.Ref) error {
				pass(5 * time.Second)
				return w.Handle(ctx, ref)
			})
		}()
		b = h.wait(b.Key, 10*time.Minute)
		cancel()
		<-served
		require.Equal(h, []int{160, 1}, []int{b.Graded, b.Spent.Calls})
	})
}

func TestWhoeverRepeatsAnAnswerThatFailedAsksAgain(t *testing.T) {
	bubble(t, func(h *house) {
		fails := int32(3)
		h.grader.play = func(context.Context, string) error {
			if atomic.AddInt32(&fails, -1) >= 0 {
				return errOutage
			}
			return nil
		}
		stop := h.serve(4, h.worker())
		defer stop()
		b := h.submit(batch.Options{Judge: grading.Model}, slices.Repeat([]string{"a"}, 64)...)
		b = h.wait(b.Key, time.Minute)
		require.Equal(h, []int{64, 1}, []int{b.Graded, b.Spent.Calls})
	})
}

func TestKeptGradesCountAsSaved(t *testing.T) {
	bubble(t, func(h *house) {
		h.grader.source = grading.Hit
		stop := h.serve(1, h.worker())
		defer stop()
		began := time.Now()
		b := h.submit(batch.Options{Judge: grading.Model}, answers(64)...)
		b = h.wait(b.Key, time.Minute)
		require.Equal(h, []int{64, 64, 0, 64}, []int{b.Graded, b.Cached, b.Spent.Calls, b.Saved.Calls})
		require.Less(h, time.Since(began), time.Second, "nobody waits for a model that is not asked")
	})
}

func TestTheFirstAnswerWarmsThePrefixForTheOthers(t *testing.T) {
	bubble(t, func(h *house) {
		h.grader.play = takes(time.Second)
		stop := h.serve(2, h.worker())
		defer stop()
		b := h.submit(batch.Options{Judge: grading.Model}, answers(32)...)
		pass(900 * time.Millisecond)
		require.Equal(h, 1, h.grader.calls(), "the second chunk of the question waits too")
		pass(300 * time.Millisecond)
		require.Equal(h, 32, h.grader.calls())
		h.wait(b.Key, 10*time.Second)
	})
}

func TestASlowFirstAnswerHoldsTheOthersUpForTwoSecondsOnly(t *testing.T) {
	bubble(t, func(h *house) {
		h.grader.play = takes(20 * time.Second)
		stop := h.serve(2, h.worker())
		defer stop()
		b := h.submit(batch.Options{Judge: grading.Model}, answers(32)...)
		pass(1900 * time.Millisecond)
		require.Equal(h, 1, h.grader.calls())
		pass(200 * time.Millisecond)
		require.Equal(h, 32, h.grader.calls())
		h.wait(b.Key, time.Minute)
	})
}

func TestProgressIsLive(t *testing.T) {
	bubble(t, func(h *house) {
		var n atomic.Int64
		h.grader.play = func(ctx context.Context, answer string) error {
			return takes(time.Duration(n.Add(1))*time.Second)(ctx, answer)
		}
		stop := h.serve(1, h.worker())
		defer stop()
		b := h.submit(batch.Options{Judge: grading.Lexical}, answers(16)...)
		pass(8*time.Second + 200*time.Millisecond)
		require.Equal(h, 8, h.get(b.Key).Graded)
		require.Equal(h, 8, h.store.Calls("Complete"))
		h.wait(b.Key, time.Minute)
	})
}

func TestResultsThatComeTogetherAreKeptTogether(t *testing.T) {
	bubble(t, func(h *house) {
		stop := h.serve(1, h.worker())
		defer stop()
		b := h.submit(batch.Options{Judge: grading.Lexical}, answers(64)...)
		h.wait(b.Key, time.Minute)
		require.Equal(h, 4, h.store.Calls("Complete"), "one a chunk")
	})
}

func TestACostLimitHolds(t *testing.T) {
	bubble(t, func(h *house) {
		h.grader.play = takes(time.Second)
		stop := h.serve(8, h.worker())
		defer stop()
		limit := 5.05 // forty answers, and a bit
		b := h.submit(batch.Options{Judge: grading.Model, MaxCost: &limit}, answers(200)...)
		b = h.wait(b.Key, 10*time.Minute)
		require.InDelta(h, 5, *b.Spent.CostUSD, 1e-9, "as much as fits and not a cent more")
		require.Equal(h, 200, b.Graded+b.Failed)
		for _, r := range h.results(b.Key) {
			if r.Status == batch.RowFailed {
				require.Equal(h, batch.ReasonCostLimit, r.Reason)
			}
		}
		require.Greater(h, h.grader.worst, 20, "far from the limit nothing is held up")
	})
}

func TestACostLimitBelowTheFirstAnswerSpendsNothing(t *testing.T) {
	bubble(t, func(h *house) {
		stop := h.serve(2, h.worker())
		defer stop()
		limit := cost / 2
		b := h.submit(batch.Options{Judge: grading.Model, MaxCost: &limit}, answers(32)...)
		require.Equal(h, 32, h.wait(b.Key, time.Minute).Failed)
		require.Zero(h, h.grader.calls())
		for _, r := range h.results(b.Key) {
			require.Equal(h, batch.ReasonCostLimit, r.Reason)
		}
	})
}

func TestACostLimitHoldsUpNothingThatIsFree(t *testing.T) {
	bubble(t, func(h *house) {
		h.grader.play = takes(time.Second)
		h.kept.unpriced = true
		stop := h.serve(2, h.worker())
		defer stop()
		limit := 0.0
		began := time.Now()
		b := h.submit(batch.Options{Judge: grading.Lexical, MaxCost: &limit}, answers(32)...)
		require.Equal(h, 32, h.wait(b.Key, time.Minute).Graded)
		require.Less(h, time.Since(began), 3*time.Second)
	})
}

func TestACancelledBatchIsLetGo(t *testing.T) {
	bubble(t, func(h *house) {
		h.grader.play = takes(time.Minute)
		stop := h.serve(1, h.worker())
		defer stop()
		b := h.submit(batch.Options{Judge: grading.Model}, answers(48)...)
		pass(10 * time.Second)
		got, err := h.service.Cancel(h.Context(), b.Key)
		require.NoError(h, err)
		require.Equal(h, batch.Cancelled, got.Status)
		require.Equal(h, 48, got.Cancelled)
		require.Zero(h, h.queue.Waiting())
		pass(4 * time.Second)
		h.grader.mu.Lock()
		require.Zero(h, h.grader.inside, "calls in flight are cancelled")
		h.grader.mu.Unlock()
		require.Equal(h, got, h.get(b.Key))
		require.Len(h, h.results(b.Key), 48)
	})
}

func TestAWorkerWithoutTheJudgeLeavesABatchToOthers(t *testing.T) {
	bubble(t, func(h *house) {
		poor := h.worker(func(c *batch.WorkerConfig) {
			c.Versions = func(string) (batch.Versions, error) { return batch.Versions{}, grading.ErrNoModel }
		})
		stop := h.serve(2, poor)
		b := h.submit(batch.Options{Judge: grading.Model}, answers(20)...)
		pass(10 * time.Minute)
		require.Equal(h, 20, h.get(b.Key).Pending())
		require.Zero(h, h.grader.calls())
		stop()
		stop = h.serve(2, h.worker())
		defer stop()
		h.wait(b.Key, 20*time.Second)
	})
}

// Fault 57.
func TestABatchThatHadToMixVersionsSaysSo(t *testing.T) {
	bubble(t, func(h *house) {
		newer := h.worker(func(c *batch.WorkerConfig) {
			c.Versions = func(string) (batch.Versions, error) {
				v := made
				v.Fingerprint = "f2"
				return v, nil
			}
		})
		stop := h.serve(1, newer)
		defer stop()
		b := h.submit(batch.Options{Judge: grading.Model}, "a")
		b = h.wait(b.Key, time.Minute)
		require.True(h, b.Mixed)
		require.True(h, h.results(b.Key)[0].Mixed)
	})
}

// Fault 56: who is told to stop finishes what is in flight and hands the rest
// out at once.
func TestDrainingLosesNothing(t *testing.T) {
	bubble(t, func(h *house) {
		h.grader.play = takes(5 * time.Second)
		old := h.worker()
		stop := h.serve(1, old)
		b := h.submit(batch.Options{Judge: grading.Model}, answers(32)...)
		pass(time.Second) // the first answer is being read
		ctx, cancel := context.WithTimeout(h.Context(), time.Second)
		defer cancel()
		require.ErrorIs(h, old.Wait(ctx), context.DeadlineExceeded, "an answer is still being read")
		require.NoError(h, old.Wait(h.Context()))
		require.Equal(h, 1, h.get(b.Key).Graded, "what was in flight is finished")
		require.Equal(h, 1, h.grader.calls(), "and nothing begun")
		stop()
		h.queue.Lose() // whoever stopped had the rest
		stop = h.serve(2, h.worker(func(c *batch.WorkerConfig) { c.Name = "new" }))
		defer stop()
		b = h.wait(b.Key, 5*time.Minute)
		require.Equal(h, 32, b.Graded)
		require.Equal(h, 32, h.grader.calls())
	})
}

func TestAWorkerThatIsCutOffKeepsWhatIsDone(t *testing.T) {
	bubble(t, func(h *house) {
		h.grader.play = func(ctx context.Context, a string) error {
			if slices.Contains([]string{"answer 0", "answer 1", "answer 2"}, a) {
				return takes(3*time.Second)(ctx, a)
			}
			return takes(time.Hour)(ctx, a)
		}
		w := h.worker()
		b := h.submit(batch.Options{Judge: grading.Lexical}, answers(10)...)
		ctx, cancel := context.WithTimeout(h.Context(), 3*time.Second+50*time.Millisecond)
		defer cancel()
		began := time.Now()
		require.NoError(h, w.Handle(ctx, h.queue.Given()[0]))
		require.Less(h, time.Since(began), 4*time.Second)
		got := h.get(b.Key)
		require.Equal(h, []int{3, 0, 7}, []int{got.Graded, got.Failed, got.Pending()})
		require.Len(h, h.queue.Given(), 2, "the rest is handed out at once")
	})
}

func TestADrainingWorkerTakesNothing(t *testing.T) {
	bubble(t, func(h *house) {
		w := h.worker()
		w.Drain()
		b := h.submit(batch.Options{Judge: grading.Model}, "a")
		require.ErrorIs(h, w.Handle(h.Context(), h.queue.Given()[0]), batch.ErrDraining)
		require.Equal(h, batch.Queued, h.get(b.Key).Status)
	})
}
